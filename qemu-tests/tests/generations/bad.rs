//! Generations that are broken, each in its own way: the machine tries each, leaves it by itself for
//! the one that is known to be good, and knows the cause. No key is pressed.
//!
//! The variants of `configurations/bad.nix` are the generations. `CAIRN_BAD_GENERATIONS=all` tries the
//! whole table, and names with commas between them try those; without it, the short sample is tried, and
//! that is said.

use anyhow::{Context, ensure};
use cairn_qemu_tests::agent::Output;
use cairn_qemu_tests::{Blueprint, Boot, Machine, images};
use cairn_system::boot_mark;
use serde_json::Value;
use std::io::Write as _;
use std::time::Duration;

/// Which ones are tried.
const CHOICE: &str = "CAIRN_BAD_GENERATIONS";

/// A way to break a generation.
struct Case {
    /// The variant.
    name: &'static str,
    /// What is done to it when it is to boot next: a script, in which `$system` is its toplevel, and
    /// the store can be written.
    damage: &'static str,
    /// What the machine says about it afterwards.
    cause: &'static str,
    /// Whether it is in the short sample.
    short: bool,
}

const fn case(name: &'static str, damage: &'static str, cause: &'static str) -> Case {
    Case {
        name,
        damage,
        cause,
        short: false,
    }
}

const fn short(name: &'static str, damage: &'static str, cause: &'static str) -> Case {
    Case {
        short: true,
        ..case(name, damage, cause)
    }
}

const NEVER_JUDGED: &str = "it ended before it was judged, and left no report";

const CASES: [Case; 20] = [
    case("no-root", "", NEVER_JUDGED),
    case("hangs-in-stage-1", "", NEVER_JUDGED),
    case("no-drivers", "", NEVER_JUDGED),
    case("panics", "", NEVER_JUDGED),
    case("panics-late", "", NEVER_JUDGED),
    case("..-1-..", "", NEVER_JUDGED),
    case(
        "damaged-initrd",
        "for file in $(find /boot -type f); do\n\
           if cmp -s $file $system/initrd; then truncate -s 100000 $file; found=1; fi\n\
         done\n\
         test $found",
        "its kernel or initrd in /boot is damaged",
    ),
    case(
        "damaged-init",
        "rm $system/init",
        "stage 1: cannot start init=",
    ),
    short(
        "damaged-description",
        "truncate -s 100 $system/system.json",
        "stage 2: cannot read system.json",
    ),
    case(
        "hangs-in-stage-2",
        "bash=$(readlink -f /run/current-system/sw/bin/bash)\nrm $system/init\n\
         printf '#!%s\\nwhile :; do read -t 100 < /dev/zero; done\\n' $bash > $system/init\nchmod 555 $system/init",
        "not judged within 120 s",
    ),
    case(
        "damaged-program",
        "program=$(grep -o '/nix/store/[a-z0-9]*-damaged' $system/system.json | head -n 1)\n\
         echo garbage > $program",
        "services have failed: 'damaged'",
    ),
    case("no-data", "", "cannot mount /data: no device is LABEL=data"),
    case(
        "activation-fails",
        "",
        "services have failed: 'activation-broken'",
    ),
    case("crash-loop", "", "'crashing' was restarted"),
    case("service-fails", "", "services have failed: 'broken'"),
    short("check-fails", "", "health check 'web' failed"),
    case("check-hangs", "", "health check 'web' failed"),
    case("clock", "", "health check 'date' failed"),
    case("no-supervisor", "", "not judged within 120 s"),
    // A kernel whose watchdog nobody keeps quiet.
    case("no-guard", "", NEVER_JUDGED),
];

#[test]
fn each_bad_generation_is_left_for_the_good_one() -> anyhow::Result<()> {
    let choice = std::env::var(CHOICE).unwrap_or_default();
    let is_chosen = |name: &str, short: bool| match choice.as_str() {
        "" => short,
        "all" => true,
        names => names.split(',').any(|chosen| chosen == name),
    };
    let cases: Vec<_> = CASES
        .iter()
        .filter(|case| is_chosen(case.name, case.short))
        .collect();
    if choice != "all" {
        // Past what the test harness keeps to itself.
        writeln!(
            std::io::stderr(),
            "{} of {} bad generations are tried; {CHOICE}=all tries every one",
            cases.len(),
            CASES.len()
        )?;
    }
    let machine = start("bad-generations")?;
    if is_chosen("no-room", false) {
        machine.check("no-room", nothing_boots_next_without_room)?;
    }
    // One that is not left as it should be says nothing about the next.
    let mut failures = Vec::new();
    for case in cases {
        if let Err(error) = is_left(&machine, case) {
            eprintln!("{}: FAILED: {error:#}", case.name);
            failures.push(case.name);
        }
    }
    machine.check("bad generations", |_| {
        ensure!(
            failures.is_empty(),
            "not left as they should be: {failures:?}"
        );
        Ok(())
    })?;
    machine.check("a good one is blessed", a_good_one_is_blessed)
}

