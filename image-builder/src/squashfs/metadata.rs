//! Metadata of squashfs: a stream cut into blocks of 8 KiB, each compressed by itself.
//!
//! ```text
//! block: u16 length of what follows, bit 15 if it is not compressed; the bytes
//! ```
//! A place in the stream is the offset of its block's header from the stream's first one, and an
//! offset in the block as it was before compression.

use std::io;

use super::compression::Zstd;

/// Bytes of a block before compression.
pub(super) const BLOCK: usize = 8192;
const UNCOMPRESSED: u16 = 0x8000;

/// A place in a stream of metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Offset of the block.
    pub block: u32,
    /// Offset in the block.
    pub offset: u16,
}

impl Place {
    /// As inodes are referred to in the superblock and the export table.
    pub fn reference(self) -> u64 {
        u64::from(self.block) << 16 | u64::from(self.offset)
    }
}

/// A stream being written, in memory: it is a few per cent of the contents.
pub(super) struct Metadata {
    zstd: Zstd,
    raw: Vec<u8>,
    packed: Vec<u8>,
    blocks: Vec<u64>,
}

impl Metadata {
    pub fn new(level: i32) -> io::Result<Self> {
        Ok(Self {
            zstd: Zstd::new(level)?,
            raw: Vec::with_capacity(BLOCK),
            packed: Vec::new(),
            blocks: Vec::new(),
        })
    }

    /// Where the next byte goes.
    pub fn place(&self) -> io::Result<Place> {
        Ok(Place {
            block: u32::try_from(self.packed.len())
                .map_err(|_| io::Error::other("its metadata is larger than 4 GiB"))?,
            offset: u16::try_from(self.raw.len()).map_err(io::Error::other)?,
        })
    }

    pub fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let room = (BLOCK - self.raw.len()).min(bytes.len());
            let (now, later) = bytes.split_at(room);
            self.raw.extend_from_slice(now);
            bytes = later;
            if self.raw.len() == BLOCK {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// All blocks, and the offset of each.
    pub fn finish(mut self) -> io::Result<(Vec<u8>, Vec<u64>)> {
        self.flush()?;
        Ok((self.packed, self.blocks))
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.raw.is_empty() {
            return Ok(());
        }
        self.blocks.push(self.packed.len() as u64);
        let header = self.packed.len();
        self.packed.extend_from_slice(&[0; 2]);
        let compressed = self.zstd.append(&self.raw, &mut self.packed)?;
        let length = u16::try_from(self.packed.len() - header - 2).map_err(io::Error::other)?;
        let word = if compressed {
            length
        } else {
            length | UNCOMPRESSED
        };
        if let Some(place) = self.packed.get_mut(header..header + 2) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        self.raw.clear();
        Ok(())
    }
}

/// A table that is found by the index of its blocks: `records`, then the blocks' offsets from the
/// file system's start, where the table begins at `start`. Gives back the bytes and the index's
/// offset.
pub(super) fn indexed_table(
    level: i32,
    records: impl IntoIterator<Item = impl AsRef<[u8]>>,
    start: u64,
) -> io::Result<(Vec<u8>, u64)> {
    let mut table = Metadata::new(level)?;
    for record in records {
        table.write(record.as_ref())?;
    }
    let (mut bytes, blocks) = table.finish()?;
    let index = start + bytes.len() as u64;
    for block in blocks {
        bytes.extend_from_slice(&(start + block).to_le_bytes());
    }
    Ok((bytes, index))
}
