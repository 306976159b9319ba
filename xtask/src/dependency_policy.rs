//! What dependencies from outside must fulfil: a permissive licence, the registry as source, a
//! reason in the root `Cargo.toml`, and a small tree for PID 1.

use std::collections::BTreeMap;
use std::fs;

use anyhow::Context;

use crate::cargo;
use crate::metadata::{Package, Packages, tree};

/// Licences that a static program under MIT or Apache-2.0 may hold. MPL-2.0 asks for the source
/// of its own files only.
const LICENSES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Crates in the tree of PID 1, build-time ones included.
const PID_1_TREE_LIMIT: usize = 60;

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// What breaks the policy; empty if nothing does.
pub fn violations(packages: &Packages) -> anyhow::Result<Vec<String>> {
    let path = cargo::workspace().join("Cargo.toml");
    let manifest =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut problems: Vec<String> = packages.values().filter_map(unfit).collect();
    problems.extend(without_reason(&manifest));
    problems.extend(pid_1(&tree(packages, "cairn-init")));
    Ok(problems)
}

/// The tree of PID 1, for people.
pub fn pid_1_report(packages: &Packages) -> String {
    let tree = tree(packages, "cairn-init");
    let mut names: Vec<_> = tree
        .iter()
        .map(|package| format!("{} {}", package.name, package.version))
        .collect();
    names.sort();
    format!(
        "PID 1's tree ({} of {PID_1_TREE_LIMIT}): {}",
        names.len(),
        names.join(", ")
    )
}

fn unfit(package: &Package) -> Option<String> {
    let source = package.source.as_deref()?;
    let name = format!("{} {}", package.name, package.version);
    if source != REGISTRY {
        return Some(format!(
            "{name} comes from {source}; only the registry is allowed"
        ));
    }
    match package.license.as_deref() {
        None => Some(format!("{name} names no licence")),
        Some(license) if !permitted(license) => Some(format!(
            "{name} has the licence '{license}', which is not in the list"
        )),
        Some(_) => None,
    }
}

/// Whether an SPDX expression can be fulfilled: one side of each OR, all of each AND. `/` is an
/// old way to write OR. Parentheses are followed.
fn permitted(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ");
    let words = expression.replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = words.split_whitespace().collect();
    let mut rest = words.as_slice();
    alternatives(&mut rest) && rest.is_empty()
}

/// `a OR b`; every term is read, whatever the others say.
fn alternatives(words: &mut &[&str]) -> bool {
    let mut good = conjunction(words);
    while let Some((&"OR", rest)) = words.split_first() {
        *words = rest;
        good |= conjunction(words);
    }
    good
}

fn conjunction(words: &mut &[&str]) -> bool {
    let mut good = term(words);
    while let Some((&"AND", rest)) = words.split_first() {
        *words = rest;
        good &= term(words);
    }
    good
}

fn term(words: &mut &[&str]) -> bool {
    let Some((first, rest)) = words.split_first() else {
        return false;
    };
    *words = rest;
    if *first == "(" {
        let good = alternatives(words);
        let Some((&")", rest)) = words.split_first() else {
            return false;
        };
        *words = rest;
        return good;
    }
    let mut license = (*first).to_owned();
    if let Some((&"WITH", [exception, rest @ ..])) = words.split_first() {
        license = format!("{license} WITH {exception}");
        *words = rest;
    }
    LICENSES.contains(&license.as_str())
}

/// Each line of `[workspace.dependencies]` that names a crate from outside, without a comment
/// above it or above the line before it.
fn without_reason(manifest: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let mut inside = false;
    let mut reason = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line == "[workspace.dependencies]";
        } else if line.starts_with('#') {
            reason = true;
        } else if line.trim().is_empty() {
            reason = false;
        } else if inside
            && let Some((name, value)) = line.split_once(" = ")
            && !reason
            && !value.contains("path = ")
        {
            problems.push(format!(
                "{name} has no comment above it in Cargo.toml that says why"
            ));
        }
    }
    problems
}

fn pid_1(tree: &[&Package]) -> Vec<String> {
    let mut problems = Vec::new();
    if tree.len() > PID_1_TREE_LIMIT {
        let count = tree.len();
        problems.push(format!(
            "PID 1's tree has {count} crates; at most {PID_1_TREE_LIMIT}"
        ));
    }
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in tree {
        versions
            .entry(&package.name)
            .or_default()
            .push(&package.version);
    }
    problems.extend(
        versions
            .iter()
            .filter(|(_, versions)| versions.len() > 1)
            .map(|(name, versions)| format!("PID 1's tree has {name} in versions {versions:?}")),
    );
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_fulfils_the_policy() {
        let packages = crate::metadata::read().unwrap();
        assert_eq!(violations(&packages).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn expressions_of_licences() {
        for (expression, good) in [
            ("MIT", true),
            ("GPL-3.0", false),
            ("MIT OR GPL-3.0", true),
            ("MIT AND GPL-3.0", false),
            ("MIT/Apache-2.0", true),
            ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
            ("(GPL-2.0 OR LGPL-2.1) AND MIT", false),
            ("Apache-2.0 WITH LLVM-exception OR GPL-2.0", true),
            ("GPL-2.0 WITH LLVM-exception", false),
            ("(MIT", false),
            ("MIT MIT", false),
            ("", false),
        ] {
            assert_eq!(permitted(expression), good, "{expression}");
        }
    }

    #[test]
    fn sources_other_than_the_registry_are_refused() {
        let mut package = Package {
            name: "x".to_owned(),
            version: "1.0.0".to_owned(),
            license: Some("MIT".to_owned()),
            source: Some("git+https://example.org/x".to_owned()),
            ..Package::default()
        };
        assert!(unfit(&package).unwrap().contains("only the registry"));
        package.source = Some(REGISTRY.to_owned());
        assert_eq!(unfit(&package), None);
        package.license = None;
        assert_eq!(unfit(&package).unwrap(), "x 1.0.0 names no licence");
    }

    #[test]
    fn a_dependency_needs_a_reason() {
        let manifest = "\
[workspace.dependencies]
ours = { path = \"ours\" }

# Serialisation.
a = \"1\"
a_json = \"1\"

b = \"1\"
[profile.release]
lto = \"thin\"
";
        let expected = ["b has no comment above it in Cargo.toml that says why"];
        assert_eq!(without_reason(manifest), expected);
    }

    #[test]
    fn the_tree_of_pid_1_has_each_crate_once() {
        let package = |version: &str| Package {
            name: "x".to_owned(),
            version: version.to_owned(),
            ..Package::default()
        };
        let (one, two) = (package("1.0.0"), package("2.0.0"));
        assert_eq!(pid_1(&[&one]), Vec::<String>::new());
        let expected = ["PID 1's tree has x in versions [\"1.0.0\", \"2.0.0\"]"];
        assert_eq!(pid_1(&[&one, &two]), expected);
    }
}
