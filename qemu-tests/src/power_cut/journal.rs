//! What Linux makes of an ext4 journal when it mounts: the blocks of whole transactions, as a layer.
//!
//! Source: kernel document `filesystems/ext4` (journal, jbd2), and for the order of its three passes
//! `fs/jbd2/recovery.c`. Numbers of the journal are big-endian.
//!
//! Invariant: the journal's blocks are read once, each; whatever they say, replaying ends.

use std::collections::BTreeMap;

use crc32c::crc32c_append;

use super::disk::{Disk, Layer, ReadAt as _};
use super::ext4::{Ext4, Ext4Error, JOURNAL};
use super::write_log::SECTOR;

const MAGIC: u32 = 0xc03b_3998;

const DESCRIPTOR: u32 = 1;
const COMMIT: u32 = 2;
const SUPERBLOCK_V2: u32 = 4;
const REVOKE: u32 = 5;

const REVOKES: u32 = 1;
const WIDE: u32 = 2;
const CHECKSUM_V2: u32 = 8;
const CHECKSUM_V3: u32 = 16;
const KNOWN_FEATURES: u32 = REVOKES | WIDE | CHECKSUM_V2 | CHECKSUM_V3;

const ESCAPED: u32 = 1;
const SAME_UUID: u32 = 2;
const LAST_TAG: u32 = 8;

/// What replaying gave.
#[derive(Debug, Default)]
pub struct Replay {
    /// The blocks that it puts in their places.
    pub layer: Layer,
    /// How many transactions it found whole.
    pub transactions: u32,
}

/// The journal as its superblock describes it.
struct Journal {
    blocks: Vec<u64>,
    block_size: usize,
    features: u32,
    seed: u32,
    first: u32,
    end: u32,
}

/// A block that a transaction changes.
struct Tag {
    /// Its place in the file system.
    target: u64,
    /// Its copy's place in the journal.
    copy: u32,
    escaped: bool,
    checksum: u32,
    sequence: u32,
}

/// What the first passes find.
#[derive(Default)]
struct Found {
    tags: Vec<Tag>,
    revoked: BTreeMap<u64, u32>,
    transactions: u32,
}

fn damaged(what: impl Into<String>) -> Ext4Error {
    Ext4Error::Damaged(format!("journal: {}", what.into()))
}

/// Replays the journal of the file system that begins at the byte `start`.
///
/// # Errors
/// The file system or the journal cannot be read, or a block of a whole transaction is damaged.
pub fn replay(disk: &Disk<'_>, start: u64) -> Result<Replay, Ext4Error> {
    let system = Ext4::open(disk.clone(), start)?;
    let blocks = system.block_map(&system.inode(JOURNAL)?)?;
    let block_size = usize::try_from(system.block_size()).unwrap_or_default();
    let read = |blocks: &[u64], index: u32| -> Result<Vec<u8>, Ext4Error> {
        let block = usize::try_from(index)
            .ok()
            .and_then(|index| blocks.get(index));
        let block = block.ok_or_else(|| damaged("a block beyond its end"))?;
        let mut bytes = vec![0; block_size];
        disk.read_at(system.place(*block)?, &mut bytes)?;
        Ok(bytes)
    };
    let head = read(&blocks, 0)?;
    let (begin, sequence) = (be32(&head, 0x1c), be32(&head, 0x18));
    if begin == 0 {
        return Ok(Replay::default());
    }
    let journal = Journal::parse(&head, blocks, block_size)?;
    let found = journal.scan(begin, sequence, &|index| read(&journal.blocks, index))?;
    let mut layer = Layer::default();
    for tag in &found.tags {
        let revoked = found.revoked.get(&tag.target);
        if revoked.is_some_and(|&last| !later(tag.sequence, last)) {
            continue;
        }
        let copy = read(&journal.blocks, tag.copy)?;
        if !journal.is_right(tag, &copy) {
            return Err(damaged(format!(
                "the copy of block {} is damaged",
                tag.target
            )));
        }
        let from = journal
            .blocks
            .get(tag.copy as usize)
            .copied()
            .unwrap_or_default();
        let (from, to) = (
            system.place(from)? / SECTOR,
            system.place(tag.target)? / SECTOR,
        );
        for sector in 0..system.block_size() / SECTOR {
            let hidden = (tag.escaped && sector == 0).then_some(MAGIC.to_be_bytes());
            disk.copy_sector(from + sector, hidden, &mut layer, to + sector);
        }
    }
    Ok(Replay {
        layer,
        transactions: found.transactions,
    })
}

/// Whether a sequence number, which may have run over, comes after another.
fn later(one: u32, other: u32) -> bool {
    one.wrapping_sub(other).cast_signed() > 0
}

impl Journal {
    fn parse(head: &[u8], blocks: Vec<u64>, block_size: usize) -> Result<Self, Ext4Error> {
        if be32(head, 0) != MAGIC || be32(head, 4) != SUPERBLOCK_V2 {
            return Err(damaged("no superblock"));
        }
        let features = be32(head, 0x28);
        if features & !KNOWN_FEATURES != 0 {
            return Err(damaged(format!("features {features:#x} are not known")));
        }
        let this = Self {
            seed: crc32c(u32::MAX, head.get(0x30..0x40).unwrap_or_default()),
            first: be32(head, 0x14),
            end: be32(head, 0x10),
            blocks,
            block_size,
            features,
        };
        let sane = be32(head, 0xc) as usize == block_size
            && this.first > 0
            && this.first < this.end
            && this.end as usize <= this.blocks.len();
        if sane {
            Ok(this)
        } else {
            Err(damaged("its superblock"))
        }
    }

