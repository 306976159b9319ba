//! squashfs 4.0, compressed by zstd: a read-only file system as small as its contents allow.
//!
//! ```text
//! superblock, compressor's options
//! contents     what is in no store object, then one object after the other: blocks of its files,
//!              then the fragments in which its small files are
//! index        inodes, directories, tables
//! zeros        to a multiple of 4 KiB
//! ```
//!
//! The contents are cut into pieces first; then each thread reads and compresses pieces, and the
//! calling one writes them in their order. So the bytes do not depend on the number of threads,
//! and what is in memory at a time is a few pieces, whatever the contents' size; for each file, and
//! each block of a file, some bytes more.
//!
//! A file's content is stored once, whichever files have it. No fragment has files of two store
//! objects: what an object is made into does not depend on what is beside it. A large object begins at a block of
//! 4 KiB, so that what remembers it can share its blocks with the image.
//!
//! Limits of the format, refused: names over 255 bytes, more than 65535 owners and groups,
//! attributes that are neither `user.`, `trusted.` nor `security.`, times after 2106.
//!
//! Source: `fs/squashfs/squashfs_fs.h` and Documentation/filesystems/squashfs.rst of Linux.

mod cache;
mod compression;
mod contents;
mod directory;
mod index;
mod inode;
mod memory;
mod metadata;
mod packer;
mod pieces;
mod source;
mod superblock;
mod tree;
mod xattrs;

use std::num::NonZero;

use crate::file_system::FileSystemError;
use crate::in_order::{Schedule, in_order};
use crate::manifest::Manifest;
use crate::region::{Region, SHARED};

pub use cache::Cache;
use contents::Contents;
use packer::{Buffers, Packer, failed};
use pieces::{Piece, Pieces};
use source::{Recording, Source};
use tree::Tree;

const KIND: &str = "squashfs";
/// Devices have blocks of this size at most; the end of the last one must be there.
const PADDING: u64 = 4096;
/// Most bytes of pieces that are done and not yet written.
const AHEAD: u64 = 24 << 20;
/// Pieces that are begun and not yet written, for each thread: more are memory that is touched for nothing.
const AHEAD_OF_EACH: usize = 6;
/// More threads need more than the 64 MiB that writing may take.
const MAX_THREADS: usize = 16;

/// How a file system is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Effort of compression.
    pub level: Level,
    /// Size of the files' blocks.
    pub block_size: BlockSize,
    /// Threads that read and compress, at most 16; the result does not depend on it.
    pub threads: NonZero<usize>,
    /// Time of making that the file system records, in seconds since 1970.
    pub epoch: u32,
}

impl Options {
    /// Level 3, blocks of 128 KiB, a thread for each core.
    #[must_use]
    pub fn new(epoch: u32) -> Self {
        Self {
            level: Level::default(),
            block_size: BlockSize::default(),
            threads: std::thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN),
            epoch,
        }
    }
}

/// A level of zstd's: 1 to 22.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level(i32);

impl Level {
    /// The level `number`, if there is one.
    #[must_use]
    pub fn new(number: i32) -> Option<Self> {
        (1..=22).contains(&number).then_some(Self(number))
    }

    /// Its number.
    #[must_use]
    pub fn get(self) -> i32 {
        self.0
    }
}

impl Default for Level {
    /// 3: beyond it, time grows twentyfold for an eighth of the size.
    fn default() -> Self {
        Self(3)
    }
}

/// A block's size in bytes: a power of two from 4 KiB to 1 MiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockSize(u32);

impl BlockSize {
    /// Blocks of `bytes`, if the format has them.
    #[must_use]
    pub fn new(bytes: u32) -> Option<Self> {
        let fits = bytes.is_power_of_two() && (4 << 10..=1 << 20).contains(&bytes);
        fits.then_some(Self(bytes))
    }

    /// In bytes.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }
}

impl Default for BlockSize {
    /// 128 KiB.
    fn default() -> Self {
        Self(128 << 10)
    }
}

/// A file system to be: all is known but how small its contents become.
#[derive(Debug, Clone)]
pub struct Plan<'a> {
    tree: Tree<'a>,
    pieces: Pieces<'a>,
    options: Options,
    cache: Option<&'a Cache>,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Bytes from the region's start to the end of the file system, a multiple of 4096. All of
    /// them are the file system's; what was written to the region beyond is zero again.
    pub size: u64,
    /// Blocks of contents, by place: nearly all of the file system.
    pub blocks: Vec<StoredBlock>,
}

/// A block of contents as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredBlock {
    /// Where it lies, in bytes from the region's start.
    pub offset: u64,
    /// Its stored bytes.
    pub length: u64,
    /// Their BLAKE3 hash.
    pub digest: [u8; 32],
}

