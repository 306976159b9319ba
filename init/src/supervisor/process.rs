//! One service's process: how it is started, and what is there while it runs.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::Arc;

use cairn_activate::Capabilities;
use cairn_sys::cgroup::Cgroup;
use cairn_sys::process::{
    Attributes, Credentials, OpenFiles, Placement, Prepared, ResourceLimit, Scheduling, Started,
    Streams, Tray,
};
use cairn_system::{
    IoScheduling, KillMode, Limit, Process, Reload, Resource, Service, ServiceKind, StandardStream,
};

use super::accounts::{self, AccountError};
use super::confinement::{self, Here};
use super::environment::{self, Environment};
use super::filters::ProgramError;
use super::given::{Given, IPC, NETWORK};
use super::held::{Attempt, Crowd, Held, Helper, Main};
use super::job::Job;
use super::outlets::Outlets;
use super::{credentials, directories, fence, heir, leftovers};
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

impl Held {
    /// How a process for `job` gets into its control group.
    fn placement<'a>(
        &self,
        service: &Service,
        job: Job,
        group: Option<BorrowedFd<'a>>,
    ) -> Placement<'a> {
        let leaves_nobody = service.kill_mode != KillMode::Main;
        match group {
            None => Placement::Parents,
            Some(group) if self.killed && leaves_nobody && job.begins(service) => {
                Placement::Follows(group)
            }
            // The group that a user's own supervisor is in has been killed, too, if it ran before.
            Some(group) if self.killed || realm().owner.is_some() => Placement::Moves(group),
            Some(group) => Placement::Born(group),
        }
    }

    /// Executes `job`; the pipe is there. Whether its process is in the service's control group already.
    ///
    /// # Errors
    /// Nothing was started; what fails in the child comes as its report.
    pub fn start(
        &mut self,
        service: &Service,
        job: Job,
        given: &Given,
        tray: &Arc<Tray>,
    ) -> Result<bool, StartError> {
        let described = &service.process;
        let main = described;
        let (argv, argv0, expand, as_root) = job.command(service).map_or(
            (&main.argv, &main.argv0, main.expand, main.as_root),
            |one| (&one.argv, &one.argv0, one.expand, one.as_root),
        );
        let environment = self.environment(service, job, given)?;
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
        let program = argv.first().cloned().unwrap_or_default();
        let strings = argv0
            .iter()
            .chain(argv.iter().skip(usize::from(argv0.is_some())));
        let strings = strings.map(OsStr::new);
        let unprivileged = credentials.uid != 0;
        let owner = credentials.clone();
        let mut prepared = Prepared::new(strings, variables, credentials, OPEN_FILES)?
            .program(OsStr::new(&program))?;
        let mut attributes = attributes(described, as_root)?;
        if !as_root && !described.confinement.is_none() {
            prepared = self.confine(prepared, service, unprivileged, &mut attributes)?;
        }
        prepared = prepared.attributes(attributes);
        if !given.passed.is_empty() {
            prepared = prepared.own_number("LISTEN_PID")?;
        }
        if let Some(directory) = &described.working_directory {
            let path = match (directory.path.as_str(), environment.get("HOME")) {
                ("~", Some(home)) => home,
                ("~", None) => "/",
                (path, _) => path,
            };
            prepared = prepared.directory(path, directory.optional)?;
        } else if let Some(owner) = &realm().owner {
            prepared = prepared.directory(&owner.home.display().to_string(), true)?;
        }
        if let Some(tty) = described.tty.as_ref().filter(|_| job == Job::Main) {
            prepared = prepared.tty(tty)?;
        }
        self.prepare_group(service, job)?;
        let pipe = self.pipe.as_ref();
        let pipe = pipe.ok_or_else(|| io::Error::from(io::ErrorKind::BrokenPipe))?;
        let writer = pipe.writer()?;
        let outlets = Outlets::open(described).map_err(StartError::Files)?;
        let passed: Vec<BorrowedFd<'_>> = given.passed.iter().map(|(_, one)| one.as_fd()).collect();
        let stream = |which| given.stream(service, which).map(AsFd::as_fd);
        let streams = Streams {
            input: stream(StandardStream::Input).or(given.input.as_ref().map(AsFd::as_fd)),
            output: stream(StandardStream::Output)
                .or(outlets.output.as_ref().map(AsFd::as_fd))
                .unwrap_or(writer.as_fd()),
            error: stream(StandardStream::Error)
                .or(outlets.error.as_ref().map(AsFd::as_fd))
                .or(Some(writer.as_fd())),
            passed: &passed,
            numbered: (given.readiness.as_ref())
                .map(|(number, one)| (i32::from(*number), one.as_fd())),
        };
        let below = self.delegate(service, &owner)?;
        let group = below.as_ref().or(self.cgroup.as_ref());
        let group = group.map(Cgroup::directory).transpose()?;
        let placement = self.placement(service, job, group.as_ref().map(AsFd::as_fd));
        let Started {
            pid,
            pidfd,
            report,
            placed,
        } = prepared.start(placement, streams, Some(tray))?;
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
                attempt: Some(Box::new(Attempt { report, program })),
            });
        }
        Ok(placed)
    }

    /// The variables of a process.
    fn environment(
        &self,
        service: &Service,
        job: Job,
        given: &Given,
    ) -> Result<Environment, StartError> {
        let described = &service.process;
        let mut environment =
            (realm().owner.as_ref()).map_or_else(Environment::new, Owner::variables);
        environment.remove(LINGER);
        if realm().owner.is_none() {
            environment.extend(login(described)?);
        }
        environment.extend(described.environment.clone());
        environment::add_files(&mut environment, &described.environment_files)
            .map_err(StartError::Files)?;
        self.add_facts(&mut environment, service, job);
        given.describe(&mut environment);
        environment::remove(&mut environment, &described.unset_environment);
        Ok(environment)
    }

    /// Keeps a process from what its service is kept from, but for what a group is.
    fn confine(
        &self,
        prepared: Prepared,
        service: &Service,
        unprivileged: bool,
        attributes: &mut Attributes,
    ) -> Result<Prepared, StartError> {
        let confined = confinement::plan(service, &Here)?;
        // Without them, only who gives up new privileges may have filters.
        let may_filter = !unprivileged && attributes.bounding & SYS_ADMIN != 0;
        attributes.no_new_privileges |= !confined.filters.is_empty() && !may_filter;
        let shared = self
            .own
            .iter()
            .filter(|own| matches!(own.number, IPC..=NETWORK))
            .map(|own| own.descriptor.try_clone());
        let prepared = prepared.joined(shared.collect::<io::Result<_>>()?);
        Ok(prepared.confined(&confined)?)
    }

    /// Its control group, as its first process is to find it.
    fn prepare_group(&mut self, service: &Service, job: Job) -> Result<(), StartError> {
        if job.begins(service) && self.inherited {
            self.renew_group(service);
        }
        let had_group = self.cgroup.is_some() || self.killed;
        self.crowd = Crowd::Unknown;
        self.ensure_cgroup(service);
        if matches!(job, Job::Main | Job::PreStart(0)) {
            self.fence(service)?;
        }
        if had_group && job.begins(service) {
            self.forget_killed(service);
        }
        Ok(())
    }

    /// Removes its group, whose bounds are gone with it, unless somebody is left there.
    fn renew_group(&mut self, service: &Service) {
        self.cgroup = None;
        if heir::remove_group(service.name.as_str()) {
            self.inherited = false;
            self.fenced = false;
        }
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
                let group = cgroup.directory()?;
                fence::put_up(group.as_fd(), confinement, self.fenced)
                    .map_err(StartError::Files)?;
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
        // Those that it has made when it ran before are not in its way.
        if self.main.is_none() && self.helpers.is_empty() {
            cgroup.clear()?;
        }
        let path = realm().groups.join(service.name.as_str());
        let main = Cgroup::create(&path.join(MAIN_GROUP))?;
        if owner.uid != 0 && realm().owner.is_none() {
            cgroup.give(owner.uid, owner.gid)?;
            main.give_all(owner.uid, owner.gid)?;
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
        if speaks(service) {
            environment.insert(
                "NOTIFY_SOCKET".to_owned(),
                realm().notifications.display().to_string(),
            );
        }
    }
}

