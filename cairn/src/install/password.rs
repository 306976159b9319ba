//! Passwords: their hashes, and where a machine that has never run keeps them.
//!
//! They are not in the configuration, whose values everybody can read in the store, but in the new
//! machine's `/etc/shadow`, before there is anything else of its user database: the first activation makes
//! the users, and keeps the passwords that it finds. Source: shadow(5).

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use anyhow::{Context, Result};

use super::dialogue::{Console, Echo, Prompt, illegible};
use super::words::PasswordHash;
use crate::builders::password_hash::of_typed;

/// Where passwords are, below the root.
const SHADOW: &str = "etc/shadow";

/// Asks for a password of `user`, twice; none if nothing is typed.
///
/// # Errors
/// The terminal's; or the password cannot be hashed.
pub fn ask(console: &mut dyn Console, user: &str) -> Result<Option<PasswordHash>> {
    loop {
        let mut typed = |text: String| -> Result<String> {
            let prompt = Prompt {
                text,
                echo: Echo::Hidden,
            };
            Ok(console.ask(&prompt)?.unwrap_or_default())
        };
        let password = typed(format!("New password of {user}, nothing for none: "))?;
        if password.is_empty() {
            return Ok(None);
        }
        if let Some(refusal) = illegible(&password) {
            console.show(&format!("! {refusal}.\n"))?;
            continue;
        }
        if typed("The same again: ".to_owned())? == password {
            return Ok(Some(PasswordHash::try_from(of_typed(&password)?)?));
        }
        console.show("! They are not the same.\n")?;
    }
}

/// Whether `user` has a password on the machine at `root`.
///
/// # Errors
/// Its file cannot be read.
pub fn is_set(root: &Path, user: &str) -> Result<bool> {
    let text = read(root)?;
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    let found = lines.find(|(name, _)| *name == user);
    Ok(found.is_some_and(|(_, rest)| {
        let hash = rest.split(':').next().unwrap_or_default();
        !matches!(hash, "!" | "*" | "!!")
    }))
}

/// Gives users of the machine at `root` passwords.
///
/// # Errors
/// Its file cannot be read or written; then it is as it was.
pub fn set(root: &Path, passwords: &[(String, PasswordHash)]) -> Result<()> {
    if passwords.is_empty() {
        return Ok(());
    }
    let before = read(root)?;
    let after = with_passwords(&before, passwords);
    if before == after {
        return Ok(());
    }
    let file = root.join(SHADOW);
    write_secret(&file, after.as_bytes())
        .with_context(|| format!("cannot write '{}'", file.display()))
}

fn read(root: &Path) -> Result<String> {
    let file = root.join(SHADOW);
    match fs::read_to_string(&file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        other => other.with_context(|| format!("cannot read '{}'", file.display())),
    }
}

/// A file that only the superuser reads, whole or as it was.
fn write_secret(file: &Path, content: &[u8]) -> io::Result<()> {
    let new = file.with_extension("new");
    let folder = file.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder)?;
    let mut opened = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)?;
    opened.set_permissions(Permissions::from_mode(0o600))?;
    opened.write_all(content)?;
    opened.sync_all()?;
    fs::rename(&new, file)?;
    File::open(folder)?.sync_all()
}

/// The text of `/etc/shadow` with these passwords; lines of others stay as they are.
fn with_passwords(text: &str, passwords: &[(String, PasswordHash)]) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for (user, hash) in passwords {
        let hash = hash.as_str();
        let own = lines
            .iter_mut()
            .find(|line| line.split(':').next() == Some(user.as_str()));
        match own {
            Some(line) => {
                let ageing = line.splitn(3, ':').nth(2).unwrap_or("1::::::");
                *line = format!("{user}:{hash}:{ageing}");
            }
            // As activation writes it.
            None => lines.push(format!("{user}:{hash}:1::::::")),
        }
    }
    lines.into_iter().map(|line| line + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What somebody types.
    struct Typed(Vec<&'static str>);

    impl Console for Typed {
        fn show(&mut self, _: &str) -> Result<()> {
            Ok(())
        }

        fn ask(&mut self, prompt: &Prompt) -> Result<Option<String>> {
            assert_eq!(prompt.echo, Echo::Hidden);
            Ok((!self.0.is_empty()).then(|| self.0.remove(0).to_owned()))
        }

        fn set_keyboard(&mut self, _: &str) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn nothing_typed_is_no_password() {
        assert_eq!(ask(&mut Typed(vec![""]), "root").unwrap(), None);
        assert_eq!(ask(&mut Typed(vec![]), "root").unwrap(), None);
    }

    /// Some terminals send a character for the backspace key that does not take one back.
    #[test]
    fn what_cannot_be_typed_again_is_no_password() {
        let mut console = Typed(vec!["secrx\u{8}et", "s\u{fffd}cret", "secret", "secret"]);
        assert!(ask(&mut console, "root").unwrap().is_some());
        assert!(console.0.is_empty());
    }

    fn hashes(all: &[(&str, &str)]) -> Vec<(String, PasswordHash)> {
        let all = all.iter();
        all.map(|(name, hash)| ((*name).to_owned(), PasswordHash::try_from(*hash).unwrap()))
            .collect()
    }

    #[test]
    fn lines_of_others_stay() {
        let passwords = hashes(&[("root", "!"), ("anna", "$6$salt$0123456789")]);
        for (before, after) in [
            ("", "root:!:1::::::\nanna:$6$salt$0123456789:1::::::\n"),
            (
                "bob:x:2::::::\nroot:old:3:0:99999:7:::\n",
                "bob:x:2::::::\nroot:!:3:0:99999:7:::\nanna:$6$salt$0123456789:1::::::\n",
            ),
            (
                "root\n+nis\n",
                "root:!:1::::::\n+nis\nanna:$6$salt$0123456789:1::::::\n",
            ),
        ] {
            assert_eq!(with_passwords(before, &passwords), after);
        }
    }

    #[test]
    fn a_password_is_there_and_nobody_else_reads_it() {
        let root = tempfile::tempdir().unwrap();
        assert!(!is_set(root.path(), "root").unwrap());
        let mut console = Typed(vec!["secret", "secrte", "secret", "secret"]);
        let hash = ask(&mut console, "root").unwrap().unwrap();
        assert!(console.0.is_empty());
        set(root.path(), &[("root".to_owned(), hash)]).unwrap();
        assert!(is_set(root.path(), "root").unwrap());
        assert!(!is_set(root.path(), "roo").unwrap());
        let file = fs::metadata(root.path().join(SHADOW)).unwrap();
        assert_eq!(file.permissions().mode() & 0o777, 0o600);
        set(root.path(), &hashes(&[("root", "!")])).unwrap();
        assert!(!is_set(root.path(), "root").unwrap());
    }
}
