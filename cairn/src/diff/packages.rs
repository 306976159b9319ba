//! Which packages two closures have: by name, with all versions that are there.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use cairn_store::PathInfo;
use serde::Serialize;

/// The packages of one closure.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Packages {
    by_name: BTreeMap<String, Package>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Package {
    versions: BTreeSet<String>,
    size: u64,
}

/// One package that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PackageChange {
    /// Its name.
    pub name: String,
    /// Versions before; none if it was not there. A package without a version has an empty one.
    pub before: BTreeSet<String>,
    /// Versions after.
    pub after: BTreeSet<String>,
    /// By how many bytes it grew.
    pub size: i64,
}

impl Packages {
    /// The packages among `objects`.
    #[must_use]
    pub fn of(objects: &[PathInfo]) -> Self {
        let mut packages = Self::default();
        for object in objects {
            packages.add(object.path.name(), object.nar_size);
        }
        packages
    }

    fn add(&mut self, object: &str, size: u64) {
        let (name, version) = name_and_version(object);
        let package = self.by_name.entry(name.to_owned()).or_default();
        package.versions.insert(version.to_owned());
        package.size += size;
    }

    /// What changes from this to `after`: other versions, or another size by more than a few
    /// bytes, as a rebuild without a change has.
    #[must_use]
    pub fn changes(&self, after: &Self) -> Vec<PackageChange> {
        const SAME: u64 = 8 << 10;
        let nothing = Package::default();
        let names: BTreeSet<_> = self.by_name.keys().chain(after.by_name.keys()).collect();
        names
            .into_iter()
            .filter_map(|name| {
                let old = self.by_name.get(name).unwrap_or(&nothing);
                let new = after.by_name.get(name).unwrap_or(&nothing);
                let changed = old.versions != new.versions || old.size.abs_diff(new.size) > SAME;
                changed.then(|| PackageChange {
                    name: name.clone(),
                    before: old.versions.clone(),
                    after: new.versions.clone(),
                    size: new.size.cast_signed() - old.size.cast_signed(),
                })
            })
            .collect()
    }
}

impl fmt::Display for PackageChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.name)?;
        match (self.before.is_empty(), self.after.is_empty()) {
            (true, _) => write!(f, "added{}", versions(&self.after, " "))?,
            (_, true) => write!(f, "removed{}", versions(&self.before, " "))?,
            _ if self.before == self.after => write!(f, "rebuilt{}", versions(&self.after, " "))?,
            _ => write!(
                f,
                "{} -> {}",
                versions(&self.before, ""),
                versions(&self.after, "")
            )?,
        }
        write!(f, ", {}", grown(self.size))
    }
}

/// The versions after `prefix`; nothing for a package without any.
fn versions(versions: &BTreeSet<String>, prefix: &str) -> String {
    let known: Vec<_> = versions.iter().map(String::as_str).collect();
    match known.join(", ") {
        text if text.is_empty() => text,
        text => format!("{prefix}{text}"),
    }
}

/// `+1.5 MiB`, `-12.0 KiB`.
fn grown(bytes: i64) -> String {
    let sign = if bytes < 0 { '-' } else { '+' };
    let tenths = |unit: u64| {
        let tenths = bytes.unsigned_abs() * 10 / unit;
        format!("{sign}{}.{}", tenths / 10, tenths % 10)
    };
    match bytes.unsigned_abs() {
        0..1_048_576 => format!("{} KiB", tenths(1 << 10)),
        _ => format!("{} MiB", tenths(1 << 20)),
    }
}

/// The name and the version of an object: the version begins after the first `-` that no letter
/// follows, as in `builtins.parseDrvName`.
fn name_and_version(object: &str) -> (&str, &str) {
    let boundary = object.match_indices('-').map(|(at, _)| at).find(|at| {
        let next = object.as_bytes().get(at + 1);
        next.is_some_and(|byte| !byte.is_ascii_alphabetic())
    });
    boundary
        .and_then(|at| Some((object.get(..at)?, object.get(at + 1..)?)))
        .unwrap_or((object, ""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn packages(objects: &[(&str, u64)]) -> Packages {
        let mut packages = Packages::default();
        for (object, size) in objects {
            packages.add(object, *size);
        }
        packages
    }

    #[test]
    fn names_end_where_versions_begin() {
        for (object, name, version) in [
            ("bash-5.2.15-2+b7", "bash", "5.2.15-2+b7"),
            ("libgcc-s1-12.2.0", "libgcc-s1", "12.2.0"),
            ("etc", "etc", ""),
            ("ends-", "ends-", ""),
            ("cairn-system-box", "cairn-system-box", ""),
        ] {
            assert_eq!(name_and_version(object), (name, version), "{object}");
        }
    }

    #[test]
    fn all_kinds_of_change() {
        let before = packages(&[
            ("bash-5.1", 1_000),
            ("gone-1", 3 << 20),
            ("same-1", 10),
            ("etc", 5_000),
            ("fat-1", 1_000),
        ]);
        let after = packages(&[
            ("bash-5.2", 2_000_000),
            ("new-1", 2_048),
            ("same-1", 20),
            ("etc", 90_000),
            ("fat-1", 1_000_000),
        ]);
        let lines: Vec<_> = before
            .changes(&after)
            .iter()
            .map(ToString::to_string)
            .collect();
        expect![[r#"
            bash: 5.1 -> 5.2, +1.9 MiB
            etc: rebuilt, +83.0 KiB
            fat: rebuilt 1, +975.5 KiB
            gone: removed 1, -3.0 MiB
            new: added 1, +2.0 KiB"#]]
        .assert_eq(&lines.join("\n"));
    }

    #[test]
    fn nothing_changes_against_itself() {
        let packages = packages(&[("bash-5.1", 1_000)]);
        assert_eq!(packages.changes(&packages), []);
    }
}
