//! The live medium, as a disc, as a stick and as a file. Two boots are for every test run; the others
//! are ignored there, and run by `cargo xtask torture media`.

mod beside;
mod changes;
mod damage;
mod memory;
mod sources;

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::ensure;
use cairn_qemu_tests::images::{self, Built};
use cairn_qemu_tests::{Blueprint, Boot, Bus, Disk, Machine, Writes, live};

/// The place of an entry in the medium's menu; the first is booted if nobody chooses.
#[derive(Clone, Copy)]
enum Entry {
    CopyToRam = 1,
    Check = 4,
    Installed = 6,
}

/// The medium, built once.
fn medium() -> anyhow::Result<&'static Built> {
    static BUILT: OnceLock<Built> = OnceLock::new();
    if let Some(built) = BUILT.get() {
        return Ok(built);
    }
    let file = images::with_agent("live")?;
    let built = images::build_image("iso", "live", &file, &images::options()?)?;
    Ok(BUILT.get_or_init(|| built))
}

/// A machine with `image` as its first disk, of which it boots.
fn machine(name: &str, boot: Boot, bus: Bus, image: &Path) -> Blueprint {
    Blueprint::new(name, boot)
        .any_disk(Disk {
            image: image.to_owned(),
            writes: Writes::Discarded,
            bus,
        })
        .memory_mib(1024)
        .deadline(Duration::from_mins(12))
}

/// Goes to `entry` in the menu, and boots it.
fn choose(machine: &Machine, entry: Entry) -> anyhow::Result<()> {
    // Of one byte: a serial port keeps sixteen that nobody has read, and half an arrow is an escape.
    const DOWN: &[u8] = b"v";
    machine.check("menu", |machine| {
        machine.console().wait_for("copied to memory")?;
        for _ in 0..entry as usize {
            machine.console().send(DOWN)?;
        }
        machine.console().send(b"\r")
    })
}

/// The agent answers from the medium's system, which can be written to.
fn lives(machine: &Machine, built: &Built) -> anyhow::Result<()> {
    machine.check("live system", |machine| {
        let agent = machine.agent();
        live::runs(agent, &built.toplevel)?;
        live::check(agent)?;
        agent.succeed("test -s /nix/var/nix/db/db.sqlite")?;
        let profile = agent.succeed("readlink -f /nix/var/nix/profiles/system")?;
        ensure!(profile.trim() == built.toplevel, "{profile}");
        Ok(())
    })
}
