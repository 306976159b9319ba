//! `nixos-version`: what the running system calls itself.
//!
//! The words of NixOS's program: the version and a name in parentheses; `--json` has the version, and
//! the revisions as far as there are any.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// The version, for people.
    Version,
    /// All, as JSON.
    Json,
}

/// The answer for the machine at `root`, with a line end.
///
/// # Errors
/// It has no `os-release`, or that says nothing of a version.
pub fn answer(root: &Path, question: Question) -> Result<String> {
    let file = root.join("etc/os-release");
    let text =
        fs::read_to_string(&file).with_context(|| format!("cannot read '{}'", file.display()))?;
    let version = field(&text, "VERSION_ID")
        .with_context(|| format!("'{}' has no VERSION_ID", file.display()))?;
    Ok(match question {
        Question::Version => {
            let name = field(&text, "NAME").unwrap_or_else(|| "Cairn".to_owned());
            format!("{version} ({name})\n")
        }
        Question::Json => {
            let all = serde_json::json!({
                "nixosVersion": version,
                "configurationRevision": null,
                "nixpkgsRevision": null,
            });
            format!("{all}\n")
        }
    })
}

/// The value of `key` in the text of an `os-release`. Source: `os-release(5)`.
fn field(text: &str, key: &str) -> Option<String> {
    let mut lines = text.lines().filter_map(|line| line.split_once('='));
    let value = lines.rfind(|(name, _)| *name == key)?.1;
    let quoted = value
        .strip_prefix('"')
        .and_then(|value| value.strip_suffix('"'));
    let Some(quoted) = quoted else {
        return Some(value.trim_matches('\'').to_owned());
    };
    let mut plain = String::new();
    let mut characters = quoted.chars();
    while let Some(one) = characters.next() {
        plain.extend(if one == '\\' {
            characters.next()
        } else {
            Some(one)
        });
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_that_of_os_release() {
        let root = tempfile::tempdir().unwrap();
        let ask = |question| answer(root.path(), question).map_err(|error| error.to_string());
        assert!(
            ask(Question::Version)
                .unwrap_err()
                .contains("etc/os-release")
        );
        fs::create_dir(root.path().join("etc")).unwrap();
        let write = |text: &str| fs::write(root.path().join("etc/os-release"), text).unwrap();
        write("NAME=Cairn\nVERSION_ID=\"0.1 \\\"x\\\"\"\n");
        assert_eq!(ask(Question::Version).unwrap(), "0.1 \"x\" (Cairn)\n");
        write("ID=cairn\nVERSION_ID=0.1.0\n");
        assert_eq!(ask(Question::Version).unwrap(), "0.1.0 (Cairn)\n");
        assert_eq!(
            ask(Question::Json).unwrap(),
            "{\"configurationRevision\":null,\"nixosVersion\":\"0.1.0\",\"nixpkgsRevision\":null}\n"
        );
        write("");
        assert!(ask(Question::Json).unwrap_err().contains("VERSION_ID"));
    }
}
