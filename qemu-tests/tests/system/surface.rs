//! What there is in a running system: mounts, processes, files; and nothing else.

use std::collections::BTreeSet;

use anyhow::{Context, bail, ensure};

use crate::look;

#[test]
fn the_store_is_read_only() -> anyhow::Result<()> {
    look("read-only store", |machine| {
        let agent = machine.agent();
        for attempt in [
            "touch /nix/store/new",
            "echo x >> $(readlink -f /run/current-system/system.json)",
            "chmod u+w $(readlink -f /run/current-system)",
            "rm $(readlink -f /run/current-system)/init",
        ] {
            let output = agent.run(attempt)?;
            ensure!(!output.success(), "`{attempt}` succeeded");
            ensure!(
                output.stderr.contains("Read-only file system"),
                "`{attempt}` failed for another reason: {}",
                output.stderr
            );
        }
        let mounts = agent.succeed("cat /proc/mounts")?;
        let line = mounts.lines().rfind(|line| line.contains(" /nix/store "));
        let options = line
            .and_then(|line| line.split(' ').nth(3))
            .unwrap_or_default();
        for option in ["ro", "nosuid", "nodev"] {
            ensure!(
                options.split(',').any(|word| word == option),
                "no {option} in {line:?}"
            );
        }
        Ok(())
    })
}

/// What may be mounted: source and mount point; `*` ends a prefix.
const MOUNTS: &[(&str, &str)] = &[
    ("/dev/vda*", "/"),
    ("/dev/vda*", "/nix/store"),
    ("/dev/vda*", "/boot/efi"),
    ("*", "/boot"),
    ("proc", "/proc"),
    ("sysfs", "/sys"),
    ("*", "/sys/*"),
    ("devtmpfs", "/dev"),
    ("devpts", "/dev/pts"),
    ("tmpfs", "/dev/shm"),
    ("mqueue", "/dev/mqueue"),
    ("hugetlbfs", "/dev/hugepages"),
    ("tmpfs", "/run"),
    ("*", "/run/wrappers"),
    ("ramfs", "/run/keys"),
    ("tmpfs", "/tmp"),
];

fn fits(pattern: &str, text: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => text.starts_with(prefix),
        None => text == pattern,
    }
}

#[test]
fn nothing_unexpected_is_mounted() -> anyhow::Result<()> {
    look("mounts", |machine| {
        let mounts = machine.agent().succeed("cat /proc/mounts")?;
        for line in mounts.lines() {
            let mut words = line.split(' ');
            let (source, point) = (
                words.next().unwrap_or_default(),
                words.next().unwrap_or_default(),
            );
            let known = MOUNTS
                .iter()
                .any(|(from, at)| (fits(from, source) || *from == "*") && fits(at, point));
            ensure!(known, "an unexpected mount: {line}");
        }
        let points: Vec<_> = mounts
            .lines()
            .filter_map(|line| line.split(' ').nth(1))
            .collect();
        let unique: BTreeSet<_> = points.iter().collect();
        ensure!(
            unique.len() == points.len(),
            "a mount point is covered twice:\n{mounts}"
        );
        Ok(())
    })
}

/// What may run besides kernel threads, by the name in `/proc/PID/comm`.
const PROCESSES: &[&str] = &[
    "init",
    "cairn-init",
    "supervisor",
    "exe",
    "cairn-supervis",
    "cairn-test-agen",
    "agetty",
    "login",
    "bash",
    "sh",
    "sshd",
    "sleep",
    "ps",
    "crashing",
];

#[test]
fn no_unexpected_process_runs() -> anyhow::Result<()> {
    look("processes", |machine| {
        // Children of kthreadd are the kernel's.
        let listing = machine.agent().succeed("ps -e -o pid=,ppid=,stat=,comm=")?;
        for line in listing.lines() {
            let words: Vec<_> = line.split_whitespace().collect();
            let [pid, parent, state, name, ..] = words.as_slice() else {
                bail!("ps wrote {line:?}");
            };
            if *pid == "2" || *parent == "2" {
                continue;
            }
            ensure!(!state.starts_with('Z'), "a zombie: {line}");
            ensure!(
                PROCESSES.contains(name),
                "an unexpected process: {line}\n{listing}"
            );
        }
        Ok(())
    })
}

#[test]
fn pid_1_is_small() -> anyhow::Result<()> {
    look("memory of PID 1", |machine| {
        let text = machine.agent().succeed("grep VmRSS /proc/1/status")?;
        let kib: u64 = text
            .split_whitespace()
            .nth(1)
            .context("no VmRSS")?
            .parse()?;
        ensure!(
            kib < 2048,
            "PID 1 has {kib} KiB in memory; the goal is 2048"
        );
        Ok(())
    })
}

#[test]
fn there_is_no_fhs() -> anyhow::Result<()> {
    look("no FHS", |machine| {
        let agent = machine.agent();
        ensure!(agent.succeed("ls -A /bin")? == "sh");
        ensure!(agent.succeed("ls -A /usr")? == "bin");
        ensure!(agent.succeed("ls -A /usr/bin")? == "env");
        for path in ["/lib", "/lib64", "/sbin", "/usr/lib"] {
            ensure!(
                !agent.run(&format!("test -e {path}"))?.success(),
                "{path} exists"
            );
        }
        Ok(())
    })
}

#[test]
fn a_second_activation_plans_nothing() -> anyhow::Result<()> {
    look("second activation", |machine| {
        let plan = machine
            .agent()
            .succeed("/run/current-system/activate --dry-run")?;
        ensure!(plan.is_empty(), "it plans:\n{plan}");
        Ok(())
    })
}
