//! How processes end, and taking their ends.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

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
