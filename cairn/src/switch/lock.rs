//! One change of a machine's generation at a time.
//!
//! An advisory lock on a file in `/run`: whoever dies lets go of it. The file says who has it, for
//! the second caller to be told. A child that goes on with the change holds the same open file.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// Where the lock is, below the root.
const LOCK: &str = "run/cairn/switch.lock";

/// Longest note of a holder that is read.
const NOTE_BYTES: u64 = 512;

/// The lock; held as long as this or a child's copy of the file is open.
#[derive(Debug)]
pub struct SwitchLock {
    file: File,
}

/// Why the lock is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("cannot change the system now: {holder} is doing so; wait until it has ended")]
    Held {
        /// What the other one wrote about itself.
        holder: String,
    },
    /// The file cannot be made, locked or written.
    #[error("cannot lock '{}': {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl SwitchLock {
    /// Takes the lock of the system at `root` for a process that describes itself as `holder`.
    ///
    /// # Errors
    /// Somebody else has it, or the file cannot be made.
    pub fn take(root: &Path, holder: &str) -> Result<Self, LockError> {
        let path = root.join(LOCK);
        let failed = |source| LockError::File {
            path: path.clone(),
            source,
        };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LockError::Held {
                    holder: note(&mut file),
                });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        file.set_len(0)
            .and_then(|()| writeln!(file, "{holder} (process {})", std::process::id()))
            .map_err(failed)?;
        Ok(Self { file })
    }

    /// The open file as the standard input of a child, which holds the lock with it.
    ///
    /// # Errors
    /// No descriptor is left.
    pub fn share(&self) -> std::io::Result<Stdio> {
        Ok(self.file.try_clone()?.into())
    }
}

/// What the holder wrote about itself, on one line.
fn note(file: &mut File) -> String {
    let mut text = String::new();
    let read = file
        .rewind()
        .and_then(|()| file.take(NOTE_BYTES).read_to_string(&mut text));
    match (read, text.trim()) {
        (Ok(_), text) if !text.is_empty() => text.chars().filter(|c| !c.is_control()).collect(),
        // It has the lock, and has not written yet.
        _ => "another process".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_who_has_it() {
        let root = tempfile::tempdir().unwrap();
        let first = SwitchLock::take(root.path(), "cairn switch").unwrap();
        let error = SwitchLock::take(root.path(), "cairn boot").unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "cannot change the system now: cairn switch (process {}) is doing so; \
                 wait until it has ended",
                std::process::id()
            )
        );
        let copy = first.file.try_clone().unwrap();
        drop(first);
        SwitchLock::take(root.path(), "cairn boot").unwrap_err();
        drop(copy);
        SwitchLock::take(root.path(), "cairn boot").unwrap();
    }
}