/// Plans `tree` as a file system; nothing is read or written.
///
/// # Errors
/// The tree has what squashfs cannot hold.
pub fn plan<'a>(tree: &'a Manifest, options: &Options) -> Result<Plan<'a>, FileSystemError> {
    let tree = Tree::new(tree)?;
    let pieces = Pieces::new(&tree, options.block_size.get());
    Ok(Plan {
        tree,
        pieces,
        options: *options,
        cache: None,
    })
}

impl<'a> Plan<'a> {
    /// The same, written with the help of `cache`: what it knows is not compressed again, and it
    /// learns the rest. The bytes are the same without it.
    #[must_use]
    pub fn with_cache(self, cache: &'a Cache) -> Self {
        Self {
            cache: Some(cache),
            ..self
        }
    }

    /// A size in bytes that the file system does not exceed, whatever its contents.
    #[must_use]
    pub fn size_limit(&self) -> u64 {
        let block_size = u64::from(self.options.block_size.get());
        let of_entry = |entry: &tree::Entry<'_>| {
            let content = entry.size().unwrap_or(0);
            let link = match &entry.node.content {
                crate::manifest::Content::Symlink(target) => target.as_os_str().len() as u64,
                _ => 0,
            };
            let pair = |(name, value): (&Vec<u8>, &Vec<u8>)| (name.len() + value.len() + 8) as u64;
            let xattrs: u64 = entry.node.xattrs.iter().map(pair).sum();
            // Inode, run, name (with one in the index), places in tables, owner and group.
            let fixed = 64 + 16 + 12 + 8 + 2 * entry.name().len() as u64 + 12 + 8 + 16 + 8 + 32;
            content + 4 * content.div_ceil(block_size) + link + xattrs + fixed
        };
        let total: u64 = self.tree.entries.iter().map(of_entry).sum();
        // Headers of metadata that does not get smaller: two bytes, and a place of eight, for
        // each 8 KiB.
        let whole = total + total / 512 + (1 << 16) + self.pieces.aligned() * SHARED;
        whole.next_multiple_of(PADDING)
    }

    /// The file system has no more blocks of contents and gaps between them than that.
    #[must_use]
    pub fn block_limit(&self) -> u64 {
        let blocks = |piece: &Piece| match piece {
            Piece::Blocks { count, .. } => *count as u64,
            Piece::Fragment { .. } => 1,
        };
        self.pieces.list.iter().map(blocks).sum::<u64>() + self.pieces.aligned()
    }

    /// Bytes of all contents.
    #[must_use]
    pub fn content_size(&self) -> u64 {
        self.tree
            .files()
            .filter_map(|(_, entry)| entry.size())
            .sum()
    }
}

/// Writes `plan` to `region` from its start on; [`Plan::size_limit`] bytes are always enough.
/// `written` is told of bytes of content as they are done.
///
/// # Errors
/// See [`FileSystemError`].
pub fn write(
    plan: &Plan<'_>,
    region: &Region<'_>,
    written: &mut dyn FnMut(u64),
) -> Result<Written, FileSystemError> {
    let Plan {
        tree,
        pieces,
        options,
        cache,
    } = plan;
    let level = options.level.get();
    let block_size = options.block_size.get();
    let threads = options.threads.get().min(MAX_THREADS);
    let source = Source::new(tree, pieces, options, *cache);
    let buffers = Buffers::default();
    let mut recording = Recording::default();
    let mut contents = Contents::new(region, superblock::LENGTH, tree.entries.len());
    let most = usize::try_from(AHEAD / pieces::SPAN.max(u64::from(block_size))).unwrap_or(1);
    let schedule = Schedule {
        pieces: pieces.list.len(),
        threads,
        ahead: most.min(threads * AHEAD_OF_EACH),
    };
    in_order(
        schedule,
        || Packer::new(&buffers, tree, pieces, level, block_size),
        |packer, number| source.make(packer, number, region.may_share()),
        |packed| packed.origin.is_some(),
        |number, packed| {
            let Some(piece) = pieces.list.get(number) else {
                return Ok(());
            };
            recording.take(&source, number, &packed);
            if pieces.is_aligned(number) {
                contents.align()?;
            }
            contents.take(pieces, piece, &packed)?;
            buffers.give_back(packed.bytes);
            written(pieces.length(tree, piece, block_size));
            Ok(())
        },
    )?;
    source.tidy();
    let start = contents.finish()?;
    let (index, superblock) = index::index(tree, &contents, options, start).map_err(failed)?;
    region.overwrite_at(&index, start).map_err(failed)?;
    let size = superblock.bytes.next_multiple_of(PADDING);
    let rest = usize::try_from(size - superblock.bytes).unwrap_or(0);
    region
        .overwrite_at(&vec![0; rest], superblock.bytes)
        .map_err(failed)?;
    // Last: what has no superblock is no file system.
    region
        .overwrite_at(&superblock.to_bytes(), 0)
        .map_err(failed)?;
    Ok(Written {
        size,
        blocks: contents.into_stored(),
    })
}
