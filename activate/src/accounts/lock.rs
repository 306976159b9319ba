//! `/etc/.pwd.lock`: what useradd, passwd and their kin hold while they change the database.
//!
//! Source: lckpwdf(3): a POSIX write lock on the whole file.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;

use crate::root::Root;

use super::AccountsError;

/// The lock, held until it is dropped.
#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "the lock lives as long as the file")] File);

const RETRY: Duration = Duration::from_millis(20);

/// These constants are 0 to 2, and only their C type is too wide.
fn short(constant: libc::c_int) -> libc::c_short {
    libc::c_short::try_from(constant).unwrap_or_default()
}

pub(super) fn acquire(root: &Root, deadline: Duration) -> Result<Lock, AccountsError> {
    let path = root.place(Path::new("/etc/.pwd.lock"))?;
    let failed = |source| AccountsError::Lock {
        path: path.clone(),
        source,
    };
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(OFlag::O_NOFOLLOW.bits())
        .open(&path)
        .map_err(failed)?;
    let whole_file = libc::flock {
        l_type: short(libc::F_WRLCK),
        l_whence: short(libc::SEEK_SET),
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    let end = Instant::now() + deadline;
    loop {
        match fcntl(&file, FcntlArg::F_SETLK(&whole_file)) {
            Ok(_) => return Ok(Lock(file)),
            Err(Errno::EACCES | Errno::EAGAIN | Errno::EINTR) if Instant::now() < end => {
                thread::sleep(RETRY);
            }
            Err(Errno::EACCES | Errno::EAGAIN) => {
                return Err(failed(io::Error::from(io::ErrorKind::TimedOut)));
            }
            Err(error) => return Err(failed(error.into())),
        }
    }
}
