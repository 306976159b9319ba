//! A folder that a machine boots from.

use std::path::{Path, PathBuf};

/// Where a boot loader finds what it boots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootFolder {
    /// Where kernels lie: `/boot`.
    pub boot: PathBuf,
    /// Where GRUB's files lie: `/boot/grub`.
    pub grub: PathBuf,
}

impl BootFolder {
    /// That of the system at `root`.
    #[must_use]
    pub fn of(root: &Path) -> Self {
        let boot = root.join("boot");
        Self {
            grub: boot.join("grub"),
            boot,
        }
    }
}
