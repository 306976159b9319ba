//! `test`: everything, from the format to virtual machines.

use std::process::Command;

use anyhow::bail;

use crate::apt;
use crate::cargo::{cargo, output_folder, run};
use crate::check;
use crate::demo;
use crate::metadata;
use crate::packages::Need;
use crate::stages::Stages;
use crate::test_programs::{self, TestProgram};

/// The package whose tests are all slow: they need guests.
const GUESTS: &str = "cairn-qemu-tests";

/// What takes long, the longest first: begun last, it would run alone.
const LONGEST: [&str; 6] = [
    "grub",
    "generations",
    "demo_image",
    "system",
    "bad generations",
    "install",
];

/// Runs all stages; one that fails does not hide the others.
pub fn test() -> anyhow::Result<()> {
    apt::install_missing(Need::Test)?;
    let mut stages = Stages::new();
    check::run_checks(&mut stages);
    stages.run("quick tests", || {
        let mut test = cargo(&["test", "--workspace", "--no-fail-fast"]);
        test.arg(format!("--exclude={GUESTS}"));
        run(test)
    });
    if stages.run("programs for the guests", demo::build_programs) {
        let mut together = Vec::new();
        stages.run("slow tests, built", || {
            together = slow_tests()?;
            Ok(())
        });
        // Each keeps a processor busy, virtual machines too: they are emulated.
        stages.run_together(2, together);
    }
    stages.finish()
}

/// All tests that take longer, those in virtual machines among them.
fn slow_tests() -> anyhow::Result<Vec<(String, Command)>> {
    // Unpacking is far quicker in a release build, and what it has built is found again.
    let mut image = Command::new(output_folder("release").join("demo"));
    image.arg("--build-test-image");
    run(image)?;
    // Of the whole workspace, as the quick ones: what both need is built once, with the same features. What takes
    // its time is done by release programs and by guests, not by the tests.
    let mut programs = test_programs::build(&["--workspace", "--lib", "--bins", "--tests"])?;
    programs.retain(|program| program.package == GUESTS);
    programs.extend(named_tests(&metadata::slow_tests()?)?);
    let mut tests: Vec<_> = programs
        .iter()
        .map(|program| (program.name.clone(), program.run()))
        .collect();
    for (name, part) in [("power cuts", "cuts"), ("bad generations", "generations")] {
        let mut torture = Command::new(output_folder("release").join("torture"));
        torture.args([part, "--short"]);
        tests.push((name.to_owned(), torture));
    }
    tests.sort_by_key(|(name, _)| {
        let place = LONGEST.iter().position(|longest| longest == name);
        place.unwrap_or(LONGEST.len())
    });
    Ok(tests)
}

/// These tests, by package and name. Cargo leaves them out of "all tests", also where they are named beside that.
fn named_tests(tests: &[(String, String)]) -> anyhow::Result<Vec<TestProgram>> {
    let names = tests.iter().map(|(_, test)| format!("--test={test}"));
    let names: Vec<String> = names.collect();
    let arguments = ["--workspace"].into_iter();
    let arguments: Vec<&str> = arguments.chain(names.iter().map(String::as_str)).collect();
    let mut programs = test_programs::build(&arguments)?;
    programs.retain(|program| tests.contains(&program.key()));
    for key in tests {
        let (package, test) = key;
        if programs.iter().all(|program| program.key() != *key) {
            bail!("cargo has not built the test '{test}' of {package}");
        }
    }
    Ok(programs)
}
