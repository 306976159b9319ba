//! Processes of services: `clone3` straight into a cgroup, with a pidfd from the first moment.
//!
//! Everything that the child needs is prepared before the clone, since between clone and exec only
//! system calls are allowed: no allocation, no lock. The child reports which step failed, and its
//! errno, through a pipe that exec closes: end of file on it means that the program runs.
//!
//! Source: `clone3(2)`, `close_range(2)`, `signal-safety(7)`.

use std::ffi::{CString, NulError, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::ptr;

/// A process, ready to be started: nothing of it has to be computed after the clone.
#[derive(Debug)]
pub struct Prepared {
    program: CString,
    argv: Strings,
    environment: Strings,
    directory: CString,
    tty: Option<CString>,
    credentials: Credentials,
    open_files: OpenFiles,
    attributes: Attributes,
}

/// What else a process has, beside what [`Prepared::new`] takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attributes {
    /// Permission bits that files it makes do not get.
    pub umask: u32,
    /// Further bounds.
    pub limits: Vec<ResourceLimit>,
    /// Its nice value.
    pub nice: Option<i32>,
    /// What is written to its `oom_score_adj`, a number in text.
    pub oom_score_adjust: Option<String>,
    /// Capabilities, by bit, that it keeps although its user is not root.
    pub ambient: u64,
    /// The only capabilities, by bit, that it can ever have.
    pub bounding: u64,
    /// It gets no rights from what it executes.
    pub no_new_privileges: bool,
}

impl Default for Attributes {
    fn default() -> Self {
        Self {
            umask: 0o022,
            limits: Vec::new(),
            nice: None,
            oom_score_adjust: None,
            ambient: 0,
            bounding: u64::MAX,
            no_new_privileges: false,
        }
    }
}

/// A bound of a resource, `setrlimit(2)`; `u64::MAX` is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResourceLimit {
    /// The kernel's number of the resource.
    pub resource: u32,
    /// In force until the process raises it.
    pub soft: u64,
    /// Up to where it may raise it.
    pub hard: u64,
}

/// Who a process runs as.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Credentials {
    /// User id, real, effective and saved.
    pub uid: u32,
    /// Group id, real, effective and saved.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
}

/// Bounds on the number of a process's descriptors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenFiles {
    /// In force until the process raises it.
    pub soft: u64,
    /// Up to where it may raise it.
    pub hard: u64,
}

/// The standard streams of a process without a terminal.
#[derive(Debug, Clone, Copy)]
pub struct Streams<'a> {
    /// Standard input; `/dev/null` if absent.
    pub input: Option<BorrowedFd<'a>>,
    /// Standard output and error.
    pub output: BorrowedFd<'a>,
}

/// How a process gets into its cgroup, an open cgroup v2 directory.
#[derive(Debug, Clone, Copy)]
pub enum Placement<'a> {
    /// It stays in its parent's.
    Parents,
    /// It is born there. Where the kernel or a sandbox refuses that, it moves itself.
    Born(BorrowedFd<'a>),
    /// It moves itself before anything else. Needed after `cgroup.kill`: Linux 6.14 to at least
    /// 6.18 kill every process that is born into a cgroup which was killed more often than its
    /// parent's (`kill_seq` in `kernel/cgroup/cgroup.c` is taken from the wrong one).
    Moves(BorrowedFd<'a>),
}

/// Strings as `execve` wants them: pointers to each, and a null at the end.
#[derive(Debug)]
struct Strings {
    /// Never read, but what the pointers point into; a `CString` does not move its bytes.
    _owned: Vec<CString>,
    pointers: Vec<*const libc::c_char>,
}

impl Strings {
    fn new(owned: Vec<CString>) -> Self {
        let pointers = owned
            .iter()
            .map(|string| string.as_ptr())
            .chain([ptr::null()])
            .collect();
        Self {
            _owned: owned,
            pointers,
        }
    }
}

/// A started child.
#[derive(Debug)]
pub struct Started {
    /// Its id in our namespace.
    pub pid: u32,
    /// Readable when it has ended.
    pub pidfd: OwnedFd,
    /// Readable when it was executed (end of file) or could not be: see [`read_report`].
    pub report: OwnedFd,
}

/// The step that failed between clone and exec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// What was tried.
    pub step: &'static str,
    /// Why it failed.
    pub errno: i32,
}

