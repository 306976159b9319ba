//! The disk of a virtual machine: one ext4 file system with the directories that activation expects.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use cairn_image_builder::{Ext4, Identifiers, write_volume};

use crate::image::{EXT4_LIMIT, empty_root};

/// What a disk that does not exist yet is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disk<'a> {
    /// Its name: the label of the file system, at most 16 bytes.
    pub label: &'a str,
    /// MiB that are free in it.
    pub size: u64,
}

impl Disk<'_> {
    /// Makes the disk, sparse, if `file` does not exist; one that exists is never touched.
    ///
    /// # Errors
    /// The file cannot be written; nothing is left behind.
    pub fn make(&self, file: &Path) -> Result<()> {
        let exists = file
            .try_exists()
            .with_context(|| format!("cannot look at '{}'", file.display()))?;
        if exists {
            return Ok(());
        }
        ensure!(
            self.size <= EXT4_LIMIT,
            "cannot make '{}' with {} MiB: an ext4 has {EXT4_LIMIT} at most",
            file.display(),
            self.size
        );
        let seed = blake3::derive_key(
            "cairn 2026-11 disk of a virtual machine",
            self.label.as_bytes(),
        );
        let ext4 = Ext4 {
            label: self.label.to_owned(),
            uuid: Identifiers::from_seed(&seed).root_file_system,
            epoch: 1,
        };
        write_volume(&empty_root()?, &ext4, self.size << 20, file)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_exists_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("disk");
        std::fs::write(&file, "mine").unwrap();
        let disk = Disk {
            label: "vm",
            size: 16,
        };
        disk.make(&file).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
        std::fs::remove_file(&file).unwrap();
        disk.make(&file).unwrap();
        assert!(file.metadata().unwrap().len() > 16 << 20);
    }
}
