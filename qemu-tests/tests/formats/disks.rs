//! The formats of disks: QEMU has a driver of its own for each, and boots what that reads.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use cairn_qemu_tests::disk::copy_sparsely;
use cairn_qemu_tests::{Boot, Bus, Machine, artefacts, images};

use super::{has_grown, image, machine, runs};

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

/// It is compressed, and has to be unpacked grain by grain. It has the size that the configuration says.
#[test]
fn a_vmdk_boots() -> anyhow::Result<()> {
    let mut info = Command::new("qemu-img");
    info.args(["info", "--output=json"])
        .arg(image("vmdk")?.image);
    let told = info.output().context("cannot run qemu-img")?;
    let told: serde_json::Value = serde_json::from_slice(&told.stdout)?;
    let size = told.get("virtual-size").and_then(serde_json::Value::as_u64);
    ensure!(size == Some(2500 << 20), "{told}");
    boots("vmdk", Boot::Bios, Bus::Ahci)
}

#[test]
fn a_disk_that_is_too_small_is_refused() -> anyhow::Result<()> {
    let folder = artefacts::folder("formats-small")?;
    let (file, output) = (folder.join("small.nix"), folder.join("small.img"));
    let whole = images::with_agent("formats")?;
    let text = format!(
        "{{ lib, ... }}: {{ imports = [ {} ]; image.size = lib.mkForce 100; }}",
        whole.display()
    );
    fs::write(&file, text)?;
    let mut command = images::command(&["image", "disk"], "formats", &file, &images::options()?);
    let told = command.arg("--output").arg(&output).output()?;
    let errors = String::from_utf8_lossy(&told.stderr);
    let words = "cannot make a disk of image.size = 100 MiB: with image.freeSpace = 1024 it takes ";
    ensure!(!told.status.success() && errors.contains(words), "{errors}");
    ensure!(!output.exists(), "there is an image");
    Ok(())
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

/// The raw disk on what real machines have.
#[test]
#[ignore = "long: cargo xtask torture media"]
fn any_disk_will_do() -> anyhow::Result<()> {
    let built = image("disk")?;
    for (name, boot, bus) in [
        ("formats-ide", Boot::Bios, Bus::Ide),
        ("formats-usb", Boot::Bios, Bus::Usb),
        ("formats-usb-uefi", Boot::Uefi, Bus::Usb),
    ] {
        let machine = machine(name, boot, bus, &built.image).start()?;
        runs(&machine, &built)?;
    }
    let card = Card::of(&built.image, "formats-card")?;
    let machine = machine("formats-sd", Boot::Bios, Bus::SdCard, &card.0).start()?;
    runs(&machine, &built)
}

#[test]
#[ignore = "long: cargo xtask torture media"]
fn it_boots_with_512_mb_of_memory() -> anyhow::Result<()> {
    let built = image("disk")?;
    let small = machine("formats-small", Boot::Bios, Bus::Ahci, &built.image).memory_mib(512);
    runs(&small.start()?, &built)
}

/// What is made for sectors of 4096 bytes starts there, and its root takes the whole disk.
#[test]
#[ignore = "long: cargo xtask torture media"]
fn a_disk_with_large_sectors_boots_and_grows() -> anyhow::Result<()> {
    const SIZE: u64 = 3 << 30;
    let file = images::with_agent("sectors")?;
    let built = images::build_image("disk", "sectors", &file, &images::options()?)?;
    let folder = artefacts::folder("formats-sectors-disk")?;
    let disk = folder.join("disk.img");
    copy_sparsely(&built.image, &disk)?;
    fs::File::options().write(true).open(&disk)?.set_len(SIZE)?;
    let bus = Bus::NvmeLargeSectors;
    let machine = machine("formats-sectors", Boot::Uefi, bus, &disk).start()?;
    runs(&machine, &built)?;
    machine.check("sectors", |machine| {
        let agent = machine.agent();
        let sector = agent.succeed("cat /sys/block/nvme0n1/queue/logical_block_size")?;
        ensure!(sector.trim() == "4096", "{sector}");
        agent.succeed(
            "grep ' /boot/efi vfat ' /proc/mounts && test -s /boot/efi/EFI/BOOT/BOOTX64.EFI",
        )?;
        has_grown(machine, SIZE, 8)
    })?;
    drop(machine);
    remove(&folder)
}

/// A copy of the disk is beside it: nothing says which of them is meant.
#[test]
#[ignore = "long: cargo xtask torture media"]
fn two_disks_of_one_label_are_refused() -> anyhow::Result<()> {
    let built = image("disk")?;
    let machine = machine("formats-twins", Boot::Bios, Bus::VirtioBlk, &built.image)
        .disk(&built.image)
        .start()?;
    machine.check("refusal", |machine| {
        let told = "cannot mount /: LABEL=cairn-root is on /dev/vda1 and on /dev/vdb1";
        machine.console().wait_for(told)?;
        machine.console().wait_for("which disk is a copy").map(drop)
    })
}

/// A copy of an image whose size is one that cards have; gone when it is dropped.
struct Card(PathBuf);

impl Card {
    fn of(image: &Path, name: &str) -> anyhow::Result<Self> {
        let copy = artefacts::root()?.join(format!("{name}.img"));
        copy_sparsely(image, &copy)?;
        let file = fs::File::options().write(true).open(&copy)?;
        file.set_len(file.metadata()?.len().next_power_of_two())?;
        Ok(Self(copy))
    }
}

impl Drop for Card {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            eprintln!("cannot remove {}: {error}", self.0.display());
        }
    }
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
