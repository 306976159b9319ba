//! The supervisor as core sees it: a child to be started, again and again.
//!
//! It is started from the generation whose services run (`generation`). Should that generation's
//! program not even start, now and then core's own is tried in its place, lest services be without
//! a supervisor.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use cairn_sys::process::{Credentials, OpenFiles, Placement, Prepared, Started, Streams};
use cairn_sys::{seqpacket, signal};

use crate::clock::Ms;
use crate::generation;
use crate::realm::{Owner, realm};
use crate::role::supervisor_name;

/// Bounds of the delay before a restart, in milliseconds; the first restart is at once.
const FIRST_DELAY_MS: Ms = 50;
const LONGEST_DELAY_MS: Ms = 10_000;

/// A supervisor that lived this long, in milliseconds, makes the delay begin anew.
const STABLE_MS: Ms = 10_000;

/// Of so many starts after quick failures, the last one is of core's own program.
const OWN_TURN: u32 = 4;

/// How to start it.
#[derive(Debug)]
pub struct Supervisor {
    of_generation: Prepared,
    own: Prepared,
    output: File,
}

/// The child, or when the next one is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// There is none.
    Due {
        /// When it is started.
        at: Ms,
        /// The delay if that one ends too.
        delay: Ms,
        /// Quick ends in a row.
        failures: u32,
    },
    /// It runs.
    Running {
        /// Its id.
        pid: u32,
        /// Since when.
        at: Ms,
        /// The delay when it ends.
        delay: Ms,
        /// Quick ends in a row before it.
        failures: u32,
    },
}

impl Supervisor {
    /// Prepares everything that a start needs. `open_files` is the limit that services get.
    pub fn new(toplevel: &Path, open_files: OpenFiles, output: File) -> io::Result<Self> {
        let link = realm().generation.as_path();
        let toplevel = match generation::ensure(link, toplevel) {
            Ok(()) => link,
            Err(error) => {
                log::error!("cannot make {}: {error}", link.display());
                toplevel
            }
        };
        let own = std::fs::read_link("/proc/self/exe").map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("cannot read /proc/self/exe: {error}; is /proc mounted?"),
            )
        })?;
        let owner = realm().owner.as_ref();
        let variables = owner.map(Owner::variables).unwrap_or_default();
        let prepare = |program: &OsStr| -> io::Result<Prepared> {
            let argv = [OsStr::new(supervisor_name(owner)), toplevel.as_os_str()];
            let variables = variables
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()));
            let prepared = Prepared::new(argv, variables, Credentials::default(), open_files)?;
            Ok(prepared.program(program)?)
        };
        Ok(Self {
            of_generation: prepare(OsStr::from_bytes(realm().program.to_bytes()))?,
            own: prepare(own.as_os_str())?,
            output,
        })
    }

    /// Starts it after so many quick failures; returns our end of the link to it.
    pub fn start(&self, failures: u32) -> io::Result<(OwnedFd, Started)> {
        let (ours, theirs) = seqpacket::pair()?;
        let streams = Streams {
            input: Some(theirs.as_fd()),
            output: self.output.as_fd(),
            error: None,
            passed: &[],
            numbered: None,
        };
        let program = if failures % OWN_TURN == OWN_TURN - 1 {
            &self.own
        } else {
            &self.of_generation
        };
        Ok((ours, program.start(Placement::Parents, streams, None)?))
    }
}

impl Life {
    /// The first start is due.
    pub fn new() -> Self {
        Self::Due {
            at: 0,
            delay: 0,
            failures: 0,
        }
    }

    /// When a start is due; none while it runs.
    pub fn due(&self) -> Option<Ms> {
        match self {
            Self::Due { at, .. } => Some(*at),
            Self::Running { .. } => None,
        }
    }

    /// Its process, if it runs.
    pub fn pid(&self) -> Option<u32> {
        match self {
            Self::Due { .. } => None,
            Self::Running { pid, .. } => Some(*pid),
        }
    }

    /// Quick ends in a row.
    pub fn failures(&self) -> u32 {
        match self {
            Self::Due { failures, .. } | Self::Running { failures, .. } => *failures,
        }
    }

    /// It has been started.
    pub fn started(&mut self, pid: u32, now: Ms) {
        if let Self::Due {
            delay, failures, ..
        } = *self
        {
            *self = Self::Running {
                pid,
                at: now,
                delay,
                failures,
            };
        }
    }

    /// It has ended, or could not be started.
    pub fn ended(&mut self, now: Ms) {
        let (delay, failures) = match *self {
            Self::Running { at, .. } if now.saturating_sub(at) >= STABLE_MS => (0, 0),
            Self::Running {
                delay, failures, ..
            }
            | Self::Due {
                delay, failures, ..
            } => (delay, failures.saturating_add(1)),
        };
        *self = Self::Due {
            at: now.saturating_add(delay),
            delay: (delay * 2).clamp(FIRST_DELAY_MS, LONGEST_DELAY_MS),
            failures,
        };
    }

    /// Ends it by force: it does not answer as it should.
    pub fn kill(&self) {
        if let Some(pid) = self.pid()
            && let Err(error) = signal::send(pid, nix::libc::SIGKILL)
        {
            log::error!("cannot kill the supervisor: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restarts_are_put_off_further_and_further() {
        let mut life = Life::new();
        let mut now = 0;
        let mut delays = Vec::new();
        for lived in [0, 0, 0, 0, STABLE_MS, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0] {
            let at = life.due().unwrap();
            delays.push((at - now, life.failures()));
            now = at;
            life.started(7, now);
            assert_eq!((life.pid(), life.due()), (Some(7), None));
            now += lived;
            life.ended(now);
        }
        expect_test::expect![[r"[(0, 0), (0, 1), (50, 2), (100, 3), (200, 4), (0, 0), (50, 1), (100, 2), (200, 3), (400, 4), (800, 5), (1600, 6), (3200, 7), (6400, 8), (10000, 9), (10000, 10)]"]]
            .assert_eq(&format!("{delays:?}"));
    }
}
