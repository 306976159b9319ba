//! Real Nix as the judge of a store.

use std::path::Path;
use std::process::{Command, Output};

use cairn_store_path::StorePath;

use super::run::say;

/// Lets Nix use the store at `root`, as whoever runs the tests.
pub fn on(command: &mut Command, root: &Path) {
    command
        .arg("--store")
        .arg(root)
        .args(["--option", "build-users-group", ""])
        .args(["--option", "experimental-features", "nix-command"])
        .env("HOME", std::env::temp_dir())
        .env("NIX_CONF_DIR", "/nonexistent")
        .env_remove("NIX_REMOTE");
}

/// What one of its programs says of the store at `root`.
pub fn says(root: &Path, program: &str, arguments: &[&str]) -> String {
    say(program, |command| {
        command.args(arguments);
        on(command, root);
    })
}

/// Every object is registered rightly and has the content that it was registered with.
pub fn verifies(root: &Path) {
    verified(&mut Command::new("nix-store"), root);
}

/// As [`verifies`]; `command` begins with what runs `nix-store`.
pub fn verified(command: &mut Command, root: &Path) {
    command.args(["--verify", "--check-contents"]);
    on(command, root);
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("cannot run nix-store: {error}; apt-get install nix-bin"));
    clean(&output);
}

fn clean(output: &Output) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let complaints: Vec<&str> = said
        .lines()
        .filter(|line| !line.starts_with("reading the Nix store") && !line.starts_with("checking "))
        .collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
}

/// All that the database says, but for the times of registration.
pub fn database(root: &Path) -> String {
    says(root, "nix-store", &["--dump-db"])
}

/// The system that was built into the store at `root`.
pub fn toplevel(root: &Path) -> StorePath {
    let mut found: Vec<StorePath> = database(root)
        .lines()
        .filter_map(|line| line.parse::<StorePath>().ok())
        .filter(|path| path.name() == "cairn-system-cairn")
        .collect();
    found.sort();
    found.dedup();
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}
