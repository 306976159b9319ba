//! What is more than one broken variant.

use std::time::Duration;

use anyhow::ensure;
use cairn_qemu_tests::Machine;
use cairn_qemu_tests::freeze::freeze;

use super::ordeal::{
    Broken, arm, is_back, reason, restart, try_to_arm, verdict, wait_for_good, wait_for_judgement,
    wait_until_good,
};
use super::table::NOTHING;

/// Where the new files have no room, nothing changes.
pub fn no_room(machine: &Machine) -> anyhow::Result<String> {
    let agent = machine.agent();
    // Only the last of it is written: 4096 blocks are ext4's own.
    let fill = "fallocate -l $(($(stat -f -c '(%f - 4096) * %S' /boot))) /boot/filler; \
                dd if=/dev/zero of=/boot/filler bs=64k oflag=append conv=notrunc 2> /dev/null; sync; true";
    agent.succeed(fill)?;
    let output = try_to_arm(machine, "damaged-kernel");
    agent.succeed("rm /boot/filler")?;
    let output = output?;
    ensure!(!output.success(), "{output:?}");
    is_back(machine)?;
    let said = output.stderr.lines().last().unwrap_or_default();
    Ok(said.to_owned())
}

/// The processor stops with interrupts off while the trial runs.
pub fn hangs_hard(machine: &Machine) -> anyhow::Result<String> {
    arm(machine, "hangs-hard")?;
    let agent = machine.agent();
    let boot = agent.ready()?;
    agent.start("cairn reboot")?;
    let trial = machine.ready_after(&boot)?;
    let script = "until grep -qx active $(grep -lx 'i6300ESB timer' /sys/class/watchdog/*/identity | \
                  sed 's/identity$/state/'); do sleep 0.2; done; cat /proc/cmdline";
    let output = agent.run_within(script, Duration::from_mins(2))?;
    ensure!(
        output.success(),
        "no watchdog of hardware is armed: {output:?}"
    );
    ensure!(
        output.stdout.contains("cairn.trial=1-hangs-hard"),
        "another generation runs: {output:?}"
    );
    freeze(machine)?;
    wait_for_good(machine, trial)?;
    let broken = Broken {
        variant: "hangs-hard",
        damage: "",
        reason: NOTHING,
        log: "",
    };
    broken.is_known(machine)
}

/// A failure of which there can be no report is noted when there is room again.
pub fn fills_disk(machine: &Machine) -> anyhow::Result<String> {
    arm(machine, "fills-disk")?;
    restart(machine)?;
    wait_for_judgement(machine)?;
    let agent = machine.agent();
    let full = agent.run("echo x > /var/lib/x")?;
    ensure!(!full.success(), "the disk has room: {full:?}");
    agent.succeed("rm /var/lib/filler /var/lib/filler-too; sync")?;
    restart(machine)?;
    let broken = Broken {
        variant: "fills-disk",
        damage: "",
        reason: NOTHING,
        log: "",
    };
    broken.is_known(machine)
}

/// What both generations need is not there.
pub fn nothing_is_well(machine: &Machine) -> anyhow::Result<String> {
    let agent = machine.agent();
    agent.succeed("touch /var/lib/ill; sync")?;
    arm(machine, "good")?;
    restart(machine)?;
    let boot = agent.ready()?;
    wait_for_judgement(machine)?;
    let of_trial = reason(machine, "good")?;
    ensure!(
        of_trial.contains("health check 'well' failed"),
        "{of_trial}"
    );
    // Its exit status says the same.
    let status = agent.succeed("! cairn status")?;
    let said = status.lines().find(|line| line.contains("is not well"));
    let said = said.unwrap_or_default().to_owned();
    let wanted = "generation 1 is the last good one, and is not well: health check 'well' failed";
    ensure!(said.contains(wanted), "{status}");
    machine.console().wait_for(&said)?;
    let listed = agent.succeed("cairn generations")?;
    let line = listed.lines().find(|line| line.starts_with("1 "));
    let line = line.unwrap_or_default();
    ensure!(
        line.contains("last good") && line.contains("failed"),
        "{listed}"
    );
    is_back(machine)?;
    // It has judged, and stays: another boot would have another id.
    ensure!(agent.ready()? == boot, "the machine has restarted");
    agent.succeed("rm /var/lib/ill; sync")?;
    restart(machine)?;
    wait_for_judgement(machine)?;
    let listed = agent.succeed("cairn generations")?;
    let line = listed.lines().find(|line| line.starts_with("1 "));
    ensure!(!line.unwrap_or_default().contains("failed"), "{listed}");
    Ok(said)
}

/// A variant with nothing wrong becomes what boots for good; then the older one is taken again.
pub fn good(machine: &Machine) -> anyhow::Result<String> {
    arm(machine, "good")?;
    let agent = machine.agent();
    let boot = agent.ready()?;
    agent.start("cairn reboot")?;
    machine.ready_after(&boot)?;
    wait_until_good(machine, "1-good")?;
    let guard = agent.succeed(
        "until ! pgrep -f ^@cairn-guard; do sleep 0.2; done; cat /run/cairn/trial-judged",
    )?;
    ensure!(guard.ends_with("good"), "{guard}");
    let state = agent.succeed("grep -a -e ^cairn_trial /boot/grub/grubenv")?;
    ensure!(state == "cairn_trial=", "{state}");
    let verdict = verdict(machine, "good")?;
    ensure!(verdict.outcome == "good", "{verdict:?}");
    agent.succeed("cairn switch --to 1")?;
    let boot = agent.ready()?;
    agent.start("cairn reboot")?;
    wait_for_good(machine, boot)?;
    is_back(machine)?;
    Ok(verdict.reason)
}
