//! Cairn's core and supervisor against the inits that Debian packages: each is PID 1 in fresh
//! namespaces of the same Debian system, in turns, and runs a thousand services that wait.
//!
//! The peers do less than ours: of them, only systemd and finit give each service a control group, and
//! none takes in what services write, for their loggers do not run. Each has the shortest delay before
//! a restart that it knows; s6 waits for a second at least. dinit is not in this release of Debian.
//!
//! Memory is what PID 1 has of its own and of files (RSS); and for PID 1 with all who look after
//! services, what is shared counted once (PSS).

mod contestant;
mod machine;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use cairn_qemu_tests::artefacts;
use cairn_system::control::{Request, Response, ServiceState};

use crate::{debian_tree, scratch, timed};
use contestant::{Contestant, NEXT_GENERATION, Work};
use machine::{Machine, Process};

const ROUNDS: usize = 3;

/// Services of each, and how many more ours has besides.
const SERVICES: usize = 1000;
const MANY: usize = 5000;

/// Services that are killed, one after the other; fewer where a restart takes long.
const KILLED: usize = 200;
const KILLING: Duration = Duration::from_secs(10);

/// Processes that are left behind.
const ORPHANS: usize = 1000;

/// Restarts of services that fail at once.
const CRASHES: usize = 100_000;

/// How long a machine is left alone before it is looked at, and how long it is looked at.
const REST: Duration = Duration::from_secs(2);
const WATCH: Duration = Duration::from_secs(5);

const EACH: Duration = Duration::from_micros(200);

/// What is measured of everyone: name, unit, and the most that ours may need.
const ROWS: [(&str, &str, f64); 12] = [
    ("PID 1, no service", "MB RSS", 1.5),
    ("all managers, no service", "MB PSS", 2.0),
    ("PID 1, 1000 services", "MB RSS", 1.5),
    ("all managers, 1000 services", "MB PSS", 5.0),
    ("1000 started", "s", 0.8),
    ("restart after SIGKILL, median", "ms", 2.0),
    ("restart after SIGKILL, 99th", "ms", 10.0),
    ("PID 1 per orphan, 1000 services", "us", 5.0),
    ("reload of 1000 unchanged", "ms", 50.0),
    ("wakeups of all managers, idle", "1/s", 0.0),
    ("1000 stopped, and the end", "ms", 100.0),
    ("processes that manage 1000", "", 2.0),
];

/// One contestant's figures, each row's of all rounds.
#[derive(Debug, Default)]
struct Figures([Vec<f64>; ROWS.len()]);

impl Figures {
    fn add(&mut self, row: &str, value: f64) {
        let place = ROWS.iter().position(|(name, _, _)| *name == row);
        if let Some(values) = place.and_then(|place| self.0.get_mut(place)) {
            values.push(value);
        }
    }
}

/// Measures, and prints the tables.
pub fn measure() -> anyhow::Result<()> {
    let debian = debian()?;
    let folder = scratch()?;
    let mut figures: [Figures; Contestant::ALL.len()] = Default::default();
    for round in 0..ROUNDS {
        for (contestant, figures) in Contestant::ALL.into_iter().zip(&mut figures) {
            eprintln!("round {} of {ROUNDS}: {}", round + 1, contestant.name());
            let layer = folder.path().join(format!("{}-{round}", contestant.name()));
            let measured = idle(contestant, &debian, &layer.with_extension("idle"), figures)
                .and_then(|()| thousand(contestant, &debian, &layer, figures))
                .with_context(|| format!("cannot measure {}", contestant.name()));
            match measured {
                // The others are worth a table.
                Err(error) if contestant != Contestant::Cairn => eprintln!("bench: {error:#}"),
                measured => measured?,
            }
        }
    }
    print(&figures);
    ours(&debian, folder.path())
}

fn print(figures: &[Figures]) {
    print!("\n{:<34}{:>7}", "supervisor", "");
    for contestant in Contestant::ALL {
        print!("{:>10}", contestant.name());
    }
    println!("   (medians of {ROUNDS} rounds)");
    for (row, (name, unit, goal)) in ROWS.iter().enumerate() {
        print!("{name:<34}{unit:>7}");
        let of = |figures: &Figures| figures.0.get(row).and_then(|values| middle(values, 0.5));
        for figures in figures {
            match of(figures) {
                Some(value) => print!("{value:>10.2}"),
                None => print!("{:>10}", "-"),
            }
        }
        let ours = figures.first().and_then(of);
        println!(
            "   {}",
            ours.map_or(String::new(), |ours| verdict(ours, *goal))
        );
    }
}

