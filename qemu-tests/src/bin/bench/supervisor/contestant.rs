//! Who is measured: how each is told to run the same services, and how it is spoken to.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use anyhow::Context;
use cairn_qemu_tests::images;

/// One way to be PID 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contestant {
    Cairn,
    Systemd,
    S6,
    Runit,
    Finit,
}

/// What a service does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// It waits.
    Wait,
    /// It fails at once, and is restarted.
    Crash,
}

/// How a machine is asked to stop everything and end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// A signal to PID 1.
    Signal(i32),
    /// runit's: a file that is executable, then SIGCONT.
    File(&'static str),
}

impl Contestant {
    /// All of them; those of Debian are in the packages of the same names.
    pub const ALL: [Self; 5] = [
        Self::Cairn,
        Self::Systemd,
        Self::S6,
        Self::Runit,
        Self::Finit,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Cairn => "cairn",
            Self::Systemd => "systemd",
            Self::S6 => "s6",
            Self::Runit => "runit",
            Self::Finit => "finit",
        }
    }

    /// How many services it runs where others run `count`: runsvdir has a table of a thousand.
    pub fn services(self, count: usize) -> usize {
        match self {
            Self::Runit => count.min(990),
            _ => count,
        }
    }

    /// What is executed as PID 1.
    pub fn program(self) -> &'static [&'static str] {
        match self {
            Self::Cairn => &["/generation/cairn-core", "/generation"],
            Self::Systemd => &["/lib/systemd/systemd", "--unit=bench.target"],
            Self::S6 => &["/usr/bin/s6-svscan", "-c", "2000", "/services"],
            Self::Runit => &["/sbin/runit"],
            Self::Finit => &["/sbin/finit"],
        }
    }

    pub fn stop(self) -> Stop {
        match self {
            Self::Cairn | Self::S6 => Stop::Signal(nix::libc::SIGTERM),
            // SIGRTMIN+3 of the C library.
            Self::Systemd => Stop::Signal(37),
            Self::Runit => Stop::File("run/runit.stopit"),
            Self::Finit => Stop::Signal(nix::libc::SIGUSR2),
        }
    }

    /// The command that makes it read its configuration again, and that ends when that is done.
    /// Ours is asked at its socket; s6's and runit's do not say when they are done.
    pub fn reload(self) -> Option<&'static [&'static str]> {
        match self {
            Self::Systemd => Some(&["/bin/systemctl", "daemon-reload"]),
            Self::Finit => Some(&["/lib/finit/initctl", "reload"]),
            Self::Cairn | Self::S6 | Self::Runit => None,
        }
    }

    /// Writes what it reads, below `root`, for `count` services that are restarted whenever they
    /// end, with the shortest delay that it knows.
    pub fn write(self, root: &Path, count: usize, work: Work) -> anyhow::Result<()> {
        match self {
            Self::Cairn => cairn(root, count, work),
            Self::Systemd => systemd(root, count),
            Self::S6 => linked(root, count),
            Self::Runit => runit(root, count),
            Self::Finit => finit(root, count),
        }
        .with_context(|| {
            format!(
                "cannot write {}'s files below {}",
                self.name(),
                root.display()
            )
        })
    }
}

/// A generation with the same services as the one that runs: a switch to that one would be none.
pub const NEXT_GENERATION: &str = "/next-generation";

fn cairn(root: &Path, count: usize, work: Work) -> anyhow::Result<()> {
    let folder = root.join("generation");
    fs::create_dir_all(&folder)?;
    for (program, name) in [("cairn-init", "init"), ("cairn-core", "core")] {
        let program = images::programs().join(program);
        fs::copy(&program, folder.join(name))
            .with_context(|| format!("cannot copy {}", program.display()))?;
    }
    symlink("core", folder.join("cairn-core"))?;
    let argv = match work {
        Work::Wait => serde_json::json!(["/service"]),
        Work::Crash => serde_json::json!(["/service", "crash"]),
    };
    let services: Vec<_> = (0..count)
        .map(|number| {
            serde_json::json!({
                "name": format!("s{number}"), "kind": "simple", "wantedAtBoot": true,
                "restart": "always", "restartDelayMs": 0, "restartDelayMaxMs": 100,
                "process": { "argv": argv },
            })
        })
        .collect();
    let description = serde_json::json!({
        "version": 1, "label": "bench", "hostName": "bench", "fileSystems": [],
        "users": [], "groups": [], "binSh": "/bin/sh", "usrBinEnv": "/usr/bin/env",
        "services": services,
    });
    fs::write(folder.join("system.json"), description.to_string())?;
    // A generation of its own, as far as the supervisor can tell.
    symlink(
        "generation",
        root.join(NEXT_GENERATION.trim_start_matches('/')),
    )?;
    Ok(())
}

fn systemd(root: &Path, count: usize) -> anyhow::Result<()> {
    let folder = root.join("etc/systemd/system");
    let wants = folder.join("bench.target.wants");
    fs::create_dir_all(&wants)?;
    // What it would order before, that is not in this system.
    let target = "[Unit]\nDefaultDependencies=no\nAllowIsolate=yes\n";
    fs::write(folder.join("bench.target"), target)?;
    let unit = "[Unit]\nDefaultDependencies=no\nConflicts=shutdown.target\nBefore=shutdown.target\n\
                StartLimitIntervalSec=0\n[Service]\nExecStart=/service\nRestart=always\nRestartSec=0\n";
    for number in 0..count {
        let name = format!("s{number}.service");
        fs::write(folder.join(&name), unit)?;
        symlink(format!("../{name}"), wants.join(&name))?;
    }
    Ok(())
}

/// A folder for each service, with what it runs.
fn linked(root: &Path, count: usize) -> anyhow::Result<()> {
    for number in 0..count {
        let folder = root.join(format!("services/s{number}"));
        fs::create_dir_all(&folder)?;
        symlink("/service", folder.join("run"))?;
    }
    fs::create_dir_all(root.join("services"))?;
    Ok(())
}

fn runit(root: &Path, count: usize) -> anyhow::Result<()> {
    linked(root, count)?;
    let folder = root.join("etc/runit");
    fs::create_dir_all(&folder)?;
    let stages = [
        ("1", "exit 0"),
        ("2", "exec runsvdir -P /services"),
        ("3", "sv -w 20 force-stop /services/*"),
    ];
    for (name, command) in stages {
        let file = folder.join(name);
        let path = "PATH=/usr/sbin:/usr/bin:/sbin:/bin; export PATH";
        fs::write(&file, format!("#!/bin/sh\n{path}\n{command}\n"))?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

fn finit(root: &Path, count: usize) -> anyhow::Result<()> {
    let mut text = "runlevel 2\n".to_owned();
    for number in 0..count {
        writeln!(
            text,
            "service [2345] :{number} restart:255 restart_sec:0 /service -- s{number}"
        )?;
    }
    fs::create_dir_all(root.join("etc"))?;
    fs::write(root.join("etc/finit.conf"), text)?;
    Ok(())
}
