//! A machine that forgets what it has become, also if its power is cut meanwhile.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use cairn_qemu_tests::images;
use cairn_qemu_tests::power_cut::cut::{self, Cut, Medium};
use cairn_qemu_tests::power_cut::disk::Disk as Cutoff;
use cairn_qemu_tests::power_cut::ext4::{Ext4, Ext4Error};
use cairn_qemu_tests::power_cut::journal;
use cairn_qemu_tests::power_cut::recording::{Recorder, Recording};
use cairn_qemu_tests::power_cut::working_copy::WorkingCopy;
use cairn_qemu_tests::{Blueprint, Boot, Bus, DirectKernel, Disk, Machine, Writes, artefacts};
use cairn_system::factory_reset::REQUEST;

use super::{ordered, power_off, up, variant};

const DONE: &str = "factory reset: done";
/// What outlives it.
const KEPT: &str = "/etc/nixos/note";

#[test]
#[ignore = "long: cargo xtask torture storage"]
fn a_machine_as_it_was_when_it_was_new() -> anyhow::Result<()> {
    let name = "storage-factory";
    let machine = ordered(name, &variant("factory")?, &[], Writes::Discarded, "")?;
    machine.check("modules", |machine| {
        up(machine)?;
        let agent = machine.agent();
        agent.succeed("test -d /sys/class/net/dummy2").map(drop)
    })?;
    machine.check("reset", |machine| {
        let agent = machine.agent();
        let id = agent.succeed("cat /etc/machine-id")?;
        agent.succeed(
            "set -e
            mkdir -p /etc/nixos /home/anna
            echo kept > /etc/nixos/note
            for file in /root/note /home/anna/note /var/lib/note /note; do echo lost > $file; done
            chmod 0 /root/note
            ln -s /nix /var/lib/link
            sync",
        )?;
        refusals(machine)?;
        let said =
            agent.succeed("cairn factory-reset --yes && cairn factory-reset --cancel 2>&1")?;
        ensure!(said.contains(PLAN) && said.ends_with(CALLED_OFF), "{said}");
        agent.succeed(NOT_ASKED)?;
        let before = agent.ready()?;
        agent.start("cairn factory-reset --yes --reboot")?;
        machine.ready_after(&before)?;
        machine.console().wait_for(DONE)?;
        let agent = machine.agent();
        let left = agent.succeed("find / -xdev -name note -o -name factory-reset")?;
        ensure!(left == "/etc/nixos/note", "{left}");
        let after = agent.succeed("cat /etc/machine-id")?;
        ensure!(after != id, "it is still {id}");
        agent.succeed("until cairn status > /tmp/status; do sleep 0.2; done")?;
        power_off(machine)
    })
}

/// What is said before it is asked for.
const PLAN: &str = "At the next boot, generation 2 (the default) does a factory reset:
  removed: everything else in the file systems /
  kept:    /nix, /boot, /etc/nixos
";
/// What is said of one that was taken back.
const CALLED_OFF: &str = "cairn: the factory reset is called off";

/// Whether nothing is asked for.
const NOT_ASKED: &str = "test ! -e /nix/var/cairn/factory-reset";

/// Makes the variant that runs what boots by default; this machine boots it without a boot loader.
const BY_DEFAULT: &str =
    "ln -s $(readlink -f /run/current-system) /nix/var/nix/profiles/system-2-link &&
    cairn boot --to 2";

/// Nothing is asked for where it would not be done, or by nobody. The system is the default afterwards.
fn refusals(machine: &Machine) -> anyhow::Result<()> {
    let agent = machine.agent();
    let refused = |said: &str| {
        let output = agent.run("cairn factory-reset --yes")?;
        ensure!(
            !output.success() && output.stderr.contains(said),
            "{output:?}"
        );
        anyhow::Ok(())
    };
    refused("generation 1 (the default) has boot.factoryReset.enable off")?;
    agent.succeed(BY_DEFAULT)?;
    agent.succeed("mount --bind /nix/var /nix/var && mount -o remount,bind,ro /nix/var")?;
    refused("cannot write to '/nix/var")?;
    agent.succeed("umount /nix/var")?;
    let output = agent.run("cairn factory-reset < /dev/null")?;
    let said = "nobody can be asked whether this is right: say --yes; nothing is changed";
    ensure!(
        !output.success() && output.stderr.contains(said),
        "{output:?}"
    );
    agent.succeed(NOT_ASKED).map(drop)
}

/// How many files there are to be forgotten, in as many folders.
const NOTES: usize = 60;
/// Cuts that are judged.
const CUTS: usize = 120;

