//! The supervisor as core sees it: a child to be started, again and again.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use cairn_sys::process::{Credentials, OpenFiles, Placement, Prepared, Started, Streams};
use cairn_sys::{seqpacket, signal};

use crate::clock::Ms;

/// Bounds of the delay before a restart, in milliseconds; the first restart is at once.
const FIRST_DELAY_MS: Ms = 50;
const LONGEST_DELAY_MS: Ms = 10_000;

/// A supervisor that lived this long, in milliseconds, makes the delay begin anew.
const STABLE_MS: Ms = 10_000;

/// The child, or when the next one is due.
#[derive(Debug)]
pub struct Supervisor {
    prepared: Prepared,
    output: File,
    life: Life,
    delay: Ms,
}

#[derive(Debug)]
enum Life {
    Due(Ms),
    Running { started: Started, at: Ms },
}

impl Supervisor {
    /// Prepares everything that a start needs. `open_files` is the limit that services get.
    pub fn new(toplevel: &Path, open_files: OpenFiles, output: File) -> io::Result<Self> {
        let program = std::fs::read_link("/proc/self/exe").map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("cannot read /proc/self/exe: {error}; is /proc mounted?"),
            )
        })?;
        let argv = [OsStr::new("cairn-supervisor"), toplevel.as_os_str()];
        let prepared = Prepared::new(argv, [], Credentials::default(), open_files)?
            .program(program.as_os_str())?;
        Ok(Self {
            prepared,
            output,
            life: Life::Due(0),
            delay: 0,
        })
    }

    /// When a start is due; none while it runs.
    pub fn due(&self) -> Option<Ms> {
        match self.life {
            Life::Due(at) => Some(at),
            Life::Running { .. } => None,
        }
    }

    /// Whether it is to be started now.
    pub fn is_due(&self, now: Ms) -> bool {
        self.due().is_some_and(|at| at <= now)
    }

    /// Starts it; returns our end of the link to it. A failure puts the next try off.
    pub fn start(&mut self, now: Ms) -> io::Result<OwnedFd> {
        let started = self.clone_child();
        match started {
            Ok((link, started)) => {
                self.life = Life::Running { started, at: now };
                Ok(link)
            }
            Err(error) => {
                self.put_off(now);
                Err(error)
            }
        }
    }

    fn clone_child(&self) -> io::Result<(OwnedFd, Started)> {
        let (ours, theirs) = seqpacket::pair()?;
        let streams = Streams {
            input: Some(theirs.as_fd()),
            output: self.output.as_fd(),
        };
        Ok((ours, self.prepared.start(Placement::Parents, streams)?))
    }

    /// Whether this is its process.
    pub fn has_pid(&self, pid: u32) -> bool {
        matches!(&self.life, Life::Running { started, .. } if started.pid == pid)
    }

    /// It has ended.
    pub fn ended(&mut self, now: Ms) {
        if let Life::Running { at, .. } = self.life
            && now.saturating_sub(at) >= STABLE_MS
        {
            self.delay = 0;
        }
        self.put_off(now);
    }

    /// Ends it by force: it does not answer as it should.
    pub fn kill(&self) {
        if let Life::Running { started, .. } = &self.life
            && let Err(error) = signal::send(started.pid, nix::libc::SIGKILL)
        {
            log::error!("cannot kill the supervisor: {error}");
        }
    }

    fn put_off(&mut self, now: Ms) {
        self.life = Life::Due(now.saturating_add(self.delay));
        self.delay = (self.delay * 2).clamp(FIRST_DELAY_MS, LONGEST_DELAY_MS);
    }
}