/// What the report pipe says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// Nothing yet.
    Pending,
    /// The program was executed.
    Executed,
    /// It was not.
    Failed(Failure),
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// With this status.
    Status(i32),
    /// By this signal.
    Signal(i32),
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Status(status) => write!(f, "status {status}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}

/// The steps of the child, in the numbers of the report.
const STEPS: [&str; 14] = [
    "enter the cgroup",
    "open the terminal",
    "set up the standard descriptors",
    "set the limit of open files",
    "set the supplementary groups",
    "set the group",
    "set the user",
    "enter the working directory",
    "execute the program",
    "set a resource limit",
    "set the nice value",
    "set how likely it is killed when memory is short",
    "set the capabilities",
    "give up new privileges",
];

impl Prepared {
    /// A process that executes `argv[0]` (a path) with exactly this environment.
    ///
    /// # Errors
    /// A string holds a NUL.
    pub fn new<'a>(
        argv: impl IntoIterator<Item = &'a OsStr>,
        environment: impl IntoIterator<Item = (&'a str, &'a str)>,
        credentials: Credentials,
        open_files: OpenFiles,
    ) -> Result<Self, NulError> {
        let argv = argv
            .into_iter()
            .map(|argument| CString::new(argument.as_bytes()))
            .collect::<Result<Vec<_>, _>>()?;
        let environment = environment
            .into_iter()
            .map(|(key, value)| CString::new(format!("{key}={value}")))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            program: argv.first().cloned().unwrap_or_default(),
            argv: Strings::new(argv),
            environment: Strings::new(environment),
            directory: c"/".to_owned(),
            tty: None,
            credentials,
            open_files,
            attributes: Attributes::default(),
        })
    }

    /// Has these attributes.
    #[must_use]
    pub fn attributes(mut self, attributes: Attributes) -> Self {
        self.attributes = attributes;
        self
    }

    /// Executes this file; `argv[0]` is then only a name.
    ///
    /// # Errors
    /// It holds a NUL.
    pub fn program(mut self, program: &OsStr) -> Result<Self, NulError> {
        self.program = CString::new(program.as_bytes())?;
        Ok(self)
    }

    /// Starts in this directory instead of `/`.
    ///
    /// # Errors
    /// It holds a NUL.
    pub fn directory(mut self, directory: &str) -> Result<Self, NulError> {
        self.directory = CString::new(directory)?;
        Ok(self)
    }

    /// Has this terminal as controlling one and as its three standard descriptors.
    ///
    /// # Errors
    /// It holds a NUL.
    pub fn tty(mut self, tty: &str) -> Result<Self, NulError> {
        self.tty = Some(CString::new(tty)?);
        Ok(self)
    }

    /// Starts it: in a cgroup, with these standard streams unless it has a terminal, in a session
    /// of its own, with all signals unblocked and at their defaults, and with no other descriptor.
    /// Allocates nothing.
    ///
    /// # Errors
    /// No process, descriptor or memory is left. What fails in the child is in the report.
    pub fn start(&self, placement: Placement<'_>, streams: Streams<'_>) -> io::Result<Started> {
        let (report, report_writer) = pipe()?;
        let child = Child {
            prepared: self,
            input: streams.input.map(|input| input.as_raw_fd()),
            output: streams.output.as_raw_fd(),
            report: report_writer.as_raw_fd(),
            cgroup_procs: None,
        };
        let started = match placement {
            Placement::Parents => child.clone3(None),
            Placement::Moves(cgroup) => child.clone_and_move(cgroup),
            Placement::Born(cgroup) => match child.clone3(Some(cgroup)) {
                Err(error) if refused(&error) => child.clone_and_move(cgroup),
                started => started,
            },
        };
        drop(report_writer);
        let (pid, pidfd) = started?;
        Ok(Started { pid, pidfd, report })
    }

    /// Executes it in this process's own place: program, arguments and environment count, the rest
    /// stays as it is. Allocates nothing. Returns only with the reason why it could not be done.
    #[must_use]
    pub fn execute(&self) -> io::Error {
        // SAFETY: the pointers are to strings that end in NUL, in arrays that end in a null pointer,
        // all of which `self` owns.
        unsafe {
            libc::execve(
                self.program.as_ptr(),
                self.argv.pointers.as_ptr(),
                self.environment.pointers.as_ptr(),
            );
        }
        io::Error::last_os_error()
    }
}