/// Wherever it is cut off: either nothing is gone, or the request is there, or nothing is left. From the
/// middle, the next boot comes to the end.
#[test]
#[ignore = "long: cargo xtask torture storage"]
fn a_factory_reset_that_is_cut_off() -> anyhow::Result<()> {
    let name = "storage-cut";
    let folder = tempfile::tempdir_in(artefacts::root()?)?;
    let system = variant("factory")?;
    // What is in a folder is on the disk one by one, and not all in the one transaction of a fast machine.
    let orders = "rootflags=dirsync";
    let kernel = images::direct_kernel(&images::options()?, &system, orders)?;
    let machine = start(name, kernel.clone(), &system.image, Writes::Recorded)?;
    machine.check("make notes", |machine| {
        up(machine)?;
        machine
            .agent()
            .succeed(&format!(
                "set -e
                mkdir -p /etc/nixos
                echo kept > {KEPT}
                for number in $(seq {NOTES}); do
                    mkdir /var/lib/notes-$number
                    echo lost > /var/lib/notes-$number/note
                done
                {BY_DEFAULT}"
            ))
            .map(drop)
    })?;
    let mut recorder = Recorder::new(&machine)?;
    recorder.step("reset", |course| {
        let agent = course.machine.agent();
        let before = agent.ready()?;
        agent.start("cairn factory-reset --yes --reboot")?;
        course.machine.ready_after(&before)?;
        course.machine.console().wait_for(DONE)
    })?;
    power_off(&machine)?;
    let recording = recorder.finish(&system.image, folder.path())?;
    let halves = judge(&recording, &system.toplevel)?;
    let half = halves.get(halves.len() / 2);
    let half = half.context("no cut was in the middle of it")?;
    eprintln!(
        "{} of {CUTS} cuts are in the middle of it: {half}",
        halves.len()
    );

    let all = 0..recording.length()?;
    let image = folder.path().join("half.img");
    let mut copy = WorkingCopy::create(&recording.image, all, image)?;
    let mut medium = Medium::new(&recording.log, 1);
    let (sure, rest) = medium.cut(half);
    copy.set(&Cutoff::new(
        &recording.image,
        &recording.content,
        vec![sure, &rest],
    ))?;
    let again = start(
        &format!("{name}-again"),
        kernel,
        copy.path(),
        Writes::Discarded,
    )?;
    again.check("goes on", |machine| {
        machine.console().wait_for(DONE)?;
        up(machine)?;
        let agent = machine.agent();
        let left = agent.succeed("find / -xdev -name note -o -name factory-reset")?;
        ensure!(left == KEPT, "{left}");
        let status = agent.succeed("until cairn status --json; do sleep 0.2; done")?;
        ensure!(
            !status.contains("\"failed\""),
            "a service has failed: {status}"
        );
        power_off(machine)
    })
}

fn start(
    name: &str,
    kernel: DirectKernel,
    image: &Path,
    writes: Writes,
) -> anyhow::Result<Machine> {
    Blueprint::new(name, Boot::Direct(kernel))
        .any_disk(Disk {
            image: image.to_owned(),
            writes,
            bus: Bus::VirtioBlk,
        })
        .memory_mib(768)
        .processors(2)
        .deadline(Duration::from_mins(6))
        .start()
}

/// Looks at what cuts leave; those in the middle.
fn judge(recording: &Recording, toplevel: &str) -> anyhow::Result<Vec<Cut>> {
    let root = recording.root()?.start;
    let step = recording.steps.first().context("nothing is recorded")?;
    let mut medium = Medium::new(&recording.log, 1);
    let mut halves = Vec::new();
    for cut in cut::choose(&recording.log, &step.entries, CUTS, 1) {
        let (sure, rest) = medium.cut(&cut);
        let disk = Cutoff::new(&recording.image, &recording.content, vec![sure, &rest]);
        let replay = journal::replay(&disk, root).with_context(|| cut.to_string())?;
        let system = Ext4::open(disk.with(&replay.layer), root)?;
        let is_there = |path: &str| match system.find(path) {
            Ok(_) => Ok(true),
            Err(Ext4Error::NotFound(_)) => Ok(false),
            Err(error) => Err(error).with_context(|| format!("{cut}: {path}")),
        };
        for path in [KEPT, &format!("{toplevel}/init")] {
            ensure!(is_there(path)?, "{cut}: {path} is gone");
        }
        let notes = (1..=NOTES)
            .map(|number| is_there(&format!("/var/lib/notes-{number}/note")))
            .collect::<anyhow::Result<Vec<bool>>>()?;
        let left = notes.iter().filter(|there| **there).count();
        let asked = is_there(REQUEST)?;
        ensure!(
            asked || left == 0 || left == NOTES,
            "{cut}: {left} of {NOTES} notes are left, and the next boot does not go on"
        );
        if asked && (1..NOTES).contains(&left) {
            halves.push(cut);
        }
    }
    Ok(halves)
}
