//! The evaluator against `nix-instantiate`, on the same files: time, and the most memory that
//! either needed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::{Times, scratch};

/// Runs of each, in turns.
const ROUNDS: usize = 5;

/// What is evaluated: a file below the repository, its arguments, and the goal: upper bounds of the
/// ratios of time and of memory.
struct Workload {
    name: &'static str,
    file: &'static str,
    arguments: &'static [&'static str],
    time: f64,
    memory: f64,
}

const fn small(name: &'static str, file: &'static str) -> Workload {
    Workload {
        name,
        file,
        arguments: &[],
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
        file: "modules/lib/tests/synthetic.nix",
        arguments: &["--arg", "modules", "400"],
        time: 0.5,
        memory: 1.0,
    },
];

/// Prints a row for each workload.
pub fn measure() -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = scratch()?;
    let ours = under_nix_name(folder.path())?;
    header();
    for workload in WORKLOADS {
        row(workload, &root, &ours)?;
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

fn row(workload: &Workload, root: &Path, ours: &Path) -> anyhow::Result<()> {
    let (mut our_times, mut their_times) = (Times::default(), Times::default());
    let (mut our_memory, mut their_memory) = (0, 0);
    let mut results = Vec::new();
    for _ in 0..ROUNDS {
        for (program, times, memory) in [
            (ours, &mut our_times, &mut our_memory),
            (
                Path::new("nix-instantiate"),
                &mut their_times,
                &mut their_memory,
            ),
        ] {
            let run = Run::of(program, workload, root)?;
            times.0.push(run.took);
            *memory = run.memory.max(*memory);
            results.push(run.result);
        }
    }
    if results.iter().any(|result| Some(result) != results.first()) {
        bail!("{}: the evaluators disagree: {results:?}", workload.file);
    }
    let time = our_times.median() / their_times.median();
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
    fn of(program: &Path, workload: &Workload, root: &Path) -> anyhow::Result<Self> {
        let usage = tempfile::NamedTempFile::new().context("cannot create a temporary file")?;
        let begin = Instant::now();
        let output = Command::new("time")
            .args(["--format=%M", "--output"])
            .arg(usage.path())
            .arg(program)
            .args(["--eval", "--strict"])
            .args(workload.arguments)
            .arg(root.join(workload.file))
            .stdin(Stdio::null())
            .output()
            .context("cannot run time; `cargo xtask bench` installs it")?;
        let took = begin.elapsed();
        if !output.status.success() {
            let complaint = String::from_utf8_lossy(&output.stderr);
            bail!(
                "{}: {}: {}",
                program.display(),
                workload.file,
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
