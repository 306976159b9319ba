//! What the supervisor holds of one service: its process, its commands, its pipe and its control group.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use cairn_sys::cgroup::Cgroup;
use cairn_sys::pidfd;
use cairn_sys::process::{self, Exit, Report, ReportPipe};
use cairn_system::Service;
use nix::libc::O_NONBLOCK;

use super::foreign;
use super::given::{Own, Trigger};
use super::journal::Journal;
use super::memory::Shortage;
use crate::process_stat::ProcessStat;
use crate::realm::realm;

/// The most bytes of a file that names a process.
const PID_FILE_BYTES: u64 = 64;

/// What the supervisor holds of one service.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts that do not depend on each other"
)]
pub struct Held {
    /// Its place with core and in the state.
    pub slot: u32,
    /// Where its output comes from, once it has been started.
    pub pipe: Option<Pipe>,
    /// Its main process.
    pub main: Option<Main>,
    /// The process whose end is being noted; 0 if none is.
    pub ended: u32,
    /// Its commands beside that: the latest, and before it those that have been killed.
    pub helpers: Vec<Helper>,
    /// Why its program could not be executed, until its process has been reaped.
    pub failure: Option<String>,
    /// Its log.
    pub journal: Journal,
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
    /// That is a predecessor's, and may have bounds that the service has no more.
    pub inherited: bool,
    /// Programs of the kernel's may decide for it: see [`super::fence`].
    pub fenced: bool,
    /// What was killed of it for want of memory.
    pub shortage: Shortage,
    /// `cgroup.kill` may have been used on it: see [`process::Placement::Moves`].
    pub killed: bool,
    /// Who is in its group.
    pub crowd: Crowd,
}

/// Who is in a service's group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Crowd {
    /// It has to be looked at.
    #[default]
    Unknown,
    /// Nobody, as was seen after it was last given a process.
    Nobody,
}

/// A pipe, open to read and to write at once: so that output written between two processes is not lost, there is
/// no end of it between them, and a process that is born has one descriptor of each service less to close.
#[derive(Debug)]
pub struct Pipe(OwnedFd);

impl Pipe {
    /// A new one.
    ///
    /// # Errors
    /// No descriptor is left, or `/proc` is not there.
    pub fn new() -> io::Result<Self> {
        let (reader, _writer) = process::pipe()?;
        Self::of(&reader)
    }

    /// The one that this is an end of.
    ///
    /// # Errors
    /// As above.
    pub fn of(end: &OwnedFd) -> io::Result<Self> {
        let mut both = OpenOptions::new();
        both.read(true).write(true).custom_flags(O_NONBLOCK);
        open_again(end.as_fd(), &both).map(Self)
    }

    /// The same where there is nothing left to open it with: it ends with the processes that write to it.
    pub fn ending(reader: OwnedFd) -> Self {
        Self(reader)
    }

    /// Where a process writes to.
    ///
    /// # Errors
    /// As above.
    pub fn writer(&self) -> io::Result<OwnedFd> {
        open_again(self.as_fd(), OpenOptions::new().write(true))
    }

    /// Where a process reads from.
    ///
    /// # Errors
    /// As above.
    pub fn reader(&self) -> io::Result<OwnedFd> {
        open_again(self.as_fd(), OpenOptions::new().read(true))
    }
}

