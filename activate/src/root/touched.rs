//! Folders that have to be synced.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{FileError, failed};

/// More files than these are made durable all at once: each one's own sync is a commit of the file
/// system's journal, while a sync of the whole waits for what others write too.
pub(crate) const FILES_SYNCED_ONE_BY_ONE: usize = 32;

/// The same of folders. The first one's sync commits what all of them have changed, so that those of
/// the others are only calls.
const FOLDERS_SYNCED_ONE_BY_ONE: usize = 1000;

/// Folders whose entries changed, to be synced together; and how many more effects there may be.
#[derive(Debug, Default)]
pub(crate) struct Touched {
    folders: BTreeSet<PathBuf>,
    /// Unlimited if absent.
    effects_left: Option<usize>,
}

impl Touched {
    /// No more than `effects` changes: then everything fails, as if the machine had lost power.
    pub(crate) fn limited(effects: usize) -> Self {
        Self {
            folders: BTreeSet::new(),
            effects_left: Some(effects),
        }
    }

    /// Whether the limit has been met.
    pub(crate) fn is_over(&self) -> bool {
        self.effects_left == Some(0)
    }

    /// To be called before each change.
    pub(super) fn begin(&mut self, place: &Path) -> Result<(), FileError> {
        match &mut self.effects_left {
            Some(0) => Err(failed("change", place)(io::Error::other("interrupted"))),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    pub(super) fn note(&mut self, place: &Path) {
        // Most often the same folder again: no copy of its name then.
        if let Some(parent) = place
            .parent()
            .filter(|parent| !self.folders.contains(*parent))
        {
            self.folders.insert(parent.to_owned());
        }
    }

    /// Makes the names in the folders durable. A folder that has been removed since is skipped.
    pub(crate) fn sync(&mut self) -> Result<(), FileError> {
        let mut by_device = BTreeMap::<u64, Vec<PathBuf>>::new();
        for place in std::mem::take(&mut self.folders) {
            match fs::metadata(&place) {
                Ok(found) => by_device.entry(found.dev()).or_default().push(place),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(failed("examine", &place)(error)),
            }
        }
        for mut places in by_device.into_values() {
            let as_a_whole = places.len() > FOLDERS_SYNCED_ONE_BY_ONE;
            if as_a_whole {
                places.truncate(1);
            }
            for place in places {
                let folder = File::open(&place).map_err(failed("open", &place))?;
                let synced = if as_a_whole {
                    nix::unistd::syncfs(&folder).map_err(io::Error::from)
                } else {
                    folder.sync_all()
                };
                synced.map_err(failed("sync", &place))?;
            }
        }
        Ok(())
    }
}
