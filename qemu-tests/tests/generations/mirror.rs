//! A second disk that has what `/boot` has, and GRUB: the machine boots from it, by BIOS and UEFI, when
//! the first one cannot.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use cairn_qemu_tests::disk::copy_sparsely;
use cairn_qemu_tests::{Blueprint, Boot, Bus, Disk, Machine, Writes};
use serde_json::json;

use crate::guest;

/// Another initrd, so that the mirror gets a file.
const MIRRORED: &str = r#"{
  system.nixos.label = "mirrored";
  boot.initrd.kernelModules = [ "loop" ];
  boot.loader.grub.mirroredBoots = [ { path = "/mirror/boot"; } ];
  fileSystems."/mirror" = {
    device = "LABEL=mirror";
    fsType = "ext4";
    options = [ "nofail" ];
  };
}"#;

/// A boot, and a switch before it, under emulation.
const DEADLINE: Duration = Duration::from_mins(30);

/// For the machine to sync and power off.
const POWER_OFF: Duration = Duration::from_mins(2);

/// The BIOS boot partition and the EFI system partition of an image, and where the one is.
const BIOS_BOOT: std::ops::Range<u64> = 1 << 20..2 << 20;
const ESP: u64 = 2 << 20;

#[test]
fn the_second_disk_gets_grub_and_boots_when_the_first_has_no_kernel() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let image = &guest::built()?.image;
    let mirror = folder.path().join("mirror.img");
    other_disk(image, &mirror)?;
    let disks = {
        let machine = machine("generations-mirror", Boot::Bios, [image, &mirror])?;
        machine.check("boot", guest::up)?;
        machine.check("its configuration", guest::give_configuration)?;
        machine.check("switch", both_get_it)?;
        machine.check("the first loses its kernels", |machine| {
            guest::run(machine, "rm -r /boot/kernels/* && sync").map(drop)
        })?;
        machine.press_power_button()?;
        machine.wait_for_power_off(POWER_OFF)?;
        let kept = |index: usize, name: &str| -> anyhow::Result<PathBuf> {
            let kept = folder.path().join(name);
            copy_sparsely(machine.disk(index).context("no such disk")?, &kept)?;
            Ok(kept)
        };
        [kept(1, "second.img")?, kept(0, "first.img")?]
    };
    for (name, boot) in [
        ("generations-mirror-bios", Boot::Bios),
        ("generations-mirror-uefi", Boot::Uefi),
    ] {
        let machine = machine(name, boot, [&disks[0], &disks[1]])?;
        machine.check("boot from the second disk", guest::up)?;
        machine.check("it is the new generation", the_new_one_boots)?;
    }
    Ok(())
}

fn machine(name: &str, boot: Boot, images: [&Path; 2]) -> anyhow::Result<Machine> {
    let mut blueprint = Blueprint::new(name, boot)
        .memory_mib(1024)
        .deadline(DEADLINE);
    for image in images {
        blueprint = blueprint.any_disk(Disk {
            image: image.to_owned(),
            writes: Writes::Copied,
            bus: Bus::VirtioBlk,
        });
    }
    blueprint.start()
}

/// A disk with the same partitions and without GRUB, which nobody takes for the first one.
fn other_disk(image: &Path, to: &Path) -> anyhow::Result<()> {
    copy_sparsely(image, to)?;
    let disk = OpenOptions::new().read(true).write(true).open(to)?;
    disk.write_all_at(&[0; 440], 0)?;
    for mib in BIOS_BOOT.step_by(1 << 20) {
        disk.write_all_at(&vec![0; 1 << 20], mib)?;
    }
    let mut start = [0; 8];
    // The first entry of the partition table: where the partition begins.
    disk.read_exact_at(&mut start, 1024 + 32)?;
    let root = u64::from_le_bytes(start) * 512;
    let path = to.display();
    run(
        "sgdisk",
        "gdisk",
        &["-G", "-c", "3:mirror-esp", &path.to_string()],
    )?;
    let place = format!("{path}?offset={root}");
    run(
        "tune2fs",
        "e2fsprogs",
        &["-f", "-L", "mirror", "-U", "random", &place],
    )?;
    let esp = format!("{path}@@{ESP}");
    run("mdel", "mtools", &["-i", &esp, "::/EFI/BOOT/BOOTX64.EFI"])
}

fn run(program: &str, package: &str, arguments: &[&str]) -> anyhow::Result<()> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .with_context(|| format!("cannot run {program}; install it: apt-get install {package}"))?;
    ensure!(output.status.success(), "{program}: {output:?}");
    Ok(())
}

/// The switch mounts the mirror; what boots is in both places.
fn both_get_it(machine: &Machine) -> anyhow::Result<()> {
    guest::configure(machine, MIRRORED)?;
    guest::run(machine, "cairn switch")?;
    // What the first disk has is what an image has: it is not written.
    let preview = guest::attempt(machine, "cairn dry-run --install-bootloader --json")?;
    ensure!(preview.success(), "{preview:?}");
    let preview: serde_json::Value = serde_json::from_str(&preview.stdout)?;
    let second = ["/dev/vdb: GRUB for BIOS", "/dev/vdb3: GRUB for UEFI"];
    ensure!(preview["bootLoader"] == json!(second), "{preview}");
    let told = guest::run(machine, "cairn switch --install-bootloader 2>&1")?;
    ensure!(told.contains("/dev/vdb: GRUB for BIOS"), "{told}");
    ensure!(told.contains("/dev/vdb3: GRUB for UEFI"), "{told}");
    ensure!(!told.contains("/dev/vda"), "{told}");
    let again = guest::run(machine, "cairn switch --install-bootloader 2>&1")?;
    ensure!(!again.contains("GRUB for"), "{again}");
    guest::run(machine, "cmp /boot/grub/grubenv /mirror/boot/grub/grubenv")?;
    // A mirror whose disk comes back later has menus of other numbers.
    let newest = |boot: &str| {
        let menu = format!("ls -t {boot}/grub/entries-?.cfg | head -n 1");
        let files = format!("cd {boot}/.. && grep -o \"boot/kernels/[^']*\" $({menu}) | sort -u");
        guest::run(
            machine,
            &format!("{files} | xargs sha256sum | cut -c 1-64 | sort"),
        )
    };
    let (first, second) = (newest("/boot")?, newest("/mirror/boot")?);
    ensure!(
        first.lines().count() >= 3,
        "kernel and two initrds: {first}"
    );
    ensure!(first == second, "{first}\n--- and ---\n{second}");
    Ok(())
}

/// Counted down on the disk that boots, and blessed on both.
fn the_new_one_boots(machine: &Machine) -> anyhow::Result<()> {
    let agent = machine.agent();
    let line = agent.succeed("cat /proc/cmdline")?;
    ensure!(line.contains("cairn.trial=2"), "{line}");
    let systems =
        "readlink -f /run/booted-system /nix/var/nix/profiles/system-2-link | uniq | wc -l";
    ensure!(agent.succeed(systems)? == "1", "another system has booted");
    machine.console().wait_for("generation 2 is good")?;
    let good = "until grep -q '^cairn_good=2$' /boot/grub/grubenv && \
                cmp /boot/grub/grubenv /mirror/boot/grub/grubenv; do sleep 0.5; done";
    guest::run(machine, good).map(drop)
}
