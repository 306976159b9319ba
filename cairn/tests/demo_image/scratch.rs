//! A folder that goes away with all store objects in it, which nobody may write to.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// A folder that other users may enter.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new() -> Self {
        Self::below(&std::env::temp_dir())
    }

    /// One on a file system in memory.
    pub fn in_memory() -> Self {
        Self::below(Path::new("/dev/shm"))
    }

    fn below(folder: &Path) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("cairn-demo-image-")
            .permissions(std::fs::Permissions::from_mode(0o755))
            .tempdir_in(folder)
            .unwrap();
        Self(folder.keep())
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        remove(&self.0);
    }
}

/// Removes a tree with read-only folders.
pub fn remove(tree: &Path) {
    if !tree.exists() {
        return;
    }
    super::run::say("chmod", |chmod| {
        chmod.args(["-R", "u+rwX"]).arg(tree);
    });
    std::fs::remove_dir_all(tree).unwrap();
}
