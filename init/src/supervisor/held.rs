//! What the supervisor holds of one service: its process, its commands, its pipe and its control group.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use cairn_sys::cgroup::Cgroup;
use cairn_sys::pidfd;
use cairn_sys::process::{self, Exit, Report};
use cairn_system::Service;

use super::given::{Own, Trigger};
use super::journal::Journal;
use crate::realm::realm;

/// What the supervisor holds of one service.
#[derive(Debug)]
pub struct Held {
    /// Its place with core and in the state.
    pub slot: u32,
    /// Where its output comes from, once it has been started.
    pub pipe: Option<Pipe>,
    /// Its main process.
    pub main: Option<Main>,
    /// Its commands beside that: the latest, and before it those that have been killed.
    pub helpers: Vec<Helper>,
    /// Why its program could not be executed, until its process has been reaped.
    pub failure: Option<String>,
    /// Its log.
    pub journal: Journal,
    /// How much of an unfinished line of it is noted.
    pub tail: usize,
    /// Its descriptors, in the order of their numbers.
    pub own: Vec<Own>,
    /// Whether those wake us.
    pub attended: bool,
    /// What it says of its state (`STATUS=`).
    pub says: Option<String>,
    /// What its last start is owed to, other than somebody who asked.
    pub trigger: Option<Box<Trigger>>,
    /// Its control group, once it is needed.
    pub cgroup: Option<Cgroup>,
    /// Programs of the kernel's may decide for it: see [`super::fence`].
    pub fenced: bool,
    /// `cgroup.kill` may have been used on it: see [`process::Placement::Moves`].
    pub killed: bool,
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
    /// None once it is known whether the program was executed.
    pub attempt: Option<Box<Attempt>>,
}

/// A program that may have been executed, or not.
#[derive(Debug)]
pub struct Attempt {
    /// Says whether it was.
    pub report: OwnedFd,
    /// Which one, for messages.
    pub program: String,
}

/// A command beside the main process.
#[derive(Debug)]
pub struct Helper {
    /// Its id.
    pub pid: u32,
    /// Its descriptor.
    pub pidfd: OwnedFd,
    /// None if a predecessor has started it.
    pub report: Option<OwnedFd>,
    /// What was to be executed, for messages.
    pub program: String,
}

impl Helper {
    /// One that the predecessor, who was this process, has started.
    pub fn adopted(pid: u32, pidfd: OwnedFd) -> Self {
        Self {
            pid,
            pidfd,
            report: None,
            program: String::new(),
        }
    }
}

/// What has come of the search for a main process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Find {
    /// It is held.
    Found,
    /// It may come yet.
    NotYet,
    /// There is no process at all.
    Nothing,
}

impl Held {
    /// Nothing yet.
    pub fn new(slot: u32, journal: Journal) -> Self {
        Self {
            slot,
            pipe: None,
            main: None,
            helpers: Vec::new(),
            failure: None,
            journal,
            tail: 0,
            own: Vec::new(),
            attended: false,
            says: None,
            trigger: None,
            cgroup: None,
            fenced: false,
            killed: false,
        }
    }

    /// Its slot, as a number of a place.
    pub fn place(&self) -> usize {
        usize::try_from(self.slot).unwrap_or(usize::MAX)
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

    /// Looks for the process that a forking service has left behind: the one that its file names,
    /// or the only one there is. It counts only if it is in the service's cgroup.
    pub fn find_main(&mut self, service: &Service) -> io::Result<Find> {
        self.ensure_cgroup(service);
        let processes = match &self.cgroup {
            Some(cgroup) => cgroup.processes()?,
            None => Vec::new(),
        };
        let pid = match (&service.pid_file, processes.as_slice()) {
            (_, []) => return Ok(Find::Nothing),
            (None, [only]) => Some(*only),
            // The first to come is the one that the others come from.
            (None, several) => several.iter().min().copied(),
            (Some(file), _) => fs::read_to_string(file)
                .ok()
                .and_then(|text| text.trim().parse().ok())
                .filter(|pid| processes.contains(pid)),
        };
        let Some(pid) = pid else {
            return Ok(Find::NotYet);
        };
        self.main = Some(Main {
            pid,
            pidfd: pidfd::open(pid)?,
            attempt: None,
        });
        Ok(Find::Found)
    }

    /// Takes the process `pid` for its main one, if it is another one of the service's and none of its
    /// commands. Returns the old one.
    ///
    /// # Errors
    /// It is no process of the service.
    pub fn replace_main(&mut self, service: &Service, pid: u32) -> io::Result<Option<Main>> {
        let is_known = self.main.as_ref().is_none_or(|main| main.pid == pid);
        if is_known || self.helpers.iter().any(|helper| helper.pid == pid) {
            return Ok(None);
        }
        self.ensure_cgroup(service);
        let pidfd = pidfd::open(pid)?;
        let processes = self.cgroup.as_ref().map(Cgroup::all_processes);
        if !processes.transpose()?.unwrap_or_default().contains(&pid) {
            return Err(io::Error::other("it is none of its processes"));
        }
        let new = Main {
            pid,
            pidfd,
            attempt: None,
        };
        Ok(self.main.replace(new))
    }

    /// Opens its cgroup, made if need be; what is taken over from a predecessor waits with that until
    /// it is needed. Without one the service runs all the same: then only its
    /// main process can be stopped.
    pub fn ensure_cgroup(&mut self, service: &Service) {
        if self.cgroup.is_none() {
            let path = realm().groups.join(service.name.as_str());
            match Cgroup::create(&path) {
                Ok(cgroup) => {
                    write_bounds(&path, service);
                    self.cgroup = Some(cgroup);
                }
                Err(error) => log::error!(
                    "cannot make the cgroup {}: {error}; '{}' runs without; is cgroup2 mounted?",
                    path.display(),
                    service.name
                ),
            }
        }
    }

    /// It is a predecessor's. If its group is there, nobody knows whether that was killed; of its log, this line
    /// has begun.
    pub fn adopted(&mut self, line: Vec<u8>, has_group: bool) {
        self.killed = has_group;
        self.fenced = has_group;
        self.tail = line.len();
        self.journal.resume(line);
    }

    /// What the child has reported by now.
    pub fn report(&self) -> io::Result<Report> {
        match self.main.as_ref().and_then(|main| main.attempt.as_ref()) {
            Some(attempt) => process::read_report(attempt.report.as_fd()),
            None => Ok(Report::Pending),
        }
    }
}

/// How a command has ended, if it has; one that could not be executed is told of in the log.
pub fn helper_exit(helper: &Helper) -> io::Result<Option<Exit>> {
    let exit = process::reap_pidfd(helper.pidfd.as_fd())?;
    if exit.is_some()
        && let Some(report) = &helper.report
        && let Report::Failed(failure) = process::read_report(report.as_fd())?
    {
        let error = io::Error::from_raw_os_error(failure.errno);
        log::error!("cannot {}: {error} ({})", failure.step, helper.program);
    }
    Ok(exit)
}

/// Writes a cgroup's bounds. One that is refused is no obstacle: the service runs without it.
fn write_bounds(path: &Path, service: &Service) {
    for (file, value) in &service.cgroup {
        let file = path.join(file);
        if let Err(error) = fs::write(&file, value) {
            log::error!("cannot write {value} to {}: {error}", file.display());
        }
    }
}
