//! The language tests of Nix's own source package, run whole: every `eval-okay` and `parse-okay`
//! case gives what it is expected to give, every `eval-fail` and `parse-fail` case fails.
//!
//! Debian's source package `nix` is fetched into the user's cache, verified by apt, once. What is
//! known to differ stands in `exceptions.txt` with a reason; one that passes after all is an error,
//! too. `cargo xtask test` runs it; by hand:
//!
//! ```text
//! cargo test --package cairn --test language_suite
//! ```
//!
//! `CAIRN_LANGUAGE_SUITE` names the folder of another release's tests, one that has `lang`.

#![cfg(test)]

mod case;
mod exceptions;
mod source;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use case::{Case, Outcome};
use exceptions::Exceptions;

#[test]
fn the_language_is_the_one_that_the_suite_tests() {
    let suite = std::env::var_os("CAIRN_LANGUAGE_SUITE").map_or_else(source::fetch, PathBuf::from);
    let programs = tempfile::tempdir().unwrap();
    let program = programs.path().join("nix-instantiate");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_cairn"), &program).unwrap();
    let home = tempfile::tempdir().unwrap();
    let exceptions = Exceptions::parse(include_str!("exceptions.txt"));
    let cases = Case::all(&suite.join("lang"));
    assert!(cases.len() > 100, "only {} cases in {suite:?}", cases.len());
    let mut report = String::new();
    let mut passed = 0;
    for case in &cases {
        let outcome = case.run(&program, &suite, home.path());
        match (outcome, exceptions.reason(&case.name)) {
            (Outcome::Passed, None) => passed += 1,
            (Outcome::Failed(_), Some(_)) => {}
            (Outcome::Failed(why), None) => {
                writeln!(report, "--- {}\n{why}", case.name).unwrap();
            }
            (Outcome::Passed, Some(reason)) => {
                writeln!(
                    report,
                    "--- {}\npasses: remove it from exceptions.txt ({reason})",
                    case.name
                )
                .unwrap();
            }
        }
    }
    println!("{passed} of {} cases pass in {suite:?}", cases.len());
    assert!(report.is_empty(), "\n{report}");
}

/// Whether the suite is laid out as newer releases have it, whose script is stricter.
fn is_newer(suite: &Path) -> bool {
    suite.ends_with("functional")
}
