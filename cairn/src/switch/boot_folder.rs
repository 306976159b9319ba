//! A folder that a machine boots from.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use cairn_bootloader::STUB;
use nix::unistd::{AccessFlags, access};

use crate::lock_file::write_atomically;

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

    /// The folder `boot` in the root of another file system, made ready for GRUB to find its menus.
    ///
    /// # Errors
    /// No file system is mounted there, or it cannot be written.
    pub fn mirror(boot: &Path) -> io::Result<Self> {
        let mount_point = boot.parent().unwrap_or(boot);
        let above = mount_point.parent().unwrap_or(mount_point);
        if fs::metadata(mount_point)?.dev() == fs::metadata(above)?.dev() {
            let message = format!("nothing is mounted on '{}'", mount_point.display());
            return Err(io::Error::new(io::ErrorKind::NotFound, message));
        }
        let folder = Self {
            boot: boot.to_owned(),
            grub: boot.join("grub"),
        };
        fs::create_dir_all(&folder.grub)?;
        // The kernel makes a file system read-only whose disk fails.
        access(&folder.grub, AccessFlags::W_OK)?;
        let stub = folder.grub.join("grub.cfg");
        if !stub.exists() {
            write_atomically(&stub, STUB.as_bytes()).map_err(io::Error::other)?;
        }
        Ok(folder)
    }
}