/// Reads the report of [`Started::report`], without waiting.
///
/// # Errors
/// The pipe cannot be read.
pub fn read_report(report: BorrowedFd<'_>) -> io::Result<Report> {
    let mut bytes = [0_u8; 8];
    // SAFETY: the buffer is valid for its length, and the descriptor is open.
    let read = unsafe { libc::read(report.as_raw_fd(), bytes.as_mut_ptr().cast(), bytes.len()) };
    match read {
        0 => Ok(Report::Executed),
        8 => {
            let [s0, s1, s2, s3, e0, e1, e2, e3] = bytes;
            let step = u32::from_ne_bytes([s0, s1, s2, s3]);
            let step = STEPS.get(step as usize).copied().unwrap_or("start");
            let errno = i32::from_ne_bytes([e0, e1, e2, e3]);
            Ok(Report::Failed(Failure { step, errno }))
        }
        -1 => {
            let error = io::Error::last_os_error();
            if error.kind() == io::ErrorKind::WouldBlock {
                Ok(Report::Pending)
            } else {
                Err(error)
            }
        }
        _ => Ok(Report::Failed(Failure {
            step: "start",
            errno: 0,
        })),
    }
}

/// What the child works with: borrowed memory and numbers.
#[derive(Clone, Copy)]
struct Child<'a> {
    prepared: &'a Prepared,
    input: Option<RawFd>,
    output: RawFd,
    report: RawFd,
    cgroup_procs: Option<RawFd>,
}

