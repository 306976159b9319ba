//! A user as `/etc/passwd` describes it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use cairn_sys::process::Credentials;
use cairn_system::UserName;

use crate::supervisor::accounts;

/// A user of this machine.
#[derive(Debug, PartialEq, Eq)]
pub struct Account {
    /// The name.
    pub name: String,
    /// Number and groups.
    pub credentials: Credentials,
    /// The home.
    pub home: PathBuf,
    /// The shell.
    pub shell: String,
}

/// The user `name`, as the files below `etc` have it.
///
/// # Errors
/// They cannot be read, or there is no such user.
pub fn find(etc: &Path, name: &str) -> anyhow::Result<Account> {
    let user = UserName::try_from(name)?;
    let credentials = accounts::credentials(etc, Some(&user), None, &[])?;
    let path = etc.join("passwd");
    let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let (home, shell) = home_and_shell(&String::from_utf8_lossy(&text), name)
        .with_context(|| format!("{} says nothing of the home of '{name}'", path.display()))?;
    Ok(Account {
        name: name.to_owned(),
        credentials,
        home,
        shell,
    })
}

fn home_and_shell(passwd: &str, name: &str) -> Option<(PathBuf, String)> {
    passwd.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        match fields.as_slice() {
            [user, _, _, _, _, home, shell] if *user == name => {
                let shell = if shell.is_empty() { "/bin/sh" } else { shell };
                Some((home.into(), shell.to_owned()))
            }
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_found() {
        let etc = tempfile::tempdir().unwrap();
        // Real names are in whatever letters they were written.
        let passwd =
            b"root:x:0:0::/root:/bin/sh\nj\xfcrg:x:1:1::/:\nalice:x:1000:100:\xc9:/home/alice:\n";
        fs::write(etc.path().join("passwd"), passwd).unwrap();
        fs::write(etc.path().join("group"), "users:x:100:\nwheel:x:1:alice\n").unwrap();
        let alice = find(etc.path(), "alice").unwrap();
        expect_test::expect![[
            r#"Account { name: "alice", credentials: Credentials { uid: 1000, gid: 100, groups: [1] }, home: "/home/alice", shell: "/bin/sh" }"#
        ]]
        .assert_eq(&format!("{alice:?}"));
        let error = find(etc.path(), "bob").unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is no user 'bob' in /etc/passwd; did activation fail?"
        );
    }
}
