//! What must hold for a start to be more than nothing.
//!
//! Source: `systemd.unit(5)`, "Conditions and Asserts".

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use cairn_system::{Condition, ConditionKind};
use nix::sys::statvfs::{FsFlags, statvfs};

use super::surroundings;
use crate::mount_table;

/// Why there is no start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unmet {
    /// There is no reason for one: this.
    Skipped(String),
    /// There must not be one: this does not hold.
    Asserted(String),
}

/// The first condition that does not hold, as a sentence.
pub fn unmet(conditions: &[Condition]) -> Option<Unmet> {
    let of = |asserted| {
        let those = || {
            conditions
                .iter()
                .filter(move |one| one.asserted == asserted)
        };
        let needed = those().filter(|one| !one.alternative);
        let alternatives = || those().filter(|one| one.alternative);
        let lacking = needed.into_iter().find(|one| !is_met(one)).map(sentence);
        lacking.or_else(|| {
            let none = alternatives().next().is_some() && !alternatives().any(is_met);
            none.then(|| {
                let all: Vec<String> = alternatives().map(sentence).collect();
                all.join(", or ")
            })
        })
    };
    let skipped = || of(false).map(|why| Unmet::Skipped(format!("it is started {why}")));
    skipped().or_else(|| of(true).map(|why| Unmet::Asserted(format!("it can start {why}"))))
}

/// `only if /a exists`, or `unless /a exists`.
fn sentence(condition: &Condition) -> String {
    let only = if condition.negate {
        "unless"
    } else {
        "only if"
    };
    let Condition { kind, value, .. } = condition;
    let what = match kind {
        ConditionKind::PathExists | ConditionKind::PathExistsGlob => format!("{value} exists"),
        ConditionKind::PathIsDirectory => format!("{value} is a directory"),
        ConditionKind::PathIsSymbolicLink => format!("{value} is a link"),
        ConditionKind::PathIsMountPoint => format!("something is mounted on {value}"),
        ConditionKind::PathIsReadWrite => format!("{value} can be written"),
        ConditionKind::FileNotEmpty => format!("{value} is a file with something in it"),
        ConditionKind::FileIsExecutable => format!("{value} is a file that can be executed"),
        ConditionKind::DirectoryNotEmpty => format!("{value} is a directory with something in it"),
        ConditionKind::KernelCommandLine => format!("{value} is on the kernel's command line"),
        ConditionKind::KernelVersion => format!("the kernel's version is {value}"),
        ConditionKind::KernelModuleLoaded => format!("the kernel has the module {value}"),
        ConditionKind::Virtualization => format!("the machine's virtualization is {value}"),
        ConditionKind::Architecture => format!("the architecture is {value}"),
        ConditionKind::Firmware => format!("the firmware is {value}"),
        ConditionKind::Host => format!("the machine is {value}"),
        ConditionKind::AcPower => "the machine has power from a socket".to_owned(),
        ConditionKind::Memory => format!("the machine's memory is {value}"),
        ConditionKind::Cpus => format!("the number of processors is {value}"),
        ConditionKind::User => format!("services are run by {value}"),
        ConditionKind::Capability => format!("services may have {value}"),
        ConditionKind::ControlGroupController => format!("control groups have {value}"),
        ConditionKind::Security => format!("{value} is in force"),
    };
    format!("{only} {what}")
}

fn is_met(condition: &Condition) -> bool {
    holds(condition) != condition.negate
}

