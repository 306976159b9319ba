//! Which crate of the workspace may use which: the design's table, held against `cargo metadata`.
//!
//! Normal and build dependencies count, directly named ones; tests may use what they like.

use crate::metadata::{Package, Packages};

/// A crate and the crates of the workspace that it may use.
const TABLE: &[(&str, &[&str])] = &[
    ("cairn-store-path", &[]),
    ("cairn-sys", &[]),
    ("cairn-probe", &[]),
    ("cairn-devices", &["cairn-probe", "cairn-sys"]),
    ("cairn-evaluator", &["cairn-store-path"]),
    ("cairn-system", &["cairn-store-path"]),
    ("cairn-debian", &["cairn-store-path"]),
    ("cairn-store", &["cairn-store-path", "cairn-sys"]),
    (
        "cairn-activate",
        &["cairn-system", "cairn-sys", "cairn-store-path"],
    ),
    (
        "cairn-init",
        &[
            "cairn-activate",
            "cairn-probe",
            "cairn-system",
            "cairn-sys",
            "cairn-store-path",
        ],
    ),
    (
        "cairn-bootloader",
        &["cairn-system", "cairn-sys", "cairn-store-path"],
    ),
    (
        "cairn-image-builder",
        &[
            "cairn-bootloader",
            "cairn-store",
            "cairn-store-path",
            "cairn-sys",
            "cairn-system",
        ],
    ),
    (
        "cairn",
        &[
            "cairn-activate",
            "cairn-bootloader",
            "cairn-debian",
            "cairn-devices",
            "cairn-evaluator",
            "cairn-image-builder",
            "cairn-probe",
            "cairn-store",
            "cairn-store-path",
            "cairn-sys",
            "cairn-system",
        ],
    ),
    (
        "cairn-qemu-tests",
        &[
            "cairn",
            "cairn-bootloader",
            "cairn-image-builder",
            "cairn-store-path",
            "cairn-system",
            "cairn-test-agent",
        ],
    ),
    ("cairn-test-agent", &[]),
    ("xtask", &[]),
];

/// What breaks the table; empty if nothing does.
pub fn violations(packages: &Packages) -> Vec<String> {
    let ours = || packages.values().filter(|package| package.source.is_none());
    let mut problems = Vec::new();
    for package in ours() {
        let Some((_, allowed)) = TABLE.iter().find(|(name, _)| *name == package.name) else {
            problems.push(format!("{} is not in the dependency table", package.name));
            continue;
        };
        for used in used_by(package, packages).filter(|used| used.source.is_none()) {
            if !allowed.contains(&used.name.as_str()) {
                problems.push(format!("{} must not use {}", package.name, used.name));
            }
        }
    }
    for (name, _) in TABLE {
        if !ours().any(|package| package.name == *name) {
            problems.push(format!(
                "{name} is in the dependency table, but does not exist"
            ));
        }
    }
    problems
}

fn used_by<'a>(package: &'a Package, packages: &'a Packages) -> impl Iterator<Item = &'a Package> {
    package
        .dependencies
        .iter()
        .filter_map(|id| packages.get(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_obeys_the_table() {
        let packages = crate::metadata::read().unwrap();
        assert_eq!(violations(&packages), Vec::<String>::new());
    }

    #[test]
    fn a_forbidden_edge_is_named() {
        let package = |name: &str, dependencies: &[&str]| Package {
            name: name.to_owned(),
            dependencies: dependencies.iter().map(|&id| id.to_owned()).collect(),
            ..Package::default()
        };
        let packages = Packages::from([
            ("1".to_owned(), package("cairn-init", &["2", "3"])),
            ("2".to_owned(), package("cairn-store", &[])),
            ("3".to_owned(), package("cairn-sys", &[])),
            ("4".to_owned(), package("new", &[])),
        ]);
        let problems = violations(&packages);
        assert!(problems.contains(&"cairn-init must not use cairn-store".to_owned()));
        assert!(problems.contains(&"new is not in the dependency table".to_owned()));
        assert!(!problems.contains(&"cairn-init must not use cairn-sys".to_owned()));
    }
}
