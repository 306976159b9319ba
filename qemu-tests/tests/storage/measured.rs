//! A root that the TPM opens: `boot.initrd.luks.devices.<name>.tpm2`, `cairn tpm2`.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use cairn_qemu_tests::{Blueprint, Boot, Bus, Disk, Machine, Writes, images};
use tempfile::TempDir;

use super::passphrase::PASSPHRASE;
use super::{Disks, format, mounted, power_off, prepare, up, variant};

const QUESTION: &str = "passphrase of LABEL=measured (measured): ";
const PIN_QUESTION: &str = "PIN or passphrase of LABEL=measured (measured): ";

/// A PIN of people's, and one that is not it.
const PIN: &str = "2718 \u{e9}";
const WRONG_PIN: &str = "2719";

#[test]
#[ignore = "long: cargo xtask torture storage"]
fn a_root_that_the_tpm_opens_for_a_pin() -> anyhow::Result<()> {
    let disks = encrypted("storage-pin")?;
    let [disk] = disks.images.as_slice() else {
        anyhow::bail!("there is one disk");
    };
    let tpm = TempDir::new()?;
    let machine = boots("pin-enrol", disk, Some(tpm.path()), |machine| {
        asked(machine, "it has no key; make one: cairn tpm2 enrol")?;
        let agent = machine.agent();
        let output = agent.run(&format!(
            "echo '{PASSPHRASE}' | cairn tpm2 enrol --pin /dev/vdb"
        ))?;
        ensure!(
            !output.success() && format!("{output:?}").contains("there is no PIN"),
            "{output:?}"
        );
        enrol(machine)?;
        enrol_with_pin(machine)
    })?;
    let machine = boots("pin", written(&machine)?, Some(tpm.path()), |machine| {
        let console = machine.console();
        console.expect(PIN_QUESTION)?;
        console.send_line(WRONG_PIN)?;
        console.expect("wrong PIN or passphrase")?;
        console.expect(PIN_QUESTION)?;
        console.send_line(PIN)?;
        up(machine)?;
        nothing_is_left(machine)
    })?;
    let machine = boots(
        "pin-passphrase",
        written(&machine)?,
        Some(tpm.path()),
        |machine| {
            let console = machine.console();
            console.expect(PIN_QUESTION)?;
            console.send_line(PASSPHRASE)?;
            up(machine)?;
            let more = format!("tpm2 pcrextend 7:sha256={}", "01".repeat(32));
            machine.agent().succeed(&more)?;
            enrol_with_pin(machine)
        },
    )?;
    boots(
        "pin-changed",
        written(&machine)?,
        Some(tpm.path()),
        |machine| {
            let console = machine.console();
            console.expect(PIN_QUESTION)?;
            console.send_line(PIN)?;
            console.expect("the TPM: the machine was not started as when the key was made")?;
            console.expect(PIN_QUESTION)?;
            console.send_line(PASSPHRASE)?;
            up(machine)
        },
    )
    .map(drop)
}

#[test]
#[ignore = "long: cargo xtask torture storage"]
fn a_root_that_the_tpm_opens_while_the_machine_is_what_it_was() -> anyhow::Result<()> {
    let disks = encrypted("storage-measured")?;
    let [disk] = disks.images.as_slice() else {
        anyhow::bail!("there is one disk");
    };
    let tpm = TempDir::new()?;
    let machine = boots("no-key", disk, Some(tpm.path()), |machine| {
        asked(machine, "it has no key; make one: cairn tpm2 enrol")?;
        enrol(machine)
    })?;
    let machine = boots("key", written(&machine)?, Some(tpm.path()), |machine| {
        unasked(machine)?;
        // Whatever another kernel or firmware would measure: a key for a machine that this one is no more.
        let more = format!("tpm2 pcrextend 7:sha256={}", "01".repeat(32));
        machine.agent().succeed(&more)?;
        enrol(machine)
    })?;
    let machine = boots("changed", written(&machine)?, Some(tpm.path()), |machine| {
        let reason = "the machine was not started as when the key was made: PCR 7 differs";
        asked(machine, reason)?;
        refusals(machine)?;
        enrol(machine)
    })?;
    let another = TempDir::new()?;
    boots(
        "another",
        written(&machine)?,
        Some(another.path()),
        |machine| {
            let reason = "another TPM has made the key, or this one was cleared";
            asked(machine, reason)
        },
    )?;
    boots("none", written(&machine)?, None, |machine| {
        let reason = "there is none after 3 s; check the firmware's settings";
        asked(machine, reason)?;
        let agent = machine.agent();
        let output = agent.run("echo x | cairn tpm2 enrol /dev/vdb")?;
        ensure!(
            format!("{output:?}").contains("there is no TPM"),
            "{output:?}"
        );
        agent.succeed("cairn tpm2 remove /dev/vdb")?;
        let slots = key_slots(machine)?;
        ensure!(slots == "0", "{slots}");
        Ok(())
    })
    .map(drop)
}

/// A disk that a passphrase alone opens.
fn encrypted(name: &str) -> anyhow::Result<Disks> {
    let script = format!(
        "set -eux
        {}
        mkfs.ext4 -q /dev/mapper/measured
        cryptsetup close measured",
        format("measured", "/dev/vdb")
    );
    prepare(name, 1, &script)
}