fn verdict(ours: f64, goal: f64) -> String {
    let verdict = if ours <= goal { "reached" } else { "MISSED" };
    format!("goal {goal}: {verdict}")
}

/// The value below which `part` of them lie.
fn middle(values: &[f64], part: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index, of a few hundred values"
    )]
    let index = (sorted.len() as f64 * part) as usize;
    sorted
        .get(index.min(sorted.len().saturating_sub(1)))
        .copied()
}

fn idle(
    contestant: Contestant,
    debian: &Path,
    layer: &Path,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    contestant.write(layer, 0, Work::Wait)?;
    let machine = Machine::start(contestant, debian, layer)?;
    std::thread::sleep(REST);
    let (first, all) = memory(&machine)?;
    figures.add("PID 1, no service", first);
    figures.add("all managers, no service", all);
    Ok(())
}

/// Megabytes of PID 1, and of all that look after services.
fn memory(machine: &Machine) -> anyhow::Result<(f64, f64)> {
    let (_, managers) = machine.processes()?;
    let shares = managers
        .iter()
        .map(|manager| manager.field("smaps_rollup", "Pss"));
    let all: f64 = shares.sum::<anyhow::Result<f64>>()?;
    let first = machine.first.field("status", "VmRSS")?;
    Ok((first / 1024.0, all / 1024.0))
}