/// Whether its processes are told where they can say something of it.
pub fn speaks(service: &Service) -> bool {
    service.kind == ServiceKind::Notify
        || matches!(service.reload, Some(Reload::Announced(_)))
        || service.stored_descriptors > 0
        || service.watchdog_ms.is_some()
}

/// What is to be there before the first command of a start; whether others already have the folders that it shares
/// with them.
///
/// # Errors
/// A directory cannot be made, or its owner does not exist.
pub fn prepare(service: &Service, is_shared: bool) -> Result<(), StartError> {
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
        if !is_shared {
            directories::remove(private.iter())?;
        }
        directories::make(&private, &owner)
    });
    made.map_err(StartError::Files)
}

/// Removes what is there only while a service runs, but for the folders that it shares if others still have them, and
/// those that stay for a start that is to follow.
///
/// # Errors
/// The first that cannot be removed; the others are tried all the same.
pub fn clean(service: &Service, is_shared: bool, returns: bool) -> io::Result<()> {
    let private = if is_shared {
        Ok(())
    } else {
        directories::remove(confinement::private_directories(service).iter())
    };
    let own = service.directories.iter();
    let own = own.filter(|directory| !(returns && directory.kept_at_restart));
    directories::remove(own)
        .and(private)
        .and(credentials::remove(service))
}

/// Removes what its user's processes have left to each other. Root's is the machine's, and a user's own supervisor
/// cannot tell what is of a session.
///
/// # Errors
/// Something cannot be removed, or there is no such user.
pub fn remove_ipc(service: &Service) -> io::Result<()> {
    match account(&service.process).map_err(io::Error::other)?.uid {
        0 => Ok(()),
        _ if realm().owner.is_some() => Ok(()),
        uid => leftovers::remove(uid),
    }
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

/// What a login as its user would say, if it has one or starts at a home.
fn login(process: &Process) -> Result<Environment, AccountError> {
    let at_home = (process.working_directory.as_ref()).is_some_and(|one| one.path == "~");
    match &process.user {
        Some(user) => accounts::login(Path::new("/etc"), user.as_str()),
        None if at_home => accounts::login(Path::new("/etc"), "root"),
        None => Ok(Environment::new()),
    }
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
        ignores_sigpipe: !process.heeds_sigpipe,
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
