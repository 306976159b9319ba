//! The copy of an ext superblock that a check can begin with.
//!
//! The superblock takes two sectors. Power that is lost between them leaves a checksum that is wrong: neither
//! Linux nor `e2fsck -p` reads any further then, although the journal has the whole of it. Told of the copy at
//! the start of the second group, e2fsck replays the journal and repairs what follows from it.
//!
//! All that is read here is in the first of the two sectors and never changes.
//!
//! Source: Documentation/filesystems/ext4/super.rst of Linux.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

const START: u64 = 1024;
const SECTOR: usize = 512;
const MAGIC: [u8; 2] = [0x53, 0xef];

/// Where a copy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SuperblockCopy {
    /// Number of its block.
    pub block: u64,
    /// Bytes of a block.
    pub block_size: u64,
}

impl SuperblockCopy {
    /// What tells e2fsck of it. All is to be looked at, even if the file system was unmounted: what is beside the
    /// copy is stale.
    #[must_use]
    pub fn arguments(self) -> [String; 5] {
        let Self { block, block_size } = self;
        [
            "-f".into(),
            "-b".into(),
            block.to_string(),
            "-B".into(),
            block_size.to_string(),
        ]
    }
}

/// The copy of the superblock on `device`, if it is there and of the same file system.
///
/// # Errors
/// The device cannot be read.
pub fn find(device: &Path) -> io::Result<Option<SuperblockCopy>> {
    let file = File::open(device)?;
    let mut superblock = [0; SECTOR];
    file.read_exact_at(&mut superblock, START)?;
    let Some(copy) = place(&superblock) else {
        return Ok(None);
    };
    let mut other = [0; SECTOR];
    let read = file.read_exact_at(&mut other, copy.block.saturating_mul(copy.block_size));
    match read {
        // A file system of one group has none.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
        Ok(()) => Ok(is_copy(&other, &superblock).then_some(copy)),
    }
}

/// Where the copy is by what the superblock's first sector says.
fn place(superblock: &[u8]) -> Option<SuperblockCopy> {
    let number = |at: usize| -> Option<u64> {
        let bytes = superblock.get(at..at + 4)?.try_into().ok()?;
        Some(u32::from_le_bytes(bytes).into())
    };
    let (first_block, log_size, in_group) = (number(0x14)?, number(0x18)?, number(0x20)?);
    let is_one = superblock.get(0x38..0x3a)? == MAGIC && log_size <= 6 && in_group > 0;
    is_one.then_some(SuperblockCopy {
        block: first_block + in_group,
        block_size: 1024 << log_size,
    })
}

/// Whether `other` is of the second group of the file system with `superblock`, by its number and UUID.
fn is_copy(other: &[u8], superblock: &[u8]) -> bool {
    let uuid = |of: &[u8]| of.get(0x68..0x78).map(<[u8]>::to_owned);
    other.get(0x38..0x3a) == Some(&MAGIC)
        && other.get(0x5a..0x5c) == Some(&[1, 0])
        && uuid(other) == uuid(superblock)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_group_has_it() {
        let mut superblock = [0; SECTOR];
        superblock[0x38..0x3a].copy_from_slice(&MAGIC);
        superblock[0x18] = 2;
        superblock[0x21] = 0x80;
        let copy = place(&superblock).unwrap();
        assert_eq!(copy.arguments().join(" "), "-f -b 32768 -B 4096");
        superblock[0x18] = 7;
        assert_eq!(place(&superblock), None);
        assert_eq!(place(&superblock[..0x30]), None);
    }
}
