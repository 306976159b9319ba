//! Descriptors of processes: signals that cannot hit a process that took over the number.
//!
//! Source: `pidfd_open(2)`, `pidfd_send_signal(2)`.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// A descriptor of the process `pid`.
///
/// # Errors
/// There is no such process.
pub fn open(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: a system call on numbers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let fd = i32::try_from(fd).unwrap_or(-1);
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Sends `signal` to the process; that it has ended already is no error.
///
/// # Errors
/// The signal is not allowed.
pub fn send(pidfd: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    match send_to_any(pidfd, signal) {
        Err(error) if is_gone(&error) => Ok(()),
        sent => sent,
    }
}

/// Whether the process lives, or nobody has taken its end yet.
#[must_use]
pub fn is_there(pidfd: BorrowedFd<'_>) -> bool {
    !send_to_any(pidfd, 0).is_err_and(|error| is_gone(&error))
}

fn send_to_any(pidfd: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    // SAFETY: a system call on numbers and a null pointer, which means "as kill(2) would".
    let result = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    if result == 0 {
        return Ok(());
    }
    Err(io::Error::last_os_error())
}

fn is_gone(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ESRCH)
}
