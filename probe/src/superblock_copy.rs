//! The copy of an ext superblock that a check can begin with.
//!
//! The superblock takes two sectors. Power that is lost between them leaves a checksum that is wrong: neither
//! Linux nor `e2fsck -p` reads any further then, although the journal has the whole of it. Told of the copy at
//! the start of the second group, e2fsck replays the journal and repairs what follows from it.
//!
//! All that is read here is in the first of the two sectors and never changes.
//!
//! Source: Documentation/filesystems/ext4/super.rst of Linux.

use std::io;

use super::Source;
use super::field::{array, le16, le32};

const START: u64 = 1024;
const SECTOR: usize = 512;

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

/// The copy of the superblock in `source`, if it is there and of the same file system: one of a single group
/// has none.
///
/// # Errors
/// The device's.
pub fn find(source: &mut dyn Source) -> io::Result<Option<SuperblockCopy>> {
    let superblock = source.read_at(START, SECTOR)?;
    let Some(copy) = place(&superblock) else {
        return Ok(None);
    };
    let other = source.read_at(copy.block.saturating_mul(copy.block_size), SECTOR)?;
    Ok(is_copy(&other, &superblock).then_some(copy))
}

/// Where the copy is by what the superblock's first sector says.
fn place(superblock: &[u8]) -> Option<SuperblockCopy> {
    let first_block = le32(superblock, 0x14)?;
    let log_size = le32(superblock, 0x18)?;
    let in_group = le32(superblock, 0x20)?;
    let is_one = is_superblock(superblock) && log_size <= 6 && in_group > 0;
    is_one.then(|| SuperblockCopy {
        block: u64::from(first_block) + u64::from(in_group),
        block_size: 1024 << log_size,
    })
}

fn is_superblock(bytes: &[u8]) -> bool {
    le16(bytes, 0x38) == Some(0xEF53)
}

/// Whether `other` is of the second group of the file system with `superblock`, by its number and UUID.
fn is_copy(other: &[u8], superblock: &[u8]) -> bool {
    let uuid = |of: &[u8]| array::<16>(of, 0x68);
    is_superblock(other) && le16(other, 0x5a) == Some(1) && uuid(other) == uuid(superblock)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_group_has_it() {
        let mut superblock = [0; SECTOR];
        superblock[0x38..0x3a].copy_from_slice(&0xEF53_u16.to_le_bytes());
        superblock[0x18] = 2;
        superblock[0x21] = 0x80;
        let copy = place(&superblock).unwrap();
        assert_eq!(copy.arguments().join(" "), "-f -b 32768 -B 4096");
        for too_large in [7_u32, 64, u32::MAX] {
            superblock[0x18..0x1c].copy_from_slice(&too_large.to_le_bytes());
            assert_eq!(place(&superblock), None);
        }
        assert_eq!(place(&superblock[..0x30]), None);
    }
}
