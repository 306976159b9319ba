//! What a child says between clone and exec: the step that failed, through a pipe that exec closes.
//!
//! ```text
//! i32 errno, then the step as text, in one write of at most PIPE_BUF bytes
//! ```

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// The step that failed between clone and exec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What was tried.
    pub step: String,
    /// Why it failed.
    pub errno: i32,
}

/// What the report pipe says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// Nothing yet.
    Pending,
    /// The program was executed.
    Executed,
    /// It was not.
    Failed(Failure),
}

/// The longest report: less than what a pipe takes in one piece.
const LONGEST: usize = 1024;

/// Reads the report of [`Started::report`](super::Started::report), without waiting.
///
/// # Errors
/// The pipe cannot be read.
pub fn read_report(report: BorrowedFd<'_>) -> io::Result<Report> {
    let mut bytes = [0_u8; LONGEST];
    // SAFETY: the buffer is valid for its length, and the descriptor is open.
    let read = unsafe { libc::read(report.as_raw_fd(), bytes.as_mut_ptr().cast(), bytes.len()) };
    let Ok(read) = usize::try_from(read) else {
        let error = io::Error::last_os_error();
        return match error.kind() {
            io::ErrorKind::WouldBlock => Ok(Report::Pending),
            _ => Err(error),
        };
    };
    let text = bytes.get(..read).unwrap_or_default();
    let Some((errno, step)) = text.split_first_chunk() else {
        return Ok(match read {
            0 => Report::Executed,
            _ => Report::Failed(Failure {
                step: "start".to_owned(),
                errno: 0,
            }),
        });
    };
    Ok(Report::Failed(Failure {
        step: String::from_utf8_lossy(step).into_owned(),
        errno: i32::from_ne_bytes(*errno),
    }))
}

/// Says which step failed, and why. Async-signal-safe.
pub(super) fn write_report(report: RawFd, step: &CStr, errno: i32) {
    let errno = errno.to_ne_bytes();
    let step = step.to_bytes();
    let parts = [
        libc::iovec {
            iov_base: errno.as_ptr().cast_mut().cast(),
            iov_len: errno.len(),
        },
        libc::iovec {
            iov_base: step.as_ptr().cast_mut().cast(),
            iov_len: step.len().min(LONGEST - errno.len()),
        },
    ];
    // SAFETY: both parts are valid for their lengths. That it cannot be written leaves the status 127
    // as the only report.
    unsafe {
        libc::writev(report, parts.as_ptr(), 2);
    }
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
