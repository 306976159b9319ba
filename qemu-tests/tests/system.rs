//! The demo's system, with the parts that tests need, in virtual machines.
//!
//! What only looks shares one machine, which boots with BIOS; what ends or breaks a machine has
//! one of its own.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use cairn::build::Built;
use cairn::demo::{ROOT_LABEL, ROOT_PASSWORD};
use cairn_qemu_tests::agent::End;
use cairn_qemu_tests::images::{self, CRASHING, SLEEPER, STUBBORN};
use cairn_qemu_tests::shell::Shell;
use cairn_qemu_tests::timeline::Milestone;
use cairn_qemu_tests::{Blueprint, Boot, Machine};
use cairn_system::boot_mark;

const POWER_OFF: Duration = Duration::from_mins(1);

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
        .deadline(Duration::from_mins(4))
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
fn shared() -> anyhow::Result<&'static Machine> {
    static SHARED: OnceLock<Result<Machine, String>> = OnceLock::new();
    SHARED
        .get_or_init(|| boot("shared", Boot::Bios).map_err(|error| format!("{error:#}")))
        .as_ref()
        .map_err(|error| anyhow::anyhow!("{error}"))
}

fn look(what: &str, body: impl FnOnce(&Machine) -> anyhow::Result<()>) -> anyhow::Result<()> {
    shared()?.check(what, body)
}

#[test]
fn bios_boot_passes_all_milestones_in_order() -> anyhow::Result<()> {
    look("milestones", |machine| {
        machine.console().wait_for("login: ")?;
        let timeline = machine.timeline();
        let order = [
            Milestone::PowerOn,
            Milestone::Kernel,
            Milestone::Stage1,
            Milestone::Stage2,
            Milestone::Services,
            Milestone::BootDone,
        ];
        for pair in order.windows(2) {
            ensure!(
                timeline.between(pair[0], pair[1]).is_some(),
                "{:?} does not come before {:?}:\n{timeline}",
                pair[0],
                pair[1]
            );
        }
        let tail = machine.console().tail(400);
        ensure!(
            tail.contains(&format!("{}0", boot_mark::BOOT_DONE)),
            "a service failed:\n{tail}"
        );
        Ok(())
    })
}

#[test]
fn login_on_the_serial_console() -> anyhow::Result<()> {
    look("login", |machine| {
        let shell = Shell::login(machine.console(), "root", ROOT_PASSWORD)?;
        ensure!(shell.succeed("tty")?.contains("/dev/ttyS0"));
        ensure!(shell.succeed("echo $HOME")?.contains("/root"));
        ensure!(shell.run("false")?.0 == 1);
        ensure!(
            shell
                .succeed("kill -0 $$ && jobs && echo job control")?
                .contains("job control")
        );
        Ok(())
    })
}

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

#[test]
fn a_killed_service_is_restarted() -> anyhow::Result<()> {
    look("service restart", |machine| {
        let agent = machine.agent();
        let status = agent.succeed("cairn status")?;
        ensure!(
            status.contains(SLEEPER),
            "{SLEEPER} is not in the status:\n{status}"
        );
        let before = agent.succeed("pidof sleep")?;
        agent.succeed(&format!("kill -9 {before}"))?;
        // The guest waits: a new process with another id.
        let wait = format!(
            "for i in $(seq 200); do new=$(pidof sleep); \
             if [ -n \"$new\" ] && [ \"$new\" != '{before}' ]; then echo $new; exit 0; fi; \
             sleep 0.1; done; exit 1"
        );
        let after = agent.succeed(&wait)?;
        ensure!(before != after, "{SLEEPER} still is {before}");
        Ok(())
    })
}

#[test]
fn a_service_that_exits_for_ever_harms_nobody() -> anyhow::Result<()> {
    look("crash loop", |machine| {
        let agent = machine.agent();
        agent.succeed(&format!("cairn start {CRASHING}"))?;
        let wait = format!(
            "for i in $(seq 100); do \
             if [ $(cairn log {CRASHING} | grep -c 'about to fail') -ge 3 ]; then exit 0; fi; \
             sleep 0.2; done; cairn log {CRASHING}; exit 1"
        );
        agent.succeed(&wait)?;
        let status = agent.succeed("cairn status")?;
        ensure!(status.contains("sshd"), "{status}");
        agent.succeed(&format!("cairn stop {CRASHING}"))?;
        Ok(())
    })
}

