//! Bounds on the number of open descriptors.

use std::io;

use super::child::Done;

/// Bounds on the number of a process's descriptors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenFiles {
    /// In force until the process raises it.
    pub soft: u64,
    /// Up to where it may raise it.
    pub hard: u64,
}

impl OpenFiles {
    /// This process's from now on. Async-signal-safe.
    pub(super) fn set(self) -> Done<'static> {
        let wanted = libc::rlimit {
            rlim_cur: self.soft,
            rlim_max: self.hard,
        };
        // SAFETY: the structures are valid.
        unsafe {
            if libc::setrlimit(libc::RLIMIT_NOFILE, &raw const wanted) == 0 {
                return Ok(());
            }
            // Without CAP_SYS_RESOURCE the hard limit stays where it is.
            let mut now = wanted;
            libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut now);
            now.rlim_cur = now.rlim_max.min(self.soft);
            match libc::setrlimit(libc::RLIMIT_NOFILE, &raw const now) {
                0 => Ok(()),
                _ => Err(c"set the limit of open files"),
            }
        }
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
