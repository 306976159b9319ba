//! An installation that is cut off in each of its steps, by a process that is killed and by the power:
//! nothing stays mounted, and the same command finishes it.

use std::ops::RangeInclusive;
use std::time::Duration;

use anyhow::ensure;
use cairn_qemu_tests::{Boot, Machine};

use crate::installed;
use crate::medium::{ANSWERS, disks, give_answers, install, keep, live, nothing_is_left};

/// How many steps an installation tells.
const STEPS: usize = 9;

/// One step may take as long as an installation.
const PATIENCE: Duration = Duration::from_mins(15);

/// Begins an installation in the guest, and waits until it tells this step.
fn begun(step: usize) -> String {
    format!(
        "cairn install --answers {ANSWERS} --yes > /tmp/told 2>&1 & first=$!; \
         until grep -q '^cairn: {step}/{STEPS}: ' /tmp/told; do \
         kill -0 $first || {{ cat /tmp/told; exit 9; }}; sleep 0.02; done; "
    )
}

/// The process that does it is killed, and who waits for it is asked to end, in each of these steps.
fn killed_in(name: &str, steps: RangeInclusive<usize>) -> anyhow::Result<()> {
    let [target, other] = disks(name)?;
    let machine = live(&format!("install-{name}"), Boot::Bios, &[&target, &other])?.start()?;
    machine.agent().ready()?;
    give_answers(
        &machine,
        "layout.encryption.passphrase = 'x'\nlayout.swap-mib = 64\n",
    )?;
    for step in steps {
        machine.check(&format!("killed in step {step}"), |machine| {
            killed(
                machine,
                step,
                "kill -9 $(cat /proc/$first/task/$first/children)",
            )
        })?;
        machine.check(&format!("asked to end in step {step}"), |machine| {
            killed(machine, step, "kill -TERM $first")
        })?;
    }
    Ok(())
}

#[test]
#[ignore = "long: cargo xtask torture install"]
fn killed_while_the_disk_is_divided() -> anyhow::Result<()> {
    killed_in("killed-early", 1..=3)
}

#[test]
#[ignore = "long: cargo xtask torture install"]
fn killed_while_the_system_is_written() -> anyhow::Result<()> {
    killed_in("killed", 4..=6)
}

#[test]
#[ignore = "long: cargo xtask torture install"]
fn killed_at_the_end() -> anyhow::Result<()> {
    killed_in("killed-late", 7..=STEPS)
}

/// What was open stays open, and the same again closes it.
#[test]
#[ignore = "long: cargo xtask torture install"]
fn both_processes_killed() -> anyhow::Result<()> {
    let [target, other] = disks("killed-both")?;
    let machine = live("install-killed-both", Boot::Bios, &[&target, &other])?.start()?;
    machine.agent().ready()?;
    give_answers(&machine, "layout.encryption.passphrase = 'x'\n")?;
    machine.check("both killed", |machine| {
        // The shell that waits has the pattern in its own words.
        killed(
            machine,
            5,
            "kill -9 $first; until ! pgrep -f -- '--worke[r]'; do sleep 0.1; done",
        )
    })?;
    machine.check("the same again", install)
}

/// After the last step the disk may have the whole system: then it is not installed over.
fn killed(machine: &Machine, step: usize, how: &str) -> anyhow::Result<()> {
    let script = format!("{}{how}; wait $first; echo $?; cat /tmp/told", begun(step));
    let output = machine.agent().run_within(&script, PATIENCE)?;
    if step == STEPS && output.stdout.contains("is installed") {
        return Ok(());
    }
    ensure!(output.success(), "{output:?}");
    if !how.contains("pgrep") {
        ensure!(output.stdout.contains("was cut off"), "{output:?}");
        nothing_is_left(machine)?;
    }
    Ok(())
}

fn power_cut(step: usize) -> anyhow::Result<()> {
    let name = format!("install-cut-{step}");
    let [target, other] = disks(&name)?;
    let machine = live(&name, Boot::Bios, &[&target, &other])?.start()?;
    machine.check("an installation", |machine| {
        machine.agent().ready()?;
        give_answers(machine, "")?;
        let output = machine.agent().run_within(&begun(step), PATIENCE)?;
        ensure!(output.success(), "{output:?}");
        Ok(())
    })?;
    // QEMU is killed: what the disk was not told to keep is gone with it.
    let kept = keep(&machine, 1, &format!("{name}-cut"))?;
    drop(machine);
    let machine = live(&format!("{name}-again"), Boot::Uefi, &[&kept, &other])?.start()?;
    machine.check("the same again", |machine| {
        machine.agent().ready()?;
        give_answers(machine, "")?;
        install(machine)
    })?;
    let disk = keep(&machine, 1, &format!("{name}-installed"))?;
    drop(machine);
    let machine = installed::machine(&format!("{name}-boots"), Boot::Uefi, &disk).start()?;
    machine.check("boot", |machine| {
        installed::runs(machine, "installed", 1)?;
        installed::is_whole(machine)
    })
}

#[test]
#[ignore = "long: cargo xtask torture install"]
fn a_power_cut_while_file_systems_are_made() -> anyhow::Result<()> {
    power_cut(2)
}

#[test]
#[ignore = "long: cargo xtask torture install"]
fn a_power_cut_while_the_system_is_copied() -> anyhow::Result<()> {
    power_cut(5)
}

#[test]
#[ignore = "long: cargo xtask torture install"]
fn a_power_cut_while_the_boot_loader_is_written() -> anyhow::Result<()> {
    power_cut(7)
}