/// What cannot be looked at is not there.
fn holds(condition: &Condition) -> bool {
    let value = condition.value.as_str();
    let path = Path::new(value);
    match condition.kind {
        ConditionKind::PathExists => path.exists(),
        ConditionKind::PathExistsGlob => {
            cairn_activate::matching(Path::new("/"), path).is_ok_and(|found| !found.is_empty())
        }
        ConditionKind::PathIsDirectory => path.is_dir(),
        ConditionKind::PathIsSymbolicLink => path.is_symlink(),
        ConditionKind::PathIsMountPoint => {
            path.canonicalize().is_ok_and(|path| is_mounted_on(&path))
        }
        ConditionKind::PathIsReadWrite => {
            statvfs(path).is_ok_and(|found| !found.flags().contains(FsFlags::ST_RDONLY))
        }
        ConditionKind::FileNotEmpty => {
            fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.len() > 0)
        }
        ConditionKind::FileIsExecutable => fs::metadata(path)
            .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0),
        ConditionKind::DirectoryNotEmpty => {
            fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some())
        }
        ConditionKind::KernelCommandLine => fs::read_to_string("/proc/cmdline")
            .is_ok_and(|line| line.split_whitespace().any(|word| is_word(word, value))),
        kind => surroundings::hold(kind, value),
    }
}

fn is_mounted_on(path: &Path) -> bool {
    fs::read(mount_table::MOUNT_TABLE)
        .is_ok_and(|table| mount_table::parse(&table).any(|mounted| mounted.point == path))
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
    use expect_test::expect;

    fn condition(kind: ConditionKind, value: &str) -> Condition {
        Condition {
            kind,
            value: value.to_owned(),
            negate: false,
            alternative: false,
            asserted: false,
        }
    }

    fn negated(condition: Condition) -> Condition {
        Condition {
            negate: true,
            ..condition
        }
    }

    fn check(kind: ConditionKind, value: &str, expected: bool) {
        let one = condition(kind, value);
        assert_eq!(
            unmet(std::slice::from_ref(&one)).is_none(),
            expected,
            "{one:?}"
        );
        assert_eq!(unmet(&[negated(one)]).is_none(), !expected);
    }

    #[test]
    fn paths_and_words() {
        use ConditionKind as Kind;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().display().to_string();
        std::os::unix::fs::symlink("/nonexistent", folder.path().join("link")).unwrap();
        check(Kind::PathExists, "/proc", true);
        check(Kind::PathExists, "/nonexistent", false);
        check(Kind::PathExistsGlob, &format!("{path}/l*k"), true);
        check(Kind::PathExistsGlob, &format!("{path}/x*"), false);
        check(Kind::PathIsDirectory, "/proc/version", false);
        check(Kind::PathIsSymbolicLink, &format!("{path}/link"), true);
        check(Kind::PathIsMountPoint, "/proc", true);
        check(Kind::PathIsMountPoint, &path, false);
        check(Kind::PathIsReadWrite, &path, true);
        check(Kind::FileNotEmpty, "/etc/passwd", true);
        check(Kind::FileIsExecutable, "/bin/sh", true);
        check(Kind::FileIsExecutable, "/etc/passwd", false);
        check(Kind::DirectoryNotEmpty, "/proc", true);
        assert!(is_word("root=/dev/vda1", "root") && is_word("quiet", "quiet"));
        assert!(!is_word("rootwait", "root"));
    }

    #[test]
    fn one_of_the_alternatives_is_enough() {
        let [there, gone] =
            ["/proc", "/none"].map(|value| condition(ConditionKind::PathExists, value));
        let alternative = |one: &Condition| Condition {
            alternative: true,
            ..one.clone()
        };
        let asserted = |one: Condition| Condition {
            asserted: true,
            ..one
        };
        let table = [
            vec![alternative(&gone), alternative(&there)],
            vec![alternative(&gone), alternative(&negated(there.clone()))],
            vec![alternative(&there), gone.clone()],
            vec![asserted(gone.clone()), there.clone()],
            vec![asserted(gone.clone()), negated(there)],
            vec![asserted(alternative(&gone)), gone],
        ];
        let said: Vec<String> = table
            .iter()
            .map(|all| format!("{:?}", unmet(all)))
            .collect();
        expect![[r#"
            None
            Some(Skipped("it is started only if /none exists, or unless /proc exists"))
            Some(Skipped("it is started only if /none exists"))
            Some(Asserted("it can start only if /none exists"))
            Some(Skipped("it is started unless /proc exists"))
            Some(Skipped("it is started only if /none exists"))"#]]
        .assert_eq(&said.join("\n"));
    }
}
