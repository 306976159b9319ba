//! Work that may never come back from the kernel, done by a process of its own.
//!
//! Whoever waits for a device or a server that does not answer sleeps for as long as it does not, and no signal ends
//! that. A copy of this process can be left to it.
//!
//! Source: `fork(2)`, `pidfd_open(2)`.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::exit::{Exit, reap_pidfd};
use crate::pidfd;

/// A process that does some work.
#[derive(Debug)]
pub struct Errand {
    process: OwnedFd,
}

impl Errand {
    /// Begins `work` in a copy of this process, which ends with the status that it returns. This process has one
    /// thread: what others hold, the copy would wait for.
    ///
    /// # Errors
    /// No process, no memory or no descriptor is left.
    pub fn begin(work: impl FnOnce() -> u8) -> io::Result<Self> {
        // SAFETY: the only thread of this process goes on in the copy, which ends here.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            let status = work();
            // SAFETY: a system call on a number.
            unsafe { libc::_exit(status.into()) }
        }
        let pid = u32::try_from(pid).map_err(|_| io::Error::last_os_error())?;
        // It is there until we reap it.
        let process = pidfd::open(pid)?;
        Ok(Self { process })
    }

    /// Waits for its end for as long as `patience` says; `None` if it has not ended by then.
    ///
    /// # Errors
    /// Somebody else has reaped it, or there is no memory to wait with.
    pub fn wait(&self, patience: Duration) -> io::Result<Option<Exit>> {
        let timeout = PollTimeout::try_from(patience).unwrap_or(PollTimeout::MAX);
        let mut ended = [PollFd::new(self.process.as_fd(), PollFlags::POLLIN)];
        match poll(&mut ended, timeout) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => reap_pidfd(self.process.as_fd()),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_work_is_waited_for_as_long_as_one_wants() {
        let soon = Errand::begin(|| 7).unwrap();
        let patience = Duration::from_mins(1);
        assert_eq!(soon.wait(patience).unwrap(), Some(Exit::Status(7)));
        assert!(soon.wait(Duration::ZERO).is_err(), "it is reaped");
        let never = Errand::begin(|| {
            std::thread::sleep(Duration::MAX);
            0
        });
        let never = never.unwrap();
        assert_eq!(never.wait(Duration::from_millis(1)).unwrap(), None);
        pidfd::send(never.process.as_fd(), libc::SIGKILL).unwrap();
        assert_eq!(never.wait(patience).unwrap(), Some(Exit::Signal(9)));
    }
}
