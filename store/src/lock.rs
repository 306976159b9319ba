//! Locks between processes, in the way of Nix: an advisory lock on `<object>.lock` next to the
//! object. A lock file with content is stale: its owner was about to remove it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::error::{IoError, io_error};

/// An exclusive lock on one name in the store; removing its file is part of letting go.
#[derive(Debug)]
pub(crate) struct PathLock {
    file: File,
    path: PathBuf,
}

impl PathLock {
    /// Waits until nobody else has the lock of `object` (a physical path).
    pub(crate) fn acquire(object: &Path) -> Result<Self, IoError> {
        loop {
            let (file, path) = open(object)?;
            file.lock().map_err(io_error("lock", &path))?;
            if is_current(&file, &path)? {
                return Ok(Self { file, path });
            }
        }
    }

    /// Takes the lock of `object`, unless somebody has it.
    pub(crate) fn try_acquire(object: &Path) -> Result<Option<Self>, IoError> {
        loop {
            let (file, path) = open(object)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(io_error("lock", &path)(error)),
            }
            if is_current(&file, &path)? {
                return Ok(Some(Self { file, path }));
            }
        }
    }
}

fn open(object: &Path) -> Result<(File, PathBuf), IoError> {
    let mut name = object.as_os_str().to_owned();
    name.push(".lock");
    let path = PathBuf::from(name);
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(io_error("create lock", &path))?;
    Ok((file, path))
}

/// Whether the owner did not remove the file between our opening and locking it.
fn is_current(file: &File, path: &Path) -> Result<bool, IoError> {
    Ok(file.metadata().map_err(io_error("read", path))?.len() == 0)
}

impl Drop for PathLock {
    fn drop(&mut self) {
        // Those who wait for the lock must see that the file is no longer the one at its name.
        let released = fs::remove_file(&self.path).and_then(|()| self.file.write_all(b"d"));
        if let Err(error) = released {
            log::warn!("cannot remove lock {}: {error}", self.path.display());
        }
    }
}
