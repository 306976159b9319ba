//! Core's program is replaced by another generation's, in the same process: at once, or with stage 2 in between.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::Path;

use cairn_sys::kmsg::{self, Priority};
use cairn_sys::process::{Credentials, OpenFiles, Prepared};
use cairn_sys::seqpacket;

use super::handover::{self, Estate};
use super::{Core, HANDOVER};
use crate::generation::CORE;
use crate::role::core_name;

/// What the predecessor has left on standard input, or if that cannot be read, nothing.
pub fn inherit() -> Estate {
    let file = seqpacket::inherited(0).map(File::from);
    let estate = file.and_then(|file| handover::read(&file));
    // Standard input is nothing from now on: the lowest free number is 0, and this process has one thread.
    match File::open("/dev/null") {
        Ok(nothing) => std::mem::forget(nothing),
        Err(error) => log::error!("cannot open /dev/null: {error}"),
    }
    match estate {
        Ok(estate) => {
            kmsg::write(
                Priority::Notice,
                "cairn: PID 1 is this generation's program",
            );
            estate
        }
        Err(error) => {
            kmsg::write(
                Priority::Critical,
                &format!("cairn: PID 1 cannot go on where it was: {error}"),
            );
            Estate::new()
        }
    }
}

/// Executes core of the generation at `toplevel` with what has been inherited; returns only with the reason why
/// it could not be done.
pub fn pass_on(estate: &Estate, toplevel: &Path) -> io::Error {
    let execute = || -> io::Result<std::convert::Infallible> {
        let file = handover::write(estate)?;
        handover::pass_on(estate, true)?;
        nix::unistd::dup2_stdin(&file)?;
        let argv = [
            OsStr::new(core_name(None)),
            toplevel.as_os_str(),
            OsStr::new(HANDOVER),
        ];
        let unused = OpenFiles { soft: 0, hard: 0 };
        let program = Prepared::new(argv, [], Credentials::default(), unused)?;
        Err(program.program(toplevel.join(CORE).as_os_str())?.execute())
    };
    match execute() {
        Err(error) => error,
        Ok(never) => match never {},
    }
}

impl Core {
    /// Executes the program of the generation that runs, in our place; goes on if that fails.
    pub(super) fn renew(&mut self, handover: u32) {
        if self.estate.ending.is_some() {
            return;
        }
        if handover < handover::VERSION {
            log::warn!(
                "this generation's program is too old to take PID 1 over: it stays until the next boot"
            );
            return;
        }
        let error = match self.hand_over() {
            Ok(error) | Err(error) => error,
        };
        log::error!("cannot execute the generation's program: {error}; going on as before");
        if let Err(error) = handover::pass_on(&self.estate, false).and_then(|()| close_input()) {
            // Children get none of them all the same: see `Prepared::start`.
            log::error!("cannot take descriptors back: {error}");
        }
    }

    /// Returns only with the reason why it could not be done.
    fn hand_over(&self) -> io::Result<io::Error> {
        let file = handover::write(&self.estate)?;
        handover::pass_on(&self.estate, true)?;
        nix::unistd::dup2_stdin(&file)?;
        Ok(self.successor.execute())
    }
}

/// Standard input is nothing again.
fn close_input() -> io::Result<()> {
    nix::unistd::dup2_stdin(File::open("/dev/null")?)?;
    Ok(())
}
