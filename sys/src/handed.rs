//! Descriptors that somebody else has handed in, and that are closed so that nobody waits for it: the close of a
//! connection may wait until its peer has read everything, and that of a file for whoever serves the file system.
//!
//! Source: `SO_LINGER` in socket(7); `flush` in the kernel's `Documentation/filesystems/vfs.rst`.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use nix::errno::Errno;
use nix::sys::socket::{setsockopt, sockopt};

/// So many closes may hang at once; what comes then is waited for, since nothing may grow without a bound.
const MOST: usize = 64;

/// Bytes of the stack of a thread that closes.
const STACK: usize = 32 << 10;

/// Most descriptors that the kernel lets through with one message.
pub const AT_ONCE: usize = 253;

static CLOSING: AtomicUsize = AtomicUsize::new(0);

/// Those that are not taken are closed with it, aside if that may take its time.
#[derive(Debug, Default)]
pub struct Handed(std::vec::IntoIter<OwnedFd>);

impl Handed {
    /// Whether none is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.as_slice().is_empty()
    }
}

impl From<Vec<OwnedFd>> for Handed {
    fn from(all: Vec<OwnedFd>) -> Self {
        Self(all.into_iter())
    }
}

impl Iterator for Handed {
    type Item = OwnedFd;

    fn next(&mut self) -> Option<OwnedFd> {
        self.0.next()
    }
}

impl Drop for Handed {
    fn drop(&mut self) {
        if self.is_empty() {
            return;
        }
        let rest = std::mem::take(&mut self.0);
        (rest.as_slice().iter()).for_each(|one| hurry(one.as_fd()));
        let place = Place::take();
        if place.is_free() {
            // Without a thread they are closed here and now.
            let close = move || drop((rest, place));
            if let Err(error) = thread::Builder::new().stack_size(STACK).spawn(close) {
                log::warn!("what was handed in is waited for: {error}");
            }
        }
    }
}

/// One of those that may hang.
struct Place(usize);

impl Place {
    fn take() -> Self {
        Self(CLOSING.fetch_add(1, Ordering::Relaxed))
    }

    fn is_free(&self) -> bool {
        self.0 < MOST
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        CLOSING.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether both are the same open file, kcmp(2). Where the kernel does not tell, they are not.
#[must_use]
pub fn is_same(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> bool {
    const KCMP_FILE: libc::c_int = 0;
    let (one, other) = (one.as_raw_fd(), other.as_raw_fd());
    // SAFETY: a system call on numbers.
    let order = unsafe {
        let own = libc::getpid();
        libc::syscall(libc::SYS_kcmp, own, own, KCMP_FILE, one, other)
    };
    order == 0
}

/// Whoever closes it last, such as PID 1, does not wait for its peer. What is no connection has none.
pub fn hurry(descriptor: BorrowedFd<'_>) {
    let none = libc::linger {
        l_onoff: 0,
        l_linger: 0,
    };
    match setsockopt(&descriptor, sockopt::Linger, &none) {
        Ok(()) | Err(Errno::ENOTSOCK | Errno::EBADF) => {}
        Err(error) => log::warn!("what was handed in may be waited for: {error}"),
    }
}
