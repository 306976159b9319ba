//! Where the medium may be.

use std::fs;
use std::process::Command;

use anyhow::{Context, ensure};
use cairn_qemu_tests::reproducible::{self, Source};
use cairn_qemu_tests::{Boot, Bus, artefacts, images};
use cairn_system::live::{FIND_ISO_PARAMETER, LIVE_PARAMETER};

use super::damage::{Copy, descriptor};
use super::{lives, machine, medium};

fn boots(name: &str, boot: Boot, bus: Bus) -> anyhow::Result<()> {
    let built = medium()?;
    let machine = machine(name, boot, bus, &built.image).start()?;
    lives(&machine, built)
}

#[test]
fn a_disc_boots_with_bios() -> anyhow::Result<()> {
    boots("iso-disc-bios", Boot::Bios, Bus::Disc)
}

#[test]
fn a_stick_boots_with_uefi() -> anyhow::Result<()> {
    boots("iso-stick-uefi", Boot::Uefi, Bus::Usb)
}

#[test]
#[ignore = "long: cargo xtask torture media"]
fn a_disc_boots_with_uefi() -> anyhow::Result<()> {
    boots("iso-disc-uefi", Boot::Uefi, Bus::Disc)
}

#[test]
#[ignore = "long: cargo xtask torture media"]
fn a_stick_boots_with_bios() -> anyhow::Result<()> {
    boots("iso-stick-bios", Boot::Bios, Bus::Usb)
}

#[test]
#[ignore = "long: cargo xtask torture media"]
fn any_disk_will_do() -> anyhow::Result<()> {
    for (name, bus) in [
        ("iso-ahci", Bus::Ahci),
        ("iso-nvme", Bus::Nvme),
        ("iso-virtio-scsi", Bus::VirtioScsi),
        ("iso-virtio-blk", Bus::VirtioBlk),
    ] {
        boots(name, Boot::Uefi, bus)?;
    }
    boots("iso-ide", Boot::Bios, Bus::Ide)
}

/// A card has a size that is a power of two, and what is written to it leaves its end alone.
#[test]
#[ignore = "long: cargo xtask torture media"]
fn a_card_boots() -> anyhow::Result<()> {
    let built = medium()?;
    let card = Copy::new("iso-card", built)?;
    let file = card.file()?;
    file.set_len(file.metadata()?.len().next_power_of_two())?;
    let machine = machine("iso-sd", Boot::Bios, Bus::SdCard, &card.0).start()?;
    lives(&machine, built)
}

/// It has its tables elsewhere.
#[test]
#[ignore = "long: cargo xtask torture media"]
fn a_stick_with_large_sectors_will_do() -> anyhow::Result<()> {
    boots("iso-large-sectors", Boot::Uefi, Bus::UsbLargeSectors)
}

/// The medium is a file on the ext4 of a disk, and the kernel is started by something else.
#[test]
#[ignore = "long: cargo xtask torture media"]
fn a_file_will_do() -> anyhow::Result<()> {
    let built = medium()?;
    let folder = artefacts::root()?.join("iso-file");
    fs::create_dir_all(folder.join("tree/images"))?;
    let file = folder.join("tree/images/live.iso");
    if file.exists() {
        fs::remove_file(&file)?;
    }
    fs::hard_link(&built.image, &file).or_else(|_| fs::copy(&built.image, &file).map(drop))?;
    let disk = folder.join("disk.img");
    let size = fs::metadata(&built.image)?.len() / (1 << 20) + 64;
    let status = Command::new("mke2fs")
        .args(["-q", "-F", "-t", "ext4", "-d"])
        .arg(folder.join("tree"))
        .arg(&disk)
        .arg(format!("{size}M"))
        .env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin")
        .status()
        .context("cannot run mke2fs; apt-get install e2fsprogs")?;
    ensure!(status.success(), "mke2fs ended with {status}");
    let order = format!(
        "{LIVE_PARAMETER}={} {FIND_ISO_PARAMETER}=/images/live.iso",
        descriptor(built)?.id
    );
    let kernel = images::direct_kernel(&images::options()?, built, &order)?;
    let machine = machine("iso-findiso", Boot::Direct(kernel), Bus::Usb, &disk).start()?;
    let lives = lives(&machine, built);
    drop(machine);
    fs::remove_dir_all(&folder)?;
    lives
}

#[test]
fn it_is_the_same_wherever_it_is_built() -> anyhow::Result<()> {
    reproducible::check("live", Source::SameStore, &[("iso", medium()?)])
}

#[test]
#[ignore = "long: cargo xtask torture media"]
fn it_is_the_same_from_packages() -> anyhow::Result<()> {
    reproducible::check("live", Source::Packages, &[("iso", medium()?)])
}
