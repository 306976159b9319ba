//! One service's process: its cgroup, its pipe, and how it is started and ended.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use cairn_activate::Capabilities;
use cairn_sys::cgroup::Cgroup;
use cairn_sys::process::{
    Attributes, Credentials, Exit, OpenFiles, Placement, Prepared, Report, ResourceLimit,
    Scheduling, Started, Streams,
};
use cairn_sys::{pidfd, process, signal};
use cairn_system::{
    IoScheduling, KillMode, Limit, Process, Resource, Service, ServiceKind, StandardStream,
};
use nix::libc::{SIGCONT, SIGHUP, SIGKILL};

use super::accounts::{self, AccountError};
use super::confinement::{self, There};
use super::environment::{self, Environment};
use super::filters::ProgramError;
use super::given::{Given, Own, Trigger};
use super::job::Job;
use super::journal::Journal;
use super::{credentials, directories, fence};
use crate::realm::{LINGER, MAIN_GROUP, Owner, realm};

/// Descriptors that a service may have open.
const OPEN_FILES: OpenFiles = OpenFiles {
    soft: 1024,
    hard: 524_288,
};

/// The bit of `CAP_SYS_ADMIN`.
const SYS_ADMIN: u64 = 1 << 21;

/// Why a process could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its user or group.
    #[error("cannot find its user: {0}")]
    Account(#[from] AccountError),
    /// A capability.
    #[error(transparent)]
    Capability(#[from] cairn_activate::UnknownCapability),
    /// Filters of system calls.
    #[error(transparent)]
    Filter(#[from] ProgramError),
    /// Files of its environment, or its directories.
    #[error("{0}")]
    Files(io::Error),
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
    pub trigger: Option<Trigger>,
    cgroup: Option<Cgroup>,
    /// Programs of the kernel's may decide for it: see [`fence`].
    fenced: bool,
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
    /// What was to be executed, for messages.
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
    report: Option<OwnedFd>,
    program: String,
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

    /// Makes the pipe, if there is none; whether it is new.
    pub fn ensure_pipe(&mut self) -> io::Result<bool> {
        if self.pipe.is_some() {
            return Ok(false);
        }
        let (reader, writer) = process::pipe()?;
        self.pipe = Some(Pipe { reader, writer });
        Ok(true)
    }

    /// Executes `job`; the pipe is there.
    ///
    /// # Errors
    /// Nothing was started; what fails in the child comes as its report.
    pub fn start(&mut self, service: &Service, job: Job, given: &Given) -> Result<(), StartError> {
        let described = &service.process;
        let (argv, expand, as_root) = match job.command(service) {
            Some(command) => (&command.argv, command.expand, command.as_root),
            None => (&described.argv, described.expand, false),
        };
        let mut environment =
            (realm().owner.as_ref()).map_or_else(Environment::new, Owner::variables);
        environment.remove(LINGER);
        environment.extend(described.environment.clone());
        environment::add_files(&mut environment, &described.environment_files)
            .map_err(StartError::Files)?;
        self.add_facts(&mut environment, service, job);
        given.describe(&mut environment);
        let argv = if expand {
            environment::expand(argv, &environment)
        } else {
            argv.clone()
        };
        let credentials = if as_root && realm().owner.is_none() {
            Credentials::default()
        } else {
            account(described)?
        };
        let variables = environment
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()));
        let strings = argv.iter().map(OsStr::new);
        let unprivileged = credentials.uid != 0;
        let owner = credentials.clone();
        let mut prepared = Prepared::new(strings, variables, credentials, OPEN_FILES)?;
        let mut attributes = attributes(described, as_root)?;
        if !as_root && !described.confinement.is_none() {
            let confined = confinement::plan(service, &There::now)?;
            // Without them, only who gives up new privileges may have filters.
            let may_filter = !unprivileged && attributes.bounding & SYS_ADMIN != 0;
            attributes.no_new_privileges |= !confined.filters.is_empty() && !may_filter;
            prepared = prepared.confined(&confined)?;
        }
        prepared = prepared.attributes(attributes);
        if !given.passed.is_empty() {
            prepared = prepared.own_number("LISTEN_PID")?;
        }
        if let Some(directory) = &described.working_directory
            && (!directory.optional || Path::new(&directory.path).is_dir())
        {
            prepared = prepared.directory(&directory.path)?;
        } else if let Some(home) = realm().owner.as_ref().map(|owner| &owner.home)
            && home.is_dir()
        {
            prepared = prepared.directory(&home.display().to_string())?;
        }
        if let Some(tty) = described.tty.as_ref().filter(|_| job == Job::Main) {
            prepared = prepared.tty(tty)?;
        }
        self.ensure_cgroup(service);
        if matches!(job, Job::Main | Job::PreStart(0)) {
            self.fence(service)?;
        }
        let pipe = self.pipe.as_ref();
        let pipe = pipe.ok_or_else(|| io::Error::from(io::ErrorKind::BrokenPipe))?;
        let passed: Vec<BorrowedFd<'_>> = given.passed.iter().map(|(_, one)| one.as_fd()).collect();
        let stream = |which| given.stream(service, which).map(AsFd::as_fd);
        let streams = Streams {
            input: stream(StandardStream::Input),
            output: stream(StandardStream::Output).unwrap_or(pipe.writer.as_fd()),
            error: Some(stream(StandardStream::Error).unwrap_or(pipe.writer.as_fd())),
            passed: &passed,
        };
        let below = self.delegate(service, &owner)?;
        let placement = match below.as_ref().or(self.cgroup.as_ref()) {
            None => Placement::Parents,
            Some(cgroup) if self.killed => Placement::Moves(cgroup.directory().as_fd()),
            Some(cgroup) => Placement::Born(cgroup.directory().as_fd()),
        };
        let Started { pid, pidfd, report } = prepared.start(placement, streams)?;
        let program = argv.into_iter().next().unwrap_or_default();
        if job.is_helper() {
            self.helpers.push(Helper {
                pid,
                pidfd,
                report: Some(report),
                program,
            });
        } else {
            self.failure = None;
            self.says = None;
            self.main = Some(Main {
                pid,
                pidfd,
                report: Some(report),
                program,
            });
        }
        Ok(())
    }

    /// Keeps the service's group from devices and addresses, as it is described now.
    fn fence(&mut self, service: &Service) -> Result<(), StartError> {
        let confinement = &service.process.confinement;
        let wanted = confinement.devices.is_some() || !confinement.addresses.is_none();
        if !(wanted || self.fenced) {
            return Ok(());
        }
        match &self.cgroup {
            Some(cgroup) => {
                let group = cgroup.directory().as_fd();
                fence::put_up(group, confinement, self.fenced).map_err(StartError::Files)?;
                self.fenced = wanted;
                Ok(())
            }
            None if wanted => Err(StartError::Files(io::Error::other(
                "cannot fence it off from devices or addresses without a control group; is cgroup2 mounted?",
            ))),
            None => Ok(()),
        }
    }

    /// Of a service that may make groups of its own: the group below its own where its processes are,
    /// which has no bounds that keep it from having any. The service's own is given to its user.
    fn delegate(&self, service: &Service, owner: &Credentials) -> io::Result<Option<Cgroup>> {
        let Some(cgroup) = self.cgroup.as_ref().filter(|_| service.delegated) else {
            return Ok(None);
        };
        let path = realm().groups.join(service.name.as_str());
        let main = Cgroup::create(&path.join(MAIN_GROUP))?;
        if owner.uid != 0 && realm().owner.is_none() {
            cgroup.give(owner.uid, owner.gid)?;
            main.give(owner.uid, owner.gid)?;
        }
        Ok(Some(main))
    }

    /// What processes are told of their service.
    fn add_facts(&self, environment: &mut Environment, service: &Service, job: Job) {
        if let Some(main) = self.main.as_ref().filter(|_| job.is_helper()) {
            environment.insert("MAINPID".to_owned(), main.pid.to_string());
        }
        if !service.credentials.is_empty() {
            let directory = credentials::directory(service).display().to_string();
            environment.insert("CREDENTIALS_DIRECTORY".to_owned(), directory);
        }
        if service.stored_descriptors > 0 {
            environment.insert("FDSTORE".to_owned(), service.stored_descriptors.to_string());
        }
        if let Some(watchdog) = service.watchdog_ms {
            let microseconds = u64::from(watchdog) * 1000;
            environment.insert("WATCHDOG_USEC".to_owned(), microseconds.to_string());
        }
        let speaks = service.kind == ServiceKind::Notify
            || service.stored_descriptors > 0
            || service.watchdog_ms.is_some();
        if speaks {
            environment.insert(
                "NOTIFY_SOCKET".to_owned(),
                realm().notifications.display().to_string(),
            );
        }
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
            report: None,
            program: String::new(),
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
            report: None,
            program: String::new(),
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

    /// It is a predecessor's, of which nobody knows whether it was killed; of its log, this line has
    /// begun.
    pub fn adopted(&mut self, line: Vec<u8>) {
        self.killed = true;
        self.fenced = true;
        self.tail = line.len();
        self.journal.resume(line);
    }

    /// What the child has reported by now.
    pub fn report(&self) -> io::Result<Report> {
        match self.main.as_ref().and_then(|main| main.report.as_ref()) {
            Some(report) => process::read_report(report.as_fd()),
            None => Ok(Report::Pending),
        }
    }

    /// Asks its processes to end. One with a terminal hears of a hangup too: shells ignore SIGTERM.
    pub fn terminate(&mut self, service: &Service) {
        self.ensure_cgroup(service);
        let stop = service.stop_signal.number();
        let signals: &[i32] = match service.process.tty {
            Some(_) => &[stop, SIGHUP, SIGCONT],
            None => &[stop, SIGCONT],
        };
        let processes = self.cgroup.as_ref().map(|cgroup| {
            if service.delegated {
                cgroup.all_processes()
            } else {
                cgroup.processes()
            }
        });
        for number in signals {
            let result = match &processes {
                Some(Ok(processes)) if service.kill_mode == KillMode::All => processes
                    .iter()
                    .try_for_each(|process| signal::send(*process, *number)),
                _ => self.send_main(*number),
            };
            if let Err(error) = result {
                log::error!("cannot send signal {number} to '{}': {error}", service.name);
            }
        }
    }

    /// Sends a signal to its main process.
    pub fn signal(&self, service: &Service, number: i32) {
        if let Err(error) = self.send_main(number) {
            log::error!("cannot send signal {number} to '{}': {error}", service.name);
        }
    }

    /// Kills all its processes that do not outlive it.
    pub fn kill(&mut self, service: &Service) {
        if !service.kind.has_process() && self.main.is_none() && self.cgroup.is_none() {
            return; // what there is of it is no process
        }
        let group = match service.kill_mode {
            KillMode::Main => Ok(()),
            KillMode::All | KillMode::Mixed => {
                self.ensure_cgroup(service);
                self.kill_cgroup()
            }
        };
        if let Err(error) = group.and(self.send_main(SIGKILL)) {
            log::error!("cannot kill '{}': {error}", service.name);
        }
    }

    /// Kills its commands beside the main process.
    pub fn kill_helpers(&mut self, service: &Service) {
        for helper in &self.helpers {
            if let Err(error) = pidfd::send(helper.pidfd.as_fd(), SIGKILL) {
                log::error!("cannot kill a command of '{}': {error}", service.name);
            }
        }
    }

    /// Kills the command that a predecessor has left beside the main process, if it is still there.
    pub fn kill_lost_helper(&mut self, service: &Service, helper: u32) {
        self.ensure_cgroup(service);
        let lost = match self.cgroup.as_ref().map(Cgroup::processes) {
            Some(Ok(processes)) => processes.contains(&helper),
            _ => false,
        };
        if lost && let Err(error) = signal::send(helper, SIGKILL) {
            log::error!("cannot kill a command of '{}': {error}", service.name);
        }
    }

    fn kill_cgroup(&mut self) -> io::Result<()> {
        match &self.cgroup {
            Some(cgroup) if cgroup.is_populated()? => {
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

/// What is to be there before the first command of a start.
///
/// # Errors
/// A directory cannot be made, or its owner does not exist.
pub fn prepare(service: &Service) -> Result<(), StartError> {
    let confined = &service.process.confinement;
    let nothing = service.directories.is_empty() && service.credentials.is_empty();
    if nothing && confined.is_none() {
        return Ok(());
    }
    let owner = account(&service.process)?;
    let private = confinement::private_directories(service);
    let made = directories::make(&service.directories, &owner).and_then(|()| {
        credentials::make(service, &owner)?;
        if confined.is_none() {
            return Ok(());
        }
        confinement::make_stage()?;
        // What a machine that went down has left there is not this start's.
        directories::remove(&private)?;
        directories::make(&private, &owner)
    });
    made.map_err(StartError::Files)
}

/// Removes what is there only while a service runs.
///
/// # Errors
/// The first that cannot be removed; the others are tried all the same.
pub fn clean(service: &Service) -> io::Result<()> {
    let private = directories::remove(&confinement::private_directories(service));
    directories::remove(&service.directories)
        .and(private)
        .and(credentials::remove(service))
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

/// Who a process is to be. A user's supervisor can only start what is the user.
fn account(process: &Process) -> Result<Credentials, AccountError> {
    if let Some(owner) = &realm().owner {
        return Ok(owner.credentials.clone());
    }
    accounts::credentials(
        Path::new("/etc"),
        process.user.as_ref(),
        process.group.as_ref(),
        &process.supplementary_groups,
    )
}

fn attributes(process: &Process, as_root: bool) -> Result<Attributes, StartError> {
    let set = |names: &[String]| Capabilities::parse(names.iter().map(String::as_str));
    let default = Attributes::default();
    let limit = |(resource, limit): (&Resource, &Limit)| ResourceLimit {
        resource: resource.number(),
        soft: limit.soft.unwrap_or(u64::MAX),
        hard: limit.hard.unwrap_or(u64::MAX),
    };
    let dropped = set(&process.confinement.dropped_capabilities)?.bits();
    Ok(Attributes {
        umask: process.umask.unwrap_or(default.umask),
        limits: process.limits.iter().map(limit).collect(),
        nice: process.nice.map(i32::from),
        scheduling: process.scheduling.map(|scheduling| Scheduling {
            policy: scheduling.policy as i32,
            priority: scheduling.priority.into(),
            reset_on_fork: scheduling.reset_on_fork,
        }),
        processors: processors(process.processors.as_deref().unwrap_or_default()),
        io_priority: process.io_scheduling.map(IoScheduling::number),
        oom_score_adjust: process.oom_score_adjust.map(|score| score.to_string()),
        ambient: if as_root {
            0
        } else {
            set(&process.ambient_capabilities)?.bits() & !dropped
        },
        bounding: match &process.bounding_capabilities {
            _ if as_root => default.bounding,
            Some(names) => set(names)?.bits() & !dropped,
            None => default.bounding & !dropped,
        },
        no_new_privileges: process.no_new_privileges && !as_root,
    })
}

/// The processors as bits, 64 in a word.
fn processors(numbers: &[u16]) -> Vec<u64> {
    let words = numbers.iter().max().map_or(0, |most| most / 64 + 1);
    let mut set = vec![0_u64; words.into()];
    for number in numbers {
        if let Some(word) = set.get_mut(usize::from(number / 64)) {
            *word |= 1 << (number % 64);
        }
    }
    set
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
