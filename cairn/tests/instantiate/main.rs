//! Real Nix is the oracle: the same expressions, instantiated by both, give the same derivations
//! in the same store objects; and no file, name or store that an expression meets is anything but
//! one clear error.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail as tests do"
)]

mod effects;
mod hostile;
mod prompt;
mod same;
mod text;
mod values;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// Ours, under the tool's name.
fn ours(home: &Path) -> Command {
    let link = home.join("nix-instantiate");
    if !link.exists() {
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_cairn"), &link).unwrap();
    }
    clean(Command::new(link), home)
}

/// The real one; both get nothing of this machine's settings.
fn theirs(home: &Path) -> Command {
    let mut command = clean(Command::new("nix-instantiate"), home);
    command.args(["--option", "build-users-group", ""]);
    command
}

fn clean(mut command: Command, home: &Path) -> Command {
    command
        .current_dir(home)
        .env("HOME", home)
        .env("NIX_CONF_DIR", home)
        .env_remove("NIX_REMOTE")
        .env_remove("NIX_PATH");
    command
}

fn run(mut command: Command) -> Output {
    command
        .output()
        .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}; apt-get install nix-bin"))
}

/// Every object of a store by its name, with the bytes of its files.
fn objects(store: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut objects = BTreeMap::new();
    let folder = store.join("nix/store");
    // A store that nothing was written to need not be there.
    if !folder.exists() {
        return objects;
    }
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if name.as_bytes().ends_with(b".lock") || name == ".links" {
            continue;
        }
        let bytes = if entry.file_type().unwrap().is_file() {
            fs::read(entry.path()).unwrap()
        } else {
            Vec::new()
        };
        objects.insert(name, bytes);
    }
    objects
}

/// Store objects may not be written, so that a temporary folder with a store does not go by itself.
fn writable(folder: &Path) {
    let mut chmod = Command::new("chmod");
    chmod.args(["-R", "u+w"]).arg(folder);
    assert!(chmod.status().unwrap().success());
}
