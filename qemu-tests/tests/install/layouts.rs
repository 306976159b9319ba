//! Each way to divide a disk: installed, booted three times with either firmware, changed, changed back,
//! and installed a second time over itself.

use std::path::{Path, PathBuf};

use anyhow::ensure;
use cairn_qemu_tests::{Boot, Machine, guest};

use crate::installed;
use crate::medium::{attempt, disks, give_answers, install, keep, live, medium, power_off};

/// What opens encrypted disks.
const PASSPHRASE: &str = "open sesame";

/// A layout, and what its root and `/boot` are then.
struct Layout {
    name: &'static str,
    answers: &'static str,
    root: &'static str,
    encrypted: bool,
    /// The name of its swap space begins so; there is none if it is not said.
    swap: Option<&'static str>,
}

fn lives_through(layout: &Layout) -> anyhow::Result<()> {
    let Layout { name, .. } = layout;
    let [target, _] = disks(name)?;
    let first = installed_disk(layout, &format!("install-{name}"), &target, "")?;
    let disk = life(layout, &first)?;
    again(layout, &disk)
}

/// A second time, over what is there.
fn again(layout: &Layout, disk: &Path) -> anyhow::Result<()> {
    let Layout { name, .. } = layout;
    let machine = live(&format!("install-{name}-again"), Boot::Uefi, &[disk])?.start()?;
    machine.check("what is there is not lost unasked", |machine| {
        machine.agent().ready()?;
        give_answers(machine, layout.answers)?;
        let refused = attempt(
            machine,
            &format!("--answers {} --yes", crate::medium::ANSWERS),
        )?;
        ensure!(
            refused.stderr.contains("would be lost") && refused.stderr.contains("cairn-root"),
            "{refused:?}"
        );
        Ok(())
    })?;
    drop(machine);
    let second = installed_disk(
        layout,
        &format!("install-{name}-second"),
        disk,
        "wipe = true\n",
    )?;
    let machine =
        installed::machine(&format!("install-{name}-last"), Boot::Uefi, &second).start()?;
    machine.check("boot after the second installation", |machine| {
        opened(layout, machine)?;
        installed::runs(machine, "installed", 1)
    })
}

fn installed_disk(layout: &Layout, name: &str, disk: &Path, more: &str) -> anyhow::Result<PathBuf> {
    let machine = live(name, Boot::Bios, &[disk])?.start()?;
    machine.check("the installation", |machine| {
        machine.agent().ready()?;
        give_answers(machine, &format!("{more}{}", layout.answers))?;
        install(machine)
    })?;
    keep(&machine, 1, &format!("{name}-installed"))
}

/// Three boots, a switch and a rollback; the disk after that.
fn life(layout: &Layout, disk: &Path) -> anyhow::Result<PathBuf> {
    let Layout { name, .. } = layout;
    let bios = format!("install-{name}-bios");
    let machine = installed::machine(&bios, Boot::Bios, disk).start()?;
    machine.check("the first boot", |machine| {
        opened(layout, machine)?;
        installed::runs(machine, "installed", 1)?;
        installed::is_whole(machine)?;
        let (device, kind) = installed::mounted(machine, "/")?;
        ensure!(kind == layout.root, "the root is {kind}");
        ensure!(
            device.starts_with("/dev/mapper/") == layout.encrypted,
            "the root is on {device}"
        );
        swaps(layout, machine)?;
        installed::switches(machine, "changed")
    })?;
    machine.check("the second boot", |machine| {
        reboot(layout, machine)?;
        installed::runs(machine, "changed", 2)?;
        installed::is_found_good(machine, 2)
    })?;
    machine.check("power off", power_off)?;
    let disk = keep(&machine, 0, &format!("{bios}-kept"))?;
    drop(machine);
    let machine = installed::machine(&format!("install-{name}-uefi"), Boot::Uefi, &disk).start()?;
    machine.check("the third boot", |machine| {
        opened(layout, machine)?;
        installed::runs(machine, "changed", 2)?;
        guest::run(machine, "cairn rollback")?;
        reboot(layout, machine)?;
        installed::runs(machine, "installed", 1)
    })?;
    machine.check("power off", power_off)?;
    keep(&machine, 0, &format!("install-{name}-uefi-kept"))
}

