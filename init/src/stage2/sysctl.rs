//! Kernel parameters that can be set while it runs: `net.ipv4.ip_forward` is a file below
//! `/proc/sys`.
//!
//! Source: `sysctl.d(5)`: dots separate, and a slash stands for a dot in a name; a key whose first
//! separator is a slash is a path as it is.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// Writes all of them below `root`; what fails is logged.
pub fn apply(root: &Path, settings: &BTreeMap<String, String>) {
    for (key, value) in settings {
        match path(key) {
            None => log::error!("cannot set '{key}': it is no sysctl's name"),
            Some(path) => {
                let path = root.join(path);
                if let Err(error) = fs::write(&path, value) {
                    log::error!("cannot set {} to '{value}': {error}", path.display());
                }
            }
        }
    }
}

/// The file of a key, relative to `/proc/sys`.
fn path(key: &str) -> Option<PathBuf> {
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
            assert_eq!(path(key).as_deref(), file.map(Path::new), "{key}");
        }
    }

    #[test]
    fn values_are_written() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("kernel")).unwrap();
        let settings = [("kernel.sysrq", "1"), ("not.there", "2")];
        let settings = settings.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        apply(root.path(), &settings);
        assert_eq!(
            fs::read_to_string(root.path().join("kernel/sysrq")).unwrap(),
            "1"
        );
    }
}