/// Boots a machine with its root on this disk, and a TPM with this state.
fn boots(
    name: &str,
    disk: &Path,
    tpm: Option<&Path>,
    work: impl FnOnce(&Machine) -> anyhow::Result<()>,
) -> anyhow::Result<Machine> {
    let system = variant("measured")?;
    let kernel = images::direct_kernel(&images::options()?, &system, "")?;
    let name = format!("storage-measured-{name}");
    let blueprint = Blueprint::new(&name, Boot::Direct(kernel))
        .disk(&system.image)
        .any_disk(Disk {
            image: disk.to_owned(),
            writes: Writes::Copied,
            bus: Bus::VirtioBlk,
        })
        .memory_mib(768)
        .processors(2)
        .deadline(Duration::from_mins(4));
    let machine = match tpm {
        Some(state) => blueprint.tpm(state),
        None => blueprint,
    }
    .start()?;
    machine.check(&name, |machine| {
        work(machine)?;
        power_off(machine)
    })?;
    Ok(machine)
}

/// The disk as a machine has left it, while the machine is kept.
fn written(machine: &Machine) -> anyhow::Result<&Path> {
    machine.disk(1).context("a disk is missing")
}

/// The machine says why it asks, and asks.
fn asked(machine: &Machine, reason: &str) -> anyhow::Result<()> {
    let console = machine.console();
    console.expect(&format!("cannot open measured with the TPM: {reason}"))?;
    console.expect(QUESTION)?;
    console.send_line(PASSPHRASE)?;
    up(machine)?;
    let root = mounted(machine, "/")?;
    ensure!(root.starts_with("/dev/mapper/measured / ext4 rw"), "{root}");
    Ok(())
}

/// The machine opens its root by itself, and leaves nothing in the TPM, and nothing of the key in files.
fn unasked(machine: &Machine) -> anyhow::Result<()> {
    up(machine)?;
    let said = machine.console().tail(10_000);
    ensure!(!said.contains("passphrase"), "{said}");
    nothing_is_left(machine)
}

/// Nothing is left in the TPM, and nothing of the key in files.
fn nothing_is_left(machine: &Machine) -> anyhow::Result<()> {
    machine.agent().succeed(
        "set -eux
        dmesg | grep 'measured is open'
        test -z \"$(tpm2 getcap handles-transient)\"
        test -z \"$(tpm2 getcap handles-loaded-session)\"
        test -z \"$(tpm2 getcap handles-saved-session)\"
        test -z \"$(ls /tmp)\"",
    )?;
    Ok(())
}

/// Makes a key that takes nobody; there is one however often one was made.
fn enrol(machine: &Machine) -> anyhow::Result<()> {
    let agent = machine.agent();
    let script = format!("echo '{PASSPHRASE}' | cairn tpm2 enrol /dev/vdb");
    let said = agent.succeed(&script)?;
    ensure!(
        said.trim_end() == "this machine's TPM opens /dev/vdb",
        "{said}"
    );
    is_enrolled(machine)
}

/// Makes a key that takes the PIN, in place of the one before.
fn enrol_with_pin(machine: &Machine) -> anyhow::Result<()> {
    let script = format!("printf '%s\\n' '{PASSPHRASE}' '{PIN}' | cairn tpm2 enrol --pin /dev/vdb");
    let said = machine.agent().succeed(&script)?;
    ensure!(
        said.trim_end() == "this machine's TPM opens /dev/vdb for the PIN",
        "{said}"
    );
    is_enrolled(machine)
}

/// There is one key of the TPM, and nothing of it in memory's files.
fn is_enrolled(machine: &Machine) -> anyhow::Result<()> {
    let agent = machine.agent();
    let tokens = agent.succeed("cryptsetup luksDump /dev/vdb | grep -c systemd-tpm2")?;
    ensure!(tokens.trim() == "1", "{tokens} tokens");
    let slots = key_slots(machine)?;
    ensure!(slots.split_whitespace().count() == 2, "{slots}");
    agent.succeed("test -z \"$(ls /run | grep cairn-tpm2)\"")?;
    Ok(())
}

/// What cannot be done leaves the header as it is.
fn refusals(machine: &Machine) -> anyhow::Result<()> {
    let agent = machine.agent();
    let dump = "cryptsetup luksDump /dev/vdb";
    let before = agent.succeed(dump)?;
    for (script, complaint) in [
        (
            "echo wrong | cairn tpm2 enrol /dev/vdb",
            "No key available with this passphrase",
        ),
        (
            "echo x | cairn tpm2 enrol /dev/vda",
            "is not a valid LUKS device",
        ),
        (
            "cairn tpm2 enrol /dev/vdb < /dev/null",
            "there is no passphrase",
        ),
        (
            "echo x | cairn tpm2 enrol --pcrs 24 /dev/vdb",
            "24 is not in 0..24",
        ),
    ] {
        let output = agent.run(script)?;
        ensure!(!output.success(), "{script}: {output:?}");
        let said = format!("{output:?}");
        ensure!(said.contains(complaint), "{script}: {said}");
    }
    let after = agent.succeed(dump)?;
    // Epochs count writes: a slot that came and went would be seen.
    ensure!(after == before, "{before}\n{after}");
    Ok(())
}

fn key_slots(machine: &Machine) -> anyhow::Result<String> {
    let slots = "cryptsetup luksDump /dev/vdb | sed -n 's/^  \\([0-9]*\\): luks2$/\\1/p'";
    Ok(machine.agent().succeed(slots)?.trim().to_owned())
}
