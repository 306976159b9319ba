//! `cairn switch` as its operator calls it: nothing has changed, or one service has. Evaluation, build, boot
//! menu, activation and services are all in it.
//!
//! No peer runs here: those that there are need systemd as PID 1. The machine is one of namespaces: a root
//! directory with a store of its own, core as PID 1, and the services of a small system; what is measured
//! is not a virtual machine's.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use cairn_qemu_tests::images::{self, BuildOptions};

use crate::namespaces::Namespaces;
use crate::{Times, scratch, timed};

const ROUNDS: usize = 15;

/// The most that either may take at the median.
const UNCHANGED: Duration = Duration::from_millis(100);
const ONE_SERVICE: Duration = Duration::from_secs(1);

const CONFIGURATION: &str = r#"{ pkgs, ... }:
{
  imports = [ ./change.nix ];
  networking.hostName = "bench-switch";
  networking.useDHCP = false;
  networking.firewall.enable = false;
  boot.kernelPackages = pkgs.linuxPackages_cloud;
  boot.initrd.hardware = "virtual-machine";
  boot.consoles = [ ];
  security.sudo.enable = false;
  services.syslogd.kernelLog = false;
  fileSystems."/" = { device = "LABEL=root"; fsType = "ext4"; };
}
"#;

/// What the namespaces' first process does before it becomes core: it waits for its users, and mounts
/// what stage 2 would have mounted.
const SETUP: &str = r#"
echo ready
read go
mount --bind "$1" "$1" && cd "$1" || exit 90
mount -t proc proc proc && mount -t tmpfs tmpfs run && mount --rbind /dev dev || exit 90
mount -t cgroup2 cgroup2 sys/fs/cgroup || exit 91
ln -s "$2" run/current-system && ln -s "$2" run/booted-system
chroot . "$2/activate" --boot || exit 92
exec chroot . /cairn-core "$2"
"#;

/// How long core may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Prints a row for each kind of change.
pub fn measure(options: &BuildOptions) -> anyhow::Result<()> {
    let folder = scratch()?;
    let root = folder.path().join("root");
    let system = build(&root, options)?;
    let machine = Machine::start(&root, &system)?;
    machine.wait()?;
    // The first one makes generation and menu.
    machine.switch()?;
    machine.switch()?;
    let mut unchanged = Times::default();
    for _ in 0..ROUNDS {
        unchanged.0.push(machine.switch()?);
    }
    ensure!(
        machine.generations()? == 1,
        "a switch to the same made a generation"
    );
    let mut one_service = Times::default();
    for round in 0..ROUNDS {
        change(&root, round)?;
        one_service.0.push(machine.switch()?);
    }
    ensure!(
        machine.generations()? == 1 + ROUNDS,
        "not every switch made a generation"
    );
    println!(
        "\n{:<34}{:>8} {:>8}   (seconds)",
        "switch", "least", "median"
    );
    row("nothing has changed", &unchanged, UNCHANGED);
    row("one service has changed", &one_service, ONE_SERVICE);
    Ok(())
}

fn row(what: &str, times: &Times, goal: Duration) {
    let verdict = if times.median() <= goal.as_secs_f64() {
        "reached"
    } else {
        "MISSED"
    };
    println!(
        "{what:<34}{:>8.3} {:>8.3}   goal {:.3}: {verdict}",
        times.least(),
        times.median(),
        goal.as_secs_f64(),
    );
}

/// The service's definition is another one in each round.
fn change(root: &Path, round: usize) -> anyhow::Result<()> {
    let file = root.join("etc/nixos/change.nix");
    let text = format!(
        "{{ pkgs, ... }}: {{ system.services.changing.process.argv = \
         [ \"${{pkgs.coreutils}}/bin/sleep\" \"{}\" ]; }}\n",
        1_000_000 + round
    );
    fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))
}

/// Makes the root directory, and builds its first system into its store.
fn build(root: &Path, options: &BuildOptions) -> anyhow::Result<String> {
    let failed = || format!("cannot write below {}", root.display());
    for folder in [
        "etc/nixos",
        "proc",
        "run",
        "dev",
        "sys/fs/cgroup",
        "tmp",
        "root",
        "var/log",
        "boot/grub",
    ] {
        fs::create_dir_all(root.join(folder)).with_context(failed)?;
    }
    let file = root.join("etc/nixos/configuration.nix");
    fs::write(&file, CONFIGURATION).with_context(failed)?;
    change(root, ROUNDS)?;
    let into_root = BuildOptions {
        place: cairn::Place {
            store: root.to_owned(),
            cache: options.place.cache.clone(),
        },
        ..options.clone()
    };
    let built = images::command(&["build", "--no-link"], "bench-switch", &file, &into_root)
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cairn; `cargo xtask bench` builds it")?;
    ensure!(built.status.success(), "cannot build the system");
    let lock = options.locks.join("bench-switch.lock");
    fs::copy(&lock, root.join("etc/nixos/cairn.lock"))
        .with_context(|| format!("cannot copy {}", lock.display()))?;
    let core = images::programs().join("cairn-core");
    fs::copy(&core, root.join("cairn-core"))
        .with_context(|| format!("cannot copy {}", core.display()))?;
    Ok(String::from_utf8(built.stdout)?.trim().to_owned())
}

/// Namespaces with core as their PID 1.
struct Machine(Namespaces);

impl Machine {
    fn start(root: &Path, system: &str) -> anyhow::Result<Self> {
        Namespaces::start(SETUP, [root.as_os_str(), system.as_ref()]).map(Self)
    }

    /// A command in it.
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command
            .args(["--target", &self.0.first.to_string()])
            .args(["-U", "-m", "-p", "-n", "-u", "-i", "--root", "--wd"])
            .args(["/run/current-system/sw/bin/env", "-i", "HOME=/root"])
            .arg("PATH=/run/current-system/sw/bin")
            .args(words);
        command
    }

    fn wait(&self) -> anyhow::Result<()> {
        let begin = Instant::now();
        loop {
            let answer = timed(&mut self.command(&["cairn", "status", "changing"]));
            match answer {
                Ok(_) => return Ok(()),
                Err(error) if begin.elapsed() > PATIENCE => {
                    return Err(error.context("the machine does not come up"));
                }
                Err(_) => std::thread::sleep(Duration::from_millis(100)),
            }
        }
    }

    fn switch(&self) -> anyhow::Result<Duration> {
        timed(&mut self.command(&["cairn", "switch"]))
    }

    fn generations(&self) -> anyhow::Result<usize> {
        let output = self
            .command(&["cairn", "generations", "--json"])
            .output()
            .context("cannot run nsenter")?;
        let listing: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout)
            .context("cannot read what `cairn generations` says")?;
        Ok(listing.len())
    }
}
