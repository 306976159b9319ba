//! One service's process: its cgroup, its pipe, and how it is started and ended.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use cairn_sys::cgroup::{self, Cgroup};
use cairn_sys::process::{OpenFiles, Placement, Prepared, Report, Started, Streams};
use cairn_sys::{pidfd, process, signal};
use cairn_system::Service;
use nix::libc::{SIGCONT, SIGHUP, SIGKILL, SIGTERM};

use super::accounts::{self, AccountError};
use super::journal::Journal;

/// The parent of all services' cgroups.
pub fn cgroup_root() -> PathBuf {
    Path::new(cgroup::MOUNT_POINT).join("cairn")
}

/// Descriptors that a service may have open.
const OPEN_FILES: OpenFiles = OpenFiles {
    soft: 1024,
    hard: 524_288,
};

/// Why a process could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its user or group.
    #[error("cannot find its user: {0}")]
    Account(#[from] AccountError),
    /// A NUL in the description.
    #[error("its description holds a NUL byte: {0}")]
    Nul(#[from] std::ffi::NulError),
    /// Pipe or process.
    #[error("cannot make its process: {0}")]
    Process(#[from] io::Error),
}

/// What the supervisor holds of one service.
#[derive(Debug)]
pub struct Held {
    /// Its place with core and in the state.
    pub slot: u32,
    /// Where its output comes from, once it has been started.
    pub pipe: Option<Pipe>,
    /// Its main process.
    pub main: Option<Main>,
    /// Why its program could not be executed, until its process has been reaped.
    pub failure: Option<String>,
    /// Its log.
    pub journal: Journal,
    cgroup: Option<Cgroup>,
    /// `cgroup.kill` may have been used on it: see [`Placement::Moves`].
    killed: bool,
}

/// Both ends are held, so that output written between two processes is not lost.
#[derive(Debug)]
pub struct Pipe {
    /// Read by us.
    pub reader: OwnedFd,
    /// Handed to each process.
    pub writer: OwnedFd,
}

/// A main process.
#[derive(Debug)]
pub struct Main {
    /// Its id.
    pub pid: u32,
    /// Its descriptor.
    pub pidfd: OwnedFd,
    /// Says whether the program was executed; none once that is known.
    pub report: Option<OwnedFd>,
}

impl Held {
    /// Nothing yet.
    pub fn new(slot: u32, journal: Journal) -> Self {
        Self {
            slot,
            pipe: None,
            main: None,
            failure: None,
            journal,
            cgroup: None,
            killed: false,
        }
    }

    /// Makes the pipe, if there is none; whether it is new.
    pub fn ensure_pipe(&mut self) -> io::Result<bool> {
        if self.pipe.is_some() {
            return Ok(false);
        }
        let (reader, writer) = process::pipe()?;
        self.pipe = Some(Pipe { reader, writer });
        Ok(true)
    }

    /// Starts the service's process; the pipe is there.
    ///
    /// # Errors
    /// Nothing was started; what fails in the child comes as its report.
    pub fn start(&mut self, service: &Service) -> Result<(), StartError> {
        let described = &service.process;
        let credentials = accounts::credentials(
            Path::new("/etc"),
            described.user.as_ref(),
            described.group.as_ref(),
        )?;
        let environment = described
            .environment
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()));
        let argv = described.argv.iter().map(OsStr::new);
        let mut prepared = Prepared::new(argv, environment, credentials, OPEN_FILES)?;
        if let Some(directory) = &described.working_directory {
            prepared = prepared.directory(directory)?;
        }
        if let Some(tty) = &described.tty {
            prepared = prepared.tty(tty)?;
        }
        self.ensure_cgroup(service);
        let pipe = self.pipe.as_ref();
        let pipe = pipe.ok_or_else(|| io::Error::from(io::ErrorKind::BrokenPipe))?;
        let streams = Streams {
            input: None,
            output: pipe.writer.as_fd(),
        };
        let placement = match &self.cgroup {
            None => Placement::Parents,
            Some(cgroup) if self.killed => Placement::Moves(cgroup.directory().as_fd()),
            Some(cgroup) => Placement::Born(cgroup.directory().as_fd()),
        };
        let Started { pid, pidfd, report } = prepared.start(placement, streams)?;
        self.failure = None;
        self.main = Some(Main {
            pid,
            pidfd,
            report: Some(report),
        });
        Ok(())
    }

    /// Opens its cgroup, made if need be. Without one the service runs all the same: then only its
    /// main process can be stopped.
    pub fn ensure_cgroup(&mut self, service: &Service) {
        if self.cgroup.is_none() {
            let path = cgroup_root().join(service.name.as_str());
            match Cgroup::create(&path) {
                Ok(cgroup) => self.cgroup = Some(cgroup),
                Err(error) => log::error!(
                    "cannot make the cgroup {}: {error}; '{}' runs without; is cgroup2 mounted?",
                    path.display(),
                    service.name
                ),
            }
        }
    }

    /// It is a predecessor's, of which nobody knows whether it was killed.
    pub fn adopted(&mut self) {
        self.killed = true;
    }

    /// What the child has reported by now.
    pub fn report(&self) -> io::Result<Report> {
        match self.main.as_ref().and_then(|main| main.report.as_ref()) {
            Some(report) => process::read_report(report.as_fd()),
            None => Ok(Report::Pending),
        }
    }

    /// Asks all its processes to end. One with a terminal hears of a hangup too: shells ignore
    /// SIGTERM.
    pub fn terminate(&self, service: &Service) {
        let signals: &[i32] = match service.process.tty {
            Some(_) => &[SIGTERM, SIGHUP, SIGCONT],
            None => &[SIGTERM, SIGCONT],
        };
        let processes = self.cgroup.as_ref().map(Cgroup::processes);
        for number in signals {
            let result = match &processes {
                Some(Ok(processes)) => processes
                    .iter()
                    .try_for_each(|process| signal::send(*process, *number)),
                _ => self.send_main(*number),
            };
            if let Err(error) = result {
                log::error!("cannot send signal {number} to '{}': {error}", service.name);
            }
        }
    }

    /// Kills all its processes.
    pub fn kill(&mut self, service: &Service) {
        let result = self.kill_cgroup().and(self.send_main(SIGKILL));
        if let Err(error) = result {
            log::error!("cannot kill '{}': {error}", service.name);
        }
    }

    fn kill_cgroup(&mut self) -> io::Result<()> {
        match &self.cgroup {
            Some(cgroup) if !cgroup.processes()?.is_empty() => {
                self.killed = true;
                cgroup.kill()
            }
            _ => Ok(()),
        }
    }

    fn send_main(&self, number: i32) -> io::Result<()> {
        match &self.main {
            Some(main) => pidfd::send(main.pidfd.as_fd(), number),
            None => Ok(()),
        }
    }
}
