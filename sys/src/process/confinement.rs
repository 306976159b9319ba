//! What a process is kept from: its own namespaces, its view of the files, filters of system calls.
//!
//! Source: `namespaces(7)`, `seccomp(2)`.

use std::ffi::{CStr, NulError, c_int};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use super::Credentials;
use super::child::{Done, check};
use super::user_map::{Mapper, UserMap};
use super::view::{self, Step};

/// What a process is kept from; by default, nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Confinement {
    /// Its own view of the files; none if empty.
    pub view: Vec<Step>,
    /// What else it has for itself.
    pub own: Vec<Own>,
    /// Programs that judge each system call; the strictest verdict counts.
    pub filters: Vec<Vec<Instruction>>,
}

/// What a process can have for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Own {
    /// A network, with a loopback interface and nothing else.
    Network,
    /// Message queues, semaphores and shared memory.
    Ipc,
    /// A host name, which begins as the machine's.
    HostName,
    /// Users: it sees root and its own user; everybody else is nobody.
    Users,
}

impl Own {
    /// The flag of `unshare(2)`; that of users is set later than the others.
    fn flag(self) -> c_int {
        match self {
            Self::Network => libc::CLONE_NEWNET,
            Self::Ipc => libc::CLONE_NEWIPC,
            Self::HostName => libc::CLONE_NEWUTS,
            Self::Users => 0,
        }
    }

    /// Makes a namespace of this kind that nobody is in: a thread of this process is, for a moment. It is there as
    /// long as somebody has it open or is in it.
    ///
    /// # Errors
    /// The kernel's, and for users: those are a process's own.
    pub fn make(self) -> io::Result<OwnedFd> {
        let name = match self {
            Self::Network => "net",
            Self::Ipc => "ipc",
            Self::HostName => "uts",
            Self::Users => return Err(io::ErrorKind::Unsupported.into()),
        };
        let make = move || {
            // SAFETY: system calls on numbers, and on a local; what changes is this thread's.
            let made = unsafe {
                libc::unshare(self.flag()) == 0 && (self != Self::Network || raise_loopback() >= 0)
            };
            if !made {
                return Err(io::Error::last_os_error());
            }
            Ok(OwnedFd::from(File::open(format!(
                "/proc/thread-self/ns/{name}"
            ))?))
        };
        let thread = std::thread::Builder::new().spawn(make)?;
        let lost = |_| Err(io::Error::other("the thread that makes it has panicked"));
        thread.join().unwrap_or_else(lost)
    }
}

/// One instruction of a filter, `struct sock_filter` of Linux' include/uapi/linux/filter.h.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instruction {
    /// What it does.
    pub code: u16,
    /// Instructions to jump over if it holds.
    pub jt: u8,
    /// Instructions to jump over if it does not.
    pub jf: u8,
    /// Its constant.
    pub k: u32,
}

/// A confinement, ready to be entered.
#[derive(Debug, Default)]
pub(super) struct Ready {
    namespaces: c_int,
    view: Vec<view::Ready>,
    users: Option<UserMap>,
    filters: Vec<Vec<libc::sock_filter>>,
}

impl Ready {
    pub fn new(confinement: &Confinement, user: &Credentials) -> Result<Self, NulError> {
        let files = match confinement.view.as_slice() {
            [] => 0,
            _ => libc::CLONE_NEWNS,
        };
        let own = confinement.own.iter();
        Ok(Self {
            namespaces: own.fold(files, |all, own| all | own.flag()),
            view: confinement
                .view
                .iter()
                .map(view::Ready::new)
                .collect::<Result<_, _>>()?,
            users: confinement
                .own
                .contains(&Own::Users)
                .then(|| UserMap::of(user)),
            filters: confinement
                .filters
                .iter()
                .map(|filter| filter.iter().copied().map(Instruction::raw).collect())
                .collect(),
        })
    }

    /// Namespaces and view, as root. Async-signal-safe.
    pub unsafe fn enter(&self) -> Done<'_> {
        if self.namespaces == 0 {
            return Ok(());
        }
        // SAFETY: system calls on strings that end with a zero byte.
        unsafe {
            let made = libc::unshare(self.namespaces);
            check(made, c"make namespaces for it")?;
            if self.namespaces & libc::CLONE_NEWNET != 0 {
                check(raise_loopback(), c"set up its loopback interface")?;
            }
            if self.view.is_empty() {
                return Ok(());
            }
            // What the machine mounts later is seen; what is mounted here is not seen there.
            let (none, root) = (c"none".as_ptr(), c"/".as_ptr());
            let flags = libc::MS_REC | libc::MS_SLAVE;
            let set = libc::mount(none, root, none, flags, std::ptr::null());
            check(set, c"make its view of the files its own")?;
            // What is made to mount on is for everybody.
            libc::umask(0o022);
            for step in &self.view {
                step.apply()?;
            }
        }
        Ok(())
    }

    /// What makes its user namespace, which is entered when everything that needs the machine's rights
    /// is done. Async-signal-safe.
    pub unsafe fn prepare_users(&self) -> Result<Option<Mapper>, &'static CStr> {
        // SAFETY: as for this.
        self.users
            .as_ref()
            .map(|users| unsafe { users.prepare() })
            .transpose()
    }

    /// The filters, as the last thing before the program. Async-signal-safe.
    pub unsafe fn filter(&self) -> Done<'_> {
        for filter in &self.filters {
            let program = libc::sock_fprog {
                len: u16::try_from(filter.len()).unwrap_or(0),
                filter: filter.as_ptr().cast_mut(),
            };
            let mode = libc::SECCOMP_MODE_FILTER;
            // SAFETY: the program is valid for its length; the kernel copies it.
            let set = unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program) };
            check(set, c"set the filter of its system calls")?;
        }
        Ok(())
    }
}

impl Instruction {
    fn raw(self) -> libc::sock_filter {
        libc::sock_filter {
            code: self.code,
            jt: self.jt,
            jf: self.jf,
            k: self.k,
        }
    }
}

/// Brings the loopback interface of this network namespace up; it has its addresses then.
/// Async-signal-safe. Source: `netdevice(7)`.
unsafe fn raise_loopback() -> c_int {
    let name: &CStr = c"lo";
    // SAFETY: the structure is plain data for which all zero is valid, the name is shorter than its
    // field, and the descriptor is closed once.
    unsafe {
        let mut request: libc::ifreq = std::mem::zeroed();
        std::ptr::copy_nonoverlapping(
            name.as_ptr(),
            request.ifr_name.as_mut_ptr(),
            name.count_bytes(),
        );
        request.ifr_ifru.ifru_flags = libc::c_short::try_from(libc::IFF_UP).unwrap_or(1);
        let socket = libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0);
        if socket < 0 {
            return socket;
        }
        let result = libc::ioctl(socket, libc::SIOCSIFFLAGS, &raw const request);
        libc::close(socket);
        result
    }
}