/// It swaps to what it was given, and to nothing else.
fn swaps(layout: &Layout, machine: &Machine) -> anyhow::Result<()> {
    let found = machine.agent().succeed("tail -n +2 /proc/swaps")?;
    let found: Vec<&str> = found.lines().collect();
    let good = match (layout.swap, found.as_slice()) {
        (None, []) => true,
        (Some(begin), [line]) => line.starts_with(begin),
        _ => false,
    };
    ensure!(good, "swap space is {found:?}");
    Ok(())
}

/// Types the passphrase, where one is asked for.
fn opened(layout: &Layout, machine: &Machine) -> anyhow::Result<()> {
    if layout.encrypted {
        // Each boot asks for it anew.
        machine.console().expect("(cairn-root): ")?;
        machine.console().send_line(PASSPHRASE)?;
    }
    Ok(())
}

fn reboot(layout: &Layout, machine: &Machine) -> anyhow::Result<()> {
    let before = machine.agent().ready()?;
    machine.agent().start("cairn reboot")?;
    opened(layout, machine)?;
    machine.ready_after(&before).map(drop)
}

fn check(layout: &Layout) -> anyhow::Result<()> {
    medium()?;
    lives_through(layout)
}

#[test]
#[ignore = "long: cargo xtask torture install"]
fn ext4() -> anyhow::Result<()> {
    check(&Layout {
        name: "ext4",
        answers: "layout.swap-mib = 128\n",
        root: "ext4",
        encrypted: false,
        swap: Some("/dev/vda3 "),
    })
}

#[test]
#[ignore = "long: cargo xtask torture install"]
fn btrfs() -> anyhow::Result<()> {
    check(&Layout {
        name: "btrfs",
        answers: "layout.file-system = 'btrfs'\n",
        root: "btrfs",
        encrypted: false,
        swap: None,
    })
}

#[test]
#[ignore = "long: cargo xtask torture install"]
fn xfs() -> anyhow::Result<()> {
    check(&Layout {
        name: "xfs",
        answers: "layout.file-system = 'xfs'\nlayout.swap-mib = 64\n",
        root: "xfs",
        encrypted: false,
        swap: Some("/dev/vda4 "),
    })
}

#[test]
#[ignore = "long: cargo xtask torture install"]
fn ext4_encrypted() -> anyhow::Result<()> {
    check(&Layout {
        name: "ext4-encrypted",
        answers: "layout.swap-mib = 64\n\
                  layout.encryption.passphrase = 'open sesame'\n",
        root: "ext4",
        encrypted: true,
        swap: Some("/dev/mapper/dev-disk-by-partuuid-"),
    })
}

#[test]
#[ignore = "long: cargo xtask torture install"]
fn btrfs_encrypted() -> anyhow::Result<()> {
    check(&Layout {
        name: "btrfs-encrypted",
        answers: "layout.file-system = 'btrfs'\n\
                  layout.swap-mib = 64\n\
                  layout.encryption.passphrase = 'open sesame'\n",
        root: "btrfs",
        encrypted: true,
        swap: Some("/dev/mapper/dev-disk-by-partuuid-"),
    })
}

#[test]
#[ignore = "long: cargo xtask torture install"]
fn xfs_encrypted() -> anyhow::Result<()> {
    check(&Layout {
        name: "xfs-encrypted",
        answers: "layout.file-system = 'xfs'\n\
                  layout.encryption.passphrase = 'open sesame'\n",
        root: "xfs",
        encrypted: true,
        swap: None,
    })
}