impl Child<'_> {
    fn clone_and_move(self, cgroup: BorrowedFd<'_>) -> io::Result<(u32, OwnedFd)> {
        let procs = open_at(cgroup, c"cgroup.procs")?;
        let child = Self {
            cgroup_procs: Some(procs.as_raw_fd()),
            ..self
        };
        child.clone3(None)
    }

    fn clone3(&self, cgroup: Option<BorrowedFd<'_>>) -> io::Result<(u32, OwnedFd)> {
        let mut pidfd: RawFd = -1;
        // SAFETY: `clone_args` is plain data for which all zero is valid.
        let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
        arguments.flags = libc::CLONE_PIDFD as u64;
        arguments.pidfd = ptr::from_mut(&mut pidfd) as u64;
        arguments.exit_signal = libc::SIGCHLD as u64;
        if let Some(cgroup) = cgroup {
            arguments.flags |= 0x2_0000_0000; // CLONE_INTO_CGROUP
            arguments.cgroup = u64::try_from(cgroup.as_raw_fd()).unwrap_or(u64::MAX);
        }
        // SAFETY: without CLONE_VM the child has a copy of our memory; it only makes system calls
        // (see `run`) and ends in exec or _exit. `pidfd` outlives the call.
        let pid = unsafe {
            libc::syscall(
                libc::SYS_clone3,
                ptr::from_mut(&mut arguments),
                size_of::<libc::clone_args>(),
            )
        };
        match pid {
            -1 => Err(io::Error::last_os_error()),
            // SAFETY: this is the child, between clone and exec.
            0 => unsafe { self.run() },
            // SAFETY: the kernel has just made this descriptor for us.
            pid => Ok((u32::try_from(pid).unwrap_or(0), unsafe {
                OwnedFd::from_raw_fd(pidfd)
            })),
        }
    }

    /// The child's life. Async-signal-safe.
    unsafe fn run(&self) -> ! {
        // SAFETY: only system calls on memory prepared by the parent.
        unsafe {
            let step = self.steps();
            let errno = *libc::__errno_location();
            let mut report = [0_u8; 8];
            let (first, second) = report.split_at_mut(4);
            first.copy_from_slice(&step.to_ne_bytes());
            second.copy_from_slice(&errno.to_ne_bytes());
            libc::write(self.report, report.as_ptr().cast(), report.len());
            libc::_exit(127)
        }
    }

    /// Returns the number of the step that failed.
    unsafe fn steps(&self) -> u32 {
        let prepared = self.prepared;
        let credentials = &prepared.credentials;
        // SAFETY: only system calls on memory prepared by the parent.
        unsafe {
            for signal in 1..=64 {
                if signal != libc::SIGKILL && signal != libc::SIGSTOP {
                    // The C library refuses its own two; they are at their defaults.
                    libc::signal(signal, libc::SIG_DFL);
                }
            }
            let empty: u64 = 0;
            libc::syscall(
                libc::SYS_rt_sigprocmask,
                libc::SIG_SETMASK,
                ptr::from_ref(&empty),
                ptr::null_mut::<u64>(),
                8_usize,
            );
            libc::umask(prepared.attributes.umask);
            if let Some(procs) = self.cgroup_procs
                && libc::write(procs, c"0".as_ptr().cast(), 1) != 1
            {
                return 0;
            }
            libc::setsid();
            let (input, output) = if let Some(tty) = &prepared.tty {
                let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_NONBLOCK | libc::O_CLOEXEC;
                let fd = libc::open(tty.as_ptr(), flags);
                if fd < 0 {
                    return 1;
                }
                libc::fcntl(fd, libc::F_SETFL, libc::O_RDWR);
                // That it is no terminal at all (a test's /dev/null) is no obstacle.
                libc::ioctl(fd, libc::TIOCSCTTY, 1);
                (fd, fd)
            } else if let Some(input) = self.input {
                (input, self.output)
            } else {
                let flags = libc::O_RDONLY | libc::O_CLOEXEC;
                (libc::open(c"/dev/null".as_ptr(), flags), self.output)
            };
            if input < 0
                || libc::dup2(input, 0) < 0
                || libc::dup2(output, 1) < 0
                || libc::dup2(output, 2) < 0
            {
                return 2;
            }
            let limit = libc::rlimit {
                rlim_cur: prepared.open_files.soft,
                rlim_max: prepared.open_files.hard,
            };
            if libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) < 0 {
                // Without CAP_SYS_RESOURCE the hard limit stays where it is.
                let mut now = limit;
                libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut now);
                now.rlim_cur = now.rlim_max.min(prepared.open_files.soft);
                if libc::setrlimit(libc::RLIMIT_NOFILE, &raw const now) < 0 {
                    return 3;
                }
            }
            let step = prepared.attributes.set_bounds();
            if step != 0 {
                return step;
            }
            // Raw calls: the C library's would try to bring other threads along.
            let groups = credentials.groups.as_slice();
            if !(credentials.uid == 0 && groups.is_empty())
                && libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) < 0
            {
                return 4;
            }
            let gid = credentials.gid;
            if libc::syscall(libc::SYS_setresgid, gid, gid, gid) < 0 {
                return 5;
            }
            let uid = credentials.uid;
            let keep = u64::from(prepared.attributes.ambient != 0);
            if keep != 0 && libc::prctl(libc::PR_SET_KEEPCAPS, keep, 0, 0, 0) < 0 {
                return 12;
            }
            if libc::syscall(libc::SYS_setresuid, uid, uid, uid) < 0 {
                return 6;
            }
            let step = prepared.attributes.set_privileges();
            if step != 0 {
                return step;
            }
            if libc::chdir(prepared.directory.as_ptr()) < 0 {
                return 7;
            }
            libc::syscall(
                libc::SYS_close_range,
                3_u32,
                u32::MAX,
                libc::CLOSE_RANGE_CLOEXEC,
            );
            libc::execve(
                prepared.program.as_ptr(),
                prepared.argv.pointers.as_ptr(),
                prepared.environment.pointers.as_ptr(),
            );
            8
        }
    }
}

/// The last capability that there is a bit for.
const LAST_CAPABILITY: u64 = 63;

