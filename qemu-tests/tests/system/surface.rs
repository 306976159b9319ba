//! What there is in a running system: mounts, processes, files; and nothing else.

use std::collections::BTreeMap;

use anyhow::{Context, bail, ensure};

use crate::{look, shared};

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

/// What is mounted, each from what, where and as what, and why.
const MOUNTS: &[(&str, &str, &str, &str)] = &[
    ("/dev/vda1", "/", "ext4", "the root, by its label"),
    (
        "/dev/vda1",
        "/nix/store",
        "ext4",
        "the store, bound over itself to be read-only",
    ),
    (
        "/dev/vda3",
        "/boot/efi",
        "vfat",
        "the EFI system partition, also on a machine with BIOS",
    ),
    ("proc", "/proc", "proc", "the kernel's interface"),
    ("sysfs", "/sys", "sysfs", "the kernel's interface"),
    (
        "cgroup2",
        "/sys/fs/cgroup",
        "cgroup2",
        "a cgroup for each service",
    ),
    ("devtmpfs", "/dev", "devtmpfs", "device nodes"),
    (
        "devpts",
        "/dev/pts",
        "devpts",
        "terminals of SSH's sessions",
    ),
    ("tmpfs", "/dev/shm", "tmpfs", "POSIX shared memory"),
    ("tmpfs", "/run", "tmpfs", "state of this boot"),
    (
        "tmpfs",
        "/run/wrappers",
        "tmpfs",
        "setuid programs: /run itself is nosuid",
    ),
    (
        "ramfs",
        "/run/keys",
        "ramfs",
        "secrets that must not be swapped out",
    ),
    (
        "ramfs",
        "/run/credentials",
        "ramfs",
        "secrets of services, while they run",
    ),
    (
        "tmpfs",
        "/tmp",
        "tmpfs",
        "asked for by the demo's description",
    ),
];

#[test]
fn nothing_unexpected_is_mounted() -> anyhow::Result<()> {
    let mounts = &shared()?.mounts;
    let found: Vec<_> = mounts
        .lines()
        .map(|line| line.split(' ').take(3).collect::<Vec<_>>().join(" "))
        .collect();
    let expected: Vec<_> = MOUNTS
        .iter()
        .map(|(from, at, kind, _)| format!("{from} {at} {kind}"))
        .collect();
    same(found, expected)
}

/// What runs besides kernel threads when the boot is complete: each one's name and its parent's,
/// and why.
const PROCESSES: &[(&str, &str, &str)] = &[
    ("init", "kernel", "core, PID 1"),
    ("supervisor", "init", "starts and watches services"),
    ("agetty", "supervisor", "login on tty1"),
    ("agetty", "supervisor", "login on ttyS0"),
    ("sshd", "supervisor", "the SSH server"),
    ("syslogd", "supervisor", "the system log"),
    ("cairn", "supervisor", "names and rights of devices"),
    ("busybox", "supervisor", "the kernel's messages for it"),
    ("sleep", "supervisor", "the tests' sleeper"),
    (
        "cairn-test-agen",
        "supervisor",
        "the tests' agent; the kernel cuts names",
    ),
    ("ps", "cairn-test-agen", "what has made this list"),
];

#[test]
fn no_unexpected_process_runs() -> anyhow::Result<()> {
    let mut names = BTreeMap::from([("0".to_owned(), "kernel".to_owned())]);
    let mut found = Vec::new();
    for line in shared()?.processes.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        let [pid, parent, state, name, ..] = words.as_slice() else {
            bail!("ps wrote {line:?}");
        };
        // Children of kthreadd are the kernel's.
        if *pid == "2" || *parent == "2" {
            continue;
        }
        ensure!(!state.starts_with('Z'), "a zombie: {line}");
        let parent_name = names.get(*parent).map_or("?", String::as_str);
        found.push(format!("{name}, child of {parent_name}"));
        names.insert((*pid).to_owned(), (*name).to_owned());
    }
    let expected: Vec<_> = PROCESSES
        .iter()
        .map(|(name, parent, _)| format!("{name}, child of {parent}"))
        .collect();
    same(found, expected)
}

/// Whatever the order.
fn same(mut found: Vec<String>, mut expected: Vec<String>) -> anyhow::Result<()> {
    found.sort();
    expected.sort();
    let (found, expected) = (found.join("\n"), expected.join("\n"));
    ensure!(
        found == expected,
        "there should be:\n{expected}\n\nbut there is:\n{found}"
    );
    Ok(())
}

/// Its own memory is what counts. How many pages of its file are mapped besides, some 1.9 MiB, is
/// the page cache's doing, and differs between boots.
#[test]
fn pid_1_is_small() -> anyhow::Result<()> {
    look("memory of PID 1", |machine| {
        let size = machine.agent().succeed("stat -Lc %s /proc/1/exe")?;
        let size: u64 = size.trim().parse()?;
        ensure!(size <= 1_500_000, "its program has {size} bytes");
        let status = machine.agent().succeed("cat /proc/1/status")?;
        for (field, most) in [("RssAnon:", 256), ("VmRSS:", 2304)] {
            let line = status.lines().find_map(|line| line.strip_prefix(field));
            let line = line.with_context(|| format!("no {field} in {status}"))?;
            let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
            ensure!(
                kib < most,
                "{field} PID 1 has {kib} KiB, and should have less than {most}"
            );
        }
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
fn a_user_becomes_root_by_the_password() -> anyhow::Result<()> {
    look("su", |machine| {
        let su = |password: &str| {
            machine.agent().run(&format!(
                "echo {password} | setpriv --reuid=nobody --regid=nogroup --clear-groups \
                 /run/wrappers/bin/su -c 'id -u'"
            ))
        };
        let (right, wrong) = (su("cairn")?, su("other")?);
        ensure!(right.success() && right.stdout == "0\n", "{right:?}");
        ensure!(!wrong.success() && wrong.stdout.is_empty(), "{wrong:?}");
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
