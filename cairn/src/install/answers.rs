//! What is wanted of an installation: the dialogue asks for it, and the file of an unattended one is it.

use std::fmt;
use std::path::PathBuf;

use cairn_system::UserName;
use serde::{Deserialize, Serialize};

use super::words::{FullName, HostName, Line, PasswordHash, SshKey};

/// What is wanted. Nothing here was compared with a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Answers {
    /// The disk that is to have the system, by any of its names in `/dev`. No other one is written to.
    pub disk: PathBuf,
    /// Whether what is on the disk may be lost. An empty disk needs no such word.
    #[serde(default)]
    pub wipe: bool,
    /// The name of the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_name: Option<HostName>,
    /// Such as `Europe/Berlin`; UTC if it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<Line>,
    /// Such as `de_DE.UTF-8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<Line>,
    /// The keyboard's layout on the console, such as `de`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyboard: Option<Line>,
    /// More of the configuration: what can stand in its braces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extra: Option<String>,
    /// A configuration that is ready, or a folder that has one and what it imports, in place of the
    /// one that is written from the answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<PathBuf>,
    /// The disk's partitions.
    #[serde(default)]
    pub layout: Layout,
    /// The superuser.
    #[serde(default)]
    pub root: Root,
    /// People who log in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<Account>,
}

/// How the disk is divided.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Layout {
    /// The root's file system.
    #[serde(default)]
    pub file_system: FileSystemKind,
    /// MiB of swap space; none if it is 0.
    #[serde(default)]
    pub swap_mib: u32,
    /// How root and swap space are encrypted; not at all if it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Encryption>,
}

/// What the root can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum FileSystemKind {
    /// The one that GRUB reads: no partition of its own for `/boot`.
    #[default]
    Ext4,
    /// With subvolumes for `/`, `/home` and `/nix`.
    Btrfs,
    /// XFS.
    Xfs,
}

impl FileSystemKind {
    /// Its name, as the kernel has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ext4 => "ext4",
            Self::Btrfs => "btrfs",
            Self::Xfs => "xfs",
        }
    }
}

/// What opens the encrypted disk, at each boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encryption {
    /// This.
    Passphrase(Secret),
    /// The first line of a file, which is read when the disk is made.
    PassphraseFile(PathBuf),
}

/// The superuser.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Root {
    /// The password; nobody logs in as root with one if it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hashed_password: Option<PasswordHash>,
    /// Keys that open root's account by SSH.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ssh_keys: Vec<SshKey>,
}

/// A person who logs in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Account {
    /// Login name.
    pub name: UserName,
    /// The person's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full_name: Option<FullName>,
    /// The password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hashed_password: Option<PasswordHash>,
    /// Keys that open the account by SSH.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ssh_keys: Vec<SshKey>,
    /// Whether the person may become root with `sudo`.
    #[serde(default)]
    pub administrator: bool,
}

/// Text that is shown nowhere.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Takes what must not be shown.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text, for where it is used.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
