//! Running a program in a root of its own: user, mount, PID, IPC, UTS and (if asked) network
//! namespaces, without any privilege.
//!
//! The caller describes the root as a list of [`Step`]s below a fresh tmpfs. Between `fork` and
//! `exec`, the child enters the namespaces, maps itself to a user in them, forks once more (only
//! children enter a PID namespace), does the steps and moves into the new root. All strings are
//! prepared before: the child of a threaded program must not allocate.
//!
//! ```text
//! caller -> relay (namespaces made; only waits) -> program (PID 1 of its namespace)
//! ```
//!
//! Source: `user_namespaces(7)`, `pid_namespaces(7)`, `pivot_root(2)`, `mount_setattr(2)`.

use std::ffi::{CStr, CString, c_int, c_ulong};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One piece of the guest's root. Guest paths are absolute; folders above them must have been
/// made by earlier steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// An empty folder, mode 0755.
    Folder(PathBuf),
    /// An empty file: what another file can be bound over.
    File(PathBuf),
    /// A symbolic link.
    Link {
        /// What it says.
        target: PathBuf,
        /// Where it is.
        at: PathBuf,
    },
    /// A file or folder of the host, with what is mounted below it.
    Bind {
        /// Where it is on the host.
        from: PathBuf,
        /// Where it is in the guest; there must be a file or folder.
        at: PathBuf,
        /// Whether the guest may write to it.
        read_only: bool,
    },
    /// A `proc` of the guest's own processes, or the host's where the kernel refuses that.
    Proc(PathBuf),
    /// Pseudo-terminals of the guest's own; left out where the kernel refuses that.
    Terminals(PathBuf),
}

/// A root to be made, and how much of the host the guest keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guest {
    /// An existing folder of the host that the guest's root is mounted on, for the guest alone.
    pub mount_point: PathBuf,
    /// What is in the root, in order.
    pub steps: Vec<Step>,
    /// The guest's working directory.
    pub working_directory: PathBuf,
    /// Whether the guest shares the host's network; else it has a loopback interface of its own.
    pub host_network: bool,
    /// Who the guest takes itself for.
    pub identity: Identity,
    /// Whether the guest is a world of its own, or sees the host's files in another order only.
    pub seclusion: Seclusion,
}

/// How far a guest is apart from the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seclusion {
    /// It has processes, names and message queues of its own, and ends with the caller.
    Full,
    /// Only its files are its own: it is a process like others. Root keeps all of its rights;
    /// [`Guest::host_network`] does not matter.
    Files,
}

/// What the calling user and group are called in the guest: outside, they stay who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The user's number.
    pub uid: u32,
    /// The group's number.
    pub gid: u32,
}

impl Identity {
    /// May do all that can be done within the guest.
    pub const ROOT: Self = Self { uid: 0, gid: 0 };
}

/// Where making the guest failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// The kernel refuses new namespaces.
    Namespaces,
    /// The kernel refuses to map the user.
    Map,
    /// Fork, private mounts, tmpfs or move into the new root failed.
    Root,
    /// This step failed.
    Step(Step),
    /// The root was made; starting the program failed.
    Exec,
}

/// Tells, after [`Command::spawn`] failed, which stage it was.
#[derive(Debug)]
pub struct Report {
    read: File,
    steps: Vec<Step>,
}

const NAMESPACES: u32 = u32::MAX;
const MAP: u32 = u32::MAX - 1;
const ROOT: u32 = u32::MAX - 2;

impl Report {
    /// The stage at which the child failed; blocks until the child is gone.
    ///
    /// # Errors
    /// The pipe cannot be read.
    pub fn stage(mut self) -> io::Result<Stage> {
        let mut bytes = Vec::new();
        self.read.read_to_end(&mut bytes)?;
        let Some(code) = bytes.first_chunk::<4>() else {
            return Ok(Stage::Exec);
        };
        Ok(match u32::from_ne_bytes(*code) {
            NAMESPACES => Stage::Namespaces,
            MAP => Stage::Map,
            ROOT => Stage::Root,
            index => usize::try_from(index)
                .ok()
                .and_then(|index| self.steps.get(index).cloned())
                .map_or(Stage::Root, Stage::Step),
        })
    }
}

