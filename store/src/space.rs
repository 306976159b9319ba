//! How much room there is, and how much is needed.

use std::path::Path;

use cairn_store_path::StorePath;
use nix::sys::statvfs::statvfs;

use crate::error::{IoError, StoreError, io_error};
use crate::store::Store;

/// ext4 keeps this part of its blocks for its own trees, which root does not get either; the kernel
/// counts them as free (`ext4_calculate_resv_clusters`).
const KEPT_PART: u64 = 50;

/// It keeps no more than so many.
const KEPT_BLOCKS: u64 = 4096;

/// What a file system can still take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes for this user: what is reserved for root counts for root alone, and what a file system
    /// keeps for itself for nobody.
    pub bytes: u64,
    /// Files and folders; `None` where the file system makes as many as it needs.
    pub files: Option<u64>,
}

impl Space {
    /// What the file system of `path` can take.
    ///
    /// # Errors
    /// There is no such path.
    pub fn of(path: &Path) -> Result<Self, IoError> {
        let found = statvfs(path).map_err(io_error("read the free space of", path))?;
        let is_root = nix::unistd::geteuid().is_root();
        let blocks = if is_root {
            let kept = (found.blocks() / KEPT_PART).min(KEPT_BLOCKS);
            let free = found.blocks_free().saturating_sub(kept);
            free.max(found.blocks_available())
        } else {
            found.blocks_available()
        };
        let files = if is_root {
            found.files_free()
        } else {
            found.files_available()
        };
        Ok(Self {
            bytes: blocks.saturating_mul(found.fragment_size()),
            files: (found.files() > 0).then_some(files),
        })
    }
}

/// What objects need that are to be built or copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Need {
    /// Bytes of those whose size is known.
    pub bytes: u64,
    /// How many have a size that is not known before they are built.
    pub unknown: usize,
}

impl Need {
    /// The sum of `sizes`, each that of an object's archive, if that is known.
    #[must_use]
    pub fn of(sizes: impl IntoIterator<Item = Option<u64>>) -> Self {
        let mut need = Self::default();
        for size in sizes {
            match size {
                Some(size) => need.bytes = need.bytes.saturating_add(size),
                None => need.unknown += 1,
            }
        }
        need
    }
}

impl Store {
    /// What has room for the objects of this store, and for what is built before it is one.
    ///
    /// # Errors
    /// The store's folder cannot be read.
    pub fn space(&self) -> Result<Space, StoreError> {
        Ok(Space::of(&self.store_dir())?)
    }

    /// What `paths` need of the space of this store when they are added to it: nothing for what is
    /// valid; `size` knows the archive's size of others, as a lock file or another store does.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn need(
        &self,
        paths: &[StorePath],
        size: impl Fn(&StorePath) -> Option<u64>,
    ) -> Result<Need, StoreError> {
        let mut missing = Vec::new();
        for path in paths {
            if !self.is_present(path)? {
                missing.push(size(path));
            }
        }
        Ok(Need::of(missing))
    }
}
