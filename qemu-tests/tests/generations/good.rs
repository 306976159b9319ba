//! A new generation that is well: it boots on trial, is found good, and stays what boots.

use std::time::Duration;

use anyhow::{Context, ensure};
use cairn_qemu_tests::disk::copy_sparsely;
use cairn_qemu_tests::{Boot, Machine, Writes};
use tempfile::TempDir;

use crate::{guest, menu};

#[test]
fn a_good_generation_stays_bios() -> anyhow::Result<()> {
    let machine = guest::start("generations-good-bios", Boot::Bios)?;
    machine.check("trial", a_new_generation_is_found_good)?;
    machine.check("once", an_older_one_boots_once)?;
    machine.check("after that", |machine| {
        reboot(machine, "cairn reboot")?;
        ensure!(booted(machine)? == "2", "the default has changed");
        let line = guest::run(machine, "cat /proc/cmdline")?;
        ensure!(!line.contains("cairn.trial"), "{line}");
        Ok(())
    })
}

/// Between the two boots the machine is switched off: after a reset in QEMU 7.2, emulated, Debian's firmware for UEFI at
/// times runs in circles until QEMU's end.
#[test]
fn a_good_generation_stays_uefi() -> anyhow::Result<()> {
    let image = &guest::built()?.image;
    let machine = menu::start("generations-good-uefi", Boot::Uefi, image, Writes::Copied)?;
    machine.check("switch", |machine| {
        guest::up(machine)?;
        guest::give_configuration(machine)?;
        a_new_generation(machine)?;
        machine.agent().start("cairn poweroff")?;
        machine.wait_for_power_off(Duration::from_mins(1))
    })?;
    let folder = TempDir::new()?;
    let kept = folder.path().join("disk.img");
    copy_sparsely(machine.disk(0).context("no such disk")?, &kept)?;
    drop(machine);
    let name = "generations-good-uefi-again";
    let machine = menu::start(name, Boot::Uefi, &kept, Writes::Discarded)?;
    machine.check("trial", |machine| {
        guest::up(machine)?;
        it_is_found_good(machine)
    })
}

/// The generation that the boot loader has said that it boots.
fn booted(machine: &Machine) -> anyhow::Result<String> {
    let words = guest::run(machine, "tr ' ' '\\n' < /proc/cmdline")?;
    let mut words = words.lines();
    let found = words.find_map(|word| word.strip_prefix("cairn.generation="));
    Ok(found.unwrap_or("none is named").to_owned())
}

/// Restarts the machine with a command, and waits until it is up again.
fn reboot(machine: &Machine, command: &str) -> anyhow::Result<()> {
    let agent = machine.agent();
    let before = agent.ready()?;
    let answer = agent.run(command);
    machine
        .ready_after(&before)
        .map(drop)
        .map_err(|error| anyhow::anyhow!("{error:#}; `{command}` was answered with {answer:?}"))
}

fn a_new_generation_is_found_good(machine: &Machine) -> anyhow::Result<()> {
    a_new_generation(machine)?;
    reboot(machine, "cairn reboot")?;
    it_is_found_good(machine)
}

fn a_new_generation(machine: &Machine) -> anyhow::Result<()> {
    ensure!(booted(machine)? == "1", "the image's own entry is another");
    guest::configure(machine, "{ system.nixos.label = \"second\"; }")?;
    guest::run(machine, "cairn switch").map(drop)
}

fn it_is_found_good(machine: &Machine) -> anyhow::Result<()> {
    let line = guest::run(machine, "cat /proc/cmdline")?;
    ensure!(booted(machine)? == "2", "{line}");
    ensure!(line.contains("cairn.trial=2"), "{line}");
    // As long as it takes; the agent's patience ends it.
    guest::run(
        machine,
        "until grep -q '^cairn_good=2$' /boot/grub/grubenv; do sleep 0.2; done",
    )?;
    let listed = guest::run(machine, "cairn generations")?;
    let second = listed.lines().find(|line| line.contains("second"));
    ensure!(
        second.is_some_and(|line| ["good", "booted", "current", "default"]
            .iter()
            .all(|mark| line.contains(mark))),
        "{listed}"
    );
    Ok(())
}

fn an_older_one_boots_once(machine: &Machine) -> anyhow::Result<()> {
    let none = guest::attempt(machine, "cairn reboot --to 99")?;
    ensure!(
        none.stderr.contains("there is no generation 99"),
        "{none:?}"
    );
    reboot(machine, "cairn reboot --to 1")?;
    ensure!(booted(machine)? == "1", "another one has booted");
    let state = guest::run(machine, "head -n 6 /boot/grub/grubenv")?;
    ensure!(state.contains("cairn_good=2"), "{state}");
    ensure!(!state.contains("cairn_once=1"), "{state}");
    Ok(())
}