/// `struct __user_cap_header_struct` and twice `struct __user_cap_data_struct` of capget(2).
#[repr(C)]
struct CapabilityHeader {
    version: u32,
    pid: i32,
}

#[repr(C)]
struct CapabilityData {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// `_LINUX_CAPABILITY_VERSION_3`
const CAPABILITY_VERSION: u32 = 0x2008_0522;

impl Attributes {
    /// What needs root, before the credentials change. Async-signal-safe; 0, or the failed step.
    unsafe fn set_bounds(&self) -> u32 {
        // SAFETY: only system calls on memory prepared by the parent.
        unsafe {
            for limit in &self.limits {
                let value = libc::rlimit {
                    rlim_cur: limit.soft,
                    rlim_max: limit.hard,
                };
                let none = ptr::null_mut::<libc::rlimit>();
                if libc::syscall(
                    libc::SYS_prlimit64,
                    0,
                    limit.resource,
                    &raw const value,
                    none,
                ) < 0
                {
                    return 9;
                }
            }
            if let Some(nice) = self.nice
                && libc::setpriority(libc::PRIO_PROCESS, 0, nice) < 0
            {
                return 10;
            }
            if let Some(text) = &self.oom_score_adjust {
                let flags = libc::O_WRONLY | libc::O_CLOEXEC;
                let fd = libc::open(c"/proc/self/oom_score_adj".as_ptr(), flags);
                if fd < 0 || libc::write(fd, text.as_ptr().cast(), text.len()) < 0 {
                    return 11;
                }
            }
            for capability in (0..=LAST_CAPABILITY).filter(|bit| self.bounding >> bit & 1 == 0) {
                // The kernel knows fewer than there are bits.
                if libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) < 0
                    && *libc::__errno_location() != libc::EINVAL
                {
                    return 12;
                }
            }
        }
        0
    }

    /// What comes after the credentials. Async-signal-safe; 0, or the failed step.
    unsafe fn set_privileges(&self) -> u32 {
        // SAFETY: only system calls on locals and on memory prepared by the parent.
        unsafe {
            if self.ambient != 0 {
                let mut header = CapabilityHeader {
                    version: CAPABILITY_VERSION,
                    pid: 0,
                };
                let half = |set: u64| {
                    let [b0, b1, b2, b3, ..] = set.to_le_bytes();
                    u32::from_le_bytes([b0, b1, b2, b3])
                };
                let data = [self.ambient, self.ambient >> 32].map(|set| CapabilityData {
                    effective: half(set),
                    permitted: half(set),
                    inheritable: half(set),
                });
                if libc::syscall(libc::SYS_capset, &raw mut header, data.as_ptr()) < 0 {
                    return 12;
                }
                for bit in (0..=LAST_CAPABILITY).filter(|bit| self.ambient >> bit & 1 == 1) {
                    let raise = libc::PR_CAP_AMBIENT_RAISE;
                    if libc::prctl(libc::PR_CAP_AMBIENT, raise, bit, 0, 0) < 0 {
                        return 12;
                    }
                }
            }
            if self.no_new_privileges && libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 {
                return 13;
            }
        }
        0
    }
}

/// Whether an error of `clone3` speaks against `CLONE_INTO_CGROUP` and not against any clone.
fn refused(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::EINVAL
                | libc::EOPNOTSUPP
                | libc::EACCES
                | libc::EPERM
                | libc::EBUSY
                | libc::E2BIG
        )
    )
}

