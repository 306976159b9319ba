//! Signatures of release files, checked by `gpgv`.
//!
//! `gpgv` is what Debian's own package manager relies on. It is part of every Debian installation,
//! small, and gets its security updates from there; an `OpenPGP` library in this program would be
//! the larger risk: a second reading of an old format, to be kept current by us.
//!
//! Only the text that `gpgv` writes out is used, never the file that came over the network: what
//! stands before, between or after the signed part has no effect. Rules for signatures, as apt's:
//! at least one valid signature by a trusted key, none that is wrong; signatures by unknown or
//! expired keys are passed over; SHA-1 does not count.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::keys::{Keys, decode_armour};

/// Why a signature does not hold.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    /// The program is missing or cannot be started.
    #[error("cannot run gpgv: {0}; install the package gpgv")]
    Gpgv(#[source] io::Error),
    /// A keyring file cannot be used.
    #[error(
        "cannot read keyring {path}: {cause}; install debian-archive-keyring or correct Signed-By"
    )]
    Keyring {
        /// The file.
        path: PathBuf,
        /// What happened.
        #[source]
        cause: io::Error,
    },
    /// Neither a keyring nor an embedded key.
    #[error("no keys are configured for it; install debian-archive-keyring")]
    NoKeys,
    /// The scratch folder failed.
    #[error("cannot write {path}: {cause}")]
    Scratch {
        /// The file or folder.
        path: PathBuf,
        /// What happened.
        #[source]
        cause: io::Error,
    },
    /// The text is not signed at all.
    #[error("it is not signed")]
    Unsigned,
    /// The text does not match its signature.
    #[error("its signature is wrong (key {0}): the file was altered")]
    Bad(String),
    /// Only keys that are not trusted signed it.
    #[error(
        "no trusted key signed it, or it has expired (signed by {0}); is the right keyring named, \
         and current?"
    )]
    Untrusted(String),
}

/// The signed text within `message`, an `OpenPGP` message with a cleartext signature.
///
/// Runs `gpgv` in a temporary folder; nothing else is touched.
///
/// # Errors
/// [`SignatureError`].
pub fn verified_text(message: &[u8], keys: &Keys) -> Result<Vec<u8>, SignatureError> {
    check_frame(message)?;
    let scratch = tempfile::Builder::new().prefix("cairn-release-").tempdir();
    let scratch = scratch.map_err(|cause| scratch_error(&std::env::temp_dir(), cause))?;
    let file = |name: &str| scratch.path().join(name);
    write(&file("message"), message)?;
    let mut command = Command::new("gpgv");
    command
        .args(["--status-fd", "1", "--weak-digest", "SHA1", "--homedir"])
        .arg(scratch.path());
    for keyring in keyrings(keys, scratch.path())? {
        command.arg("--keyring").arg(keyring);
    }
    command
        .arg("--output")
        .arg(file("text"))
        .arg(file("message"));
    command.env("LC_ALL", "C").stdin(Stdio::null());
    let output = command.output().map_err(SignatureError::Gpgv)?;
    log::debug!("gpgv: {}", String::from_utf8_lossy(&output.stderr));
    judge(&String::from_utf8_lossy(&output.stdout), keys)?;
    let text = file("text");
    std::fs::read(&text).map_err(|cause| scratch_error(&text, cause))
}

/// One cleartext message and nothing else: more would make it unclear what was signed.
fn check_frame(message: &[u8]) -> Result<(), SignatureError> {
    let message = String::from_utf8_lossy(message);
    let count = |line: &str| message.lines().filter(|own| own.trim_end() == line).count();
    let framed = message.starts_with("-----BEGIN PGP SIGNED MESSAGE-----")
        && message.trim_end().ends_with("-----END PGP SIGNATURE-----")
        && count("-----BEGIN PGP SIGNED MESSAGE-----") == 1
        && count("-----BEGIN PGP SIGNATURE-----") == 1
        && count("-----END PGP SIGNATURE-----") == 1;
    framed.then_some(()).ok_or(SignatureError::Unsigned)
}