impl Guest {
    /// Makes `command` run in this root: its program is a path in the guest. The command must be
    /// dropped after it was spawned, and before the report is read.
    ///
    /// # Errors
    /// A path has a zero byte, or no pipe can be made.
    pub fn attach(&self, command: &mut Command) -> io::Result<Report> {
        let (read, write) = pipe()?;
        let prepared = Prepared::new(self, write)?;
        let enter = move || prepared.enter();
        // SAFETY: `enter` makes system calls on prepared strings only; it takes no lock and
        // allocates nothing.
        unsafe { command.pre_exec(enter) };
        Ok(Report {
            read: File::from(read),
            steps: self.steps.clone(),
        })
    }
}

/// A pipe whose ends close on `exec`.
fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends: [RawFd; 2] = [-1; 2];
    // SAFETY: the kernel writes two descriptors into the array, and nobody else owns them.
    unsafe {
        check(libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC))?;
        let [read, write] = ends;
        Ok((OwnedFd::from_raw_fd(read), OwnedFd::from_raw_fd(write)))
    }
}

fn check(status: c_int) -> io::Result<c_int> {
    match status {
        -1 => Err(io::Error::last_os_error()),
        other => Ok(other),
    }
}

/// A [`Step`] with all strings that its system calls need.
enum Call {
    Folder(CString),
    File(CString),
    Link(CString, CString),
    Bind {
        from: CString,
        at: CString,
        read_only: bool,
    },
    Proc(CString),
    Terminals(CString),
}

struct Prepared {
    mount_point: CString,
    calls: Vec<Call>,
    working_directory: CString,
    uid_map: CString,
    gid_map: CString,
    host_network: bool,
    is_root: bool,
    seclusion: Seclusion,
    report: OwnedFd,
}

impl Prepared {
    fn new(guest: &Guest, report: OwnedFd) -> io::Result<Self> {
        let inside = |path: &Path| {
            let relative = path.strip_prefix("/").unwrap_or(path);
            c_string(&guest.mount_point.join(relative))
        };
        let calls = guest.steps.iter().map(|step| {
            Ok(match step {
                Step::Folder(at) => Call::Folder(inside(at)?),
                Step::File(at) => Call::File(inside(at)?),
                Step::Link { target, at } => Call::Link(c_string(target)?, inside(at)?),
                Step::Bind {
                    from,
                    at,
                    read_only,
                } => Call::Bind {
                    from: c_string(from)?,
                    at: inside(at)?,
                    read_only: *read_only,
                },
                Step::Proc(at) => Call::Proc(inside(at)?),
                Step::Terminals(at) => Call::Terminals(inside(at)?),
            })
        });
        let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
        Ok(Self {
            calls: calls.collect::<io::Result<_>>()?,
            mount_point: c_string(&guest.mount_point)?,
            working_directory: c_string(&guest.working_directory)?,
            uid_map: CString::new(format!("{} {uid} 1", guest.identity.uid))?,
            gid_map: CString::new(format!("{} {gid} 1", guest.identity.gid))?,
            host_network: guest.host_network,
            is_root: uid.is_root(),
            seclusion: guest.seclusion,
            report,
        })
    }

    /// Runs in the forked child; returns in the one that is to become the program.
    fn enter(&self) -> io::Result<()> {
        self.unshare()
            .map_err(|error| self.failed(NAMESPACES, error))?;
        if self.seclusion == Seclusion::Full {
            Self::fork().map_err(|error| self.failed(ROOT, error))?;
        }
        self.make_root().map_err(|error| self.failed(ROOT, error))?;
        for (index, call) in self.calls.iter().enumerate() {
            // Lists that long do not exist; the code would only name the wrong step.
            let code = u32::try_from(index).unwrap_or(ROOT);
            call.apply().map_err(|error| self.failed(code, error))?;
        }
        self.move_in().map_err(|error| self.failed(ROOT, error))
    }

    fn failed(&self, code: u32, error: io::Error) -> io::Error {
        let bytes = code.to_ne_bytes();
        // SAFETY: the buffer outlives the call. A failed write only makes the report less precise.
        unsafe { libc::write(self.report.as_raw_fd(), bytes.as_ptr().cast(), bytes.len()) };
        error
    }

