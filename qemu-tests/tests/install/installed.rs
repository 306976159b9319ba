//! What an installed machine is held to.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use cairn_qemu_tests::{Blueprint, Boot, Bus, Disk, Machine, Writes, guest};

/// A machine with nothing but this disk; what it writes is kept.
pub fn machine(name: &str, boot: Boot, disk: &Path) -> Blueprint {
    Blueprint::new(name, boot)
        .any_disk(Disk {
            image: disk.to_owned(),
            writes: Writes::Copied,
            bus: Bus::VirtioBlk,
        })
        .memory_mib(1024)
        .deadline(Duration::from_mins(15))
}

/// It is up by itself, and runs the generation with this label and number.
pub fn runs(machine: &Machine, label: &str, number: u64) -> anyhow::Result<()> {
    guest::up(machine)?;
    let agent = machine.agent();
    let booted = agent.succeed("tr ' ' '\\n' < /proc/cmdline | grep ^cairn.generation=")?;
    ensure!(
        booted == format!("cairn.generation={number}"),
        "{booted} has booted"
    );
    let system = agent.succeed("grep '\"label\"' /run/current-system/boot.json")?;
    ensure!(system.contains(label), "{system} runs, and not {label}");
    Ok(())
}

/// Its store, its profile, its users and its files are those of a whole system.
pub fn is_whole(machine: &Machine) -> anyhow::Result<()> {
    let agent = machine.agent();
    let system = agent.succeed("readlink -f /run/current-system")?;
    let profile = agent.succeed("readlink -f /nix/var/nix/profiles/system")?;
    ensure!(profile == system, "{profile} is the profile's");
    let store = agent.succeed("stat -c '%a %u %g' /nix/store")?;
    ensure!(store == "1775 0 30000", "{store}");
    agent.succeed("test -L /nix/var/nix/gcroots/profiles")?;
    let owners = agent.succeed("find /nix/store -maxdepth 1 ! -user 0 | head -n 3")?;
    ensure!(owners.is_empty(), "{owners} is somebody else's");
    // Nothing that is needed is garbage.
    agent.succeed("cairn gc --dry-run --json > /tmp/garbage")?;
    let needed =
        agent.succeed("grep -c -F \"$(readlink -f /run/current-system)\" /tmp/garbage || true")?;
    ensure!(needed == "0", "the system is garbage");
    let status = agent.run("cairn status")?;
    ensure!(status.success(), "{status:?}");
    Ok(())
}

/// The configuration that the installer has written is what the machine goes on from: a switch without a
/// network, and back.
pub fn switches(machine: &Machine, label: &str) -> anyhow::Result<()> {
    let file = "/etc/nixos/configuration.nix";
    let change = format!(
        "sed -i 's/label = lib.mkDefault \"[a-z]*\"/label = lib.mkDefault \"{label}\"/' {file} && \
         grep -c 'mkDefault \"{label}\"' {file}"
    );
    let changed = guest::run(machine, &change)?;
    ensure!(changed.trim() == "1", "{changed}");
    guest::run(machine, "cairn switch").map(drop)
}

/// The generation that runs is found good.
pub fn is_found_good(machine: &Machine, number: u64) -> anyhow::Result<()> {
    let script =
        format!("until grep -q '^cairn_good={number}$' /boot/grub/grubenv; do sleep 0.2; done");
    guest::run(machine, &script).map(drop)
}

/// What is mounted on `point`: device and type.
pub fn mounted(machine: &Machine, point: &str) -> anyhow::Result<(String, String)> {
    let mounts = machine.agent().succeed("cat /proc/mounts")?;
    let words = mounts
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>())
        .find(|words| words.get(1) == Some(&point));
    let words = words.with_context(|| format!("nothing is mounted on {point}: {mounts}"))?;
    match words.as_slice() {
        [device, _, kind, ..] => Ok(((*device).to_owned(), (*kind).to_owned())),
        _ => anyhow::bail!("no line of a mount: {words:?}"),
    }
}