fn start(name: &str) -> anyhow::Result<Machine> {
    let image = images::build(
        "generations",
        &images::with_agent("bad")?,
        &images::options()?,
    )?;
    let machine = Blueprint::new(name, Boot::Bios)
        .disk(&image.image)
        .memory_mib(1024)
        .deadline(Duration::from_hours(1))
        .start()?;
    machine.check("boot", |machine| {
        machine.console().wait_for(boot_mark::BOOT_DONE)?;
        machine.agent().ready().map(drop)
    })?;
    Ok(machine)
}

/// Makes a variant what boots next, on trial.
fn arm(machine: &Machine, name: &str) -> anyhow::Result<Output> {
    let script = format!("cairn boot --to 1 --specialisation {name}");
    machine.agent().run_within(&script, Duration::from_mins(3))
}

fn is_left(machine: &Machine, case: &Case) -> anyhow::Result<()> {
    let name = case.name;
    let output = arm(machine, name)?;
    ensure!(output.success(), "{output:?}");
    if !case.damage.is_empty() {
        // Where the store is mounted read-only on itself, it is taken away for this script alone.
        let system = "system=$(readlink -f /nix/var/nix/profiles/system-1-link/specialisation";
        let script = format!(
            "cat > /tmp/damage <<'END'\nset -e\numount -l /nix/store\n{system}/{name})\n{}\nsync\nEND\n\
             unshare -m /bin/sh /tmp/damage",
            case.damage
        );
        machine.agent().succeed(&script)?;
    }
    restart(machine)?;
    machine
        .console()
        .wait_for(&format!("generation 1-{name} failed its trial, and 1 runs"))?;
    let verdict = verdict(machine, name)?;
    ensure!(verdict["verdict"] == "failed", "{verdict:#}");
    let reason = verdict["reason"].as_str().unwrap_or_default();
    ensure!(reason.contains(case.cause), "{name}: {reason}");
    eprintln!("{name}: {reason}");
    is_back(machine)
}

/// The verdict about a variant.
fn verdict(machine: &Machine, name: &str) -> anyhow::Result<Value> {
    let path = format!("/var/lib/cairn/boots/1-{name}.json");
    let text = machine.agent().succeed(&format!("cat {path}"))?;
    serde_json::from_str(&text).with_context(|| format!("{path}: {text}"))
}

/// Restarts the machine, and waits until it runs without a trial.
fn restart(machine: &Machine) -> anyhow::Result<()> {
    let agent = machine.agent();
    let mut boot = agent.ready()?;
    agent.start("cairn reboot")?;
    loop {
        boot = agent.ready_after(&boot)?;
        // While the trial still runs, it may go down at any moment.
        match agent.run_within("cat /proc/cmdline", Duration::from_secs(30)) {
            Ok(output) if !output.stdout.contains("cairn.trial=") && output.success() => {
                return Ok(());
            }
            Ok(_) | Err(_) => {}
        }
    }
}

/// What runs and what boots next is the good generation, and nothing is on trial.
fn is_back(machine: &Machine) -> anyhow::Result<()> {
    let state = machine
        .agent()
        .succeed("grep -a -e cairn_good -e cairn_trial /boot/grub/grubenv; readlink /run/booted-system; readlink /nix/var/nix/profiles/system; readlink -f /nix/var/nix/profiles/system")?;
    let lines: Vec<_> = state.lines().collect();
    let [good_line, trial, booted, profile, system] = lines.as_slice() else {
        anyhow::bail!("{state}");
    };
    ensure!(
        *good_line == "cairn_good=1" && *trial == "cairn_trial=",
        "{state}"
    );
    ensure!(booted == system && *profile == "system-1-link", "{state}");
    Ok(())
}

/// A variant with nothing wrong becomes what boots for good.
fn a_good_one_is_blessed(machine: &Machine) -> anyhow::Result<()> {
    let output = arm(machine, "good")?;
    ensure!(output.success(), "{output:?}");
    let agent = machine.agent();
    let boot = agent.ready()?;
    agent.start("cairn reboot")?;
    agent.ready_after(&boot)?;
    machine.console().wait_for("generation 1-good is good")?;
    let guard = agent.succeed(
        "until ! pgrep -f ^@cairn-guard; do sleep 0.2; done; cat /run/cairn/trial-judged",
    )?;
    ensure!(guard.ends_with("good"), "{guard}");
    let state = agent.succeed("grep -a -e cairn_good -e cairn_trial /boot/grub/grubenv")?;
    ensure!(state == "cairn_good=1-good\ncairn_trial=", "{state}");
    let verdict = verdict(machine, "good")?;
    ensure!(verdict["verdict"] == "good", "{verdict:#}");
    Ok(())
}

/// Where the new files have no room, nothing changes.
fn nothing_boots_next_without_room(machine: &Machine) -> anyhow::Result<()> {
    let agent = machine.agent();
    agent.succeed("dd if=/dev/zero of=/boot/filler bs=1M 2> /dev/null; sync; true")?;
    let output = arm(machine, "damaged-initrd")?;
    let freed = agent.succeed("rm /boot/filler");
    ensure!(!output.success(), "{output:?}");
    eprintln!("no room: {}", output.stderr.trim());
    freed?;
    is_back(machine)
}