fn thousand(
    contestant: Contestant,
    debian: &Path,
    layer: &Path,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let count = contestant.services(SERVICES);
    contestant.write(layer, count, Work::Wait)?;
    let machine = Machine::start(contestant, debian, layer)?;
    figures.add("1000 started", all_started(&machine, count)?);
    std::thread::sleep(REST);
    let (first, all) = memory(&machine)?;
    figures.add("PID 1, 1000 services", first);
    figures.add("all managers, 1000 services", all);
    let (services, managers) = machine.processes()?;
    ensure!(services.len() == count, "{} services run", services.len());
    figures.add("processes that manage 1000", number(managers.len()));
    figures.add("wakeups of all managers, idle", wakeups(&managers)?);
    let restarts = restarts(&machine, &services)?;
    if let (Some(median), Some(worst)) = (middle(&restarts, 0.5), middle(&restarts, 0.99)) {
        figures.add("restart after SIGKILL, median", median);
        figures.add("restart after SIGKILL, 99th", worst);
    }
    figures.add("PID 1 per orphan, 1000 services", orphans(&machine)?);
    if let Some(took) = reload(contestant, &machine, count)? {
        figures.add("reload of 1000 unchanged", took.as_secs_f64() * 1e3);
    }
    // Who ends a machine writes what is not written yet: here that would be what the host has besides.
    nix::unistd::sync();
    let took = machine.stop(contestant.stop())?;
    figures.add("1000 stopped, and the end", took.as_secs_f64() * 1e3);
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn number(count: usize) -> f64 {
    count as f64
}

/// Seconds from the moment in which PID 1 was executed until the last service ran.
fn all_started(machine: &Machine, count: usize) -> anyhow::Result<f64> {
    machine.wait_for(count, Duration::from_millis(20))?;
    let starts = machine.starts()?;
    let begin = starts.first().context("PID 1 was not executed")?.at;
    let last = starts.iter().map(|start| start.at).max().unwrap_or(begin);
    Ok(last.saturating_sub(begin).as_secs_f64())
}

/// How often a second they were given a processor, though nothing happens.
fn wakeups(managers: &[Process]) -> anyhow::Result<f64> {
    let all = || -> anyhow::Result<f64> { managers.iter().map(|one| one.wakeups()).sum() };
    let before = all()?;
    std::thread::sleep(WATCH);
    Ok((all()? - before) / WATCH.as_secs_f64())
}

/// Milliseconds between a service's end and its next start.
fn restarts(machine: &Machine, services: &[Process]) -> anyhow::Result<Vec<f64>> {
    let begin = Instant::now();
    let mut times = Vec::new();
    for victim in services.iter().take(KILLED) {
        let so_far = machine.count()?;
        let killed = monotonic()?;
        victim.kill(nix::libc::SIGKILL)?;
        machine.wait_for(so_far, EACH)?;
        let last = machine.starts()?.last().map(|start| start.at);
        let took = last.context("nothing started")?.saturating_sub(killed);
        times.push(took.as_secs_f64() * 1e3);
        if begin.elapsed() > KILLING {
            break;
        }
    }
    Ok(times)
}

/// The clock on which services say when they start.
fn monotonic() -> anyhow::Result<Duration> {
    let clock = nix::time::ClockId::CLOCK_MONOTONIC;
    let now = nix::time::clock_gettime(clock).context("cannot read the clock")?;
    Ok(Duration::from(now))
}

/// Microseconds that PID 1 works for each process that is left behind.
fn orphans(machine: &Machine) -> anyhow::Result<f64> {
    let first = machine.first;
    let before = first.work()?;
    machine.run(&["/service", "orphans", &ORPHANS.to_string()])?;
    // The last ones.
    std::thread::sleep(Duration::from_millis(200));
    Ok((first.work()? - before) / 1e3 / number(ORPHANS))
}

fn reload(
    contestant: Contestant,
    machine: &Machine,
    count: usize,
) -> anyhow::Result<Option<Duration>> {
    if contestant == Contestant::Cairn {
        return switch(machine, count).map(Some);
    }
    contestant
        .reload()
        .map(|command| machine.run(command))
        .transpose()
}

/// A switch to a generation with the same services, without activation: all processes stay.
fn switch(machine: &Machine, count: usize) -> anyhow::Result<Duration> {
    let (before, starts) = (machine.processes()?.0, machine.count()?);
    let toplevel = NEXT_GENERATION.to_owned();
    let begin = Instant::now();
    let prepare = Request::PrepareSwitch {
        toplevel: toplevel.clone(),
    };
    let answers = [
        machine.request(&prepare)?,
        machine.request(&Request::Switch { toplevel })?,
        machine.request(&Request::Settle)?,
    ];
    let took = begin.elapsed();
    let good = matches!(
        &answers,
        [Response::Done, Response::Done, Response::Settled { failed }] if failed.is_empty()
    );
    ensure!(good, "the switch was answered with {answers:?}");
    let same = machine.processes()?.0 == before && machine.count()? == starts;
    ensure!(
        same && before.len() == count,
        "the switch changed processes"
    );
    Ok(took)
}

/// What no peer does, or is asked to do.
fn ours(debian: &Path, folder: &Path) -> anyhow::Result<()> {
    println!("\n{:<34}{:>7}{:>10}", "cairn alone", "", "cairn");
    many(debian, &folder.join("many"))?;
    killed(debian, &folder.join("killed"))?;
    crashes(debian, &folder.join("crashes"))
}

fn row(name: &str, unit: &str, value: f64, goal: f64) {
    println!(
        "{name:<34}{unit:>7}{value:>10.2}   {}",
        verdict(value, goal)
    );
}

/// As many more as descriptors allow, with goals in proportion: it holds three for each.
fn many(debian: &Path, layer: &Path) -> anyhow::Result<()> {
    let limit = descriptor_limit()?;
    let count = MANY.min(limit.saturating_sub(1000) / 3 / 100 * 100);
    let part = number(count) / number(MANY);
    if count < MANY {
        println!("(processes here may have {limit} descriptors, which is too few for {MANY})");
    }
    Contestant::Cairn.write(layer, count, Work::Wait)?;
    let machine = Machine::start(Contestant::Cairn, debian, layer)?;
    let took = all_started(&machine, count)?;
    row(&format!("{count} started"), "s", took, 4.0 * part);
    std::thread::sleep(REST);
    let (first, all) = memory(&machine)?;
    row(&format!("PID 1, {count} services"), "MB RSS", first, 1.5);
    let name = format!("all managers, {count} services");
    row(&name, "MB PSS", all, 2.0 + 10.0 * part);
    Ok(())
}

/// How many descriptors a process may be given at most.
fn descriptor_limit() -> anyhow::Result<usize> {
    let limits =
        fs::read_to_string("/proc/self/limits").context("cannot read /proc/self/limits")?;
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"));
    let hard = line.and_then(|line| line.split_whitespace().nth(1));
    Ok(hard
        .context("/proc/self/limits has no open files")?
        .parse()?)
}

/// The supervisor is killed until it has a successor that answers; no service notices.
fn killed(debian: &Path, layer: &Path) -> anyhow::Result<()> {
    Contestant::Cairn.write(layer, SERVICES, Work::Wait)?;
    let machine = Machine::start(Contestant::Cairn, debian, layer)?;
    machine.wait_for(SERVICES, EACH)?;
    machine.request(&Request::Settle)?;
    let before = machine.processes()?.0;
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let old = supervisor(&machine)?;
        let begin = Instant::now();
        old.kill(nix::libc::SIGKILL)?;
        let response = machine.request(&Request::Status)?;
        times.push(begin.elapsed().as_secs_f64() * 1e3);
        let Response::Status { services, .. } = response else {
            anyhow::bail!("the successor answers with {response:?}");
        };
        let up = services.iter().filter(|one| one.state == ServiceState::Up);
        ensure!(up.count() == SERVICES, "not all services are up");
        ensure!(supervisor(&machine)? != old, "it was not killed");
    }
    ensure!(machine.processes()?.0 == before, "a service was restarted");
    let median = middle(&times, 0.5).context("nothing was measured")?;
    row("supervisor killed, 1000 services", "ms", median, 100.0);
    Ok(())
}

