//! Media that are not as they were written, and media that are missing.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};
use cairn_qemu_tests::disk::copy_sparsely;
use cairn_qemu_tests::images::{self, Built};
use cairn_qemu_tests::{Boot, Bus, artefacts};
use cairn_system::live::{DESCRIPTOR, DESCRIPTOR_SIZE, LIVE_PARAMETER, LiveMedium, MediaManifest};

use super::{Entry, choose, lives, machine, medium};

/// What the medium's descriptor says.
pub fn descriptor(built: &Built) -> anyhow::Result<LiveMedium> {
    let mut sector = vec![0; DESCRIPTOR_SIZE];
    File::open(&built.image)?.read_exact_at(&mut sector, DESCRIPTOR)?;
    LiveMedium::from_descriptor(&sector)?.context("the image is no live medium")
}

/// A copy of the medium; gone when it is dropped.
pub struct Copy(pub PathBuf);

impl Copy {
    pub fn new(name: &str, built: &Built) -> anyhow::Result<Self> {
        let copy = artefacts::root()?.join(format!("{name}.iso"));
        copy_sparsely(&built.image, &copy)?;
        Ok(Self(copy))
    }

    pub fn file(&self) -> anyhow::Result<File> {
        Ok(File::options().read(true).write(true).open(&self.0)?)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            eprintln!("cannot remove {}: {error}", self.0.display());
        }
    }
}

/// A byte of the EFI system partition and one of the system are others, at places that follow from the time.
#[test]
#[ignore = "long: cargo xtask torture media"]
fn damage_is_named() -> anyhow::Result<()> {
    let built = medium()?;
    let copy = Copy::new("iso-damaged", built)?;
    let live = descriptor(built)?;
    let mut text = vec![0; usize::try_from(live.manifest.length)?];
    copy.file()?
        .read_exact_at(&mut text, live.manifest.offset)?;
    let manifest = MediaManifest::parse(std::str::from_utf8(&text)?)?;
    let random = SystemTime::now().duration_since(UNIX_EPOCH)?.subsec_nanos();
    let of_esp = manifest
        .pieces
        .iter()
        .find(|piece| piece.path == "boot/grub/efi.img");
    let of_esp = of_esp.context("the medium has no EFI system partition")?;
    let mut places = vec![
        of_esp.extent.offset + u64::from(random) % of_esp.extent.length,
        live.system.offset + u64::from(random) % live.system.length,
    ];
    places.sort_unstable();
    for at in &places {
        let mut byte = [0];
        copy.file()?.read_exact_at(&mut byte, *at)?;
        copy.file()?.write_all_at(&[!byte[0]], *at)?;
    }
    eprintln!("damaged at {places:?}");
    let machine = machine("iso-damaged", Boot::Bios, Bus::Disc, &copy.0).start()?;
    choose(&machine, Entry::Check)?;
    machine.check("report", |machine| {
        let console = machine.console();
        console.wait_for("the live medium /dev/sr0 is damaged: ")?;
        for at in places {
            let piece = manifest.pieces.iter().find(|piece| {
                (piece.extent.offset..piece.extent.offset + piece.extent.length).contains(&at)
            });
            let piece = piece.context("nothing covers the place")?;
            let extent = piece.extent;
            let (start, end) = (extent.offset, extent.offset + extent.length);
            console.wait_for(&format!(
                "{}, bytes {start} to {end} of the medium, differs",
                piece.path
            ))?;
        }
        console.wait_for("write the medium again").map(drop)
    })
}

#[test]
#[ignore = "long: cargo xtask torture media"]
fn a_whole_medium_passes_the_check() -> anyhow::Result<()> {
    let built = medium()?;
    let machine = machine("iso-checked", Boot::Uefi, Bus::Usb, &built.image).start()?;
    choose(&machine, Entry::Check)?;
    machine.check("verdict", |machine| {
        machine
            .console()
            .wait_for("the medium is as it was written")
    })?;
    lives(&machine, built)
}

/// A stick with the same label, and another id, is beside the disc.
#[test]
#[ignore = "long: cargo xtask torture media"]
fn the_label_does_not_matter() -> anyhow::Result<()> {
    let built = medium()?;
    let copy = Copy::new("iso-other", built)?;
    let mut sector = vec![0; DESCRIPTOR_SIZE];
    copy.file()?.read_exact_at(&mut sector, DESCRIPTOR)?;
    let id = descriptor(built)?.id.to_string();
    let place = sector
        .windows(3)
        .position(|window| window == b"id ")
        .context("no id")?;
    let digit = if id.starts_with('0') { b"1" } else { b"0" };
    copy.file()?
        .write_all_at(digit, DESCRIPTOR + place as u64 + 3)?;
    // The kernel sees the stick, too, and sooner or later as the first one.
    let machine = machine("iso-two", Boot::Bios, Bus::VirtioBlk, &copy.0)
        .any_disk(cairn_qemu_tests::Disk {
            image: built.image.clone(),
            writes: cairn_qemu_tests::Writes::Discarded,
            bus: Bus::Disc,
        })
        .start()?;
    machine.check("choice", |machine| {
        machine
            .console()
            .wait_for(&format!("the live medium {id} is /dev/sr0"))
    })?;
    lives(&machine, built)
}

#[test]
#[ignore = "long: cargo xtask torture media"]
fn a_missing_medium_is_named() -> anyhow::Result<()> {
    let built = medium()?;
    let other = "00000000-0000-8000-8000-000000000000";
    let order = format!("{LIVE_PARAMETER}={other}");
    let kernel = images::direct_kernel(&images::options()?, built, &order)?;
    let machine = machine("iso-missing", Boot::Direct(kernel), Bus::Disc, &built.image).start()?;
    machine.check("report", |machine| {
        let console = machine.console();
        console.expect_within("waiting up to ", Duration::from_mins(4))?;
        console.wait_for(&format!("cannot find the live medium {other} after "))?;
        let tail = console.tail(200);
        let seen = format!("/dev/sr0 is the live medium {}", descriptor(built)?.id);
        ensure!(tail.contains(&seen), "{tail}");
        Ok(())
    })
}
