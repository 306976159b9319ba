//! Torments a machine that changes its generation, in two ways.
//!
//! `cuts` cuts its power, at every place that matters: the machine really runs, once, and its disk's
//! writes are recorded. Then the disk is made as each cut would have left it, and judged; some of them
//! are booted.
//!
//! `generations` gives it generations that are broken, each in another way, and boots them ([`bad`]).

#![forbid(unsafe_code)]

mod arguments;
mod bad;
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
    match torture(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("torture: {error:#}");
            ExitCode::FAILURE
        }
    }
}

const USAGE: &str = "\
usage: torture [--short]                   both parts; --short as the test command does
       torture cuts [OPTION]…              power cuts: torture cuts --help
       torture generations [OPTION]…       bad generations: torture generations --help
";

fn torture(words: &[String]) -> anyhow::Result<()> {
    let (part, rest) = match words.split_first() {
        Some((part, rest)) => (part.as_str(), rest),
        None => ("", words),
    };
    match (part, rest) {
        ("cuts", rest) => cut(rest),
        ("generations", rest) => bad::run(rest),
        ("" | "--short", []) => {
            cut(words)?;
            bad::run(words)
        }
        ("--help" | "-h", _) => {
            print!("{USAGE}");
            Ok(())
        }
        (word, _) => bail!("'{word}' is none of the parts\n\n{USAGE}"),
    }
}

fn cut(words: &[String]) -> anyhow::Result<()> {
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
            "{problems} cuts lose something and {failed} do not boot; the same ones again: torture cuts --seed {}",
            arguments.seed
        );
    }
    Ok(())
}