fn supervisor(machine: &Machine) -> anyhow::Result<Process> {
    let managers = machine.processes()?.1;
    let found = managers.into_iter().find(|one| one.is_called("supervisor"));
    found.context("there is no supervisor")
}

/// Services that fail at once: what a tenth of the restarts leaves behind, and what all do.
fn crashes(debian: &Path, layer: &Path) -> anyhow::Result<()> {
    Contestant::Cairn.write(layer, SERVICES, Work::Crash)?;
    let machine = Machine::start(Contestant::Cairn, debian, layer)?;
    let wait = |count| machine.wait_for(count, Duration::from_millis(20));
    let look = || -> anyhow::Result<(f64, usize)> {
        // What is held for services that come and go just now is no growth.
        machine.rest()?;
        let mut sum = (0.0, 0);
        for process in [machine.first, supervisor(&machine)?] {
            sum.0 += process.field("status", "RssAnon")?;
            sum.1 += process.descriptors()?;
        }
        Ok(sum)
    };
    wait(CRASHES / 10)?;
    let (memory, descriptors) = look()?;
    let begin = Instant::now();
    machine.go_on()?;
    wait(CRASHES)?;
    let took = begin.elapsed();
    let after = look()?;
    row(
        "growth by 90,000 crash-restarts",
        "kB",
        after.0 - memory,
        64.0,
    );
    let more = number(after.1) - number(descriptors);
    row("more descriptors", "", more, 0.0);
    println!("(90,000 crash-restarts in {:.1} s)", took.as_secs_f64());
    Ok(())
}

/// The Debian system with the peers and with what is supervised; made once.
fn debian() -> anyhow::Result<PathBuf> {
    let root = debian_tree("bench-inits", "systemd,s6,runit,finit")?;
    // finit starts what is there.
    let examples = root.join("etc/finit.d");
    if examples.exists() {
        fs::remove_dir_all(&examples)
            .with_context(|| format!("cannot remove {}", examples.display()))?;
    }
    let source = artefacts::root()?.join("bench-service.c");
    fs::write(&source, include_str!("service.c"))
        .with_context(|| format!("cannot write {}", source.display()))?;
    let program = root.join("service");
    let mut compiler = Command::new("gcc");
    compiler.args([
        "-Os",
        "-static",
        "-nostdlib",
        "-fno-stack-protector",
        "-Wl,--build-id=none",
        "-s",
        "-o",
    ]);
    timed(compiler.args([&program, &source]))?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))
        .with_context(|| format!("cannot change the mode of {}", program.display()))?;
    Ok(root)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_percentiles() {
        let values: Vec<f64> = (0..200).rev().map(f64::from).collect();
        assert_eq!(middle(&values, 0.5), Some(100.0));
        assert_eq!(middle(&values, 0.99), Some(198.0));
        assert_eq!(middle(&[7.0], 0.99), Some(7.0));
        assert_eq!(middle(&[], 0.5), None);
    }
}