fn open_at(directory: BorrowedFd<'_>, name: &std::ffi::CStr) -> io::Result<OwnedFd> {
    let flags = libc::O_WRONLY | libc::O_CLOEXEC;
    // SAFETY: the descriptor is open and the name ends in NUL.
    let fd = unsafe { libc::openat(directory.as_raw_fd(), name.as_ptr(), flags) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A pipe, non-blocking to read, closed on exec.
///
/// # Errors
/// No descriptor is left.
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends: [RawFd; 2] = [-1; 2];
    // SAFETY: the array has room for two descriptors.
    if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) } < 0 {
        return Err(io::Error::last_os_error());
    }
    let [reader, writer] = ends;
    // SAFETY: the kernel has just made these descriptors for us.
    let (reader, writer) = unsafe { (OwnedFd::from_raw_fd(reader), OwnedFd::from_raw_fd(writer)) };
    // SAFETY: the descriptor is open.
    if unsafe { libc::fcntl(reader.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok((reader, writer))
}

/// Takes the end of any child of ours, if one has ended: its id and how. Allocates nothing.
#[must_use]
pub fn reap_any() -> Option<(u32, Exit)> {
    reap(libc::P_ALL, 0, 0).ok().flatten()
}

/// Takes the end of our child behind `pidfd`; `None` if it lives.
///
/// # Errors
/// It is not our child (`ECHILD`): whoever is its parent reaps it.
pub fn reap_pidfd(pidfd: BorrowedFd<'_>) -> io::Result<Option<Exit>> {
    let id = u32::try_from(pidfd.as_raw_fd()).unwrap_or(0);
    Ok(reap(libc::P_PIDFD, id, 0)?.map(|(_, exit)| exit))
}

/// Looks at the end of our child behind `pidfd`, and leaves it to be taken; `None` if it lives.
///
/// # Errors
/// It is not our child (`ECHILD`).
pub fn end_of_pidfd(pidfd: BorrowedFd<'_>) -> io::Result<Option<Exit>> {
    let id = u32::try_from(pidfd.as_raw_fd()).unwrap_or(0);
    Ok(reap(libc::P_PIDFD, id, libc::WNOWAIT)?.map(|(_, exit)| exit))
}

/// Whether the process behind `pidfd` is a child of ours, dead or alive.
#[must_use]
pub fn is_child(pidfd: BorrowedFd<'_>) -> bool {
    let id = u32::try_from(pidfd.as_raw_fd()).unwrap_or(0);
    // SAFETY: an all-zero siginfo_t is valid, and the kernel fills it in.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        libc::waitid(libc::P_PIDFD, id, &raw mut info, flags) == 0
    }
}

/// Whether this process has any child, dead or alive.
#[must_use]
pub fn has_children() -> bool {
    // SAFETY: an all-zero siginfo_t is valid, and the kernel fills it in.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        libc::waitid(libc::P_ALL, 0, &raw mut info, flags) == 0
    }
}

fn reap(kind: libc::idtype_t, id: u32, more: libc::c_int) -> io::Result<Option<(u32, Exit)>> {
    loop {
        // SAFETY: an all-zero siginfo_t is valid.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        let flags = libc::WEXITED | libc::WNOHANG | more;
        // SAFETY: `info` is valid for writing.
        let result = unsafe { libc::waitid(kind, id, &raw mut info, flags) };
        if result < 0 {
            let error = io::Error::last_os_error();
            if error.kind() == io::ErrorKind::Interrupted {
                continue;
            }
            return Err(error);
        }
        // SAFETY: waitid has filled in the members for a child; zero means that none has ended.
        let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
        if pid == 0 {
            return Ok(None);
        }
        let exit = if info.si_code == libc::CLD_EXITED {
            Exit::Status(status)
        } else {
            Exit::Signal(status)
        };
        return Ok(Some((u32::try_from(pid).unwrap_or(0), exit)));
    }
}

/// Raises this process's own limit of open files; returns what it was before.
///
/// # Errors
/// The limit cannot be read.
pub fn raise_open_files(wanted: u64) -> io::Result<OpenFiles> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is valid for writing.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } < 0 {
        return Err(io::Error::last_os_error());
    }
    let before = OpenFiles {
        soft: limit.rlim_cur,
        hard: limit.rlim_max,
    };
    let raised = libc::rlimit {
        rlim_cur: wanted,
        rlim_max: wanted.max(before.hard),
    };
    let most = libc::rlimit {
        rlim_cur: before.hard,
        rlim_max: before.hard,
    };
    // SAFETY: both structures are valid. Without privilege the second one is what can be had, and
    // if that fails too, the limit stays: the caller runs into it later with an error of its own.
    unsafe {
        if libc::setrlimit(libc::RLIMIT_NOFILE, &raw const raised) < 0 {
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const most);
        }
    }
    Ok(before)
}

