//! Test programs, built by cargo and run beside each other: cargo itself runs one after the other,
//! whose last test leaves processors idle.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use serde_json::Value;

use crate::cargo;

/// A built test program.
#[derive(Debug, PartialEq, Eq)]
pub struct TestProgram {
    /// The name of its package.
    pub package: String,
    /// The name of its target.
    pub name: String,
    /// The program.
    pub path: PathBuf,
    /// The folder of its package, in which cargo would run it.
    pub folder: PathBuf,
}

impl TestProgram {
    /// What tells it from others: names are a package's own.
    pub fn key(&self) -> (String, String) {
        (self.package.clone(), self.name.clone())
    }

    /// Its run, one test at a time.
    pub fn run(&self) -> Command {
        let mut command = Command::new(&self.path);
        command
            .arg("--test-threads=1")
            .current_dir(&self.folder)
            .env("CARGO_MANIFEST_DIR", &self.folder)
            // Errors of the guests say what happened where; traces would only hide that.
            .env("RUST_LIB_BACKTRACE", "0");
        cargo::draw_the_same(&mut command);
        command
    }
}

/// Builds what `cargo test` with these arguments would run.
pub fn build(arguments: &[&str]) -> anyhow::Result<Vec<TestProgram>> {
    let mut command = cargo::cargo(&["test", "--no-run", "--message-format=json"]);
    command.args(arguments);
    let programs = parse(&cargo::output(command)?)?;
    if programs.is_empty() {
        bail!("cargo builds no tests for '{}'", arguments.join(" "));
    }
    Ok(programs)
}

/// The test programs in cargo's messages, one JSON object a line.
fn parse(messages: &str) -> anyhow::Result<Vec<TestProgram>> {
    let mut programs = Vec::new();
    for line in messages.lines() {
        let message: Value = serde_json::from_str(line).context("cargo wrote no JSON")?;
        let word = |pointer| message.pointer(pointer).and_then(Value::as_str);
        let is_test = message.pointer("/profile/test") == Some(&Value::Bool(true));
        let (Some(path), true) = (word("/executable"), is_test) else {
            continue;
        };
        let name = word("/target/name").context("a target has no name")?;
        let package = word("/package_id").and_then(package_name);
        let folder = word("/manifest_path").and_then(|path| Path::new(path).parent());
        programs.push(TestProgram {
            package: package.context("a package has no name")?.to_owned(),
            name: name.to_owned(),
            path: path.into(),
            folder: folder.context("a package has no folder")?.to_owned(),
        });
    }
    Ok(programs)
}

/// The package's name in its id: `URL#NAME@VERSION`, or `URL#VERSION` where the URL ends with the name
/// ("Package ID Specifications" of the Cargo book).
fn package_name(id: &str) -> Option<&str> {
    let (url, version) = id.split_once('#')?;
    match version.split_once('@') {
        Some((name, _)) => Some(name),
        None => url.rsplit('/').next(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_of_tests_are_found_among_messages() {
        let messages = r#"{"reason":"compiler-artifact","package_id":"path+file:///w/a#0.1.0","manifest_path":"/w/a/Cargo.toml","target":{"name":"a"},"profile":{"test":false},"executable":null}
{"reason":"compiler-artifact","package_id":"path+file:///w/b#ours@0.1.0","manifest_path":"/w/b/Cargo.toml","target":{"name":"tool"},"profile":{"test":false},"executable":"/t/tool"}
{"reason":"compiler-artifact","package_id":"path+file:///w/b#ours@0.1.0","manifest_path":"/w/b/Cargo.toml","target":{"name":"boots"},"profile":{"test":true},"executable":"/t/boots-1"}
{"reason":"build-finished","success":true}"#;
        let expected = TestProgram {
            package: "ours".into(),
            name: "boots".into(),
            path: "/t/boots-1".into(),
            folder: "/w/b".into(),
        };
        assert_eq!(parse(messages).unwrap(), [expected]);
        assert!(parse("no JSON").is_err());
        assert_eq!(package_name("path+file:///w/a#0.1.0"), Some("a"));
    }
}
