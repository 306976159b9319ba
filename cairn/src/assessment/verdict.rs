//! What is known of an entry that was booted: good or failed, why, and what its log said.
//!
//! ```text
//! /var/lib/cairn/boots/13-debug.json
//! { "verdict": "failed", "at": 1764350000, "toplevel": "/nix/store/…", "reason": "…", "log": "…" }
//! ```
//!
//! Written as a whole or not at all, and durable; only root may read it, since logs are in it. Keys
//! that are not known are ignored: an older generation reads what a newer one wrote. A number can
//! come to mean another system when the newest generations are deleted: so the system is in it, and
//! [`Verdict::of`] gives none that is about another.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::lock_file::write_atomically;

/// Where verdicts lie, below the root.
pub const FOLDER: &str = "var/lib/cairn/boots";

/// One entry's verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// What was found.
    #[serde(rename = "verdict")]
    pub outcome: Outcome,
    /// When, in seconds since 1970, by a clock that may be wrong. Nothing is decided by it.
    pub at: u64,
    /// The system that was booted: a store path.
    #[serde(default)]
    pub toplevel: String,
    /// Why, in a line for people.
    pub reason: String,
    /// The end of the logs that tell more; empty for a good one.
    #[serde(default)]
    pub log: String,
    /// How often in a row it has failed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failures: u32,
}

/// What was found of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// All that has to be up was up, and every required check was passed.
    Good,
    /// It was left for the last good one.
    Failed,
}

/// Why a verdict cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum VerdictError {
    /// The entry cannot be a file's name.
    #[error(
        "'{0}' is no boot entry: a generation's number is meant, or one with the name of a specialisation, 13-debug"
    )]
    Entry(String),
    /// The file cannot be read.
    #[error("cannot read {path}: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It holds something else.
    #[error("cannot read {path}: {source}; remove it: it is written again at the next trial", path = path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// The file cannot be written.
    #[error("{0:#}")]
    Write(anyhow::Error),
}

impl Verdict {
    /// Reads the text of a verdict.
    ///
    /// # Errors
    /// It is no JSON, or a field is missing or of the wrong type.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// The verdict about `entry` (`13`, `13-debug`) of the system below `root`; none if there is
    /// none, or if it is about another system than `toplevel`.
    ///
    /// # Errors
    /// The file cannot be read, or is no verdict.
    pub fn of(root: &Path, entry: &str, toplevel: &Path) -> Result<Option<Self>, VerdictError> {
        let verdict = Self::read(root, entry)?;
        Ok(verdict.filter(|verdict| Path::new(&verdict.toplevel) == toplevel))
    }

    /// As [`Verdict::of`], whatever system it is about.
    ///
    /// # Errors
    /// The file cannot be read, or is no verdict.
    pub fn read(root: &Path, entry: &str) -> Result<Option<Self>, VerdictError> {
        let path = file(root, entry)?;
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(VerdictError::Read { path, source }),
        };
        match Self::parse(&String::from_utf8_lossy(&text)) {
            Ok(verdict) => Ok(Some(verdict)),
            Err(source) => Err(VerdictError::Parse { path, source }),
        }
    }

    /// Writes it as that about `entry` of the system below `root`; on the disk when it returns.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, root: &Path, entry: &str) -> Result<(), VerdictError> {
        let path = file(root, entry)?;
        let text = serde_json::to_string_pretty(self)
            .map_err(|error| VerdictError::Write(error.into()))?;
        write_atomically(&path, (text + "\n").as_bytes()).map_err(VerdictError::Write)
    }
}

/// The verdict's file; no entry's name leads out of the folder.
fn file(root: &Path, entry: &str) -> Result<PathBuf, VerdictError> {
    let numbered = entry
        .bytes()
        .next()
        .is_some_and(|first| first.is_ascii_digit());
    if !numbered || entry.contains(['/', '\0']) || entry.len() > 200 {
        return Err(VerdictError::Entry(entry.to_owned()));
    }
    Ok(root.join(FOLDER).join(format!("{entry}.json")))
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands in a reference"
)]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn sample() -> Verdict {
        Verdict {
            outcome: Outcome::Failed,
            at: 1_764_350_000,
            toplevel: "/nix/store/x-cairn-system".to_owned(),
            reason: "health check 'web' failed: status 7".to_owned(),
            log: "a\nb\n".to_owned(),
            failures: 1,
        }
    }

    #[test]
    fn it_is_written_and_read() {
        let root = tempfile::tempdir().unwrap();
        assert!(Verdict::read(root.path(), "13-debug").unwrap().is_none());
        sample().write(root.path(), "13-debug").unwrap();
        let path = root.path().join("var/lib/cairn/boots/13-debug.json");
        expect![[r#"
            {
              "verdict": "failed",
              "at": 1764350000,
              "toplevel": "/nix/store/x-cairn-system",
              "reason": "health check 'web' failed: status 7",
              "log": "a\nb\n",
              "failures": 1
            }
        "#]]
        .assert_eq(&fs::read_to_string(&path).unwrap());
        let of = |toplevel| Verdict::of(root.path(), "13-debug", Path::new(toplevel)).unwrap();
        assert_eq!(of("/nix/store/x-cairn-system"), Some(sample()));
        assert_eq!(of("/nix/store/y-cairn-system"), None);
        fs::write(&path, "{}").unwrap();
        let error = Verdict::read(root.path(), "13-debug").unwrap_err();
        assert!(
            error.to_string().contains("missing field `verdict`"),
            "{error}"
        );
    }

    #[test]
    fn no_entry_leads_out_of_the_folder() {
        let root = tempfile::tempdir().unwrap();
        for entry in ["", "..", "../../etc/passwd", "13/../../x", "debug", "1\0"] {
            let error = sample().write(root.path(), entry).unwrap_err();
            assert!(matches!(error, VerdictError::Entry(_)), "{entry}: {error}");
        }
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }
}