    fn has_checksums(&self) -> bool {
        self.features & (CHECKSUM_V2 | CHECKSUM_V3) != 0
    }

    fn after(&self, index: u32) -> u32 {
        if index + 1 >= self.end {
            self.first
        } else {
            index + 1
        }
    }

    /// Goes from transaction to transaction until one is not whole.
    fn scan(
        &self,
        begin: u32,
        sequence: u32,
        read: &dyn Fn(u32) -> Result<Vec<u8>, Ext4Error>,
    ) -> Result<Found, Ext4Error> {
        let mut found = Found::default();
        let (mut index, mut sequence) = (begin, sequence);
        let mut open = Found::default();
        // A journal that is full is gone through once.
        let mut left = self.end - self.first;
        while left > 0 {
            let block = read(index)?;
            if be32(&block, 0) != MAGIC || be32(&block, 8) != sequence {
                break;
            }
            left -= 1;
            index = self.after(index);
            match be32(&block, 4) {
                DESCRIPTOR => {
                    if !self.tail_is_right(&block) {
                        break;
                    }
                    for mut tag in self.tags(&block) {
                        (tag.copy, tag.sequence) = (index, sequence);
                        open.tags.push(tag);
                        index = self.after(index);
                        left = left.saturating_sub(1);
                    }
                }
                COMMIT => {
                    if !self.commit_is_right(&block) {
                        break;
                    }
                    found.tags.append(&mut open.tags);
                    // A later revocation counts for earlier transactions too.
                    found.revoked.append(&mut open.revoked);
                    found.transactions += 1;
                    sequence = sequence.wrapping_add(1);
                }
                REVOKE => {
                    if !self.tail_is_right(&block) {
                        break;
                    }
                    let revoked = self.revoked(&block);
                    open.revoked.extend(revoked.map(|block| (block, sequence)));
                }
                _ => break,
            }
        }
        Ok(found)
    }

    /// The tags of a descriptor block; where their copies are is not known yet.
    fn tags(&self, block: &[u8]) -> Vec<Tag> {
        let third = self.features & CHECKSUM_V3 != 0;
        let wide = self.features & WIDE != 0;
        let size = match (third, wide) {
            (true, _) => 16,
            (false, true) => 12,
            (false, false) => 8,
        };
        let end = self.block_size - if self.has_checksums() { 4 } else { 0 };
        let mut tags = Vec::new();
        let mut place = 12;
        while place + size <= end {
            let low = u64::from(be32(block, place));
            let (flags, high, checksum) = if third {
                (
                    be32(block, place + 4),
                    be32(block, place + 8),
                    be32(block, place + 12),
                )
            } else {
                // Without a third version there are 16 bits for each.
                let word = be32(block, place + 4);
                (word & 0xffff, be32(block, place + 8), word >> 16)
            };
            tags.push(Tag {
                target: if wide {
                    low | u64::from(high) << 32
                } else {
                    low
                },
                copy: 0,
                escaped: flags & ESCAPED != 0,
                checksum,
                sequence: 0,
            });
            place += size + if flags & SAME_UUID == 0 { 16 } else { 0 };
            if flags & LAST_TAG != 0 {
                break;
            }
        }
        tags
    }

    fn revoked<'block>(&self, block: &'block [u8]) -> impl Iterator<Item = u64> + 'block {
        let width = if self.features & WIDE != 0 { 8 } else { 4 };
        let end = (be32(block, 12) as usize).min(self.block_size);
        let records = block.get(16..end).unwrap_or_default().chunks_exact(width);
        records.map(move |record| match width {
            8 => u64::from(be32(record, 0)) << 32 | u64::from(be32(record, 4)),
            _ => u64::from(be32(record, 0)),
        })
    }

    /// Whether a copy is what its transaction wrote.
    fn is_right(&self, tag: &Tag, copy: &[u8]) -> bool {
        if !self.has_checksums() {
            return true;
        }
        let seed = crc32c(self.seed, &tag.sequence.to_be_bytes());
        let checksum = crc32c(seed, copy);
        if self.features & CHECKSUM_V3 != 0 {
            tag.checksum == checksum
        } else {
            tag.checksum == checksum & 0xffff
        }
    }

    /// Whether the checksum at the end of a descriptor or of a revocation is right.
    fn tail_is_right(&self, block: &[u8]) -> bool {
        !self.has_checksums() || self.holds(block, self.block_size - 4)
    }

    /// Whether the checksum of a commit block is right: it follows the block's header.
    fn commit_is_right(&self, block: &[u8]) -> bool {
        !self.has_checksums() || self.holds(block, 0x10)
    }

    /// Whether the word at `place` is the checksum of the block with zeros there.
    fn holds(&self, block: &[u8], place: usize) -> bool {
        let mut without = block.to_owned();
        if let Some(word) = without.get_mut(place..place + 4) {
            word.fill(0);
        }
        crc32c(self.seed, &without) == be32(block, place)
    }
}

/// CRC-32C as ext4 has it: without the inversions at begin and end.
fn crc32c(seed: u32, bytes: &[u8]) -> u32 {
    !crc32c_append(!seed, bytes)
}

fn be32(bytes: &[u8], place: usize) -> u32 {
    let word = bytes.get(place..).and_then(<[u8]>::first_chunk);
    word.copied().map_or(0, u32::from_be_bytes)
}