impl AsFd for Pipe {
    /// Read by us, without waiting.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn open_again(end: BorrowedFd<'_>, options: &OpenOptions) -> io::Result<OwnedFd> {
    let path = format!("/proc/self/fd/{}", end.as_raw_fd());
    let opened = options.open(&path);
    opened
        .map(OwnedFd::from)
        .map_err(|error| io::Error::new(error.kind(), format!("cannot open {path}: {error}")))
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
    pub report: ReportPipe,
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
    pub report: Option<ReportPipe>,
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
            ended: 0,
            helpers: Vec::new(),
            failure: None,
            journal,
            own: Vec::new(),
            attended: false,
            says: None,
            trigger: None,
            cgroup: None,
            inherited: false,
            fenced: false,
            shortage: Shortage::default(),
            killed: false,
            crowd: Crowd::Unknown,
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
        self.pipe = Some(Pipe::new()?);
        Ok(true)
    }

    /// Looks for the process that a forking service has left behind: the one that its file names,
    /// or the only one there is; or `any`. It counts only if it is in the service's cgroup.
    pub fn find_main(&mut self, service: &Service, any: bool) -> io::Result<Find> {
        self.ensure_cgroup(service);
        let processes = self.processes(service).transpose()?.unwrap_or_default();
        let pid = match (
            service.pid_file.as_ref().filter(|_| !any),
            processes.as_slice(),
        ) {
            (_, []) => return Ok(Find::Nothing),
            (None, [only]) => Some(*only),
            // The first to come is the one that the others come from.
            (None, several) => several.iter().min().copied(),
            (Some(file), _) => foreign::read_text(Path::new(file), PID_FILE_BYTES)
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

    /// The processes in its control group, and of one that may make groups of its own, below; none without one.
    pub fn processes(&self, service: &Service) -> Option<io::Result<Vec<u32>>> {
        let all = if service.delegated {
            Cgroup::all_processes
        } else {
            Cgroup::processes
        };
        self.cgroup.as_ref().map(all)
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

    /// Which of its processes may take its main one's place when that has ended: first one that core is the
    /// parent of, since it tells of that one's end.
    pub fn successors(&mut self, service: &Service) -> Vec<u32> {
        self.ensure_cgroup(service);
        if let Some(Ok(false)) = self.cgroup.as_ref().map(Cgroup::is_populated) {
            self.crowd = Crowd::Nobody;
            return Vec::new();
        }
        let Some(Ok(mut processes)) = self.processes(service) else {
            return Vec::new();
        };
        let core = std::os::unix::process::parent_id();
        let orphan = (processes.iter())
            .position(|pid| ProcessStat::of(*pid).is_some_and(|process| process.parent == core));
        if let Some(at) = orphan {
            processes.swap(0, at);
        }
        processes
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

    /// It is a predecessor's. If its group is there, nobody knows whether that was killed.
    pub fn adopted(&mut self, has_group: bool) {
        self.inherited = has_group;
        self.killed = has_group;
        self.fenced = has_group;
    }

    /// What the child has reported by now.
    pub fn report(&self) -> io::Result<Report> {
        match self.main.as_ref().and_then(|main| main.attempt.as_ref()) {
            Some(attempt) => attempt.report.read(),
            None => Ok(Report::Pending),
        }
    }
}

/// How a command has ended, if it has; one that could not be executed is told of in the log.
pub fn helper_exit(helper: &Helper) -> io::Result<Option<Exit>> {
    let exit = process::reap_pidfd(helper.pidfd.as_fd())?;
    if exit.is_some()
        && let Some(report) = &helper.report
        && let Report::Failed(failure) = report.last()?
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    #[test]
    fn a_pipe_has_no_end_between_two_processes() {
        let pipe = Pipe::new().unwrap();
        let mut ours = fs::File::from(pipe.0.try_clone().unwrap());
        let mut buffer = [0; 16];
        for word in ["one", "two"] {
            // A process waits where we do not, and may not read its own words.
            let mut writer = fs::File::from(pipe.writer().unwrap());
            writer.write_all(word.as_bytes()).unwrap();
            assert!(writer.read(&mut buffer).is_err());
            drop(writer);
            let length = ours.read(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], word.as_bytes());
            let error = ours.read(&mut buffer).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "and no end");
        }
        // A successor has it from core, and so does whoever reads it.
        let kept = Pipe::of(&pipe.reader().unwrap()).unwrap();
        drop((pipe, ours));
        let writer = kept.writer().unwrap();
        fs::File::from(writer).write_all(b"three").unwrap();
        assert_eq!(nix::unistd::read(&kept, &mut buffer), Ok(5));
    }
}
