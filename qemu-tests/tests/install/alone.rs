//! The installation of every test run: under Secure Boot and without a network, onto an empty disk, which then
//! boots alone with either firmware, switches and goes back.

use std::path::Path;

use anyhow::{Context as _, ensure};
use cairn_qemu_tests::{Boot, Machine};

use crate::installed;
use crate::medium::{PATIENCE, disks, give_answers, install_only, keep, live, power_off, same};

/// Accounts, and what else is answered.
const MORE: &str = "\
host-name = 'installed'
time-zone = 'Europe/Berlin'
layout.swap-mib = 256
root.hashed-password = '$6$rounds=5000$a/FpL5kkydfdNt.u$lH.Y.rlJVXe8xobLvx0u0fdTYFVUe02G24h2rCfg66svMLpH7Ru1z9EcvsUsTPaCjX1isKf2YoK7r7Pv472x/.'
users = [{ name = 'anna', full-name = 'Anna', hashed-password = '$6$0123456789' }]
";

#[test]
fn an_empty_disk_is_installed_and_boots_alone() -> anyhow::Result<()> {
    let [target, other] = disks("alone")?;
    let machine = live("install-alone", Boot::SecureUefi, &[&target, &other])?.start()?;
    machine.check("the live medium", |machine| {
        machine.agent().ready()?;
        give_answers(machine, MORE)
    })?;
    machine.check("the installation", install_only)?;
    machine.check("an entry in the firmware's menu", |machine| {
        let menu = machine.agent().succeed("efibootmgr -v")?;
        let order = menu
            .lines()
            .find_map(|line| line.strip_prefix("BootOrder: "));
        let first = order.and_then(|order| order.split(',').next());
        let first = first.with_context(|| format!("there is no order: {menu}"))?;
        let entry = menu
            .lines()
            .find(|line| line.starts_with(&format!("Boot{first}*")));
        ensure!(
            entry.is_some_and(|entry| entry.contains("Cairn")
                && entry.contains("HD(2,GPT,")
                && entry.ends_with("/File(\\EFI\\BOOT\\BOOTX64.EFI)")),
            "{menu}"
        );
        power_off(machine)
    })?;
    let untouched = machine.disk(2).map(|disk| same(disk, &other)).transpose()?;
    ensure!(untouched == Some(true), "the other disk was written to");
    let disk = keep(&machine, 1, "alone-installed")?;
    drop(machine);
    boots_alone(&disk)
}

/// With each firmware; in between, the system is changed.
fn boots_alone(disk: &Path) -> anyhow::Result<()> {
    let machine = installed::machine("install-alone-bios", Boot::Bios, disk).start()?;
    machine.check("boot with BIOS", |machine| {
        installed::runs(machine, "installed", 1)
    })?;
    machine.check("a whole system", installed::is_whole)?;
    machine.check("what was answered", is_as_answered)?;
    machine.check("switch", |machine| installed::switches(machine, "changed"))?;
    machine.check("power off", power_off)?;
    let disk = keep(&machine, 0, "alone-changed")?;
    drop(machine);

    let machine = installed::machine("install-alone-uefi", Boot::SecureUefi, &disk).start()?;
    machine.check("boot with UEFI", |machine| {
        installed::runs(machine, "changed", 2)
    })?;
    machine.check("the new generation", |machine| {
        installed::is_found_good(machine, 2)
    })?;
    machine.check("its entry in the firmware's menu", starts_from_the_menu)?;
    machine.check("rollback", |machine| {
        cairn_qemu_tests::guest::run(machine, "cairn rollback")?;
        let link = machine
            .agent()
            .succeed("readlink /nix/var/nix/profiles/system")?;
        ensure!(link == "system-1-link", "{link}");
        Ok(())
    })
}

/// This firmware knows nothing of the disk yet.
fn starts_from_the_menu(machine: &Machine) -> anyhow::Result<()> {
    let agent = machine.agent();
    let told = agent.run_within("cairn switch --install-bootloader 2>&1", PATIENCE)?;
    ensure!(
        told.success()
            && told
                .stdout
                .contains("the firmware's menu: an entry 'Cairn'"),
        "{told:?}"
    );
    let before = agent.ready()?;
    agent.start("cairn reboot")?;
    // The firmware says what it starts.
    machine.console().expect("\"Cairn\" from HD(2,GPT,")?;
    machine.ready_after(&before)?;
    installed::runs(machine, "changed", 2)
}

fn is_as_answered(machine: &Machine) -> anyhow::Result<()> {
    let agent = machine.agent();
    let name = agent.succeed("cat /proc/sys/kernel/hostname")?;
    ensure!(name == "installed", "its name is {name}");
    let zone = agent.succeed("readlink -f /etc/localtime")?;
    ensure!(zone.ends_with("Europe/Berlin"), "{zone}");
    let swap = agent.succeed("cat /proc/swaps")?;
    ensure!(swap.contains("/dev/vda3"), "{swap}");
    let shadow = agent.succeed("cut -d : -f 1,2 /etc/shadow")?;
    for line in [
        "root:$6$rounds=5000$a/FpL5kkydfdNt.u$",
        "anna:$6$0123456789",
    ] {
        ensure!(shadow.contains(line), "{line} is not in: {shadow}");
    }
    let secret = agent
        .run("grep -r -l FpL5kkydfdNt /etc/nixos /run/current-system/*.json /nix/store/*.drv")?;
    ensure!(secret.stdout.is_empty(), "the hash is in {secret:?}");
    let root = installed::mounted(machine, "/")?;
    ensure!(root.1 == "ext4", "the root is {root:?}");
    installed::mounted(machine, "/boot/efi").map(drop)
}
