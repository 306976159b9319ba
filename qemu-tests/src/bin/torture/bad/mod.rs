//! Every bad generation: each is broken in its own way, tried on a machine that really runs, and left
//! by the machine itself for the generation that is good. No key is pressed.
//!
//! The generations are the variants of `configurations/bad.nix`. A machine tries one after the other;
//! one that is not left as it should be gets a new machine for the next.

mod arguments;
mod ordeal;
mod scenes;
mod table;

use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use cairn_qemu_tests::images::{self, Built};
use cairn_qemu_tests::{Blueprint, Boot, Machine};
use cairn_system::boot_mark;

pub use arguments::USAGE;
use arguments::{Arguments, Choice};
use table::{Firmware, ROWS, Row};

/// For all that a machine tries.
const DEADLINE: Duration = Duration::from_hours(2);

/// `torture generations`.
pub fn run(words: &[String]) -> anyhow::Result<()> {
    match Arguments::parse(words)? {
        Arguments::Help => print!("{USAGE}"),
        Arguments::List => print!("{}", table::list()),
        Arguments::Try(choice) => try_all(&choice)?,
    }
    Ok(())
}

fn try_all(choice: &Choice) -> anyhow::Result<()> {
    let chosen: Vec<_> = ROWS.iter().filter(|row| choice.has(row)).collect();
    let image = images::build(
        "bad-generations",
        &images::with_agent("bad")?,
        &images::options()?,
    )?;
    println!("{} of {} bad generations", chosen.len(), ROWS.len());
    let mut failed = Vec::new();
    for firmware in [Firmware::Bios, Firmware::Uefi] {
        let rows = chosen.iter().filter(|row| row.firmware == firmware);
        failed.extend(try_on(firmware, rows.copied(), &image)?);
    }
    if !failed.is_empty() {
        bail!(
            "not as it should be: {0}; these again: torture generations {0}",
            failed.join(" ")
        );
    }
    Ok(())
}

/// Tries those rows; gives the names of those that do not end as they should.
fn try_on<'a>(
    firmware: Firmware,
    rows: impl Iterator<Item = &'a Row>,
    image: &Built,
) -> anyhow::Result<Vec<&'static str>> {
    let mut failed = Vec::new();
    let mut machine = None;
    for row in rows {
        let running = match machine.take() {
            Some(running) => running,
            None => start(firmware, image)?,
        };
        let begin = Instant::now();
        let outcome = row.run(&running);
        let took = begin.elapsed().as_secs();
        match outcome {
            Ok(seen) => {
                println!("{:20} {took:4} s  {seen}", row.name);
                machine = Some(running);
            }
            Err(error) => {
                let evidence = running.keep_evidence();
                println!("{:20} {took:4} s  FAILED: {error:#}; {evidence}", row.name);
                failed.push(row.name);
                keep_log(&running, row)?;
            }
        }
        std::io::stdout().flush()?;
    }
    Ok(failed)
}

/// The next machine writes its log in the same place.
fn keep_log(machine: &Machine, row: &Row) -> anyhow::Result<()> {
    let log = machine.folder().join("serial.log");
    let kept = machine
        .folder()
        .with_file_name(format!("bad-{}.log", row.name));
    std::fs::copy(&log, &kept).with_context(|| format!("cannot copy {}", log.display()))?;
    println!("its serial log: {}", kept.display());
    Ok(())
}

fn start(firmware: Firmware, image: &Built) -> anyhow::Result<Machine> {
    let (name, boot) = match firmware {
        Firmware::Bios => ("bad-generations-bios", Boot::Bios),
        Firmware::Uefi => ("bad-generations-uefi", Boot::Uefi),
    };
    let machine = Blueprint::new(name, boot)
        .disk(&image.image)
        .memory_mib(1024)
        .watchdog()
        .deadline(DEADLINE)
        .start()?;
    machine.console().wait_for(boot_mark::BOOT_DONE)?;
    machine.agent().ready()?;
    // From here on there is one that is good.
    ordeal::wait_until_good(&machine, "1")?;
    Ok(machine)
}
