//! `torture fuzz`: each fuzz target for a while, by the compiler that builds all the rest.
//!
//! cargo-fuzz wants a nightly compiler, for its sanitizers. No crate but `sys` has unsafe code, so the
//! counters of libFuzzer are what is needed, and those are a pass of LLVM's that every compiler has.
//! Arithmetic that overflows and debug assertions are failures, as they are in tests.
//!
//! ```text
//! <crate>/fuzz/fuzz_targets/<target>.rs    a target
//! <crate>/fuzz/seeds/<target>/             what to begin with, if it is not found by itself
//! <crate>/fuzz/<target>.dict               words that it may be made of, likewise
//! target/fuzz/corpus/<target>/             what was found: the next run goes on with it
//! target/fuzz/artifacts/<target>-…         what has made it fail
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};

use crate::cargo;
use crate::stages::Stages;

/// How long a target runs, unless it is said.
const SECONDS: u32 = 120;

/// A target that has found fewer inputs has not come past the first bytes.
const FOUND: usize = 10;

/// What makes a program of libFuzzer's, see the `sancov-module` pass of LLVM. It is dynamic: the
/// runtime is C++.
const FLAGS: [&str; 9] = [
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
    "-Cdebug-assertions",
    "-Coverflow-checks",
];

/// The folder with the manifest, and the target's source.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Target {
    crate_folder: PathBuf,
    name: String,
}

/// Runs the targets that are named, or all; a number before them is for how many seconds each.
pub fn fuzz(arguments: &[String]) -> anyhow::Result<()> {
    let (seconds, names) = match arguments.split_first() {
        Some((first, rest)) if first.parse::<u32>().is_ok() => (first.parse()?, rest),
        _ => (SECONDS, arguments),
    };
    let targets = chosen(all(&cargo::workspace())?, names)?;
    let folder = cargo::workspace().join("target/fuzz");
    build(&targets, &folder)?;
    let mut runs = Vec::new();
    for target in &targets {
        runs.push((target.name.clone(), run(target, &folder, seconds)?));
    }
    let mut stages = Stages::new();
    stages.run_together(2, runs);
    stages.finish()?;
    for Target { name, .. } in &targets {
        let found = list(&folder.join("corpus").join(name))?.len();
        ensure!(
            found >= FOUND,
            "the fuzz target '{name}' has found {found} inputs only: give it seeds or words to begin with"
        );
    }
    Ok(())
}

/// All targets, by name.
fn all(workspace: &Path) -> anyhow::Result<BTreeMap<String, Target>> {
    let mut targets = BTreeMap::new();
    for entry in list(workspace)? {
        let crate_folder = entry.join("fuzz");
        if !crate_folder.join("Cargo.toml").is_file() {
            continue;
        }
        for source in list(&crate_folder.join("fuzz_targets"))? {
            let stem = source.file_stem().unwrap_or_default();
            let name = stem.to_string_lossy().into_owned();
            let target = Target {
                crate_folder: crate_folder.clone(),
                name: name.clone(),
            };
            if let Some(other) = targets.insert(name.clone(), target) {
                let place = other.crate_folder.display();
                bail!(
                    "two fuzz targets are named '{name}', one in {place}: their programs lie in one folder"
                );
            }
        }
    }
    Ok(targets)
}

/// Those with these names; no name means all.
fn chosen(all: BTreeMap<String, Target>, names: &[String]) -> anyhow::Result<Vec<Target>> {
    if let Some(unknown) = names.iter().find(|name| !all.contains_key(*name)) {
        let known: Vec<_> = all.into_keys().collect();
        bail!(
            "there is no fuzz target '{unknown}'; there are {}",
            known.join(", ")
        );
    }
    let wanted = |target: &Target| names.is_empty() || names.contains(&target.name);
    Ok(all.into_values().filter(wanted).collect())
}

/// Builds the programs.
fn build(targets: &[Target], folder: &Path) -> anyhow::Result<()> {
    let mut crates: Vec<_> = targets.iter().map(|target| &target.crate_folder).collect();
    crates.dedup();
    for crate_folder in crates {
        let mut command = cargo::cargo(&["build", "--release"]);
        command
            .arg("--manifest-path")
            .arg(crate_folder.join("Cargo.toml"));
        command.arg("--target-dir").arg(folder);
        for target in targets
            .iter()
            .filter(|target| &target.crate_folder == crate_folder)
        {
            command.args(["--bin", &target.name]);
        }
        command.env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\x1f"));
        cargo::run(command)?;
    }
    Ok(())
}

/// The command that runs a target, with folders for what it finds.
fn run(target: &Target, folder: &Path, seconds: u32) -> anyhow::Result<Command> {
    let name = &target.name;
    let program = folder.join(cargo::TARGET).join("release").join(name);
    let corpus = folder.join("corpus").join(name);
    let artifacts = folder.join("artifacts");
    for made in [&corpus, &artifacts] {
        fs::create_dir_all(made).with_context(|| format!("cannot make {}", made.display()))?;
    }
    ensure!(program.is_file(), "{} was not built", program.display());
    let mut command = Command::new(program);
    command.arg(format!("-max_total_time={seconds}"));
    command.arg(format!("-artifact_prefix={}/{name}-", artifacts.display()));
    // A second is long for any of them, also on a machine that does something else.
    command.args([
        "-timeout=20",
        "-rss_limit_mb=2048",
        "-verbosity=0",
        "-print_final_stats=1",
    ]);
    let dictionary = target.crate_folder.join(format!("{name}.dict"));
    if dictionary.is_file() {
        command.arg(format!("-dict={}", dictionary.display()));
    }
    command.arg(corpus);
    let seeds = target.crate_folder.join("seeds").join(name);
    if seeds.is_dir() {
        command.arg(seeds);
    }
    Ok(command)
}

/// What lies in a folder, by name.
fn list(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let entries = entries.with_context(|| format!("cannot read {}", folder.display()))?;
    let mut paths: Vec<_> = entries.into_iter().map(|entry| entry.path()).collect();
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_is_in_its_manifest() {
        let all = all(&cargo::workspace()).unwrap();
        assert!(all.len() > 20, "{all:?}");
        for target in all.values() {
            let manifest = target.crate_folder.join("Cargo.toml");
            let manifest = fs::read_to_string(manifest).unwrap();
            let line = format!("name = \"{}\"\n", target.name);
            assert!(manifest.contains(&line), "{target:?}");
        }
        for target in all.values() {
            let Ok(seeds) = list(&target.crate_folder.join("seeds")) else {
                continue;
            };
            for seeds in seeds {
                let name = seeds.file_name().unwrap().to_str().unwrap();
                assert!(all.contains_key(name), "{} begins nothing", seeds.display());
            }
        }
    }

    #[test]
    fn a_target_that_is_not_there_is_named() {
        let target = |name: &str| Target {
            crate_folder: "init/fuzz".into(),
            name: name.to_owned(),
        };
        let all = || BTreeMap::from(["one", "two"].map(|name| (name.to_owned(), target(name))));
        assert_eq!(chosen(all(), &[]).unwrap(), [target("one"), target("two")]);
        assert_eq!(chosen(all(), &["two".to_owned()]).unwrap(), [target("two")]);
        let error = chosen(all(), &["three".to_owned()]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is no fuzz target 'three'; there are one, two"
        );
    }
}
