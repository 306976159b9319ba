//! A machine that changes its own generation, and its operator.
//!
//! The image is that of `configurations/generations.nix`; in the guest, `/etc/nixos` has the same
//! configuration, and what is to be different is written there.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, ensure};
use cairn_system::boot_mark;

use crate::agent::Output;
use crate::images::{self, Built};
use crate::{Blueprint, Boot, Machine};

/// An evaluation and a build in a guest whose processor is emulated.
const PATIENCE: Duration = Duration::from_mins(15);

/// Bytes of a file that go into one command: written out, they are five times as long, and the kernel
/// takes 128 KiB in one argument.
const PIECE: usize = 20 << 10;

/// The image, built by the first that asks, unless it is in the cache.
///
/// # Errors
/// The image cannot be built.
pub fn built() -> anyhow::Result<&'static Built> {
    static BUILT: OnceLock<Result<Built, String>> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        let build = || {
            images::build(
                "generations",
                &images::with_agent("generations")?,
                &images::options()?,
            )
        };
        build().map_err(|error| format!("{error:#}"))
    });
    built
        .as_ref()
        .map_err(|error| anyhow::anyhow!("cannot build the image of generations: {error}"))
}

/// What such a machine consists of; what it writes is kept until it ends.
///
/// # Errors
/// As for [`built`].
pub fn blueprint(name: &str, boot: Boot) -> anyhow::Result<Blueprint> {
    Ok(Blueprint::new(name, boot)
        .disk(&built()?.image)
        .memory_mib(1024)
        .deadline(Duration::from_mins(15)))
}

/// Starts a machine and waits until it is up.
///
/// # Errors
/// As for [`built`]; or it does not come up.
pub fn start(name: &str, boot: Boot) -> anyhow::Result<Machine> {
    let machine = blueprint(name, boot)?.start()?;
    machine.check("boot", up)?;
    machine.check("its configuration", give_configuration)?;
    Ok(machine)
}

/// Its services are up, and its agent answers.
///
/// # Errors
/// They are not, by the machine's deadline.
pub fn up(machine: &Machine) -> anyhow::Result<()> {
    machine.console().wait_for(boot_mark::BOOT_DONE)?;
    machine.agent().ready().map(drop)
}

/// `/etc/nixos` gets what the image was built from; only `configuration.nix` is for tests to write.
///
/// # Errors
/// A file cannot be read here or written there.
pub fn give_configuration(machine: &Machine) -> anyhow::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("configurations");
    let lock = images::options()?.locks.join("generations.lock");
    for (name, file) in [
        ("generations.nix", folder.join("generations.nix")),
        ("agent.nix", folder.join("agent.nix")),
        ("cairn.lock", lock),
    ] {
        let content = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        write(machine, &format!("/etc/nixos/{name}"), &content)?;
    }
    configure(machine, "{ }")
}

/// Makes `/etc/nixos/configuration.nix` the image's configuration with the module `change` added.
///
/// # Errors
/// The agent cannot be reached, or there is no key.
pub fn configure(machine: &Machine, change: &str) -> anyhow::Result<()> {
    let agent = machine
        .agent()
        .succeed("readlink -f /proc/*/exe | grep -m 1 cairn-test-agent")?;
    let key = images::ssh_key()?.with_extension("pub");
    let key = fs::read_to_string(&key).with_context(|| format!("cannot read {}", key.display()))?;
    let text = format!(
        "{{ lib, pkgs, ... }}:\n{{\n  imports = [\n    (import ./generations.nix {{\n      agent = {};\n      \
         key = \"{}\";\n    }})\n    ({change})\n  ];\n}}\n",
        agent.trim(),
        key.trim()
    );
    write(machine, "/etc/nixos/configuration.nix", text.as_bytes())
}

/// Writes a file in the guest.
///
/// # Errors
/// It cannot be written.
pub fn write(machine: &Machine, path: &str, content: &[u8]) -> anyhow::Result<()> {
    let agent = machine.agent();
    agent.succeed(&format!("mkdir -p \"$(dirname {path})\" && : > {path}"))?;
    for piece in content.chunks(PIECE) {
        let octal: Vec<_> = piece.iter().map(|byte| format!("\\0{byte:03o}")).collect();
        agent.succeed(&format!("printf '%b' '{}' >> {path}", octal.concat()))?;
    }
    Ok(())
}

/// Runs a script in the guest, which must succeed; it has the time that a change of the system takes.
///
/// # Errors
/// It does not succeed.
pub fn run(machine: &Machine, script: &str) -> anyhow::Result<String> {
    let output = attempt(machine, script)?;
    ensure!(output.success(), "`{script}`: {output:?}");
    Ok(output.stdout + &output.stderr)
}

/// As [`run`]; how it ends is the caller's to judge.
///
/// # Errors
/// The agent cannot be reached.
pub fn attempt(machine: &Machine, script: &str) -> anyhow::Result<Output> {
    machine.agent().run_within(script, PATIENCE)
}
