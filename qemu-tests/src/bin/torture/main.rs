//! Cuts the power of a machine that changes its generation, at every place that matters.
//!
//! The machine really runs, once; its disk's writes are recorded. Then the disk is made as each cut
//! would have left it, and judged; some of them are booted.

#![forbid(unsafe_code)]

mod arguments;
mod boots;
mod ordeal;
mod scenario;
mod table;

use std::env;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::bail;
use cairn_qemu_tests::artefacts;
use cairn_qemu_tests::power_cut::recording::Recording;

use arguments::Arguments;

/// Below `target/vm-tests`.
const FOLDER: &str = "torture";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("torture: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[String]) -> anyhow::Result<()> {
    let Some(arguments) = Arguments::parse(words)? else {
        print!("{}", arguments::USAGE);
        return Ok(());
    };
    let begin = Instant::now();
    let (folder, mut recording) = if arguments.again {
        let folder = artefacts::root()?.join(FOLDER);
        let recording = Recording::open(&folder)?;
        (folder, recording)
    } else {
        let folder = artefacts::folder(FOLDER)?;
        let recording = scenario::record(arguments.length, &folder)?;
        (folder, recording)
    };
    eprintln!("recorded in {:.1} s", begin.elapsed().as_secs_f64());
    if arguments.lying_disk {
        recording.log.forget_flushes();
    }
    let begin = Instant::now();
    let outcome = ordeal::judge(&recording, &arguments, &folder)?;
    eprintln!("judged in {:.1} s", begin.elapsed().as_secs_f64());
    print!("{}", table::table(&outcome.rows));
    let begin = Instant::now();
    let failed = boots::boot(&recording, &outcome, &arguments, &folder)?;
    eprintln!("booted in {:.1} s", begin.elapsed().as_secs_f64());
    if !arguments.keep {
        for name in ["writes.log", "image.img", "root.img", "disk.img"] {
            let path = folder.join(name);
            if path.exists() {
                std::fs::remove_file(path)?;
            }
        }
    }
    let problems: usize = outcome.rows.iter().map(table::Row::problems).sum();
    if problems + failed > 0 {
        bail!(
            "{problems} cuts lose something and {failed} do not boot; the same ones again: --seed {}",
            arguments.seed
        );
    }
    Ok(())
}
