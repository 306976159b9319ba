//! What `cargo metadata` says of the workspace and its dependencies.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use serde_json::Value;

use crate::cargo;

/// A dependency graph's package.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SPDX expression.
    pub license: Option<String>,
    /// Where it comes from; none for the workspace's own.
    pub source: Option<String>,
    /// Ids of what its build needs (normal and build dependencies) for our target.
    pub dependencies: BTreeSet<String>,
    /// Names of its integration tests that `cargo test` leaves out: `test = false`.
    pub slow_tests: Vec<String>,
}

/// Packages by id.
pub type Packages = BTreeMap<String, Package>;

/// Reads it.
pub fn read() -> anyhow::Result<Packages> {
    let arguments = [
        "metadata",
        "--format-version=1",
        "--filter-platform=x86_64-unknown-linux-gnu",
    ];
    let text = cargo::output(cargo::cargo(&arguments))?;
    parse(&text)
}

/// Integration tests of the workspace that say `test = false` in their manifest, so that `cargo test` stays
/// quick: package and test. Cargo leaves them out of "all targets" too.
pub fn slow_tests() -> anyhow::Result<Vec<(String, String)>> {
    let ours = read()?
        .into_values()
        .filter(|package| package.source.is_none());
    Ok(ours
        .flat_map(|package| {
            let name = package.name;
            package
                .slow_tests
                .into_iter()
                .map(move |test| (name.clone(), test))
        })
        .collect())
}

/// Understands it.
pub fn parse(text: &str) -> anyhow::Result<Packages> {
    let json: Value = serde_json::from_str(text).context("cargo metadata wrote no JSON")?;
    let mut packages = Packages::new();
    for package in list(&json, "packages")? {
        packages.insert(word(package, "id")?, self::package(package)?);
    }
    let resolve = json
        .get("resolve")
        .context("cargo metadata has no 'resolve'")?;
    for node in list(resolve, "nodes")? {
        let id = word(node, "id")?;
        let package = packages
            .get_mut(&id)
            .context("cargo metadata contradicts itself")?;
        for dependency in list(node, "deps")? {
            let kinds = list(dependency, "dep_kinds")?;
            // A kind of null is a normal dependency.
            let needed = kinds
                .iter()
                .any(|kind| kind.get("kind").and_then(Value::as_str) != Some("dev"));
            if needed {
                package.dependencies.insert(word(dependency, "pkg")?);
            }
        }
    }
    Ok(packages)
}

fn package(json: &Value) -> anyhow::Result<Package> {
    let optional = |key| json.get(key).and_then(Value::as_str).map(str::to_owned);
    let mut slow_tests = Vec::new();
    for target in list(json, "targets")? {
        let is_test = list(target, "kind")?.iter().any(|kind| kind == "test");
        if is_test && target.get("test") == Some(&Value::Bool(false)) {
            slow_tests.push(word(target, "name")?);
        }
    }
    Ok(Package {
        name: word(json, "name")?,
        version: word(json, "version")?,
        license: optional("license"),
        source: optional("source"),
        dependencies: BTreeSet::new(),
        slow_tests,
    })
}

/// All that the package with this name needs, itself included.
pub fn tree<'a>(packages: &'a Packages, name: &str) -> Vec<&'a Package> {
    let mut ids: Vec<&String> = packages
        .iter()
        .filter(|(_, package)| package.name == name && package.source.is_none())
        .map(|(id, _)| id)
        .collect();
    let mut seen = BTreeSet::new();
    while let Some(id) = ids.pop() {
        if seen.insert(id)
            && let Some(package) = packages.get(id)
        {
            ids.extend(&package.dependencies);
        }
    }
    seen.into_iter().filter_map(|id| packages.get(id)).collect()
}

fn list<'a>(json: &'a Value, key: &str) -> anyhow::Result<&'a Vec<Value>> {
    json.get(key)
        .and_then(Value::as_array)
        .with_context(|| format!("cargo metadata has no list '{key}'"))
}

fn word(json: &Value, key: &str) -> anyhow::Result<String> {
    json.get(key)
        .and_then(Value::as_str)
        .map(str::to_owned)
        .with_context(|| format!("cargo metadata has no text '{key}'"))
}
