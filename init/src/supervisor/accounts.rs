//! Users and groups by name, from `/etc/passwd` and `/etc/group`: no NSS, no network.
//!
//! Source: `passwd(5)`, `group(5)`.

use std::fs;
use std::path::{Path, PathBuf};

use cairn_sys::process::Credentials;
use cairn_system::UserName;

use super::environment::Environment;

/// Why a service's user cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// There is no such user.
    #[error("there is no user '{0}' in /etc/passwd; did activation fail?")]
    User(String),
    /// There is no such group.
    #[error("there is no group '{0}' in /etc/group; did activation fail?")]
    Group(String),
}

/// The credentials of `user` (root if absent) in `group` (the user's own if absent), as the files
/// below `etc` define them now.
///
/// # Errors
/// A file cannot be read, or a name is not in it.
pub fn credentials(
    etc: &Path,
    user: Option<&UserName>,
    group: Option<&UserName>,
    supplementary: &[UserName],
) -> Result<Credentials, AccountError> {
    if user.is_none() && group.is_none() && supplementary.is_empty() {
        return Ok(Credentials::default());
    }
    resolve(
        &read(etc, "passwd")?,
        &read(etc, "group")?,
        user.map_or("root", UserName::as_str),
        group.map(UserName::as_str),
        supplementary,
    )
}

/// The numbers of those of these groups that the file below `etc` defines now.
///
/// # Errors
/// It cannot be read.
pub fn group_numbers(etc: &Path, groups: &[UserName]) -> Result<Vec<u32>, AccountError> {
    let text = read(etc, "group")?;
    let entries = group_entries(&text);
    let is_asked_for = |name: &str| groups.iter().any(|group| group.as_str() == name);
    let found = entries.filter(|(name, ..)| is_asked_for(name));
    Ok(found.map(|(_, number, _)| number).collect())
}

/// What a login of `user` has in its environment, as `/etc/passwd` below `etc` says now: the name, the home and the shell.
///
/// # Errors
/// The file cannot be read, or there is no such user.
pub fn login(etc: &Path, user: &str) -> Result<Environment, AccountError> {
    login_in(&read(etc, "passwd")?, user).ok_or_else(|| AccountError::User(user.to_owned()))
}

/// Whoever is not to log in has no shell, and whose home is the root has none.
fn login_in(passwd: &str, user: &str) -> Option<Environment> {
    let (home, shell) = user_entry(passwd, user, |fields| match fields {
        [.., home, shell] => Some((*home, *shell)),
        _ => None,
    })?;
    let is_shell = !matches!(
        shell.rsplit('/').next(),
        None | Some("" | "nologin" | "false")
    );
    let all = [
        ("USER", Some(user)),
        ("LOGNAME", Some(user)),
        ("HOME", Some(home).filter(|home| !matches!(*home, "" | "/"))),
        ("SHELL", Some(shell).filter(|_| is_shell)),
    ];
    let all = all.into_iter();
    let all = all.filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())));
    Some(all.collect())
}

/// The file of this name below `etc`. Real names in it may be in any encoding, and are not asked for.
fn read(etc: &Path, name: &str) -> Result<String, AccountError> {
    let path = etc.join(name);
    match fs::read(&path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(source) => Err(AccountError::Read { path, source }),
    }
}

/// What `parse` makes of the fields of `user`: of the first entry of that name that it can read.
fn user_entry<'a, T>(
    passwd: &'a str,
    user: &str,
    parse: impl Fn(&[&'a str]) -> Option<T>,
) -> Option<T> {
    passwd.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let is_users = fields.first() == Some(&user);
        is_users.then(|| parse(&fields)).flatten()
    })
}

/// Name, number and members of each group.
fn group_entries(groups: &str) -> impl Iterator<Item = (&str, u32, &str)> {
    groups.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        match fields.as_slice() {
            [name, _, gid, members] => Some((*name, gid.parse().ok()?, *members)),
            _ => None,
        }
    })
}

fn resolve(
    passwd: &str,
    groups: &str,
    user: &str,
    group: Option<&str>,
    further: &[UserName],
) -> Result<Credentials, AccountError> {
    let (uid, primary) = user_entry(passwd, user, |fields| match fields {
        [_, _, uid, gid, ..] => Some((uid.parse().ok()?, gid.parse().ok()?)),
        _ => None,
    })
    .ok_or_else(|| AccountError::User(user.to_owned()))?;
    let entries: Vec<(&str, u32, &str)> = group_entries(groups).collect();
    let by_name = |group: &str| {
        entries
            .iter()
            .find(|(name, ..)| *name == group)
            .map(|(_, gid, _)| *gid)
            .ok_or_else(|| AccountError::Group(group.to_owned()))
    };
    let gid = group.map_or(Ok(primary), by_name)?;
    let further: Vec<u32> = further
        .iter()
        .map(|group| by_name(group.as_str()))
        .collect::<Result<_, _>>()?;
    let mut supplementary: Vec<u32> = entries
        .iter()
        .filter(|(_, _, members)| members.split(',').any(|member| member == user))
        .map(|(_, gid, _)| *gid)
        .chain((gid != primary).then_some(primary))
        .chain(further)
        .filter(|other| *other != gid)
        .collect();
    supplementary.sort_unstable();
    supplementary.dedup();
    Ok(Credentials {
        uid,
        gid,
        groups: supplementary,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    const PASSWD: &str =
        "root:x:0:0::/root:/bin/sh\nbroken\nweb:x:400:401:Web:/var/empty:/bin/sh\n";
    const GROUP: &str = "root:x:0:\nweb:x:401:\ntls:x:402:mail,web\naudio:x:403:webb\n:::\n";

    fn check(user: &str, group: Option<&str>, expected: &Expect) {
        expected.assert_eq(&match resolve(PASSWD, GROUP, user, group, &[]) {
            Ok(c) => format!("{} {} {:?}", c.uid, c.gid, c.groups),
            Err(error) => error.to_string(),
        });
    }

    #[test]
    fn logins() {
        let check = |passwd: &str| format!("{:?}", login_in(passwd, "web"));
        expect![[
            r#"Some({"HOME": "/var/empty", "LOGNAME": "web", "SHELL": "/bin/sh", "USER": "web"})"#
        ]]
        .assert_eq(&check(PASSWD));
        expect![[r#"Some({"LOGNAME": "web", "USER": "web"})"#]]
            .assert_eq(&check("web:x:1:1::/:/run/current-system/sw/bin/nologin"));
        expect!["None"].assert_eq(&check("root:x:0:0::/root:/bin/sh"));
    }

    #[test]
    fn users_and_groups() {
        check("root", None, &expect!["0 0 []"]);
        check("web", None, &expect!["400 401 [402]"]);
        let audio = [UserName::try_from("audio").unwrap()];
        let further = resolve(PASSWD, GROUP, "web", None, &audio).unwrap();
        assert_eq!(further.groups, [402, 403]);
        check("web", Some("tls"), &expect!["400 402 [401]"]);
        check(
            "nobody",
            None,
            &expect!["there is no user 'nobody' in /etc/passwd; did activation fail?"],
        );
        check(
            "web",
            Some("x"),
            &expect!["there is no group 'x' in /etc/group; did activation fail?"],
        );
    }
}
