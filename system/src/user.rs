//! Users and groups.

use serde::{Deserialize, Serialize};

use crate::name::UserName;

/// One user, as `users.users.<name>` of NixOS describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct User {
    /// Login name.
    pub name: UserName,
    /// Fixed id; otherwise one is taken from the range of its kind and kept for ever.
    #[serde(default)]
    pub uid: Option<u32>,
    /// System users take ids downwards from 999, normal ones upwards from 1000.
    pub is_system_user: bool,
    /// Primary group.
    pub group: UserName,
    /// Further groups.
    #[serde(default)]
    pub extra_groups: Vec<UserName>,
    /// The GECOS field; no `:` and no newline.
    #[serde(default)]
    pub description: String,
    /// Home directory, absolute.
    pub home: String,
    /// Make the home directory, mode 0700, if it does not exist.
    #[serde(default)]
    pub create_home: bool,
    /// The home directory's permission bits, written in octal; `0700` if absent.
    #[serde(default, with = "crate::octal::option")]
    pub home_mode: Option<u32>,
    /// Login shell, absolute.
    pub shell: String,
    /// A crypt(3) hash that activation enforces; `!` locks the password.
    #[serde(default)]
    pub hashed_password: Option<String>,
    /// A file that has the hash in its first line, read at each activation; it goes before
    /// `hashed_password`.
    #[serde(default)]
    pub hashed_password_file: Option<String>,
    /// A crypt(3) hash for a user that does not exist yet.
    #[serde(default)]
    pub initial_hashed_password: Option<String>,
    /// A file that has such a hash in its first line; it goes before `initial_hashed_password`.
    #[serde(default)]
    pub initial_hashed_password_file: Option<String>,
}

/// One group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Group {
    /// Its name.
    pub name: UserName,
    /// Fixed id; otherwise one is taken, and kept for ever.
    #[serde(default)]
    pub gid: Option<u32>,
    /// Members, beside those who name it in `extra_groups`.
    #[serde(default)]
    pub members: Vec<UserName>,
}
