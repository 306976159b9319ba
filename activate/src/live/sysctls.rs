//! Kernel parameters that can be set while it runs: `net.ipv4.ip_forward` is a file below
//! `/proc/sys`.
//!
//! Source: `sysctl.d(5)`: dots separate, and a slash stands for a dot in a name; a key whose first
//! separator is a slash is a path as it is.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use cairn_system::{SystemDescription, from_bytes};

use crate::plan::Failure;
use crate::root::{FileError, Kind, Rights, Root, Touched, bytes};

use super::{LiveChanges, LiveStep, Running};

pub(super) fn plan(
    before: &[SystemDescription],
    after: &SystemDescription,
    running: &Running,
    changes: &mut LiveChanges,
) {
    for (key, value) in &after.sysctl {
        let was_described = |before: &SystemDescription| before.sysctl.get(key) == Some(value);
        let is_as_before = !before.is_empty() && before.iter().all(was_described);
        let is_set = running.sysctl(key).is_some_and(|now| same(now, value));
        if !is_as_before && !is_set {
            changes.last.push(LiveStep::SetSysctl {
                key: key.clone(),
                value: value.clone(),
            });
        }
    }
    let mut gone: Vec<&String> = before
        .iter()
        .flat_map(|before| before.sysctl.keys())
        .filter(|key| !after.sysctl.contains_key(*key))
        .collect();
    gone.sort();
    gone.dedup();
    for key in gone {
        match (running.sysctl(key), running.default(key)) {
            (Some(now), Some(default)) if !same(now, default) => {
                changes.last.push(LiveStep::SetSysctl {
                    key: key.clone(),
                    value: default.trim_end().to_owned(),
                });
            }
            (Some(now), None) => changes.reboot.push(format!(
                "{key} is no longer described, and keeps '{}'",
                now.trim_end()
            )),
            _ => {}
        }
    }
}

/// The kernel separates several values with tabs.
fn same(one: &str, other: &str) -> bool {
    one.split_ascii_whitespace()
        .eq(other.split_ascii_whitespace())
}

/// What sysctls were before the first generation set them, in this boot: a JSON object.
const DEFAULTS: &str = "/run/cairn/sysctl-defaults";

pub(super) type Defaults = BTreeMap<String, String>;

/// What is known of the kernel's own values in the tree at `root`; nothing if the file is damaged.
pub(super) fn defaults(root: &Path) -> Result<Defaults, FileError> {
    let bytes = Root::new(root).read_if_there(Path::new(DEFAULTS))?;
    Ok(from_bytes(&bytes.unwrap_or_default()).unwrap_or_default())
}

/// Notes the present values of `keys` in the tree at `root`, unless they are known. To be called
/// before they are set: a generation without them goes back to these.
///
/// # Errors
/// The note cannot be read or written.
pub fn remember<'a>(root: &Path, keys: impl Iterator<Item = &'a String>) -> Result<(), FileError> {
    let mut all = defaults(root)?;
    let known = all.len();
    for key in keys
        .filter(|key| !all.contains_key(*key))
        .collect::<Vec<_>>()
    {
        // What cannot be read has no value to go back to.
        let place = file_of(key).map(|file| root.join("proc/sys").join(file));
        if let Some(Ok(value)) = place.map(fs::read_to_string) {
            all.insert(key.clone(), value.trim_end().to_owned());
        }
    }
    if all.len() == known {
        return Ok(());
    }
    let text = serde_json::to_string(&all).map_err(|error| FileError {
        verb: "write",
        path: DEFAULTS.into(),
        source: io::Error::other(error),
    })?;
    let root = Root::new(root);
    let file = Path::new(DEFAULTS);
    let mut touched = Touched::default();
    if let Some(folder) = file.parent()
        && root.kind(folder)? == Kind::Absent
    {
        root.make_directory(folder, Rights::root(0o755), &mut touched)?;
    }
    root.write(
        file,
        Rights::root(0o644),
        &mut touched,
        bytes(text.as_bytes()),
    )
}

/// Sets one below `root`, which is `/proc/sys`.
///
/// # Errors
/// The key is no sysctl's name, the kernel has none of that name, or it refuses the value.
pub fn write(root: &Path, key: &str, value: &str) -> Result<(), Failure> {
    let file = file_of(key)
        .ok_or_else(|| Failure::new(format!("cannot set '{key}': it is no sysctl's name")))?;
    let file = root.join(file);
    fs::write(&file, value).map_err(|error| {
        Failure::new(format!(
            "cannot set {} to '{value}': {error}; check boot.kernel.sysctl.\"{key}\"",
            file.display()
        ))
    })
}

/// The file of a key, relative to `/proc/sys`.
#[must_use]
pub fn file_of(key: &str) -> Option<PathBuf> {
    let slash_first = match (key.find('.'), key.find('/')) {
        (Some(dot), Some(slash)) => slash < dot,
        (None, Some(_)) => true,
        _ => false,
    };
    let path: String = if slash_first {
        key.to_owned()
    } else {
        key.chars()
            .map(|character| match character {
                '.' => '/',
                '/' => '.',
                other => other,
            })
            .collect()
    };
    let path = PathBuf::from(path);
    let inside = path
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    (inside && path.components().next().is_some()).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_files() {
        let table = [
            ("kernel.sysrq", Some("kernel/sysrq")),
            (
                "net.ipv4.conf.eth0/1.forwarding",
                Some("net/ipv4/conf/eth0.1/forwarding"),
            ),
            (
                "net/ipv4/conf/eth0.1/forwarding",
                Some("net/ipv4/conf/eth0.1/forwarding"),
            ),
            ("", None),
            ("../etc/passwd", None),
            ("/etc/passwd", None),
            ("a//..", None),
        ];
        for (key, file) in table {
            assert_eq!(file_of(key).as_deref(), file.map(Path::new), "{key}");
        }
    }

    #[test]
    fn values_are_written() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("kernel")).unwrap();
        write(root.path(), "kernel.sysrq", "1").unwrap();
        assert!(write(root.path(), "not.there", "2").is_err());
        let written = fs::read_to_string(root.path().join("kernel/sysrq")).unwrap();
        assert_eq!(written, "1");
    }

    #[test]
    fn blanks_do_not_count() {
        assert!(same("4096\t131072\t6291456\n", "4096 131072  6291456"));
        assert!(!same("1\n", "10"));
    }
}
