//! The commands: a process for the evaluation, its one error, its exit status.

use std::ffi::OsString;
use std::io::Write as _;
use std::os::unix::ffi::OsStringExt as _;
use std::panic;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, Result};
use bstr::BString;
use cairn_debian::{FetchOptions, Fetcher, Lock, host_sources};
use cairn_store::Store;
use cairn_store_path::StorePath;

use super::child::{Side, code, mark, split};
use super::nix_instantiate::{HELP, Invocation, parse};
use super::objects::Realise;
use super::request::Request;
use super::run::{run, tell};
use super::session::Failure;
use crate::builders::builders;
use crate::place::Place;
use crate::progress::BuildProgress;

/// The version of the language that this program speaks, in the form in which that tool says its
/// own: what reads it compares it with releases of Nix.
const VERSION: &str = "nix-instantiate (Nix) 2.34.0";

/// `cairn eval`.
#[must_use]
pub fn eval(request: &Request) -> ExitCode {
    ExitCode::from(in_process(request.language.memory, || {
        run(request, build_when_read(request.lock.clone()))
    }))
}

/// `nix-instantiate`; `arguments` are those behind the program's name.
#[must_use]
pub fn nix_instantiate(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = arguments
        .into_iter()
        .map(|word| BString::from(word.into_vec()));
    let invocation = match parse(arguments) {
        Ok(invocation) => invocation,
        Err(error) => {
            tell(&format!("error: {error}"));
            tell("Try 'nix-instantiate --help' for more information.");
            return ExitCode::FAILURE;
        }
    };
    match invocation {
        Invocation::Version => say(&format!("{VERSION}\n")),
        Invocation::Help => say(HELP),
        Invocation::Evaluate(request) => eval(&request),
    }
}

fn say(text: &str) -> ExitCode {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Runs `work` in a process of its own, and gives the status to end with.
pub(super) fn in_process(memory: u64, work: impl FnOnce() -> Result<(), Failure>) -> u8 {
    let result = match split(memory) {
        Ok(Side::Called(code)) => return code,
        Ok(Side::Evaluates) => {
            report_panics();
            work()
        }
        Err(error) => Err(error.into()),
    };
    match result {
        Ok(()) => 0,
        Err(failure) => {
            tell(&failure.to_string());
            1
        }
    }
}

/// A panic is a bug of this program; an arena that cannot grow panics, too, and is none.
fn report_panics() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let message = info.payload_as_str().unwrap_or_default();
        if message == "out of memory" {
            tell("error: the evaluation exhausted its memory");
            std::process::exit(1);
        }
        usual(info);
        std::process::exit(101);
    }));
}

/// Builds what an expression reads, with the builders inside this program and the packages of a
/// lock file, which an expression by itself does not have.
pub(super) fn build_when_read(lock: Option<PathBuf>) -> Box<Realise> {
    Box::new(move |store: &Store, wanted: &[StorePath]| {
        let cache = Place::new(None, None)?.cache.join("debian");
        let sources = host_sources(Path::new("/"))?;
        let fetcher = Fetcher::new(&sources, &cache, FetchOptions::of_host())?;
        let lock = match &lock {
            None => Lock::new(cairn_debian::Request::new([]), Vec::new(), Vec::new())?,
            Some(file) => {
                let text = std::fs::read_to_string(file)
                    .with_context(|| format!("cannot read the lock file '{}'", file.display()))?;
                Lock::parse(&text)
                    .with_context(|| format!("the lock file '{}' is damaged", file.display()))?
            }
        };
        store.realise(wanted, &builders(fetcher, lock), &BuildProgress::new())?;
        Ok(())
    })
}

/// The evaluation failed, and has said why on standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the evaluation failed")]
pub struct AlreadyTold;

/// Evaluates `request` in a process of `program`, which is the command `cairn`, and returns what
/// it writes to standard output. Messages of the evaluation go to standard error as they come.
///
/// # Errors
/// [`AlreadyTold`] if the evaluation fails; the request has something that `cairn eval` cannot
/// express, or the process cannot be started.
pub fn output_of(program: &Path, request: &Request) -> Result<Vec<u8>> {
    let arguments = request
        .to_arguments()
        .context("the request is none that 'cairn eval' takes")?;
    let mut command = Command::new(program);
    command.arg("eval").args(arguments);
    let output = mark(&mut command)
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot run '{}'", program.display()))?;
    match code(output.status, request.language.memory) {
        0 => Ok(output.stdout),
        _ => Err(AlreadyTold.into()),
    }
}
