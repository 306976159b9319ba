//! The one way into the store: sync, rename, sync, register.
//!
//! Finished objects wait in the workspace. A batch of them is written to the disk, moved to their
//! names, the folder is synced, and only then one transaction registers them all. A failure at any
//! point leaves unregistered files at most, and those are replaced by the next attempt.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use cairn_store_path::StorePath;

use crate::database::Registration;
use crate::error::{IoError, StoreError, io_error};
use crate::info::PathInfo;
use crate::store::Store;
use crate::{canonical, tree};

/// Up to how many files a batch is synced file by file. More are synced with the whole file
/// system, which takes one wait instead of thousands.
const FEW: usize = 64;

/// A canonical tree and what is to be registered for it. Its maker holds the lock of its path.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) tree: PathBuf,
    pub(crate) registration: Registration,
}

impl Store {
    /// Makes `batch` valid. The caller holds the locks of all paths in it.
    pub(crate) fn publish(&self, batch: &[Finished]) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        self.check_references(batch)?;
        self.sync_trees(batch)?;
        let published = self.place_and_register(batch);
        if published.is_err() {
            self.withdraw(batch);
        }
        published
    }

    fn place_and_register(&self, batch: &[Finished]) -> Result<(), StoreError> {
        for object in batch {
            self.put_in_place(&object.tree, &object.registration.info.path)?;
        }
        tree::sync_file(self.writable_dir())?;
        let registrations: Vec<Registration> = batch
            .iter()
            .map(|object| object.registration.clone())
            .collect();
        self.database.register(&registrations)
    }

    /// Removes what was put in place and could not be registered, as on a full disk. What may be
    /// registered after all stays; and what cannot be removed makes room at the next try.
    fn withdraw(&self, batch: &[Finished]) {
        for object in batch {
            let path = &object.registration.info.path;
            if !matches!(self.is_valid(path), Ok(false)) {
                continue;
            }
            if let Err(error) = tree::remove(&self.writable_path(path)) {
                log::warn!("{path} is left behind, unregistered: {error}");
            }
        }
    }

    /// What an object refers to must be valid before it, or become so with it.
    fn check_references(&self, batch: &[Finished]) -> Result<(), StoreError> {
        let infos = batch.iter().map(|object| &object.registration.info);
        let mut known: BTreeSet<&StorePath> = infos.clone().map(|info| &info.path).collect();
        for reference in infos.flat_map(|info| &info.references) {
            if known.insert(reference) && !self.is_valid(reference)? {
                return Err(StoreError::Invalid {
                    path: reference.clone(),
                    root: self.root().to_owned(),
                });
            }
        }
        Ok(())
    }

    fn sync_trees(&self, batch: &[Finished]) -> Result<(), StoreError> {
        let mut files = 0;
        for object in batch {
            files += tree::count(&object.tree, FEW + 1)?;
            if files > FEW {
                let folder = self.store_dir();
                let handle = File::open(&folder).map_err(io_error("open", &folder))?;
                nix::unistd::syncfs(&handle).map_err(|error| {
                    io_error("sync the file system of", &folder)(io::Error::from(error))
                })?;
                return Ok(());
            }
        }
        for object in batch {
            tree::sync(&object.tree)?;
        }
        Ok(())
    }

    fn put_in_place(&self, from: &Path, path: &StorePath) -> Result<(), StoreError> {
        let from = self.movable(from);
        let to = self.writable_path(path);
        // Not registered, or registered but lost: in both cases it must make room.
        tree::remove(&to)?;
        match place(&from, &to) {
            Err(error) if error.source.kind() == io::ErrorKind::CrossesDevices => {
                self.carry_over(&from, &to, path)
            }
            other => Ok(other?),
        }
    }

    /// Brings an object into a store that is a file system of its own: a copy of it waits in the
    /// store, under a name that is no object's, until it is on the disk.
    fn carry_over(&self, from: &Path, to: &Path, path: &StorePath) -> Result<(), StoreError> {
        let copy = self.writable_dir().join(unfinished_name(path));
        tree::remove(&copy)?;
        let placed = (|| {
            tree::copy(from, &copy, &|_| true, 0)?;
            canonical::canonicalise(&copy)?;
            tree::sync(&copy)?;
            place(&copy, to)?;
            Ok(())
        })();
        if placed.is_err() {
            tree::remove(&copy)?;
        }
        placed
    }
}

/// What a copy of `path` is called until it is whole: `.new-<object>`. Whoever holds the lock of the
/// object may write and remove it.
pub(crate) fn unfinished_name(path: &StorePath) -> String {
    format!("{UNFINISHED}{}", path.base_name())
}

/// How names of unfinished copies begin.
pub(crate) const UNFINISHED: &str = ".new-";

/// Renames the canonical tree `from` to `to`, where nothing is.
fn place(from: &Path, to: &Path) -> Result<(), IoError> {
    let is_folder = fs::symlink_metadata(from)
        .map_err(io_error("read", from))?
        .is_dir();
    if !is_folder {
        return fs::rename(from, to).map_err(io_error("create", to));
    }
    // Moving a folder to another one changes its `..`: that needs write permission on it.
    tree::set_mode(from, 0o755)?;
    fs::rename(from, to).map_err(io_error("create", to))?;
    tree::set_mode(to, 0o555)?;
    canonical::set_mtime(to)
}

/// An unsigned object registered now.
pub(crate) fn new_info(path: StorePath, nar: (cairn_store_path::Sha256, u64)) -> PathInfo {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(1, |since| since.as_secs());
    PathInfo {
        path,
        nar_hash: nar.0,
        nar_size: nar.1,
        references: BTreeSet::new(),
        deriver: None,
        registration_time: i64::try_from(now).unwrap_or(i64::MAX),
        ultimate: false,
        signatures: Vec::new(),
        content_address: None,
    }
}
