//! `cairn vm`: the store is the host's, the disk is the machine's own and is kept.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, ensure};
use cairn_qemu_tests::images;

/// Runs the machine until it switches itself off; gives what it wrote to its console.
fn run(disk: &Path) -> anyhow::Result<String> {
    let file = images::with_agent("vm")?;
    let options = images::options()?;
    let command = images::command(&["vm"], "vm", &file, &options);
    let mut limited = std::process::Command::new("timeout");
    limited
        .args(["--signal=KILL", "480"])
        .arg(command.get_program())
        .args(command.get_args())
        .arg("--disk")
        .arg(disk);
    let output = limited
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run timeout; install it: apt-get install coreutils")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "{}:\n{text}", output.status);
    Ok(text)
}

#[test]
fn the_store_is_the_hosts_and_the_disk_is_kept() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let disk = folder.path().join("disk.img");
    let first = run(&disk)?;
    ensure!(first.contains("boots: 1"), "{first}");
    ensure!(first.contains("nix-store /nix/store 9p ro,"), "{first}");
    ensure!(first.contains("Read-only file system"), "{first}");
    ensure!(!first.contains("the store is writable"), "{first}");
    ensure!(first.contains("agent: regular file"), "{first}");
    let second = run(&disk)?;
    ensure!(second.contains("boots: 2"), "{second}");
    let store = images::options()?.place.store.join("nix/store");
    ensure!(
        !store.join("mine").exists(),
        "the guest wrote into the host's store"
    );
    let used = fs::metadata(&disk)?;
    ensure!(used.len() > 1 << 30, "{used:?}");
    Ok(())
}
