//! Descriptors that a process is given beyond its first three, and its own number in its environment.
//!
//! Source: `sd_listen_fds(3)`.

use std::cell::Cell;
use std::ffi::{CString, NulError};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// A copy with a number from `first` on, closed on exec.
pub(super) fn lift(descriptor: BorrowedFd<'_>, first: usize) -> io::Result<OwnedFd> {
    let first = libc::c_int::try_from(first).unwrap_or(libc::c_int::MAX);
    // SAFETY: the descriptor is open.
    let copy = unsafe { libc::fcntl(descriptor.as_raw_fd(), libc::F_DUPFD_CLOEXEC, first) };
    if copy < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// Room for a process's number, in decimals, with a NUL.
const DIGITS: usize = 11;

/// A variable whose value only the child knows: `NAME=` and room, which it fills in its own copy.
#[derive(Debug)]
pub(super) struct OwnNumber {
    text: Box<[Cell<u8>]>,
}

impl OwnNumber {
    pub fn new(name: &str) -> Result<Self, NulError> {
        let name = CString::new(format!("{name}="))?.into_bytes();
        let text = name.into_iter().chain([0; DIGITS]).map(Cell::new).collect();
        Ok(Self { text })
    }

    /// It ends in NUL, whatever is written.
    pub fn text(&self) -> *const libc::c_char {
        self.text.as_ptr().cast()
    }

    /// Writes the number. Async-signal-safe.
    pub fn write(&self, number: libc::pid_t) {
        let start = self.text.len().saturating_sub(DIGITS);
        let room = self.text.get(start..).unwrap_or_default();
        let mut rest = number.unsigned_abs();
        let mut length = 1;
        while rest >= 10 {
            rest /= 10;
            length += 1;
        }
        rest = number.unsigned_abs();
        for place in room.iter().take(length).rev() {
            place.set(b'0' + u8::try_from(rest % 10).unwrap_or(0));
            rest /= 10;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_decimals() {
        for (number, expected) in [(7, "PID=7"), (10, "PID=10"), (i32::MAX, "PID=2147483647")] {
            let own = OwnNumber::new("PID").unwrap();
            own.write(number);
            let bytes: Vec<u8> = own.text.iter().map(Cell::get).collect();
            let text: Vec<u8> = bytes.into_iter().take_while(|byte| *byte != 0).collect();
            assert_eq!(text, expected.as_bytes());
            assert_eq!(own.text.last().map(Cell::get), Some(0));
        }
    }
}
