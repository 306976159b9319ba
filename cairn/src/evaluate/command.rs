//! The commands: a process for the evaluation, its one error, its exit status.

use std::ffi::OsString;
use std::io::Write as _;
use std::os::unix::ffi::OsStringExt as _;
use std::panic;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use bstr::BString;
use cairn_debian::{FetchOptions, Fetcher, Lock, host_sources};
use cairn_store::Store;
use cairn_store_path::StorePath;

use super::child::{Side, split};
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
        run(request, build_when_read())
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

/// Builds what an expression reads, with the builders inside this program. Packages come from a
/// lock, which an expression by itself does not have.
fn build_when_read() -> Box<Realise> {
    Box::new(|store: &Store, wanted: &[StorePath]| {
        let cache = Place::new(None, None)?.cache.join("debian");
        let sources = host_sources(Path::new("/"))?;
        let fetcher = Fetcher::new(&sources, &cache, FetchOptions::of_host())?;
        let request = cairn_debian::Request::new([]);
        let lock = Lock::new(request, Vec::new(), Vec::new())?;
        store.realise(wanted, &builders(fetcher, lock), &BuildProgress::new())?;
        Ok(())
    })
}
