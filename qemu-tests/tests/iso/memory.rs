//! The system in memory: the medium is taken away, and it goes on.

use std::time::Duration;

use anyhow::ensure;
use cairn_qemu_tests::{Boot, Bus, Machine};
use serde_json::{Value, json};

use super::{Entry, choose, lives, machine, medium};

/// Boots the entry that copies, takes the medium away by the monitor's `command`, and uses the
/// system.
fn goes_on(
    name: &str,
    bus: Bus,
    take_away: impl FnOnce(&Machine) -> anyhow::Result<()>,
    node: &str,
) -> anyhow::Result<()> {
    let built = medium()?;
    let machine = machine(name, Boot::Bios, bus, &built.image).start()?;
    choose(&machine, Entry::CopyToRam)?;
    machine.check("copied", |machine| {
        machine.console().wait_for("can be removed")
    })?;
    lives(&machine, built)?;
    machine.check("without the medium", |machine| {
        take_away(machine)?;
        let agent = machine.agent();
        let gone = format!("until ! head -c 1 {node} > /dev/null 2>&1; do sleep 0.2; done");
        agent.run_within(&gone, Duration::from_mins(2))?;
        agent.succeed("echo 3 > /proc/sys/vm/drop_caches")?;
        agent.succeed("cat /nix/store/*/bin/* > /dev/null")?;
        let log = agent.succeed("dmesg")?;
        ensure!(!log.contains("SQUASHFS error"), "{log}");
        Ok(())
    })
}

fn monitor(machine: &Machine, command: &str, arguments: &Value) -> anyhow::Result<()> {
    machine.qmp().execute(command, arguments).map(drop)
}

#[test]
#[ignore = "long: cargo xtask torture media"]
fn a_disc_can_be_ejected() -> anyhow::Result<()> {
    let eject = |machine: &Machine| monitor(machine, "eject", &json!({"id": "cd0", "force": true}));
    goes_on("iso-memory-disc", Bus::Disc, eject, "/dev/sr0")
}

#[test]
#[ignore = "long: cargo xtask torture media"]
fn a_stick_can_be_pulled_out() -> anyhow::Result<()> {
    let pull = |machine: &Machine| monitor(machine, "device_del", &json!({"id": "usb0"}));
    goes_on("iso-memory-stick", Bus::Usb, pull, "/dev/sda")
}
