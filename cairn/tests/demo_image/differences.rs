//! `cairn diff`: what a change of the configuration changes.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use super::run::{demo, programs, text_of};
use super::scratch::Scratch;

#[test]
fn an_option_that_differs_is_named() {
    let demo = demo();
    let folder = Scratch::new();
    let other = folder.path().join("configuration.nix");
    let text = format!(
        "{{ lib, ... }}: {{\n  imports = [ {} ];\n  boot.loader.timeout = lib.mkForce 7;\n}}\n",
        demo.site.configuration.canonicalize().unwrap().display()
    );
    fs::write(&other, text).unwrap();
    // With the names of the whole archive: defaults of options are packages that no lock has.
    let lock = folder.path().join("lock");
    fs::copy(&demo.site.lock, &lock).unwrap();
    let output = Command::new(programs().join("cairn"))
        .args(["diff", "--json"])
        .arg(&demo.site.configuration)
        .arg(&other)
        // A store of its own: other tests compare all that is registered in the demo's.
        .arg("--store")
        .arg(folder.path().join("store"))
        .arg("--cache")
        .arg(&demo.site.cache)
        .arg("--lock")
        .arg(&lock)
        .output()
        .unwrap();
    let changes: Value = serde_json::from_str(&text_of(&output)).unwrap();
    assert_eq!(
        changes,
        json!({
            "packages": [],
            "values": [{"path": "boot.loader.timeout", "before": 1, "after": 7}],
        })
    );
}
