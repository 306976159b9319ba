//! The contents cut into pieces of work, before anything is read.
//!
//! A piece is some blocks of one large file, or the small files that share a fragment. Pieces of a
//! store object are in a row and are made of it alone: they can be remembered, and are the same in
//! every image. Those of a large one begin at a block of the file system that the image is in: such blocks can
//! be shared with what remembers them.

use std::ops::Range;
use std::path::Path;

use crate::manifest::ContentHash;

use super::memory::Shape;
use super::tree::{Entry, Tree};

/// Bytes of a file that one piece has, if blocks are not larger.
pub(super) const SPAN: u64 = 512 << 10;
/// Objects with so many bytes of content begin at a block: half of one is lost for each.
const ALIGNED: u64 = 1 << 20;
/// Most files in a fragment: what a piece knows of each takes memory.
const MAX_MEMBERS: usize = 4096;

/// Some work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// Blocks of the file `entry`.
    Blocks {
        entry: usize,
        /// Bytes of the whole file.
        size: u64,
        /// Number of the first block.
        first: u64,
        /// How many.
        count: usize,
        /// Whether the file ends with them.
        last: bool,
    },
    /// Files smaller than a block.
    Fragment {
        /// Which of [`Pieces::small`].
        members: Range<usize>,
    },
}

/// Pieces that are remembered together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group<'a> {
    /// The root of the store object; none for all that is in none.
    pub object: Option<(&'a Path, Option<&'a ContentHash>)>,
    /// Its pieces.
    pub pieces: Range<usize>,
    /// Whether the first one begins at a block.
    pub aligned: bool,
}

/// All of them, in the order in which they are written.
#[derive(Debug, Clone, Default)]
pub(super) struct Pieces<'a> {
    pub list: Vec<Piece>,
    /// Entries of small files, by fragment.
    pub small: Vec<usize>,
    pub groups: Vec<Group<'a>>,
}

impl<'a> Pieces<'a> {
    pub fn new(tree: &Tree<'a>, block_size: u32) -> Self {
        let block_size = u64::from(block_size);
        let mut files: Vec<(Option<usize>, usize, u64)> = tree
            .files()
            .filter_map(|(index, entry)| Some((entry.object, index, entry.size()?)))
            .filter(|(_, _, size)| *size > 0)
            .collect();
        // Stable, and `None` comes first.
        files.sort_by_key(|(object, _, _)| *object);
        let mut all = Self::default();
        for group in files.chunk_by(|one, other| one.0 == other.0) {
            let start = all.list.len();
            for (_, entry, size) in group.iter().filter(|file| file.2 >= block_size) {
                all.add_large(*entry, *size, block_size);
            }
            let small = group.iter().filter(|file| file.2 < block_size);
            all.add_small(small.map(|(_, entry, size)| (*entry, *size)), block_size);
            let number = group.first().and_then(|(object, _, _)| *object);
            let size: u64 = group.iter().map(|(_, _, size)| size).sum();
            all.groups.push(Group {
                object: number.and_then(|number| tree.objects.get(number).copied()),
                pieces: start..all.list.len(),
                aligned: number.is_some() && size >= ALIGNED,
            });
        }
        all
    }

    fn add_large(&mut self, entry: usize, size: u64, block_size: u64) {
        let blocks = size.div_ceil(block_size);
        let step = (SPAN / block_size).max(1);
        let mut first = 0;
        while first < blocks {
            let end = (first + step).min(blocks);
            self.list.push(Piece::Blocks {
                entry,
                size,
                first,
                count: usize::try_from(end - first).unwrap_or(0),
                last: end == blocks,
            });
            first = end;
        }
    }

    fn add_small(&mut self, files: impl Iterator<Item = (usize, u64)>, block_size: u64) {
        let mut start = self.small.len();
        let mut length = 0;
        for (entry, size) in files {
            let count = self.small.len() - start;
            if length + size > block_size || count == MAX_MEMBERS {
                self.close_fragment(&mut start);
                length = 0;
            }
            self.small.push(entry);
            length += size;
        }
        self.close_fragment(&mut start);
    }

    fn close_fragment(&mut self, start: &mut usize) {
        let members = *start..self.small.len();
        if !members.is_empty() {
            self.list.push(Piece::Fragment { members });
        }
        *start = self.small.len();
    }

    /// Bytes of content in `piece`.
    pub fn length(&self, tree: &Tree<'_>, piece: &Piece, block_size: u32) -> u64 {
        let block_size = u64::from(block_size);
        match piece {
            Piece::Blocks {
                size, first, count, ..
            } => {
                let left = size.saturating_sub(first * block_size);
                left.min(*count as u64 * block_size)
            }
            Piece::Fragment { members } => {
                let entries = self.members(members).iter();
                let entries = entries.filter_map(|index| tree.entries.get(*index));
                entries.filter_map(Entry::size).sum()
            }
        }
    }

    /// The pieces of `group`.
    pub fn of(&self, group: &Group<'_>) -> &[Piece] {
        self.list.get(group.pieces.clone()).unwrap_or_default()
    }

    /// The group that the piece `number` is in, and its number there.
    pub fn group_of(&self, number: usize) -> Option<(usize, usize)> {
        let index = self
            .groups
            .partition_point(|group| group.pieces.end <= number);
        let group = self.groups.get(index)?;
        Some((index, number.checked_sub(group.pieces.start)?))
    }

    /// Whether the piece `number` begins at a block.
    pub fn is_aligned(&self, number: usize) -> bool {
        let group = self.group_of(number);
        group.is_some_and(|(group, number)| {
            number == 0 && self.groups.get(group).is_some_and(|group| group.aligned)
        })
    }

    /// How many pieces begin at a block.
    pub fn aligned(&self) -> u64 {
        self.groups.iter().filter(|group| group.aligned).count() as u64
    }

    /// Lengths of what is in `piece`.
    pub fn shape(&self, tree: &Tree<'_>, piece: &Piece, block_size: u32) -> Shape {
        let mut shape = Shape {
            blocks: Vec::new(),
            members: Vec::new(),
            block_size,
        };
        // What is in a piece is not longer than a block.
        let length = |length: u64| u32::try_from(length).unwrap_or(block_size);
        match piece {
            Piece::Blocks {
                size, first, count, ..
            } => {
                let mut left = size.saturating_sub(first * u64::from(block_size));
                for _ in 0..*count {
                    let block = left.min(u64::from(block_size));
                    shape.blocks.push(length(block));
                    left -= block;
                }
            }
            Piece::Fragment { members } => {
                let entries = self.members(members).iter();
                let entries = entries.filter_map(|index| tree.entries.get(*index));
                shape.members = entries.filter_map(Entry::size).map(length).collect();
            }
        }
        shape
    }

    /// The files of a fragment.
    pub fn members(&self, range: &Range<usize>) -> &[usize] {
        self.small.get(range.clone()).unwrap_or_default()
    }
}
