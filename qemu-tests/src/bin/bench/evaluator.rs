//! The evaluator against `nix-instantiate`, on the same files: time, and the most memory that
//! either needed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::{Times, scratch};

/// Runs of each, in turns.
const ROUNDS: usize = 5;

/// What is evaluated, and the goal: upper bounds of the ratios of time and of memory.
struct Workload {
    name: &'static str,
    input: Input,
    time: f64,
    memory: f64,
}

enum Input {
    /// A file below the repository, with arguments.
    File(&'static str, &'static [&'static str]),
    /// The demo's whole configuration, down to the name of its system.
    Demo,
}

const fn small(name: &'static str, file: &'static str) -> Workload {
    Workload {
        name,
        input: Input::File(file, &[]),
        time: 1.0,
        memory: 1.0,
    }
}

const WORKLOADS: &[Workload] = &[
    small("recursive calls, 6e5", "qemu-tests/workloads/calls.nix"),
    small("lists, 1e6 elements", "qemu-tests/workloads/lists.nix"),
    small("sets, 2e5 attributes", "qemu-tests/workloads/sets.nix"),
    small(
        "one set, 1e6 attributes",
        "qemu-tests/workloads/large-set.nix",
    ),
    small("updates of sets", "qemu-tests/workloads/updates.nix"),
    small("strings, 10 MB", "qemu-tests/workloads/strings.nix"),
    Workload {
        name: "400 modules, 2000 options",
        input: Input::File(
            "modules/lib/tests/synthetic.nix",
            &["--arg", "modules", "400"],
        ),
        time: 0.5,
        memory: 1.0,
    },
    Workload {
        name: "the demo system",
        input: Input::Demo,
        time: 1.0,
        memory: 1.0,
    },
];

/// Where things are.
struct Bench {
    repository: PathBuf,
    /// For what is only there while this runs.
    folder: tempfile::TempDir,
    /// Our program under the peer's name.
    ours: PathBuf,
    /// What evaluates to the demo's system.
    demo: String,
}

/// Prints a row for each workload.
pub fn measure() -> anyhow::Result<()> {
    let repository = fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .context("cannot find the repository")?;
    let folder = scratch()?;
    let ours = under_nix_name(folder.path())?;
    let demo = demo(&repository, folder.path())?;
    let bench = Bench {
        repository,
        folder,
        ours,
        demo,
    };
    header();
    WORKLOADS
        .iter()
        .try_for_each(|workload| row(workload, &bench))
}

/// An expression that is the name of the demo's system. No package is locked, so that nothing is
/// fetched: whatever word there is in the modules is a package of the archive.
fn demo(repository: &Path, folder: &Path) -> anyhow::Result<String> {
    let mut words = BTreeSet::new();
    for part in ["modules", "examples"] {
        add_words(&repository.join(part), &mut words)?;
    }
    let names: BTreeMap<String, &str> = words.into_iter().map(|word| (word, "1")).collect();
    let names_file = folder.join("names.json");
    write(&names_file, &serde_json::to_string(&names)?)?;
    let formats: BTreeMap<&str, u32> = cairn::builders::format_versions().collect();
    let packages = serde_json::json!({
        "format": 1, "system": "x86_64-linux", "formats": formats,
        "groups": [], "packages": {}, "names": names_file
    });
    let packages_file = folder.join("packages.json");
    write(&packages_file, &packages.to_string())?;
    Ok(format!(
        r#"let
             program = name: builtins.unsafeDiscardStringContext (builtins.toFile name "");
           in (import {repository}/modules {{
             configuration = {repository}/examples/demo/configuration.nix;
             packages = {packages};
             programs = {{ cairn = program "cairn"; cairn-init = program "cairn-init"; cairn-core = program "cairn-core"; }};
           }}).system.drvPath"#,
        repository = repository.display(),
        packages = packages_file.display(),
    ))
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// The words in all Nix files below `path` that could be names of packages.
fn add_words(path: &Path, words: &mut BTreeSet<String>) -> anyhow::Result<()> {
    let failed = || format!("cannot read {}", path.display());
    if path.is_dir() {
        for entry in fs::read_dir(path).with_context(failed)? {
            add_words(&entry.with_context(failed)?.path(), words)?;
        }
        return Ok(());
    }
    if path.extension().is_some_and(|extension| extension == "nix") {
        let text = fs::read_to_string(path).with_context(failed)?;
        let inside = |char: char| char.is_ascii_alphanumeric() || "+-_".contains(char);
        let found = text.split(|char| !inside(char));
        // Names of packages have no capital letters; what the package set has beside packages may.
        let is_capital = |char: char| char.is_ascii_uppercase();
        let names = found.filter(|word| {
            word.starts_with(|char: char| char.is_ascii_lowercase()) && !word.contains(is_capital)
        });
        words.extend(names.map(str::to_owned));
    }
    Ok(())
}

/// Our program under the name by which it behaves as the peer does.
fn under_nix_name(folder: &Path) -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("cannot find this program's own path")?;
    let cairn = own.with_file_name("cairn");
    let link = folder.join("nix-instantiate");
    std::os::unix::fs::symlink(&cairn, &link)
        .with_context(|| format!("cannot link {} to {}", link.display(), cairn.display()))?;
    Ok(link)
}

fn header() {
    println!(
        "\n{:<28}{:>10} {:>10} {:>7}   {:>10} {:>10} {:>7}",
        "evaluator", "seconds", "nix", "ratio", "MiB", "nix", "ratio"
    );
}

fn row(workload: &Workload, bench: &Bench) -> anyhow::Result<()> {
    let (mut our_times, mut their_times) = (Times::default(), Times::default());
    let (mut our_memory, mut their_memory) = (0, 0);
    let mut results = Vec::new();
    for _ in 0..ROUNDS {
        for (program, times, memory) in [
            (&*bench.ours, &mut our_times, &mut our_memory),
            (
                Path::new("nix-instantiate"),
                &mut their_times,
                &mut their_memory,
            ),
        ] {
            let run = Run::of(program, workload, bench)?;
            times.0.push(run.took);
            *memory = run.memory.max(*memory);
            results.push(run.result);
        }
    }
    if results.iter().any(|result| Some(result) != results.first()) {
        bail!("{}: the evaluators disagree: {results:?}", workload.name);
    }
    let time = paired_ratio(&our_times, &their_times);
    #[expect(clippy::cast_precision_loss, reason = "kilobytes are few")]
    let memory = our_memory as f64 / their_memory as f64;
    println!(
        "{:<28}{:>10.3} {:>10.3} {time:>7.2}   {:>10} {:>10} {memory:>7.2}   goal {:.1} {:.1}: {}",
        workload.name,
        our_times.median(),
        their_times.median(),
        our_memory >> 10,
        their_memory >> 10,
        workload.time,
        workload.memory,
        verdict(time <= workload.time && memory <= workload.memory),
    );
    Ok(())
}

/// The median of the ratios of runs that followed one another: what else the machine does meets
/// both.
fn paired_ratio(ours: &Times, theirs: &Times) -> f64 {
    let pairs = ours.0.iter().zip(&theirs.0);
    let ratio = |(ours, theirs): (&Duration, &Duration)| ours.as_secs_f64() / theirs.as_secs_f64();
    let mut ratios: Vec<f64> = pairs.map(ratio).collect();
    ratios.sort_by(f64::total_cmp);
    ratios.get(ratios.len() / 2).copied().unwrap_or(f64::NAN)
}

fn verdict(reached: bool) -> &'static str {
    if reached { "reached" } else { "MISSED" }
}

/// One run of one program.
struct Run {
    took: Duration,
    /// Peak of resident memory, in KiB.
    memory: u64,
    result: String,
}

impl Run {
    fn of(program: &Path, workload: &Workload, bench: &Bench) -> anyhow::Result<Self> {
        let usage = tempfile::NamedTempFile::new().context("cannot create a temporary file")?;
        let mut command = Command::new("time");
        command.args(["--format=%M", "--output"]).arg(usage.path());
        command.arg(program).args(["--eval", "--strict"]);
        match workload.input {
            Input::File(file, arguments) => {
                command.args(arguments).arg(bench.repository.join(file));
            }
            Input::Demo => {
                command.args(["-E", &bench.demo]);
            }
        }
        let store = bench.folder.path().join("store");
        command.env("NIX_REMOTE", format!("local?root={}", store.display()));
        command.stdin(Stdio::null());
        let begin = Instant::now();
        let output = command
            .output()
            .context("cannot run time; `cargo xtask bench` installs it")?;
        let took = begin.elapsed();
        if !output.status.success() {
            let complaint = String::from_utf8_lossy(&output.stderr);
            bail!(
                "{}: {}: {}",
                program.display(),
                workload.name,
                complaint.trim()
            );
        }
        let memory = fs::read_to_string(usage.path()).context("cannot read what time wrote")?;
        let memory = memory.trim().parse().context("time wrote no number")?;
        let result = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        Ok(Self {
            took,
            memory,
            result,
        })
    }
}
