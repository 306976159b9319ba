//! How a machine goes down: the power button, commands and signals.

use std::time::Duration;

use anyhow::{Context, ensure};
use cairn_qemu_tests::agent::End;
use cairn_qemu_tests::images::{LASTING, STUBBORN};
use cairn_qemu_tests::{Boot, HUNG_DISK, Machine};
use cairn_system::boot_mark;

use crate::boot;

const POWER_OFF: Duration = Duration::from_mins(1);

fn clean_power_off(machine: &Machine) -> anyhow::Result<()> {
    machine.console().wait_for(boot_mark::SHUTDOWN_STARTED)?;
    machine.console().wait_for(boot_mark::SHUTDOWN_DONE)?;
    has_powered_off(machine)
}

/// By itself, and now.
fn has_powered_off(machine: &Machine) -> anyhow::Result<()> {
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
    machine.check("firmware is UEFI, and tells of itself", |machine| {
        machine
            .agent()
            .succeed("ls /sys/firmware/efi/efivars/BootCurrent-*")
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
    machine.check("user space restarts", restart_user_space)?;
    machine.check("a kernel is executed", execute_kernel)?;
    machine.check("reboot", |machine| {
        let agent = machine.agent();
        let first = agent.ready()?;
        agent.succeed("echo kept > /root/state && sync")?;
        let key = agent.succeed("cat /etc/ssh/ssh_host_ed25519_key.pub")?;
        agent.start("cairn reboot")?;
        machine.qmp().wait_event("RESET", POWER_OFF)?;
        machine.console().wait_for(boot_mark::SHUTDOWN_DONE)?;
        machine.ready_after(&first)?;
        ensure!(agent.succeed("cat /root/state")? == "kept");
        ensure!(agent.succeed("cat /etc/ssh/ssh_host_ed25519_key.pub")? == key);
        Ok(())
    })
}

/// Where file systems are, each with how many lie there on top of each other.
const MOUNTS: &str = "cut -d' ' -f2 /proc/mounts | sort | uniq -c";

/// The process of the service that goes on, and when it was started.
fn lasting(machine: &Machine) -> anyhow::Result<String> {
    machine.agent().succeed(&format!(
        "cairn status --json {LASTING} | grep -oE '\"(pid|startedMs)\":[0-9]+'"
    ))
}

/// The same generation, in the same kernel, with other processes, but for one service's.
fn restart_user_space(machine: &Machine) -> anyhow::Result<()> {
    let agent = machine.agent();
    let before = agent.succeed(MOUNTS)?;
    let started = agent.succeed("cairn blame --json")?;
    ensure!(started.contains(r#""name":"stage-1""#), "{started}");
    agent.succeed("touch /run/marker && cairn stop boot-assessment")?;
    agent.succeed(&format!("cairn start {LASTING}"))?;
    let goes_on = lasting(machine)?;
    let generations = agent.succeed(GENERATIONS)?;
    machine.console().expect(boot_mark::BOOT_DONE)?;
    agent.start("cairn reboot --soft")?;
    machine.console().expect(boot_mark::USER_SPACE_RESTARTS)?;
    machine.console().expect(boot_mark::BOOT_DONE)?;
    let after = agent.succeed(MOUNTS)?;
    ensure!(after == before, "before:\n{before}\nafter:\n{after}");
    agent.succeed("test -e /run/marker && cairn status")?;
    let now = lasting(machine)?;
    ensure!(now == goes_on, "before:\n{goes_on}\nafter:\n{now}");
    agent.succeed(&format!(
        "cairn stop {LASTING} && awk '!/^--/ && $NF != ++n {{ print; exit 1 }} END {{ exit n < 10 }}' \
         /var/log/cairn/{LASTING}.log"
    ))?;
    let times = agent.succeed("cairn blame")?;
    ensure!(
        times.contains("stage-2") && !times.contains("stage-1"),
        "{times}"
    );
    is_not_judged(machine, &generations)
}

/// Another boot without the firmware, which tells nobody which entry it is.
fn execute_kernel(machine: &Machine) -> anyhow::Result<()> {
    let agent = machine.agent();
    let before = agent.ready()?;
    let generations = agent.succeed(GENERATIONS)?;
    agent.start("cairn reboot --kexec")?;
    machine.ready_after(&before)?;
    machine.console().expect(boot_mark::BOOT_DONE)?;
    let resets = machine.qmp().events();
    let resets = resets.iter().filter(|event| event.name == "RESET").count();
    ensure!(resets == 0, "the firmware has run {resets} times");
    let line = agent.succeed("cat /proc/cmdline")?;
    ensure!(line.starts_with("init=/nix/store/"), "{line}");
    ensure!(!line.contains("cairn.generation"), "{line}");
    agent.succeed("test ! -e /run/marker && cairn status")?;
    let times = agent.succeed("cairn blame --chart /root/boot.svg && cat /root/boot.svg")?;
    ensure!(
        times.contains("stage-1") && times.contains("</svg>"),
        "{times}"
    );
    // The logs know the boot before this one.
    agent.succeed("cairn log --boot -1 | grep -q . && cairn log --boot 0 --json | grep -q .")?;
    is_not_judged(machine, &generations)
}

/// What is known of each generation, but for whether it was the one that booted; and verdicts with their
/// times.
const GENERATIONS: &str = "cairn generations --json | grep -v booted; \
    mkdir -p /var/lib/cairn/boots; ls -l --full-time /var/lib/cairn/boots";

/// Who judges has been there, and what is known of the generations is what it was.
fn is_not_judged(machine: &Machine, before: &str) -> anyhow::Result<()> {
    let agent = machine.agent();
    agent.succeed(
        "until cairn status --json boot-assessment | grep -q '\"lastExit\":\"status 0\"'; \
         do sleep 0.5; done",
    )?;
    let after = agent.succeed(GENERATIONS)?;
    ensure!(after == before, "before:\n{before}\nafter:\n{after}");
    Ok(())
}

#[test]
fn what_never_ends_does_not_hold_up_the_power_off() -> anyhow::Result<()> {
    let machine = boot("stubborn", Boot::Bios)?;
    machine.check("timers follow the clock", timers_follow_the_clock)?;
    machine.check("power off in spite of it", |machine| {
        let agent = machine.agent();
        agent.succeed(&format!("cairn start {STUBBORN}"))?;
        let status = agent.succeed("cairn status")?;
        ensure!(status.contains(STUBBORN), "{status}");
        agent.succeed(HUNG_DISK)?;
        agent.start("cairn poweroff")?;
        machine
            .console()
            .wait_for("unmounting /run/hung hangs: going on without it")?;
        machine.console().wait_for(boot_mark::SHUTDOWN_HUNG)?;
        has_powered_off(machine)
    })
}

/// Whoever sets the clock moves what is to come: forward over its time, and back before it.
fn timers_follow_the_clock(machine: &Machine) -> anyhow::Result<()> {
    let fired = |times: u32| {
        format!(
            "for i in $(seq 600); do test $(cat /run/nightly | wc -l) = {times} && exit; sleep 0.1; done; \
             date; cat /run/nightly; exit 1"
        )
    };
    let agent = machine.agent();
    agent.succeed(": > /run/nightly")?;
    for (set, times) in [
        // Just before the next of them, which is today's if it is not yet three o'clock; and far behind one.
        ("$(date -d '21 hours' +%F) 02:59:58", 1),
        ("tomorrow 12:00", 2),
        // It is due again on the day that comes again.
        ("2 days ago 02:59:58", 3),
    ] {
        agent.succeed(&format!("date -s \"{set}\" && {}", fired(times)))?;
    }
    let times = agent.succeed("cat /run/nightly")?;
    let expected = ["03:00:0", "12:00:0", "03:00:0"];
    let as_expected = times
        .lines()
        .zip(expected)
        .all(|(at, time)| at.starts_with(time));
    ensure!(as_expected && times.lines().count() == 3, "{times}");
    // Each setting is heard of; there may have been one at boot.
    agent.succeed(
        "for i in $(seq 100); do test $(cat /run/clock | wc -l) -ge 3 && exit; sleep 0.1; done; \
         cat /run/clock; exit 1",
    )?;
    Ok(())
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
