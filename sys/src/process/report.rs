//! What a child says between clone and exec, through a pipe that exec closes: that it is in its cgroup, if it
//! has moved there itself, and the step that failed.
//!
//! ```text
//! 1                                  it is in its cgroup
//! 2, i32 errno, the step as text     it has failed
//! ```
//! Each is one write of at most `PIPE_BUF` bytes.

use std::cell::Cell;
use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use super::tray::Laid;

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
    /// It is in its cgroup; more is to come.
    Placed,
    /// The program was executed.
    Executed,
    /// It was not.
    Failed(Failure),
}

/// The longest report: less than what a pipe takes in one piece.
const LONGEST: usize = 1024;

const PLACED: u8 = 1;
const FAILED: u8 = 2;

/// The parent's end of the pipe.
#[derive(Debug)]
pub struct ReportPipe {
    reader: OwnedFd,
    /// Where the child's end is, among others, until it has a table of descriptors of its own.
    laid: Option<Laid>,
    has_ended: Cell<bool>,
}

impl ReportPipe {
    pub(super) fn new(reader: OwnedFd, laid: Option<Laid>) -> Self {
        Self {
            reader,
            laid,
            has_ended: Cell::new(false),
        }
    }

    /// What the child says by now, without waiting.
    ///
    /// # Errors
    /// The pipe cannot be read.
    pub fn read(&self) -> io::Result<Report> {
        let mut bytes = [0_u8; LONGEST];
        let reader = self.reader.as_raw_fd();
        // SAFETY: the buffer is valid for its length, and the descriptor is open.
        let read = unsafe { libc::read(reader, bytes.as_mut_ptr().cast(), bytes.len()) };
        let Ok(read) = usize::try_from(read) else {
            let error = io::Error::last_os_error();
            return match error.kind() {
                io::ErrorKind::WouldBlock if self.has_ended.get() => Ok(Report::Executed),
                io::ErrorKind::WouldBlock => Ok(Report::Pending),
                _ => Err(error),
            };
        };
        Ok(parse(bytes.get(..read).unwrap_or_default()))
    }

    /// The child has ended: nothing more is to come. Another one, which has just begun, may have a copy of its end for
    /// a moment more.
    pub fn close(&self) {
        self.has_ended.set(true);
        if let Some(laid) = &self.laid {
            laid.take_off();
        }
    }

    /// What a child that has ended has said last.
    ///
    /// # Errors
    /// As for [`ReportPipe::read`].
    pub fn last(&self) -> io::Result<Report> {
        self.close();
        self.read()
    }
}

/// Readable when the child has said something, or was executed.
impl AsFd for ReportPipe {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}

/// What has been read at once, which is at least one whole write.
fn parse(bytes: &[u8]) -> Report {
    match bytes {
        [] => Report::Executed,
        [PLACED] => Report::Placed,
        [PLACED, rest @ ..] => parse(rest),
        [_, rest @ ..] => Report::Failed(match rest.split_first_chunk() {
            Some((errno, step)) => Failure {
                step: String::from_utf8_lossy(step).into_owned(),
                errno: i32::from_ne_bytes(*errno),
            },
            None => Failure {
                step: "start".to_owned(),
                errno: 0,
            },
        }),
    }
}

/// Says that it is in its cgroup. Async-signal-safe.
pub(super) fn write_placed(report: RawFd) {
    // SAFETY: the byte is valid. That it cannot be written costs nothing but a record with core.
    unsafe {
        libc::write(report, ptr::from_ref(&PLACED).cast(), 1);
    }
}

/// Says which step failed, and why. Async-signal-safe.
pub(super) fn write_report(report: RawFd, step: &CStr, errno: i32) {
    let errno = errno.to_ne_bytes();
    let step = step.to_bytes();
    let parts = [
        libc::iovec {
            iov_base: ptr::from_ref(&FAILED).cast_mut().cast(),
            iov_len: 1,
        },
        libc::iovec {
            iov_base: errno.as_ptr().cast_mut().cast(),
            iov_len: errno.len(),
        },
        libc::iovec {
            iov_base: step.as_ptr().cast_mut().cast(),
            iov_len: step.len().min(LONGEST - 1 - errno.len()),
        },
    ];
    // SAFETY: all parts are valid for their lengths. That it cannot be written leaves the status 127
    // as the only report.
    unsafe {
        libc::writev(report, parts.as_ptr(), 3);
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
