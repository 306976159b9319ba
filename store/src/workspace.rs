//! Where things are made before they are in the store: `ROOT/nix/var/nix/builds/<id>`.
//!
//! Each process has one such folder, and holds a lock on `<id>.lock` next to it as long as it
//! lives. What nobody holds a lock for was left by a killed process; the next one removes it.
//! The lock file is there before the folder and until after it, so that a folder without one is
//! nobody's.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{IoError, io_error};
use crate::tree;

/// One process's folder for unfinished things; removed when dropped.
#[derive(Debug)]
pub(crate) struct Workspace {
    folder: PathBuf,
    lock_path: PathBuf,
    _lock: File,
    next: AtomicU64,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(0);

impl Workspace {
    /// Makes a folder below `builds`, after removing what killed processes left there.
    pub(crate) fn create(builds: &Path) -> Result<Self, IoError> {
        remove_abandoned(builds)?;
        loop {
            let number = NEXT_ID.fetch_add(1, Ordering::Relaxed);
            let id = format!("{}-{number}", std::process::id());
            let lock_path = builds.join(format!("{id}.lock"));
            let opened = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&lock_path);
            let lock = match opened {
                // Another process, in another namespace, may have the same number.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => continue,
                other => other.map_err(io_error("create lock", &lock_path))?,
            };
            lock.lock().map_err(io_error("lock", &lock_path))?;
            if !is_at(&lock, &lock_path)? {
                continue;
            }
            let folder = builds.join(id);
            DirBuilder::new()
                .mode(0o700)
                .create(&folder)
                .map_err(io_error("create folder", &folder))?;
            return Ok(Self {
                folder,
                lock_path,
                _lock: lock,
                next: AtomicU64::new(0),
            });
        }
    }

    /// A path in the folder that was not used yet and does not exist.
    pub(crate) fn fresh(&self) -> PathBuf {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.folder.join(number.to_string())
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        let removed = tree::remove(&self.folder).and_then(|()| {
            fs::remove_file(&self.lock_path).map_err(io_error("remove", &self.lock_path))
        });
        if let Err(error) = removed {
            log::warn!("{error}; the next process that uses the store tries again");
        }
    }
}

/// Removes folders whose processes are gone.
pub(crate) fn remove_abandoned(builds: &Path) -> Result<(), IoError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(builds).map_err(io_error("list", builds))? {
        let entry = entry.map_err(io_error("list", builds))?;
        if let Ok(name) = entry.file_name().into_string() {
            names.push(name);
        }
    }
    for name in &names {
        match name.strip_suffix(".lock") {
            Some(id) => remove_if_abandoned(builds, id)?,
            None if names.contains(&format!("{name}.lock")) => {}
            None if builds.join(format!("{name}.lock")).exists() => {}
            None => tree::remove(&builds.join(name))?,
        }
    }
    Ok(())
}

fn remove_if_abandoned(builds: &Path, id: &str) -> Result<(), IoError> {
    let lock_path = builds.join(format!("{id}.lock"));
    let lock = match File::open(&lock_path) {
        Ok(lock) => lock,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io_error("open lock", &lock_path)(error)),
    };
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(()),
        Err(TryLockError::Error(error)) => return Err(io_error("lock", &lock_path)(error)),
    }
    if !is_at(&lock, &lock_path)? {
        return Ok(());
    }
    log::info!("removing the unfinished builds of a process that is gone: {id}");
    tree::remove(&builds.join(id))?;
    fs::remove_file(&lock_path).map_err(io_error("remove", &lock_path))
}

/// Whether `path` still names the file that `lock` has open.
fn is_at(lock: &File, path: &Path) -> Result<bool, IoError> {
    let open = lock.metadata().map_err(io_error("read", path))?;
    match fs::symlink_metadata(path) {
        Ok(named) => Ok((named.dev(), named.ino()) == (open.dev(), open.ino())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(io_error("read", path)(error)),
    }
}
