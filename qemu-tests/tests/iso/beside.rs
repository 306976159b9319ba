//! The medium beside other systems: on a stick with a boot loader of its own, and before a machine's own disk.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};
use cairn_qemu_tests::disk::copy_sparsely;
use cairn_qemu_tests::images;
use cairn_qemu_tests::{Boot, Bus, Disk, Machine, Writes, artefacts, live};

use super::damage::descriptor;
use super::{Entry, choose, lives, machine, medium};

/// What a stick with many media has as its menu: the name of the medium's file, and the medium's own menu.
const MENU: &str = "\
search --no-floppy --set=stick --file /images/live.iso
set iso_path=/images/live.iso
export iso_path
loopback loop ($stick)$iso_path
set root=loop
configfile /boot/grub/loopback.cfg
";

/// The modules that Debian's own GRUB for UEFI has for this.
const MODULES: &str = "--modules=configfile echo fat iso9660 linux loopback normal part_gpt regexp \
                       search serial sleep terminal test";

pub fn run(program: &str, arguments: &[&str]) -> anyhow::Result<()> {
    output(program, arguments).map(drop)
}

/// What a program says.
pub fn output(program: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(program)
        .args(arguments)
        .env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin")
        .output()
        .with_context(|| format!("cannot run {program}"))?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{program} {arguments:?}: {complaint}"
    );
    Ok(String::from_utf8(output.stdout)?)
}

/// A FAT with GRUB, its menu and the medium as a file.
fn stick(folder: &Path, medium: &Path) -> anyhow::Result<PathBuf> {
    let place = |name: &str| folder.join(name).display().to_string();
    let (stick, menu, program) = (place("stick.img"), place("grub.cfg"), place("BOOTX64.EFI"));
    fs::write(&menu, MENU)?;
    run(
        "grub-mkstandalone",
        &[
            "--format=x86_64-efi",
            "--install-modules=",
            "--fonts=",
            "--locales=",
            "--themes=",
            MODULES,
            "--output",
            &program,
            &format!("boot/grub/grub.cfg={menu}"),
        ],
    )?;
    let size = fs::metadata(medium)?.len() + (64 << 20);
    File::create(&stick)?.set_len(size.next_multiple_of(1 << 20))?;
    run("mkfs.vfat", &["-F", "32", &stick])?;
    run("mmd", &["-i", &stick, "::EFI", "::EFI/BOOT", "::images"])?;
    run("mcopy", &["-i", &stick, &program, "::EFI/BOOT/BOOTX64.EFI"])?;
    let medium = medium.display().to_string();
    run("mcopy", &["-i", &stick, &medium, "::images/live.iso"])?;
    Ok(stick.into())
}

#[test]
#[ignore = "long: cargo xtask torture media"]
fn a_stick_with_many_media_boots_it() -> anyhow::Result<()> {
    let built = medium()?;
    let folder = artefacts::folder("iso-many")?;
    let stick = stick(&folder, &built.image)?;
    let machine = machine("iso-loopback", Boot::Uefi, Bus::Usb, &stick).start()?;
    lives(&machine, built)?;
    machine.check("the file", |machine| {
        let line = machine.agent().succeed("cat /proc/cmdline")?;
        ensure!(line.contains("findiso=/images/live.iso"), "{line}");
        Ok(())
    })?;
    drop(machine);
    fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))
}

/// Where a disk has its boot loader for UEFI.
#[derive(Clone, Copy)]
enum Loader {
    /// Where each firmware looks.
    Removable,
    /// Where only an entry in the firmware's menu would lead to.
    Own,
}

/// Where an image of a disk has its EFI system partition, in bytes.
const ESP: u64 = 2 << 20;

/// A copy of the disk, whose boot loader no firmware finds by itself.
fn moved(folder: &Path, image: &Path) -> anyhow::Result<PathBuf> {
    let (copy, program) = (folder.join("moved.img"), folder.join("moved.efi"));
    copy_sparsely(image, &copy)?;
    let esp = format!("{}@@{ESP}", copy.display());
    let (from, program) = ("::/EFI/BOOT/BOOTX64.EFI", program.display().to_string());
    run("mcopy", &["-i", &esp, from, &program])?;
    run("mdel", &["-i", &esp, from])?;
    run("mmd", &["-i", &esp, "::/EFI/other"])?;
    run("mcopy", &["-i", &esp, &program, "::/EFI/other/grubx64.efi"])?;
    Ok(copy)
}

