//! What must hold for a start to be more than nothing.
//!
//! Source: `systemd.unit(5)`, "Conditions and Asserts".

use std::fs;
use std::path::Path;

use cairn_system::{Condition, ConditionKind};

/// The first condition that does not hold, as a sentence.
pub fn unmet(conditions: &[Condition]) -> Option<String> {
    conditions
        .iter()
        .find(|condition| holds(condition) == condition.negate)
        .map(|condition| {
            let what = match condition.kind {
                ConditionKind::PathExists => "exists",
                ConditionKind::PathIsDirectory => "is a directory",
                ConditionKind::FileNotEmpty => "is a file with something in it",
                ConditionKind::DirectoryNotEmpty => "is a directory with something in it",
                ConditionKind::KernelCommandLine => "is on the kernel's command line",
            };
            let only = if condition.negate {
                "unless"
            } else {
                "only if"
            };
            format!("it is started {only} {} {what}", condition.value)
        })
}

/// What cannot be looked at is not there.
fn holds(condition: &Condition) -> bool {
    let path = Path::new(&condition.value);
    match condition.kind {
        ConditionKind::PathExists => path.exists(),
        ConditionKind::PathIsDirectory => path.is_dir(),
        ConditionKind::FileNotEmpty => {
            fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.len() > 0)
        }
        ConditionKind::DirectoryNotEmpty => {
            fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some())
        }
        ConditionKind::KernelCommandLine => fs::read_to_string("/proc/cmdline").is_ok_and(|line| {
            line.split_whitespace()
                .any(|word| is_word(word, &condition.value))
        }),
    }
}

/// `quiet` is `quiet`; `root` and `root=/dev/vda1` are `root=/dev/vda1`.
fn is_word(word: &str, wanted: &str) -> bool {
    word == wanted
        || word
            .strip_prefix(wanted)
            .is_some_and(|rest| rest.starts_with('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: ConditionKind, value: &str, expected: Option<&str>) {
        let condition = |negate| Condition {
            kind,
            value: value.to_owned(),
            negate,
        };
        assert_eq!(unmet(&[condition(false)]).as_deref(), expected);
        assert_eq!(unmet(&[condition(true)]).is_none(), expected.is_some());
    }

    #[test]
    fn paths_and_words() {
        check(ConditionKind::PathExists, "/proc", None);
        check(
            ConditionKind::PathExists,
            "/nonexistent",
            Some("it is started only if /nonexistent exists"),
        );
        check(
            ConditionKind::PathIsDirectory,
            "/proc/version",
            Some("it is started only if /proc/version is a directory"),
        );
        check(ConditionKind::DirectoryNotEmpty, "/proc", None);
        check(ConditionKind::FileNotEmpty, "/etc/passwd", None);
        assert!(is_word("root=/dev/vda1", "root") && is_word("quiet", "quiet"));
        assert!(!is_word("rootwait", "root"));
    }
}
