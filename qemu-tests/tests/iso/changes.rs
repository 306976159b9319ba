//! A further partition of the stick keeps what is written, made as the manual says.

use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};
use cairn_qemu_tests::{Boot, Bus};
use serde_json::Value;

use super::beside::{output, run};
use super::damage::Copy;
use super::{lives, machine, medium};

const MIB: u64 = 1 << 20;
/// What the stick has beyond the medium.
const SPACE: u64 = 256 * MIB;

/// Adds a partition at the end of what is written to the stick, and its file system.
fn add_partition(stick: &Path) -> anyhow::Result<()> {
    let path = stick.display().to_string();
    run("sgdisk", &["--move-second-header", "--new", "0:0:0", &path])?;
    let table: Value = serde_json::from_str(&output("sfdisk", &["--json", &path])?)?;
    let partitions = table.pointer("/partitiontable/partitions");
    let partitions = partitions.and_then(Value::as_array);
    let last = partitions.and_then(|partitions| partitions.last());
    let last = last.context("no partition is on the stick")?;
    let bytes = |what: &str| Some(last.get(what)?.as_u64()? * 512);
    let (start, size) = bytes("start").zip(bytes("size")).context("no place")?;
    ensure!(size > SPACE / 2, "the last partition has {size} bytes");
    let (offset, size) = (format!("offset={start}"), format!("{}k", size / 1024));
    let arguments = ["-q", "-F", "-t", "ext4", "-L", "cairn-persist"];
    let arguments = [&arguments[..], &["-E", &offset, &path, &size]].concat();
    run("mke2fs", &arguments)
}

#[test]
#[ignore = "long: cargo xtask torture media"]
fn a_partition_of_the_stick_keeps_them() -> anyhow::Result<()> {
    let built = medium()?;
    let stick = Copy::new("iso-kept", built)?;
    let size = fs::metadata(&stick.0)?.len() + SPACE;
    stick.file()?.set_len(size.next_multiple_of(MIB))?;
    add_partition(&stick.0)?;
    let machine = machine("iso-kept", Boot::Uefi, Bus::Usb, &stick.0).start()?;
    lives(&machine, built)?;
    machine.check("kept", |machine| {
        let told = "/dev/sda4, LABEL=cairn-persist, keeps what is written";
        machine.console().expect(told)?;
        let agent = machine.agent();
        let before = agent.ready()?;
        let answer = agent.run("cairn reboot");
        let after = machine.ready_after(&before);
        after.with_context(|| format!("`cairn reboot` was answered with {answer:?}"))?;
        machine.console().expect(told)?;
        agent.succeed("grep -q kept /root/note").map(drop)
    })?;
    lives(&machine, built)
}
