//! One variant that is broken: it becomes what boots next, is started, and has to be left.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use cairn_qemu_tests::Machine;
use cairn_qemu_tests::agent::Output;
use serde::Deserialize;

/// How a variant is broken, and what is known of it afterwards.
#[derive(Debug)]
pub struct Broken {
    /// The variant.
    pub variant: &'static str,
    /// What is done to it when it is to boot next: a script, in which `$system` is its toplevel, and
    /// the store can be written.
    pub damage: &'static str,
    /// A part of the reason that the operator reads.
    pub reason: &'static str,
    /// A part of the log that is kept; empty where none can be.
    pub log: &'static str,
}

impl Broken {
    /// Tries it; gives the reason as the operator reads it.
    pub fn run(&self, machine: &Machine) -> anyhow::Result<String> {
        let name = self.variant;
        arm(machine, name)?;
        if !self.damage.is_empty() {
            damage(machine, name, self.damage)?;
        }
        restart(machine)?;
        self.is_known(machine)
    }

    /// The good generation runs again, and the operator is told why.
    pub fn is_known(&self, machine: &Machine) -> anyhow::Result<String> {
        let name = self.variant;
        wait_for_judgement(machine)?;
        let reason = reason(machine, name)?;
        ensure!(
            reason.contains(self.reason),
            "{name}: the reason is: {reason}"
        );
        let verdict = verdict(machine, name)?;
        ensure!(verdict.outcome == "failed", "{name}: {verdict:?}");
        let log = verdict.log;
        ensure!(log.contains(self.log), "{name}: the log is: {log}");
        is_back(machine)?;
        Ok(reason)
    }
}

/// Makes a variant what boots next, on trial.
pub fn arm(machine: &Machine, name: &str) -> anyhow::Result<()> {
    let output = try_to_arm(machine, name)?;
    ensure!(output.success(), "{output:?}");
    Ok(())
}

/// The same, where it may fail. What is known of earlier trials is forgotten.
pub fn try_to_arm(machine: &Machine, name: &str) -> anyhow::Result<Output> {
    let script = format!("rm -f /var/lib/cairn/boots/*; cairn boot --to 1 --specialisation {name}");
    machine.agent().run_within(&script, Duration::from_mins(3))
}

/// Runs a script that damages a variant. Where the store is mounted read-only on itself, it is taken
/// away for this script alone.
fn damage(machine: &Machine, name: &str, script: &str) -> anyhow::Result<()> {
    let system = "system=$(readlink -f /nix/var/nix/profiles/system-1-link/specialisation";
    let script = format!(
        "cat > /tmp/damage <<'END'\nset -e\numount -l /nix/store\n{system}/{name})\n{script}\nsync\nEND\n\
         unshare -m /bin/sh /tmp/damage"
    );
    machine.agent().succeed(&script).map(drop)
}

/// Restarts the machine, and waits until it runs without a trial.
pub fn restart(machine: &Machine) -> anyhow::Result<()> {
    let agent = machine.agent();
    let boot = agent.ready()?;
    agent.start("cairn reboot")?;
    wait_for_good(machine, boot)
}

/// Waits until the machine runs without a trial, in another boot than this one.
pub fn wait_for_good(
    machine: &Machine,
    mut boot: cairn_qemu_tests::agent::Boot,
) -> anyhow::Result<()> {
    let agent = machine.agent();
    loop {
        boot = machine.ready_after(&boot)?;
        // While the trial still runs, it may go down at any moment.
        match agent.run_within("cat /proc/cmdline", Duration::from_secs(30)) {
            Ok(output) if !output.stdout.contains("cairn.trial=") && output.success() => {
                return Ok(());
            }
            Ok(_) | Err(_) => {}
        }
    }
}

/// Waits until this boot has been assessed.
pub fn wait_for_judgement(machine: &Machine) -> anyhow::Result<()> {
    let script = "until cairn status boot-assessment | grep -q 'state: *\\(stopped\\|failed\\)'; do \
                  sleep 0.2; done";
    let output = machine.agent().run_within(script, Duration::from_mins(3))?;
    ensure!(output.success(), "the boot is not assessed: {output:?}");
    Ok(())
}

/// Waits until an entry is good.
pub fn wait_until_good(machine: &Machine, entry: &str) -> anyhow::Result<()> {
    let script =
        format!("until grep -aq '^cairn_good={entry}$' /boot/grub/grubenv; do sleep 0.2; done");
    let output = machine
        .agent()
        .run_within(&script, Duration::from_mins(3))?;
    ensure!(output.success(), "{entry} is not good: {output:?}");
    Ok(())
}

/// What `cairn generations` says about a variant that has failed.
pub fn reason(machine: &Machine, name: &str) -> anyhow::Result<String> {
    let text = machine.agent().succeed("cairn generations")?;
    let start = format!("1-{name} ");
    let mut lines = text.lines().skip_while(|line| !line.starts_with(&start));
    let line = lines.next().unwrap_or_default();
    let reason = lines.next().unwrap_or_default();
    let reason = reason.trim_start().strip_prefix("failed: ");
    let reason = reason.filter(|_| line.contains("failed"));
    let reason = reason.with_context(|| format!("{name} is not known to have failed:\n{text}"))?;
    Ok(reason.to_owned())
}

/// What a machine keeps of a trial.
#[derive(Debug, Deserialize)]
pub struct Verdict {
    #[serde(rename = "verdict")]
    pub outcome: String,
    pub reason: String,
    #[serde(default)]
    pub log: String,
}

/// The verdict about a variant.
pub fn verdict(machine: &Machine, name: &str) -> anyhow::Result<Verdict> {
    let path = format!("/var/lib/cairn/boots/1-{name}.json");
    let text = machine.agent().succeed(&format!("cat {path}"))?;
    serde_json::from_str(&text).with_context(|| format!("{path}: {text}"))
}

/// What runs and what boots next is the good generation, and nothing is on trial.
pub fn is_back(machine: &Machine) -> anyhow::Result<()> {
    let state = machine.agent().succeed(
        "grep -a -e ^cairn_good -e ^cairn_trial /boot/grub/grubenv; readlink /run/booted-system; \
         readlink /nix/var/nix/profiles/system; readlink -f /nix/var/nix/profiles/system",
    )?;
    let lines: Vec<_> = state.lines().collect();
    let [good, trial, booted, profile, system] = lines.as_slice() else {
        anyhow::bail!("{state}");
    };
    ensure!(
        *good == "cairn_good=1" && *trial == "cairn_trial=",
        "{state}"
    );
    ensure!(booted == system && *profile == "system-1-link", "{state}");
    Ok(())
}