    fn unshare(&self) -> io::Result<()> {
        let mut flags = libc::CLONE_NEWNS;
        if self.seclusion == Seclusion::Full {
            flags |= libc::CLONE_NEWPID | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;
            if !self.host_network {
                flags |= libc::CLONE_NEWNET;
            }
        } else if self.is_root {
            // In a user namespace, root could not become anybody else. In a container, it may have
            // no choice.
            // SAFETY: a system call without pointers; this process has one thread.
            if unsafe { libc::unshare(flags) } == 0 {
                return Ok(());
            }
        }
        // SAFETY: a system call without pointers; this process has one thread.
        match check(unsafe { libc::unshare(flags | libc::CLONE_NEWUSER) }) {
            Ok(_) => self.map().map_err(|error| self.failed(MAP, error)),
            Err(error)
                if self.is_root
                    && matches!(error.raw_os_error(), Some(libc::EPERM | libc::ENOSPC)) =>
            {
                // Root may have the other namespaces even where user namespaces are switched off.
                // SAFETY: as above.
                check(unsafe { libc::unshare(flags) }).map(drop)
            }
            Err(error) => Err(error),
        }
    }

    fn map(&self) -> io::Result<()> {
        write_file(c"/proc/self/setgroups", c"deny")?;
        write_file(c"/proc/self/uid_map", &self.uid_map)?;
        write_file(c"/proc/self/gid_map", &self.gid_map)
    }

    /// Continues in a child, which is the first process of the PID namespace. The parent waits and
    /// ends as the child does.
    fn fork() -> io::Result<()> {
        // SAFETY: this process has one thread, and both sides only make system calls.
        match check(unsafe { libc::fork() })? {
            // SAFETY: without pointers. Not even `kill -9` on the relay leaves the guest running.
            0 => check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) }).map(drop),
            child => relay(child),
        }
    }

    fn make_root(&self) -> io::Result<()> {
        let private = libc::MS_REC | libc::MS_PRIVATE;
        mount(None, c"/", None, private, None)?;
        let flags = libc::MS_NOSUID | libc::MS_NODEV;
        let point = &self.mount_point;
        mount(
            Some(c"tmpfs"),
            point,
            Some(c"tmpfs"),
            flags,
            Some(c"mode=0755"),
        )
    }

    fn move_in(&self) -> io::Result<()> {
        let name = c"localhost";
        // SAFETY: all strings end with a zero byte.
        unsafe {
            check(libc::chdir(self.mount_point.as_ptr()))?;
            check_long(libc::syscall(
                libc::SYS_pivot_root,
                c".".as_ptr(),
                c".".as_ptr(),
            ))?;
            // The old root lies over the new one until it is taken away.
            check(libc::umount2(c".".as_ptr(), libc::MNT_DETACH))?;
            check(libc::chdir(self.working_directory.as_ptr()))?;
            if self.seclusion == Seclusion::Files {
                return Ok(());
            }
            check(libc::sethostname(name.as_ptr(), name.count_bytes()))?;
        }
        if !self.host_network {
            raise_loopback()?;
        }
        Ok(())
    }
}

impl Call {
    fn apply(&self) -> io::Result<()> {
        match self {
            // SAFETY: the string ends with a zero byte.
            Self::Folder(at) => check(unsafe { libc::mkdir(at.as_ptr(), 0o755) }).map(drop),
            Self::File(at) => {
                let flags = libc::O_CREAT | libc::O_WRONLY | libc::O_CLOEXEC;
                // SAFETY: the string ends with a zero byte; the descriptor is closed at once.
                unsafe {
                    let file = check(libc::open(at.as_ptr(), flags, 0o644))?;
                    check(libc::close(file)).map(drop)
                }
            }
            Self::Link(target, at) => {
                // SAFETY: both strings end with a zero byte.
                check(unsafe { libc::symlink(target.as_ptr(), at.as_ptr()) }).map(drop)
            }
            Self::Bind {
                from,
                at,
                read_only,
            } => {
                mount(Some(from), at, None, libc::MS_BIND | libc::MS_REC, None)?;
                match read_only {
                    true => make_read_only(at),
                    false => Ok(()),
                }
            }
            Self::Proc(at) => {
                let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
                // A container whose own proc is partly hidden may not have a whole one.
                mount(Some(c"proc"), at, Some(c"proc"), flags, None).or_else(|_| {
                    let flags = libc::MS_BIND | libc::MS_REC;
                    mount(Some(c"/proc"), at, None, flags, None)
                })
            }
            Self::Terminals(at) => {
                let flags = libc::MS_NOSUID | libc::MS_NOEXEC;
                let options = c"newinstance,ptmxmode=0666,mode=620";
                // Without terminals of its own, the guest can still do all but open new ones.
                let made = mount(Some(c"devpts"), at, Some(c"devpts"), flags, Some(options));
                made.or(Ok(()))
            }
        }
    }
}

