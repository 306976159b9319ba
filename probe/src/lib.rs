//! What a block device holds: type, label and UUID of a file system, and names of partitions.
//!
//! Stage 1 finds devices by it, and the device manager names them by it. Everything read here is untrusted:
//! parsers take byte slices, never panic, and are bounded in what they read and allocate.
//!
//! Invariant: devices are only read. Where two parsers could agree on a device, the order is that
//! of `blkid`: containers first, FAT (whose magic is weak) last.

#![forbid(unsafe_code)]

mod container;
mod exfat;
mod fat;
mod field;
mod ntfs;
pub mod partition;
mod superblock;
pub mod superblock_copy;
pub mod table;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

pub use container::{LVM_MEMBER, RAID_MEMBER};

/// What a device holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// The type by `blkid`'s names: the kernel's, or `swap`, `swsuspend`, `crypto_LUKS`, `jbd`,
    /// [`RAID_MEMBER`], [`LVM_MEMBER`].
    pub kind: &'static str,
    /// The label, if there is one.
    pub label: Option<String>,
    /// UUID, serial number of FAT (`1234-ABCD`) or NTFS (`0123456789ABCDEF`), or ISO 9660's date.
    pub uuid: Option<String>,
}

/// Bytes that can be read from anywhere.
pub trait Source {
    /// `length` bytes at `offset`, fewer at the end.
    ///
    /// # Errors
    /// The device's.
    fn read_at(&mut self, offset: u64, length: usize) -> io::Result<Vec<u8>>;
}

impl Source for File {
    fn read_at(&mut self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match FileExt::read_at(self, rest, offset.saturating_add(filled as u64)) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }
}

impl Source for &[u8] {
    fn read_at(&mut self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let start = usize::try_from(offset).map_or(self.len(), |start| start.min(self.len()));
        let end = start.saturating_add(length).min(self.len());
        Ok(self.get(start..end).unwrap_or_default().to_vec())
    }
}

/// What `source`, of `size` bytes, holds; `None` if nothing known.
///
/// # Errors
/// The device's.
pub fn contents(source: &mut dyn Source, size: u64) -> io::Result<Option<Contents>> {
    let head = source.read_at(0, superblock::HEAD_BYTES)?;
    if let Some(member) = container::read(&head, source, size)? {
        return Ok(Some(member));
    }
    if let Some(contents) = superblock::parse(&head) {
        return Ok(Some(contents));
    }
    if let Some(boot) = exfat::parse(&head) {
        return Ok(Some(exfat::contents(boot, source)?));
    }
    if let Some(boot) = ntfs::parse(&head) {
        return Ok(Some(ntfs::contents(boot, source)?));
    }
    fat::parse(&head)
        .map(|boot| fat::contents(boot, source))
        .transpose()
}
