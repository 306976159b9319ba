//! Secrets that a service is given as files: in memory that is never swapped out, for its user alone,
//! while it runs.
//!
//! ```text
//! /run/credentials/   0755, ramfs
//!   <service>/        0500, its user's; CREDENTIALS_DIRECTORY
//!     <name>          0400
//! ```
//!
//! Source: `LoadCredential=` and `SetCredential=` in systemd.exec(5).

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, chown, fchown};
use std::path::{Path, PathBuf};

use cairn_sys::process::Credentials;
use cairn_system::{Credential, CredentialSource, Service};

use super::foreign;

/// Where they lie, of all services.
const ROOT: &str = "/run/credentials";

/// The most bytes of one, and the most of a service.
const MOST: u64 = 1 << 20;

/// The directory of a service's credentials.
pub fn directory(service: &Service) -> PathBuf {
    Path::new(ROOT).join(service.name.as_str())
}

/// Makes them anew.
///
/// # Errors
/// A source cannot be read, or is too large: the message names the credential and the file.
pub fn make(service: &Service, owner: &Credentials) -> io::Result<()> {
    if service.credentials.is_empty() {
        return Ok(());
    }
    remove(service)?;
    let directory = directory(service);
    fs::create_dir_all(ROOT).map_err(|error| at("make the directory", Path::new(ROOT), &error))?;
    write_all(&directory, &service.credentials, owner)
}

fn write_all(directory: &Path, all: &[Credential], owner: &Credentials) -> io::Result<()> {
    fs::create_dir(directory)
        .and_then(|()| fs::set_permissions(directory, Permissions::from_mode(0o700)))
        .map_err(|error| at("make the directory", directory, &error))?;
    let mut left = MOST;
    for credential in all {
        write_one(directory, credential, owner, &mut left)
            .map_err(|error| named(credential, &error))?;
    }
    // Only now does it become its user's.
    chown(directory, Some(owner.uid), Some(owner.gid))
        .and_then(|()| fs::set_permissions(directory, Permissions::from_mode(0o500)))
        .map_err(|error| at("hand over", directory, &error))
}

/// Removes them.
///
/// # Errors
/// The kernel's.
pub fn remove(service: &Service) -> io::Result<()> {
    if service.credentials.is_empty() {
        return Ok(());
    }
    let directory = directory(service);
    match fs::remove_dir_all(&directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(at("remove", &directory, &error))
        }
        _ => Ok(()),
    }
}

fn write_one(
    directory: &Path,
    credential: &Credential,
    owner: &Credentials,
    left: &mut u64,
) -> io::Result<()> {
    match &credential.source {
        CredentialSource::Text(text) => write(
            directory,
            credential.name.as_str(),
            text.as_bytes(),
            owner,
            left,
        ),
        CredentialSource::File(path) => {
            let path = Path::new(path);
            if !path.is_dir() {
                let bytes = read(path)?;
                return write(directory, credential.name.as_str(), &bytes, owner, left);
            }
            // Each file of a directory, by the names of both.
            let mut names = Vec::new();
            for entry in fs::read_dir(path).map_err(|error| at("list", path, &error))? {
                let entry = entry.map_err(|error| at("list", path, &error))?;
                names.push(entry.file_name());
            }
            names.sort();
            for name in names {
                let bytes = read(&path.join(&name))?;
                let mut whole = std::ffi::OsString::from(credential.name.as_str());
                whole.push("_");
                whole.push(&name);
                write(directory, &whole, &bytes, owner, left)?;
            }
            Ok(())
        }
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    foreign::read(path, MOST).map_err(|error| at("read", path, &error))
}

fn write(
    directory: &Path,
    name: impl AsRef<Path>,
    bytes: &[u8],
    owner: &Credentials,
    left: &mut u64,
) -> io::Result<()> {
    let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    *left = left.checked_sub(size).ok_or_else(|| {
        io::Error::other(format!(
            "all credentials of a service are at most {MOST} bytes"
        ))
    })?;
    let path = directory.join(name);
    let mut options = OpenOptions::new();
    let written = options
        .write(true)
        .create_new(true)
        .mode(0o400)
        .open(&path)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            fchown(&file, Some(owner.uid), Some(owner.gid))
        });
    written.map_err(|error| at("write", &path, &error))
}

fn at(what: &str, path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(
        error.kind(),
        format!("cannot {what} {}: {error}", path.display()),
    )
}

fn named(credential: &Credential, error: &io::Error) -> io::Error {
    let message = format!("its credential '{}': {error}", credential.name);
    io::Error::new(error.kind(), message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::unix::fs::MetadataExt as _;

    fn credential(text: &str) -> Credential {
        serde_json::from_str(text).unwrap()
    }

    fn owner(folder: &Path) -> Credentials {
        let metadata = fs::metadata(folder).unwrap();
        Credentials {
            uid: metadata.uid(),
            gid: metadata.gid(),
            groups: Vec::new(),
        }
    }

    #[test]
    fn they_are_files_for_their_user() {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("source");
        fs::create_dir(&source).unwrap();
        fs::write(source.join("one"), "1").unwrap();
        fs::write(source.join("two"), "2").unwrap();
        let path = |name: &str| source.join(name).display().to_string();
        let all = [
            credential(r#"{"name":"text","source":{"text":"a\nb"}}"#),
            credential(&format!(
                r#"{{"name":"file","source":{{"file":"{}"}}}}"#,
                path("one")
            )),
            credential(&format!(
                r#"{{"name":"all","source":{{"file":"{}"}}}}"#,
                source.display()
            )),
        ];
        let given = folder.path().join("given");
        write_all(&given, &all, &owner(folder.path())).unwrap();
        let mut seen: Vec<String> = fs::read_dir(&given)
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let mode = entry.metadata().unwrap().mode() & 0o7777;
                let text = fs::read_to_string(entry.path()).unwrap();
                format!("{} {mode:o} {text:?}", entry.file_name().display())
            })
            .collect();
        seen.sort();
        let mode = fs::metadata(&given).unwrap().mode() & 0o7777;
        seen.push(format!("{mode:o}"));
        expect_test::expect![[r#"
            all_one 400 "1"
            all_two 400 "2"
            file 400 "1"
            text 400 "a\nb"
            500"#]]
        .assert_eq(&seen.join("\n"));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let check = |text: &str, expected: &str| {
            let given = folder.path().join("given");
            let error = write_all(&given, &[credential(text)], &owner(folder.path())).unwrap_err();
            fs::remove_dir_all(&given).unwrap();
            assert_eq!(error.to_string(), expected);
        };
        check(
            r#"{"name":"a","source":{"file":"/nonexistent"}}"#,
            "its credential 'a': cannot read /nonexistent: No such file or directory (os error 2)",
        );
        check(
            r#"{"name":"a","source":{"file":"/dev/zero"}}"#,
            "its credential 'a': cannot read /dev/zero: it is no regular file",
        );
        let large = folder.path().join("large");
        File::create(&large).unwrap().set_len(MOST + 5).unwrap();
        check(
            &format!(
                r#"{{"name":"a","source":{{"file":"{}"}}}}"#,
                large.display()
            ),
            &format!(
                "its credential 'a': cannot read {}: it has more than 1048576 bytes",
                large.display()
            ),
        );
    }
}