/// A file in memory that lives as long as a descriptor of it.
///
/// # Errors
/// No descriptor is left.
pub fn memory_file(name: &std::ffi::CStr) -> io::Result<File> {
    // SAFETY: the name ends in NUL.
    let fd = unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { File::from_raw_fd(fd) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::fd::AsFd;

    fn run(argv: &[&str], adjust: impl FnOnce(Prepared) -> Prepared) -> (Report, Exit, String) {
        let files = OpenFiles { soft: 64, hard: 64 };
        let own = Credentials {
            // SAFETY: these calls cannot fail.
            uid: unsafe { libc::getuid() },
            // SAFETY: as above.
            gid: unsafe { libc::getgid() },
            groups: Vec::new(),
        };
        let argv = argv.iter().map(OsStr::new);
        let prepared = adjust(Prepared::new(argv, [("A", "b")], own, files).unwrap());
        let (reader, writer) = pipe().unwrap();
        let streams = Streams {
            input: None,
            output: writer.as_fd(),
        };
        let started = prepared.start(Placement::Parents, streams).unwrap();
        drop(writer);
        let mut report = Report::Pending;
        let mut exit = None;
        while report == Report::Pending || exit.is_none() {
            if report == Report::Pending {
                report = read_report(started.report.as_fd()).unwrap();
            }
            if exit.is_none() {
                exit = reap_pidfd(started.pidfd.as_fd()).unwrap();
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let mut text = String::new();
        File::from(reader).read_to_string(&mut text).unwrap();
        (report, exit.unwrap(), text)
    }

    #[test]
    fn the_environment_is_exact_and_no_descriptor_leaks() {
        // SAFETY: this call cannot fail.
        if unsafe { libc::getuid() } != 0 {
            return a_missing_program_is_reported(); // setgroups needs root
        }
        let script = "echo $A $HOME; ls /proc/self/fd | wc -w; ulimit -n; pwd; exit 3";
        let (report, exit, text) =
            run(&["/bin/sh", "-c", script], |p| p.directory("/tmp").unwrap());
        assert_eq!((report, exit), (Report::Executed, Exit::Status(3)));
        assert_eq!(text, "b\n4\n64\n/tmp\n");
    }

    #[test]
    fn bounds_and_privileges() {
        // SAFETY: this call cannot fail.
        if unsafe { libc::getuid() } != 0 {
            return a_missing_program_is_reported(); // all of it needs root
        }
        let script = "umask; ulimit -c; cut -d' ' -f19 /proc/self/stat; cat /proc/self/oom_score_adj; \
            grep -E '^(Uid|CapInh|CapPrm|CapBnd|CapAmb|NoNewPrivs)' /proc/self/status | tr '\\t' ' '";
        let net_bind = 1 << 10;
        let attributes = Attributes {
            umask: 0o077,
            limits: vec![ResourceLimit {
                resource: 4,
                soft: 1024,
                hard: u64::MAX,
            }],
            nice: Some(5),
            oom_score_adjust: Some("300".to_owned()),
            ambient: net_bind,
            bounding: net_bind,
            no_new_privileges: true,
        };
        let (report, exit, text) = run(&["/bin/sh", "-c", script], |mut p| {
            p.credentials.uid = 4711;
            p.credentials.gid = 4711;
            p.attributes(attributes)
        });
        assert_eq!((report, exit), (Report::Executed, Exit::Status(0)));
        assert_eq!(
            text,
            "0077\n2\n5\n300\nUid: 4711 4711 4711 4711\nCapInh: 0000000000000400\n\
             CapPrm: 0000000000000400\nCapBnd: 0000000000000400\nCapAmb: 0000000000000400\n\
             NoNewPrivs: 1\n"
        );
    }

    #[test]
    fn a_missing_program_is_reported() {
        // SAFETY: this call cannot fail.
        if unsafe { libc::getuid() } == 0 {
            let (report, exit, _) = run(&["/nonexistent"], |p| p);
            let failure = Failure {
                step: "execute the program",
                errno: libc::ENOENT,
            };
            assert_eq!(report, Report::Failed(failure));
            assert_eq!(exit, Exit::Status(127));
        }
    }
}
