//! How much space goes with trees that are removed: each file once, and only if all of its hard
//! links are in such trees.

use std::collections::{HashMap, HashSet};
use std::fs::{self, Metadata};
use std::os::unix::fs::{DirEntryExt as _, MetadataExt as _};
use std::path::Path;

use crate::error::{IoError, io_error};

/// Nix's folder of hard links to all files that occur in several objects.
pub(crate) const SHARED: &str = ".links";

/// Adds up trees, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Sizes {
    /// Files that have a link in [`SHARED`], which is removed when the others are gone.
    shared: HashSet<u64>,
    /// How many links of a file were seen.
    seen: HashMap<(u64, u64), u64>,
}

impl Sizes {
    /// For the store whose objects are in `store`.
    pub(crate) fn new(store: &Path) -> Result<Self, IoError> {
        let mut sizes = Self::default();
        let folder = store.join(SHARED);
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(sizes),
            other => other.map_err(io_error("list", &folder))?,
        };
        for entry in entries {
            let entry = entry.map_err(io_error("list", &folder))?;
            sizes.shared.insert(entry.ino());
        }
        Ok(sizes)
    }

    /// The bytes on the disk that are free when the tree at `path` and all trees before it are
    /// removed, and were not without it. Nothing there is 0.
    pub(crate) fn add(&mut self, path: &Path) -> Result<u64, IoError> {
        let mut bytes = 0;
        let mut open = vec![path.to_owned()];
        while let Some(path) = open.pop() {
            let metadata = match fs::symlink_metadata(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                other => other.map_err(io_error("read", &path))?,
            };
            if metadata.is_dir() {
                bytes += on_disk(&metadata);
                let entries = match fs::read_dir(&path) {
                    // Somebody else removes it.
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                    other => other.map_err(io_error("list", &path))?,
                };
                for entry in entries {
                    open.push(entry.map_err(io_error("list", &path))?.path());
                }
            } else if self.is_last(&metadata) {
                bytes += on_disk(&metadata);
            }
        }
        Ok(bytes)
    }

    /// Begins again: the trees that were added are removed.
    pub(crate) fn forget(&mut self) {
        self.seen.clear();
    }

    fn is_last(&mut self, metadata: &Metadata) -> bool {
        if metadata.nlink() == 1 {
            return true;
        }
        let links = metadata.nlink() - u64::from(self.shared.contains(&metadata.ino()));
        let seen = self
            .seen
            .entry((metadata.dev(), metadata.ino()))
            .or_insert(0);
        *seen += 1;
        *seen == links
    }
}

/// What a file takes on the disk, in bytes.
pub(crate) fn on_disk(metadata: &Metadata) -> u64 {
    metadata.blocks() * 512
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_counts_once_and_with_the_last_of_its_names() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["one", "two", "three", SHARED] {
            fs::create_dir(at(name)).unwrap();
        }
        let empty = Sizes::default().add(&at("one")).unwrap();
        let block = vec![1; 1 << 16];
        for name in ["one/alone", "one/both", "one/kept", "one/shared"] {
            fs::write(at(name), &block).unwrap();
        }
        for (from, to) in [
            ("one/both", "two/both"),
            ("one/kept", "three/kept"),
            ("one/shared", "two/shared"),
            ("one/shared", ".links/x"),
        ] {
            fs::hard_link(at(from), at(to)).unwrap();
        }
        std::os::unix::fs::symlink("x", at("two/link")).unwrap();
        let mut sizes = Sizes::new(folder.path()).unwrap();
        assert_eq!(sizes.add(&at("one")).unwrap() - empty, 1 << 16);
        assert_eq!(sizes.add(&at("two")).unwrap() - empty, 2 << 16);
        assert_eq!(sizes.add(&at("nowhere")).unwrap(), 0);
    }
}
