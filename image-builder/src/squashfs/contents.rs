//! Packed pieces to their places, in order; equal contents have one place.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use crate::file_system::FileSystemError;
use crate::region::{Region, SHARED};

use super::StoredBlock;
use super::inode::{FileData, NO_FRAGMENT};
use super::packer::{Block, Digest, Origin, Packed, UNCOMPRESSED, failed};
use super::pieces::{Piece, Pieces};

/// Bytes that the kernel is told to write at once: while it does, the next ones are compressed.
const WRITE_BACK: u64 = 8 << 20;

/// Where a file's content is.
#[derive(Debug, Clone, Default)]
enum Location {
    /// Nowhere: it is empty.
    #[default]
    Empty,
    /// In blocks.
    Blocks {
        start: u64,
        /// Which of [`Contents::sizes`].
        sizes: Range<usize>,
        /// How many of them are holes.
        holes: u64,
    },
    /// In a fragment.
    Fragment { index: u32, offset: u32 },
}

/// A stored fragment.
#[derive(Debug, Clone, Copy)]
struct Fragment {
    start: u64,
    stored: u32,
}

/// All contents, as they are written.
pub(super) struct Contents<'a> {
    region: &'a Region<'a>,
    /// Where the next block goes.
    position: u64,
    /// Where a block was ever written: beyond the end if the last ones were known already.
    furthest: u64,
    /// Up to where the kernel has been told to write.
    begun: u64,
    /// What the last blocks will be shared with.
    shared: Option<Shared>,
    locations: Vec<Location>,
    sizes: Vec<u32>,
    fragments: Vec<Fragment>,
    /// What was written, by place.
    stored: Vec<StoredBlock>,
    /// A file with each content.
    known: HashMap<Digest, usize>,
    open: Option<OpenFile>,
}

/// Bytes of a file of the cache's that are to be in the image: neighbours are taken over at once.
struct Shared {
    file: Arc<File>,
    bytes: Range<u64>,
    /// Their place in the region.
    at: u64,
}

impl Shared {
    fn end(&self) -> u64 {
        self.at + (self.bytes.end - self.bytes.start)
    }

    /// Leaves what is from `position` on.
    fn cut(&mut self, position: u64) {
        let left = position.saturating_sub(self.at);
        self.bytes.end = self.bytes.end.min(self.bytes.start + left);
    }
}

/// A file of which not all pieces were there yet.
struct OpenFile {
    start: u64,
    first_size: usize,
    first_stored: usize,
    holes: u64,
    hasher: blake3::Hasher,
}

impl<'a> Contents<'a> {
    /// Contents of `entries` entries, from `start` of the region on.
    pub fn new(region: &'a Region<'a>, start: u64, entries: usize) -> Self {
        Self {
            region,
            position: start,
            furthest: start,
            begun: start,
            shared: None,
            locations: vec![Location::Empty; entries],
            sizes: Vec::new(),
            fragments: Vec::new(),
            stored: Vec::new(),
            known: HashMap::new(),
            open: None,
        }
    }

    /// Has what comes next begin at a block.
    pub fn align(&mut self) -> Result<(), FileSystemError> {
        let start = self.position.next_multiple_of(SHARED);
        // A content that was there already may have been written here.
        if self.position < self.furthest {
            self.take_over()?;
            self.fill_with_zeros(start.min(self.furthest))?;
        }
        self.position = start;
        Ok(())
    }

    /// Writes what `piece` was made into.
    pub fn take(
        &mut self,
        pieces: &Pieces<'_>,
        piece: &Piece,
        packed: &Packed,
    ) -> Result<(), FileSystemError> {
        match piece {
            Piece::Blocks {
                entry,
                size,
                first,
                last,
                ..
            } => self.take_blocks(*entry, *first == 0, last.then_some(*size), packed),
            Piece::Fragment { members } => self.take_fragment(pieces.members(members), packed),
        }
    }

    /// The end of the contents; what was written beyond it is zero again.
    pub fn finish(&mut self) -> Result<u64, FileSystemError> {
        self.take_over()?;
        self.fill_with_zeros(self.furthest)?;
        Ok(self.position)
    }

    /// Zeros from the position to `end`.
    fn fill_with_zeros(&self, end: u64) -> Result<(), FileSystemError> {
        let zeros = vec![0; 1 << 16];
        let mut at = self.position;
        while at < end {
            let length = usize::try_from(end - at).unwrap_or(usize::MAX);
            let part = zeros.get(..length).unwrap_or(&zeros);
            self.region.overwrite_at(part, at).map_err(failed)?;
            at += part.len() as u64;
        }
        Ok(())
    }

    /// What is in the file system, by place.
    pub fn into_stored(self) -> Vec<StoredBlock> {
        self.stored
    }

    /// How many fragments there are.
    pub fn fragment_count(&self) -> usize {
        self.fragments.len()
    }

    /// Records of the fragments' table: u64 start, u32 stored size, u32 0.
    pub fn fragment_records(&self) -> impl Iterator<Item = [u8; 16]> {
        self.fragments.iter().map(|fragment| {
            let record = u128::from(fragment.start) | u128::from(fragment.stored) << 64;
            record.to_le_bytes()
        })
    }