/// The menu's entry for the machine's own system leads to it.
fn leads_to_the_disk(name: &str, boot: Boot, bus: Bus, place: Loader) -> anyhow::Result<()> {
    let file = images::with_agent("formats")?;
    let installed = images::build_image("disk", "formats", &file, &images::options()?)?;
    let folder = artefacts::folder("iso-moved")?;
    let image = match place {
        Loader::Removable => installed.image.clone(),
        Loader::Own => moved(&folder, &installed.image)?,
    };
    let machine = machine(name, boot, bus, &medium()?.image)
        .any_disk(Disk {
            image,
            writes: Writes::Discarded,
            bus: Bus::Ahci,
        })
        .start()?;
    choose(&machine, Entry::Installed)?;
    machine.check("the disk's system", |machine: &Machine| {
        live::runs(machine.agent(), &installed.toplevel)
    })?;
    drop(machine);
    fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))
}

#[test]
#[ignore = "long: cargo xtask torture media"]
fn its_menu_leads_to_the_installed_system() -> anyhow::Result<()> {
    use Loader::{Own, Removable};
    leads_to_the_disk("iso-installed-bios", Boot::Bios, Bus::Disc, Removable)?;
    leads_to_the_disk("iso-installed-stick", Boot::Bios, Bus::Usb, Removable)?;
    leads_to_the_disk("iso-installed-uefi", Boot::Uefi, Bus::Disc, Removable)?;
    leads_to_the_disk("iso-installed-own", Boot::Uefi, Bus::Usb, Own)
}

/// Another medium whose menu leads nowhere, and which a BIOS finds first.
fn other(folder: &Path, image: &Path) -> anyhow::Result<PathBuf> {
    let copy = folder.join("other.iso");
    copy_sparsely(image, &copy)?;
    let mut bytes = fs::read(&copy)?;
    let (name, broken) = (b"menuentry ", b"no-entry- ");
    let places: Vec<usize> = (bytes.windows(name.len()).enumerate())
        .filter_map(|(place, window)| (window == name).then_some(place))
        .collect();
    ensure!(!places.is_empty(), "the medium has no menu");
    for place in places {
        if let Some(entry) = bytes.get_mut(place..place + broken.len()) {
            entry.copy_from_slice(broken);
        }
    }
    fs::write(&copy, bytes)?;
    Ok(copy)
}

/// GRUB's image for a BIOS is the same on all media, and has the menu of the one that it was started from.
#[test]
#[ignore = "long: cargo xtask torture media"]
fn beside_another_medium_it_boots_itself() -> anyhow::Result<()> {
    let built = medium()?;
    let folder = artefacts::folder("iso-other")?;
    let other = other(&folder, &built.image)?;
    let machine = machine("iso-beside-other", Boot::Bios, Bus::Disc, &built.image)
        .any_disk(Disk {
            image: other,
            writes: Writes::Discarded,
            bus: Bus::Ahci,
        })
        .start()?;
    choose(&machine, Entry::CopyToRam)?;
    // Both have the same id: stage 1 refuses to choose between them.
    machine.check("its menu", |machine| {
        machine.console().wait_for("cairn.live=")
    })?;
    drop(machine);
    fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))
}

/// The live system needs no more memory than small machines have.
#[test]
#[ignore = "long: cargo xtask torture media"]
fn it_boots_with_512_mb_of_memory() -> anyhow::Result<()> {
    let built = medium()?;
    for (name, boot, bus) in [
        ("iso-small-bios", Boot::Bios, Bus::Disc),
        ("iso-small-uefi", Boot::Uefi, Bus::Usb),
    ] {
        let machine = machine(name, boot, bus, &built.image).memory_mib(512);
        lives(&machine.start()?, built)?;
    }
    Ok(())
}

/// To memory it does not fit there, and says so.
#[test]
#[ignore = "long: cargo xtask torture media"]
fn too_little_memory_is_named() -> anyhow::Result<()> {
    let built = medium()?;
    // It fits into what the machine has, but nothing beside it.
    let fits = descriptor(built)?.system.length.div_ceil(1 << 20) + 96;
    let small = machine("iso-too-small", Boot::Bios, Bus::Disc, &built.image);
    let machine = small.memory_mib(u32::try_from(fits)?).start()?;
    choose(&machine, Entry::CopyToRam)?;
    machine.check("report", |machine| {
        let console = machine.console();
        console.expect_within("cannot copy the system to memory", Duration::from_mins(6))?;
        Ok(())
    })
}
