//! The one task runner: build, demo, test, torture, check, bench.
//!
//! It installs what is missing from Debian, saying what and why, and runs cargo. It is built
//! before all else on a fresh machine, so it depends on next to nothing.

#![forbid(unsafe_code)]

mod apt;
mod cargo;
mod check;
mod demo;
mod dependency_policy;
mod dependency_table;
mod fuzz;
mod metadata;
mod packages;
mod stages;
mod test;
mod test_programs;

use std::env;
use std::process::ExitCode;

use anyhow::bail;

const USAGE: &str = "\
usage: cargo xtask TASK

  build                       build `cairn` and PID 1, as they are installed, and print their folder
  demo [--check] [--uefi] …   build the demo's image and boot it in QEMU; with --check, drive the
                              login, run a few commands, power off, and print a timing table
  test                        check, all tests, and the tests that boot virtual machines
  torture [PART] …            torment a machine that changes its generation. cuts: cut its power at 1000
                              places, and boot 20 of the disks that this leaves; generations: boot some
                              thirty that are broken; both by default. media: boot live media and
                              other images in all ways that the test command leaves out; install: each
                              layout, cut off in each step; menu: pick a generation with each firmware
                              from each terminal; storage: boot from roots on RAID, in LVM, in LUKS and
                              in memory; fuzz [SECONDS] [TARGET]…: all fuzz targets, or those, so long each (120)
  check                       format, clippy, documentation, dependency table and policy
  bench [SECTION]…            measure: activation, evaluator, menu, import, image, formats, iso, media, boot,
                              stage1, supervisor, switch; all by default
";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> anyhow::Result<()> {
    let Some((task, rest)) = arguments.split_first() else {
        bail!("no task is named\n\n{USAGE}");
    };
    match (task.as_str(), rest) {
        ("demo", rest) => demo::demo(rest),
        ("bench", rest) => demo::bench(rest),
        ("torture", rest) => demo::torture(rest),
        ("build", []) => demo::build(),
        ("test", []) => test::test(),
        ("check", []) => check::check(),
        ("help" | "--help" | "-h", _) => {
            print!("{USAGE}");
            Ok(())
        }
        ("build" | "test" | "check", _) => bail!("'{task}' takes no arguments\n\n{USAGE}"),
        _ => bail!("there is no task '{task}'\n\n{USAGE}"),
    }
}
