//! The demo's system, with the parts that tests need, in virtual machines.
//!
//! What only looks shares one machine, which boots with BIOS; what ends or breaks a machine has
//! one of its own.

#![cfg(test)]

mod boots;
mod bounds;
mod devices;
mod endings;
mod network;
mod services;
mod ssh;
mod surface;

use std::sync::OnceLock;
use std::time::Duration;

use cairn_qemu_tests::images::Built;
use cairn_qemu_tests::{Blueprint, Boot, Machine, images};
use cairn_system::boot_mark;

/// The tests' image, built by the first that asks, unless it is in the cache.
fn built() -> anyhow::Result<&'static Built> {
    static BUILT: OnceLock<Result<Built, String>> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        let built = images::options().and_then(|options| images::build_test(&options));
        built.map_err(|error| format!("{error:#}"))
    });
    built
        .as_ref()
        .map_err(|error| anyhow::anyhow!("cannot build the tests' image: {error}"))
}

fn blueprint(name: &str, boot: Boot) -> anyhow::Result<Blueprint> {
    Ok(Blueprint::new(name, boot)
        .disk(&built()?.image)
        .memory_mib(768)
        .deadline(Duration::from_mins(12))
        .ssh())
}

/// A machine whose services are up.
fn boot(name: &str, boot: Boot) -> anyhow::Result<Machine> {
    let machine = blueprint(name, boot)?.start()?;
    machine.check("boot", up)?;
    eprint!("{}", machine.timeline());
    Ok(machine)
}

fn up(machine: &Machine) -> anyhow::Result<()> {
    machine.console().wait_for(boot_mark::BOOT_DONE)?;
    machine.agent().ready()?;
    Ok(())
}

/// The machine for tests that change nothing that matters to others.
#[derive(Debug)]
struct Shared {
    machine: Machine,
    /// `/proc/mounts` before any test has done something.
    mounts: String,
    /// Process id, parent's id, state and name of each process, likewise.
    processes: String,
}

fn shared() -> anyhow::Result<&'static Shared> {
    static SHARED: OnceLock<Result<Shared, String>> = OnceLock::new();
    let shared = SHARED.get_or_init(|| start_shared().map_err(|error| format!("{error:#}")));
    shared.as_ref().map_err(|error| anyhow::anyhow!("{error}"))
}

fn start_shared() -> anyhow::Result<Shared> {
    let machine = boot("shared", Boot::Bios)?;
    let agent = machine.agent();
    // Who judges the boot is there for some seconds after it.
    agent.succeed(
        "while cairn status --json boot-assessment | grep -q '\"state\":\"up\"'; do sleep 0.5; done",
    )?;
    Ok(Shared {
        mounts: agent.succeed("cat /proc/mounts")?,
        processes: agent.succeed("ps -e -o pid=,ppid=,stat=,comm=")?,
        machine,
    })
}

fn look(what: &str, body: impl FnOnce(&Machine) -> anyhow::Result<()>) -> anyhow::Result<()> {
    shared()?.machine.check(what, body)
}