    /// Where the content of `entry`, of `size` bytes, is; `block_size` is that of the file system.
    pub fn of(&self, entry: usize, size: u64, block_size: u32) -> FileData<'_> {
        let mut data = FileData {
            start: 0,
            size,
            holes: 0,
            fragment: NO_FRAGMENT,
            offset: 0,
            blocks: &[],
        };
        match self.locations.get(entry) {
            Some(Location::Blocks {
                start,
                sizes,
                holes,
            }) => {
                data.start = *start;
                data.holes = (holes * u64::from(block_size)).min(size);
                data.blocks = self.sizes.get(sizes.clone()).unwrap_or_default();
            }
            Some(Location::Fragment { index, offset }) => {
                (data.fragment, data.offset) = (*index, *offset);
            }
            Some(Location::Empty) | None => {}
        }
        data
    }

    fn take_blocks(
        &mut self,
        entry: usize,
        first: bool,
        whole: Option<u64>,
        packed: &Packed,
    ) -> Result<(), FileSystemError> {
        let mut open = match self.open.take() {
            Some(open) if !first => open,
            _ => OpenFile {
                start: self.position,
                first_size: self.sizes.len(),
                first_stored: self.stored.len(),
                holes: 0,
                hasher: blake3::Hasher::new(),
            },
        };
        for Block { stored, digest } in &packed.blocks {
            open.hasher.update(&stored.to_le_bytes()).update(digest);
            open.holes += u64::from(*stored == 0);
            self.sizes.push(*stored);
        }
        self.write(packed)?;
        if let Some(size) = whole {
            // Holes have no lengths of their own.
            open.hasher.update(&size.to_le_bytes());
            self.close(entry, &open);
        } else {
            self.open = Some(open);
        }
        Ok(())
    }

    /// Gives the file its place; if its content is there already, that of the other one.
    fn close(&mut self, entry: usize, open: &OpenFile) {
        let location = match self.known.entry(*open.hasher.finalize().as_bytes()) {
            Slot::Occupied(same) => {
                self.position = open.start;
                if let Some(shared) = &mut self.shared {
                    shared.cut(open.start);
                }
                self.sizes.truncate(open.first_size);
                self.stored.truncate(open.first_stored);
                self.locations.get(*same.get()).cloned().unwrap_or_default()
            }
            Slot::Vacant(slot) => {
                slot.insert(entry);
                Location::Blocks {
                    start: open.start,
                    sizes: open.first_size..self.sizes.len(),
                    holes: open.holes,
                }
            }
        };
        if let Some(place) = self.locations.get_mut(entry) {
            *place = location;
        }
    }

    fn take_fragment(&mut self, entries: &[usize], packed: &Packed) -> Result<(), FileSystemError> {
        let all_known =
            (packed.members.iter()).all(|member| self.known.contains_key(&member.digest));
        let index =
            u32::try_from(self.fragments.len()).map_err(|error| failed(io::Error::other(error)))?;
        let stored = packed.blocks.first().map_or(0, |block| block.stored);
        let start = self.position;
        if !all_known {
            self.write(packed)?;
            self.fragments.push(Fragment { start, stored });
        }
        for (entry, member) in entries.iter().zip(&packed.members) {
            let location = match self.known.get(&member.digest) {
                Some(same) if all_known => self.locations.get(*same).cloned().unwrap_or_default(),
                _ => {
                    self.known.entry(member.digest).or_insert(*entry);
                    Location::Fragment {
                        index,
                        offset: member.offset,
                    }
                }
            };
            if let Some(place) = self.locations.get_mut(*entry) {
                *place = location;
            }
        }
        Ok(())
    }

    fn write(&mut self, packed: &Packed) -> Result<(), FileSystemError> {
        if let Some(origin) = &packed.origin {
            self.share(origin, &packed.blocks)?;
        } else {
            self.take_over()?;
            self.region
                .overwrite_at(&packed.bytes, self.position)
                .map_err(failed)?;
        }
        for Block { stored, digest } in packed.blocks.iter().filter(|block| block.stored != 0) {
            let length = u64::from(stored & !UNCOMPRESSED);
            self.stored.push(StoredBlock {
                offset: self.position,
                length,
                digest: *digest,
            });
            self.position += length;
        }
        self.furthest = self.furthest.max(self.position);
        if self.position >= self.begun + WRITE_BACK {
            self.region.begin_write_back(self.begun..self.position);
            self.begun = self.position;
        }
        Ok(())
    }

    /// Will have `blocks`, which are at `origin`, here.
    fn share(&mut self, origin: &Origin, blocks: &[Block]) -> Result<(), FileSystemError> {
        let stored = |block: &Block| u64::from(block.stored & !UNCOMPRESSED);
        let end = origin.start + blocks.iter().map(stored).sum::<u64>();
        if let Some(shared) = &mut self.shared
            && Arc::ptr_eq(&shared.file, &origin.file)
            && shared.bytes.end == origin.start
            && shared.end() == self.position
        {
            shared.bytes.end = end;
            return Ok(());
        }
        self.take_over()?;
        self.shared = Some(Shared {
            file: Arc::clone(&origin.file),
            bytes: origin.start..end,
            at: self.position,
        });
        Ok(())
    }

    /// Has what was to be shared.
    fn take_over(&mut self) -> Result<(), FileSystemError> {
        match self.shared.take() {
            Some(Shared { file, bytes, at }) => {
                self.region.take_over(&file, bytes, at).map_err(failed)
            }
            None => Ok(()),
        }
    }
}
