//! Garbage collection roots: links below `ROOT/nix/var/nix/gcroots` to what must stay.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use cairn_store_path::{Sha256, StorePath, compress, nix32};

use crate::error::{IoError, StoreError, io_error};
use crate::store::Store;
use crate::tree;

impl Store {
    /// Keeps `path` and all that it refers to until the root is changed or removed. Returns the
    /// link. `name` is one file name or a relative path, `cairn/demo`. On the disk when it returns.
    ///
    /// # Errors
    /// `path` is not valid, `name` leads elsewhere, or the link cannot be written.
    pub fn add_root(&self, name: &str, path: &StorePath) -> Result<PathBuf, StoreError> {
        self.keep([path])?;
        self.info(path)?;
        let roots = self.state_dir().join("gcroots");
        let link = roots.join(name);
        let plain = |part: &str| !matches!(part, "" | "." | "..");
        if !name.split('/').all(plain) || name.contains('\0') {
            return Err(StoreError::Root {
                path: link,
                why: "a root's name must stay below gcroots",
            });
        }
        let folder = link.parent().unwrap_or(&roots);
        fs::create_dir_all(folder).map_err(io_error("create folder", folder))?;
        replace_link(&path.to_path_buf(), &link)?;
        Ok(link)
    }

    /// Keeps `path` through the link `link`, which may lie anywhere: as long as it is there, `path`
    /// stays. On the disk when it returns.
    ///
    /// # Errors
    /// `path` is not valid, something that is no link is in the way, or a link cannot be written.
    pub fn add_indirect_root(&self, link: &Path, path: &StorePath) -> Result<(), StoreError> {
        self.keep([path])?;
        self.info(path)?;
        let link = std::path::absolute(link).map_err(io_error("find", link))?;
        if fs::symlink_metadata(&link).is_ok_and(|metadata| !metadata.is_symlink()) {
            return Err(StoreError::Root {
                path: link,
                why: "something that is no link is in the way",
            });
        }
        replace_link(&path.to_path_buf(), &link)?;
        // Named by the link's own path, so that the same link is registered once.
        let digest = Sha256::of(link.as_os_str().as_bytes());
        let name = nix32::encode(&compress(digest.as_bytes()));
        let folder = self.state_dir().join("gcroots/auto");
        fs::create_dir_all(&folder).map_err(io_error("create folder", &folder))?;
        replace_link(&link, &folder.join(name))?;
        Ok(())
    }
}

static NEXT: AtomicU64 = AtomicU64::new(0);

/// Makes `link` point to `target` in one step: whoever looks sees the old or the new target. The
/// folder is synced afterwards.
pub(crate) fn replace_link(target: &Path, link: &Path) -> Result<(), IoError> {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let mut temporary = link.as_os_str().to_owned();
    temporary.push(format!(".tmp-{}-{number}", std::process::id()));
    let temporary = PathBuf::from(temporary);
    // Left by a killed process of the same number.
    tree::remove(&temporary)?;
    std::os::unix::fs::symlink(target, &temporary).map_err(io_error("create link", &temporary))?;
    if let Err(error) = fs::rename(&temporary, link) {
        tree::remove(&temporary)?;
        return Err(io_error("create link", link)(error));
    }
    match link.parent() {
        Some(folder) => tree::sync_file(folder),
        None => Ok(()),
    }
}
