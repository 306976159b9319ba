//! The formats of disks: QEMU has a driver of its own for each, and boots what that reads.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};
use cairn_qemu_tests::{Boot, Bus, Machine, artefacts};

use super::{image, machine, runs};

fn boots(format: &str, boot: Boot, bus: Bus) -> anyhow::Result<()> {
    let built = image(format)?;
    let machine = machine(&format!("formats-{format}"), boot, bus, &built.image).start()?;
    runs(&machine, &built)?;
    machine.check("partitions", has_its_partitions)
}

/// `/boot` and swap space are where the configuration looks for them.
fn has_its_partitions(machine: &Machine) -> anyhow::Result<()> {
    let found = "grep ' /boot ext4 ' /proc/mounts && test -L /boot/boot && test -d /boot/kernels \
                 && grep partition /proc/swaps";
    machine.agent().succeed(found).map(drop)
}

/// It is compressed, and has to be unpacked grain by grain.
#[test]
fn a_vmdk_boots() -> anyhow::Result<()> {
    boots("vmdk", Boot::Bios, Bus::Ahci)
}

#[test]
#[ignore = "long: cargo xtask torture media"]
fn a_qcow2_boots() -> anyhow::Result<()> {
    let built = image("qcow2")?;
    let mut check = Command::new("qemu-img");
    check.args(["check", "-f", "qcow2"]).arg(&built.image);
    run(&mut check)?;
    boots("qcow2", Boot::Uefi, Bus::VirtioBlk)
}

#[test]
#[ignore = "long: cargo xtask torture media"]
fn a_vdi_boots() -> anyhow::Result<()> {
    boots("vdi", Boot::Bios, Bus::Ahci)
}

#[test]
#[ignore = "long: cargo xtask torture media"]
fn a_vhd_boots() -> anyhow::Result<()> {
    boots("vhd", Boot::Uefi, Bus::VirtioScsi)
}

/// The disk of an appliance, as whoever imports it takes it out.
#[test]
#[ignore = "long: cargo xtask torture media"]
fn the_disk_of_an_ova_boots() -> anyhow::Result<()> {
    let built = image("ova")?;
    let folder = artefacts::folder("formats-ova-disk")?;
    let mut extract = Command::new("bsdtar");
    extract.arg("-xf").arg(&built.image).arg("-C").arg(&folder);
    run(&mut extract)?;
    let disk = folder.join("formats-disk1.vmdk");
    let started = machine("formats-ova", Boot::Bios, Bus::Ahci, &disk).start()?;
    let runs = runs(&started, &built);
    drop(started);
    remove(&folder)?;
    runs
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status();
    let status = status.with_context(|| format!("cannot run {command:?}"))?;
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(())
}

fn remove(folder: &Path) -> anyhow::Result<()> {
    fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))
}
