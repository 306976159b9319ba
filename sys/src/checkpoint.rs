//! What a boot loader must be able to read: everything on the disk, and nothing in a journal alone.
//!
//! A boot loader does not replay journals. After `fsync` a file of ext4 is safe for the kernel, whose
//! next mount replays the journal, but the file's name and its blocks may still be in the journal
//! alone. A checkpoint writes them to their places.
//!
//! Source: the kernel's `Documentation/filesystems/ext4/journal.rst`, `EXT4_IOC_CHECKPOINT` (Linux
//! 5.16); `syncfs(2)`.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

use nix::errno::Errno;

nix::ioctl_write_ptr!(
    /// Writes what is in the journal to its places; the argument has flags.
    ext4_checkpoint, b'f', 43, u32);

/// Writes all of the file system that has `directory` to the disk, its journal's content to its
/// places too. On a file system that knows no checkpoint it is written as `syncfs` does it.
///
/// # Errors
/// `directory` cannot be opened, or the disk fails.
pub fn checkpoint(directory: &Path) -> io::Result<()> {
    let directory = File::open(directory)?;
    nix::unistd::syncfs(&directory)?;
    let flags: u32 = 0;
    // SAFETY: the descriptor is open, and the kernel reads 4 bytes of flags from the pointer.
    let done = unsafe { ext4_checkpoint(directory.as_raw_fd(), &raw const flags) };
    match done {
        Ok(_) => Ok(()),
        // No ext4; ext4 without a journal; a kernel before 5.16; not allowed in a container.
        Err(Errno::ENOTTY | Errno::ENODEV | Errno::EOPNOTSUPP | Errno::EINVAL | Errno::EPERM) => {
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_file_system_can_be_written_out() {
        let folder = std::env::temp_dir();
        checkpoint(&folder).unwrap();
        let missing = checkpoint(&folder.join("there is no such folder")).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }
}