fn ssh(machine: &Machine, known_hosts: &Path, command: &str) -> anyhow::Result<String> {
    let key = images::ssh_key()?;
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600))?;
    let port = machine
        .ssh_port()
        .context("the machine has no forwarded port")?;
    let output = Command::new("ssh")
        .args([
            "-F",
            "none",
            "-o",
            "BatchMode=yes",
            "-o",
            "StrictHostKeyChecking=accept-new",
        ])
        .args([
            "-o",
            "IdentitiesOnly=yes",
            "-o",
            "ConnectTimeout=60",
            "-p",
            &port.to_string(),
        ])
        .arg("-o")
        .arg(format!("UserKnownHostsFile={}", known_hosts.display()))
        .arg("-i")
        .arg(&key)
        .args(["root@127.0.0.1", command])
        .stdin(Stdio::null())
        .output()
        .context("cannot run ssh; install it: apt-get install openssh-client")?;
    if !output.status.success() {
        bail!(
            "ssh ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(String::from_utf8(output.stdout)?)
}

#[test]
fn ssh_from_the_host_with_a_key() -> anyhow::Result<()> {
    look("ssh", |machine| {
        let folder = tempfile::tempdir()?;
        let known_hosts = folder.path().join("known_hosts");
        let output = ssh(
            machine,
            &known_hosts,
            "id -un; hostname; readlink /run/current-system",
        )?;
        let lines: Vec<_> = output.lines().collect();
        ensure!(
            lines.first() == Some(&"root") && lines.get(1) == Some(&"cairn"),
            "{output}"
        );
        ensure!(
            lines
                .get(2)
                .is_some_and(|path| path.starts_with("/nix/store/")),
            "{output}"
        );
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

fn clean_power_off(machine: &Machine) -> anyhow::Result<()> {
    machine.console().wait_for(boot_mark::SHUTDOWN_STARTED)?;
    machine.console().wait_for(boot_mark::SHUTDOWN_DONE)?;
    machine.wait_for_power_off(POWER_OFF)?;
    let ended = machine.qmp().events().into_iter().any(|event| {
        event.name == "SHUTDOWN"
            && event.data.get("reason").and_then(|reason| reason.as_str()) == Some("guest-shutdown")
    });
    ensure!(
        ended,
        "the guest did not power off by itself: {:?}",
        machine.qmp().events()
    );
    Ok(())
}

#[test]
fn uefi_boot_and_the_power_button() -> anyhow::Result<()> {
    let machine = boot("uefi", Boot::Uefi)?;
    machine.check("firmware is UEFI", |machine| {
        machine
            .agent()
            .succeed("test -d /sys/firmware/efi")
            .map(drop)
    })?;
    machine.check("power button", |machine| {
        machine.press_power_button()?;
        clean_power_off(machine)
    })
}

#[test]
fn reboot_and_state_that_survives_it() -> anyhow::Result<()> {
    let machine = boot("reboot", Boot::Bios)?;
    machine.check("reboot", |machine| {
        let agent = machine.agent();
        let first = agent.ready()?;
        agent.succeed("echo kept > /root/state && sync")?;
        let key = agent.succeed("cat /etc/ssh/ssh_host_ed25519_key.pub")?;
        agent.start("cairn reboot")?;
        machine.qmp().wait_event("RESET", POWER_OFF)?;
        machine.console().wait_for(boot_mark::SHUTDOWN_DONE)?;
        agent.ready_after(&first)?;
        ensure!(agent.succeed("cat /root/state")? == "kept");
        ensure!(agent.succeed("cat /etc/ssh/ssh_host_ed25519_key.pub")? == key);
        Ok(())
    })
}

#[test]
fn a_service_that_never_stops_does_not_hold_up_the_power_off() -> anyhow::Result<()> {
    let machine = boot("stubborn", Boot::Bios)?;
    machine.check("power off in spite of it", |machine| {
        let agent = machine.agent();
        agent.succeed(&format!("cairn start {STUBBORN}"))?;
        let status = agent.succeed("cairn status")?;
        ensure!(status.contains(STUBBORN), "{status}");
        agent.start("cairn poweroff")?;
        clean_power_off(machine)
    })
}

#[test]
fn pid_1_survives_every_signal() -> anyhow::Result<()> {
    let machine = boot("signals", Boot::Bios)?;
    machine.check("signals to PID 1", |machine| {
        let agent = machine.agent();
        // These ask for an ending, by convention: SIGINT, SIGUSR1, SIGUSR2, SIGTERM, SIGPWR and
        // SIGRTMIN+3 to +5. 32 and 33 are the C library's own. All others must change nothing.
        let asks = [2, 10, 12, 15, 30, 32, 33, 37, 38, 39];
        for signal in (1..=64).filter(|signal| !asks.contains(signal)) {
            agent.succeed(&format!("kill -{signal} 1"))?;
        }
        let output = agent.run("cat /proc/1/comm; cairn status | grep -c sshd")?;
        ensure!(output.end == End::Exited(0), "{output:?}");
        agent.start("kill -INT 1")?;
        machine
            .qmp()
            .wait_event("RESET", POWER_OFF)
            .context("SIGINT asks for a reboot")?;
        machine.console().wait_for(boot_mark::SHUTDOWN_DONE)
    })
}

#[test]
fn a_missing_root_device_ends_in_a_report() -> anyhow::Result<()> {
    let options = images::options()?;
    let kernel = images::direct_kernel(&options, built()?, "root=LABEL=nonexistent")?;
    let machine = blueprint("missing_root", Boot::Direct(kernel))?.start()?;
    machine.check("report", |machine| {
        machine.console().wait_for(boot_mark::STAGE_1_STARTED)?;
        machine.console().expect("nonexistent")?;
        // What was seen instead: the disk that does exist.
        machine.console().wait_for(ROOT_LABEL)?;
        // The report offers no shell here, so that the machine reboots in the end.
        machine
            .qmp()
            .wait_event("RESET", Duration::from_mins(2))
            .map(drop)
    })
}