/// Binary keyring files, with absolute paths: `gpgv` looks elsewhere for others.
fn keyrings(keys: &Keys, scratch: &Path) -> Result<Vec<PathBuf>, SignatureError> {
    let mut paths = Vec::new();
    for (number, path) in keys.keyrings.iter().enumerate() {
        let error = |cause| SignatureError::Keyring {
            path: path.clone(),
            cause,
        };
        let bytes = std::fs::read(path).map_err(error)?;
        paths.push(if bytes.starts_with(b"-----BEGIN") {
            let damaged = || io::Error::new(io::ErrorKind::InvalidData, "damaged ASCII armour");
            let decoded = decode_armour(&String::from_utf8_lossy(&bytes));
            let decoded = decoded.ok_or_else(damaged).map_err(error)?;
            write(&scratch.join(format!("keyring-{number}.gpg")), &decoded)?
        } else {
            std::path::absolute(path).map_err(error)?
        });
    }
    for (number, key) in keys.embedded.iter().enumerate() {
        let bytes = decode_armour(key).ok_or(SignatureError::NoKeys)?;
        paths.push(write(
            &scratch.join(format!("embedded-{number}.gpg")),
            &bytes,
        )?);
    }
    if paths.is_empty() {
        Err(SignatureError::NoKeys)
    } else {
        Ok(paths)
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<PathBuf, SignatureError> {
    std::fs::write(path, bytes).map_err(|cause| scratch_error(path, cause))?;
    Ok(path.to_owned())
}

fn scratch_error(path: &Path, cause: io::Error) -> SignatureError {
    SignatureError::Scratch {
        path: path.to_owned(),
        cause,
    }
}

/// Reads the status lines of `gpgv` (`GnuPG`'s doc/DETAILS).
fn judge(status: &str, keys: &Keys) -> Result<(), SignatureError> {
    let (mut valid, mut others) = (false, Vec::new());
    // `VALIDSIG` alone says little: it also follows `EXPKEYSIG` and `REVKEYSIG`.
    let mut good = false;
    for line in status.lines() {
        let line = line.strip_prefix("[GNUPG:] ").unwrap_or_default();
        let mut words = line.split(' ');
        let keyword = words.next().unwrap_or_default();
        let key = words.next().unwrap_or_default();
        match keyword {
            "NEWSIG" => good = false,
            "GOODSIG" => good = true,
            "BADSIG" => return Err(SignatureError::Bad(key.to_owned())),
            "VALIDSIG" if good && keys.admit(key, words.next_back().unwrap_or_default()) => {
                valid = true;
            }
            "VALIDSIG" | "NO_PUBKEY" | "EXPKEYSIG" | "REVKEYSIG" | "EXPSIG" | "ERRSIG" => {
                good = false;
                others.push(key);
            }
            _ => {}
        }
    }
    if valid {
        return Ok(());
    }
    others.sort_unstable();
    others.dedup();
    match others.as_slice() {
        [] => Err(SignatureError::Unsigned),
        others => Err(SignatureError::Untrusted(others.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "reads better in the tests")]
    fn check(status: &str, expected: Expect) {
        let verdict = judge(status, &Keys::default());
        expected.assert_eq(&verdict.map_or_else(|error| error.to_string(), |()| "valid".into()));
    }

    #[test]
    fn verdicts() {
        check("[GNUPG:] NODATA 1\n", expect!["it is not signed"]);
        check(
            "[GNUPG:] NO_PUBKEY AB\n[GNUPG:] ERRSIG AB 1 8 01 1 9 CD\n",
            expect![
                "no trusted key signed it, or it has expired (signed by AB); is the right keyring named, and current?"
            ],
        );
        check(
            "[GNUPG:] NO_PUBKEY AB\n[GNUPG:] NEWSIG\n[GNUPG:] GOODSIG CD x\n[GNUPG:] VALIDSIG CD 2026 x CD\n",
            expect!["valid"],
        );
        check(
            "[GNUPG:] GOODSIG CD x\n[GNUPG:] VALIDSIG CD 2026 x CD\n[GNUPG:] BADSIG AB someone\n",
            expect!["its signature is wrong (key AB): the file was altered"],
        );
    }

    #[test]
    fn expired_and_revoked_keys_do_not_count() {
        for keyword in ["EXPKEYSIG", "REVKEYSIG", "EXPSIG"] {
            let bad =
                format!("[GNUPG:] NEWSIG\n[GNUPG:] {keyword} CD x\n[GNUPG:] VALIDSIG CD x CD\n");
            let good = "[GNUPG:] NEWSIG\n[GNUPG:] GOODSIG AB x\n[GNUPG:] VALIDSIG AB x AB\n";
            assert!(judge(&bad, &Keys::default()).is_err(), "{keyword}");
            assert!(
                judge(&format!("{bad}{good}"), &Keys::default()).is_ok(),
                "{keyword}"
            );
            assert!(
                judge(&format!("{good}{bad}"), &Keys::default()).is_ok(),
                "{keyword}"
            );
        }
    }

    #[test]
    fn only_one_framed_message() {
        let message = "-----BEGIN PGP SIGNED MESSAGE-----\n\nx\n-----BEGIN PGP SIGNATURE-----\n\n\
                       -----END PGP SIGNATURE-----\n";
        assert!(check_frame(message.as_bytes()).is_ok());
        for text in [
            "",
            "Origin: Debian\n",
            &format!("x\n{message}"),
            &message.repeat(2),
        ] {
            assert!(check_frame(text.as_bytes()).is_err());
        }
        let trailing = format!("{message}Origin: Debian\n");
        assert!(check_frame(trailing.as_bytes()).is_err());
    }
}
