//! `demo`, `bench` and `torture`: build our programs, then hand over to the one that does the work.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, anyhow};

use crate::apt;
use crate::cargo;
use crate::fuzz;
use crate::packages::Need;

/// What makes an image, and what the tests add to it.
const PROGRAMS: &[&str] = &[
    "build",
    "--release",
    "--package=cairn",
    "--package=cairn-test-agent",
    "--package=cairn-qemu-tests",
];

/// PID 1 is built for size, by a profile of its own: what comes and goes, and what stays.
const INIT_PROFILE: &str = "init";
const INIT: &str = "cairn-init";
const INIT_PROGRAMS: [&str; 2] = [INIT, "cairn-core"];

/// Builds the image and boots it.
pub fn demo(arguments: &[String]) -> anyhow::Result<()> {
    apt::install_missing(Need::Demo)?;
    hand_over("demo", arguments)
}

/// Measures.
pub fn bench(arguments: &[String]) -> anyhow::Result<()> {
    apt::install_missing(Need::Bench)?;
    hand_over("bench", arguments)
}

/// Torments a machine that changes its generation.
pub fn torture(arguments: &[String]) -> anyhow::Result<()> {
    apt::install_missing(Need::Test)?;
    match arguments {
        [part] if part == "media" => {
            large_trees()?;
            ignored_tests(&["driver", "iso", "dialogue", "formats", "strict"], 2)
        }
        [part] if part == "install" => ignored_tests(&["install"], 1),
        [part] if part == "storage" => ignored_tests(&["storage"], 2),
        [part] if part == "menu" => {
            build_programs()?;
            let mut test = cargo::cargo(&["test", "--package=cairn-qemu-tests"]);
            test.args(["--test=generations", "--", "menu::"]);
            test.env("CAIRN_BOOT_MENU", "all");
            cargo::run(test)
        }
        [part, rest @ ..] if part == "fuzz" => fuzz::fuzz(rest),
        arguments => hand_over("torture", arguments),
    }
}

/// Runs what is too long for the test command, so many at once.
fn ignored_tests(names: &[&str], at_once: u32) -> anyhow::Result<()> {
    build_programs()?;
    let mut test = cargo::cargo(&["test", "--package=cairn-qemu-tests"]);
    test.args(names.iter().flat_map(|name| ["--test", name]));
    test.args(["--", "--ignored"]);
    test.arg(format!("--test-threads={at_once}"));
    cargo::run(test)
}

/// Builds what a system is made by and of.
pub fn build() -> anyhow::Result<()> {
    apt::install_missing(Need::Demo)?;
    cargo::run(cargo::cargo(&["build", "--release", "--package=cairn"]))?;
    build_init()?;
    println!("{}", cargo::output_folder("release").display());
    Ok(())
}

/// Images of very large and of very many files, in every format, and the memory that they take.
fn large_trees() -> anyhow::Result<()> {
    let mut test = cargo::cargo(&["test", "--release", "--package=cairn-image-builder"]);
    test.args(["--test=bad", "--test=memory", "--", "--ignored"]);
    test.arg("--skip=on_a_full_disk");
    cargo::run(test)
}

/// Builds all that an image and the programs here need, in release.
pub fn build_programs() -> anyhow::Result<()> {
    cargo::run(cargo::cargo(PROGRAMS))?;
    build_init()
}

/// `cairn` takes PID 1 from beside itself, so it gets its place there.
fn build_init() -> anyhow::Result<()> {
    let (profile, package) = (
        format!("--profile={INIT_PROFILE}"),
        format!("--package={INIT}"),
    );
    cargo::run(cargo::cargo(&["build", &profile, &package]))?;
    INIT_PROGRAMS.iter().try_for_each(|program| {
        place(
            &cargo::output_folder(INIT_PROFILE).join(program),
            &cargo::output_folder("release").join(program),
        )
    })
}

/// Puts a built file at a second name. It is the same file there: what is made of it is known by its
/// inode and time, and is not made again.
fn place(from: &Path, to: &Path) -> anyhow::Result<()> {
    if let Err(error) = fs::remove_file(to)
        && error.kind() != ErrorKind::NotFound
    {
        return Err(error).with_context(|| format!("cannot remove {}", to.display()));
    }
    fs::hard_link(from, to)
        .with_context(|| format!("cannot link {} to {}", from.display(), to.display()))
}

/// The program takes this one's place, so that it has the terminal and its signals for itself.
fn hand_over(program: &str, arguments: &[String]) -> anyhow::Result<()> {
    let begin = Instant::now();
    build_programs()?;
    let path = cargo::output_folder("release").join(program);
    let error = Command::new(&path)
        .args(arguments)
        .env(
            "CAIRN_CARGO_MILLISECONDS",
            begin.elapsed().as_millis().to_string(),
        )
        .exec();
    Err(anyhow!(error)).with_context(|| format!("cannot execute {}", path.display()))
}
