//! Evaluation in a process of its own, with a limit on its memory: one that runs away ends, and
//! says so in one error; the memory of one that ended is the machine's again.
//!
//! The child is this program with the same arguments, and a variable that names its parent.

use std::env;
use std::io;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Command, ExitStatus};

use anyhow::{Context as _, Result};
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getppid};

/// Names the parent of an evaluating process. Processes that it starts itself have another parent.
const VARIABLE: &str = "CAIRN_EVALUATES_FOR";

/// Asks the C library for huge pages: an evaluation fills its memory once from end to end, and a
/// fourth of its time would go into getting that page by page.
const TUNABLES: (&str, &str) = ("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1");

/// This program, however it was called.
const ITSELF: &str = "/proc/self/exe";

/// What is left to the program beside the evaluation's values: tables, files being read.
const SLACK: u64 = 512 << 20;

/// Which of the two processes this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The one that was called; the other has ended with this status.
    Called(u8),
    /// The one that evaluates.
    Evaluates,
}

/// Starts the process that evaluates and waits for it, or finds that this is the one.
///
/// # Errors
/// The process cannot be started or waited for.
pub fn split(memory: u64) -> Result<Side> {
    if is_child() {
        bind_to_parent()?;
        return Ok(Side::Evaluates);
    }
    if !Path::new(ITSELF).exists() {
        log::warn!("/proc is not mounted: the evaluation has no process of its own");
        return Ok(Side::Evaluates);
    }
    let mut arguments = env::args_os();
    let mut command = Command::new(ITSELF);
    command.arg0(arguments.next().unwrap_or_default());
    command.args(arguments);
    let status = mark(&mut command)
        .status()
        .context("cannot start a process for the evaluation")?;
    Ok(Side::Called(code(status, memory)))
}

/// Makes `command`, which starts this program, evaluate at once instead of starting another one.
pub fn mark(command: &mut Command) -> &mut Command {
    if env::var_os(TUNABLES.0).is_none() {
        command.env(TUNABLES.0, TUNABLES.1);
    }
    command.env(VARIABLE, std::process::id().to_string())
}

fn is_child() -> bool {
    env::var(VARIABLE).is_ok_and(|parent| parent == getppid().to_string())
}

/// An evaluation that nobody waits for any more is ended.
fn bind_to_parent() -> Result<()> {
    let parent = getppid();
    prctl::set_pdeathsig(Signal::SIGKILL).context("cannot bind the evaluation to its parent")?;
    // It may have ended just before.
    if getppid() != parent || parent == Pid::from_raw(1) {
        anyhow::bail!("the program that asked for the evaluation has ended");
    }
    Ok(())
}

/// Limits the memory of this process to some more than twice `memory` beyond what it has mapped:
/// the evaluator watches itself, but a text that it puts together may have taken twice its length.
///
/// # Errors
/// The limit cannot be read or set.
pub fn limit_memory(memory: u64) -> Result<()> {
    let Some(mapped) = mapped_bytes() else {
        log::debug!("the size of this process is not known: its memory is not limited");
        return Ok(());
    };
    let (_, hard) = getrlimit(Resource::RLIMIT_AS).context("cannot read the limit of memory")?;
    let wanted = mapped
        .saturating_add(memory.saturating_mul(2))
        .saturating_add(SLACK);
    setrlimit(Resource::RLIMIT_AS, wanted.min(hard), hard).context("cannot limit the memory")
}

/// Allows this process as many open files as it may have, up to `wanted`; returns how many.
pub(super) fn allow_open_files(wanted: u64) -> u64 {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return 0;
    };
    let wanted = wanted.clamp(soft.min(hard), hard);
    match setrlimit(Resource::RLIMIT_NOFILE, wanted, hard) {
        Ok(()) => wanted,
        Err(error) => {
            log::debug!("no more than {soft} files can be open: {error}");
            soft
        }
    }
}

/// The size of this process's address space.
fn mapped_bytes() -> Option<u64> {
    status_field("VmSize:")
}

/// The most memory that this process had at once, in bytes.
#[must_use]
pub fn peak_memory() -> Option<u64> {
    status_field("VmHWM:")
}

fn status_field(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes << 10)
}

/// The status to end with; what the child could not say itself is said here.
pub fn code(status: ExitStatus, memory: u64) -> u8 {
    if let Some(code) = status.code() {
        return u8::try_from(code).unwrap_or(1);
    }
    tell(&format!("error: {}", describe_signal(status, memory)));
    1
}

/// What ended an evaluation that did not end by itself; `memory` is what it might take, in bytes.
#[must_use]
pub fn describe_signal(status: ExitStatus, memory: u64) -> String {
    match status.signal().map(Signal::try_from) {
        Some(Ok(Signal::SIGABRT)) => {
            let limit = memory >> 20;
            format!("the evaluation exhausted its memory; its limit is {limit} MiB")
        }
        Some(Ok(Signal::SIGKILL)) => {
            "the evaluation was killed; the machine may be out of memory".to_owned()
        }
        Some(Ok(signal)) => format!("the evaluation was ended by {signal}"),
        Some(Err(_)) | None => "the evaluation ended in an unknown way".to_owned(),
    }
}

fn tell(line: &str) {
    use io::Write as _;
    if let Err(error) = writeln!(io::stderr().lock(), "{line}") {
        log::debug!("a message was lost: {error}");
    }
}