/// Waits for `child` and ends the same way. Keeps no descriptor open: whoever reads from the
/// program's output must see its end when the program closes it.
fn relay(child: libc::pid_t) -> ! {
    // SAFETY: system calls only; `status` is valid for the whole call. This process never returns
    // to the code that forked it, so that closing its descriptors hurts nobody.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        if libc::syscall(libc::SYS_close_range, 0, u32::MAX, 0) == -1 {
            for descriptor in 0..4096 {
                libc::close(descriptor);
            }
        }
        let mut status = 0;
        while libc::waitpid(child, &raw mut status, 0) == -1 {
            if io::Error::last_os_error().raw_os_error() != Some(libc::EINTR) {
                libc::_exit(127);
            }
        }
        if libc::WIFEXITED(status) {
            libc::_exit(libc::WEXITSTATUS(status));
        }
        let signal = libc::WTERMSIG(status);
        let no_core = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        libc::setrlimit(libc::RLIMIT_CORE, &raw const no_core);
        libc::signal(signal, libc::SIG_DFL);
        libc::raise(signal);
        libc::_exit(128 + signal)
    }
}

fn c_string(path: &Path) -> io::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

fn check_long(status: libc::c_long) -> io::Result<()> {
    match status {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

fn write_file(path: &CStr, text: &CStr) -> io::Result<()> {
    // SAFETY: the path ends with a zero byte, the buffer outlives the call, and the descriptor is
    // closed at once. The kernel takes such files in one write or not at all.
    unsafe {
        let file = check(libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC))?;
        let written = libc::write(file, text.as_ptr().cast(), text.count_bytes());
        let result = match written {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        };
        check(libc::close(file))?;
        result
    }
}

fn mount(
    source: Option<&CStr>,
    target: &CStr,
    kind: Option<&CStr>,
    flags: c_ulong,
    options: Option<&CStr>,
) -> io::Result<()> {
    let pointer = |text: Option<&CStr>| text.map_or(std::ptr::null(), CStr::as_ptr);
    // SAFETY: all strings end with a zero byte or are null, which the kernel allows here.
    let status = unsafe {
        libc::mount(
            pointer(source),
            target.as_ptr(),
            pointer(kind),
            flags,
            pointer(options).cast(),
        )
    };
    check(status).map(drop)
}

/// Source: `mount_setattr(2)`, `struct mount_attr`.
#[repr(C)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

const MOUNT_READ_ONLY: u64 = 1;

/// Makes the mount at `at` and all below it read-only; only the topmost on kernels before 5.12.
fn make_read_only(at: &CStr) -> io::Result<()> {
    let attributes = MountAttributes {
        set: MOUNT_READ_ONLY,
        clear: 0,
        propagation: 0,
        user_namespace: 0,
    };
    // SAFETY: the structure has the kernel's layout and the size that is passed.
    let done = check_long(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            at.as_ptr(),
            libc::AT_RECURSIVE,
            &raw const attributes,
            size_of::<MountAttributes>(),
        )
    });
    match done {
        Err(error) if error.raw_os_error() == Some(libc::ENOSYS) => {
            let flags = libc::MS_REMOUNT | libc::MS_BIND | libc::MS_RDONLY;
            let kept = libc::MS_NOSUID | libc::MS_NODEV;
            // What the host's mount forbids stays forbidden, or the kernel refuses.
            mount(None, at, None, flags, None)
                .or_else(|_| mount(None, at, None, flags | kept, None))
        }
        other => other,
    }
}

/// Brings up `lo`, which is down in a new network namespace.
fn raise_loopback() -> io::Result<()> {
    // SAFETY: the structure is valid as all zeros, `lo` fits into its name, and the kernel reads
    // and writes only the structure. The socket is closed at once.
    unsafe {
        let socket = check(libc::socket(
            libc::AF_INET,
            libc::SOCK_DGRAM | libc::SOCK_CLOEXEC,
            0,
        ))?;
        let mut request: libc::ifreq = std::mem::zeroed();
        for (target, byte) in request.ifr_name.iter_mut().zip(c"lo".to_bytes()) {
            *target = byte.cast_signed();
        }
        request.ifr_ifru.ifru_flags = i16::try_from(libc::IFF_UP | libc::IFF_RUNNING).unwrap_or(0);
        let raised = check(libc::ioctl(socket, libc::SIOCSIFFLAGS, &raw const request));
        check(libc::close(socket))?;
        raised.map(drop)
    }
}
