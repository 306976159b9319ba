//! Pieces read and compressed: what each thread does.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::file_system::FileSystemError;
use crate::fill;
use crate::manifest::Content;
use crate::region::is_zero;

use super::KIND;
use super::compression::Zstd;
use super::pieces::{Piece, Pieces};
use super::tree::{Entry, Tree};

/// A hash of contents before compression.
pub(super) type Digest = [u8; 32];

/// Bit of a block's stored size that says that it is not compressed.
pub(super) const UNCOMPRESSED: u32 = 1 << 24;

/// What a piece is made into.
#[derive(Debug, Clone, Default)]
pub(super) struct Packed {
    /// Stored blocks, one after the other.
    pub bytes: Vec<u8>,
    /// Where the bytes are to be had instead; then there are none above.
    pub origin: Option<Origin>,
    /// One for each block of a file, or the fragment's.
    pub blocks: Vec<Block>,
    /// One for each file of a fragment.
    pub members: Vec<Member>,
}

/// Bytes in a file of the cache's.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    pub file: Arc<File>,
    /// Where they begin.
    pub start: u64,
}

/// A stored block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Block {
    /// Its length with [`UNCOMPRESSED`]; 0 for one that is all zero and not stored.
    pub stored: u32,
    /// The hash of its stored bytes: equal contents are stored equally.
    pub digest: Digest,
}

/// A file in a fragment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Member {
    /// Where it is in the fragment.
    pub offset: u32,
    /// The hash of its content.
    pub digest: Digest,
}

impl Block {
    const HOLE: Self = Self {
        stored: 0,
        digest: [0; 32],
    };
}

/// Buffers for stored bytes that go from threads to the writer and back: memory that is given back
/// to the kernel for each piece costs a tenth of all time.
#[derive(Default)]
pub(super) struct Buffers(Mutex<Vec<Vec<u8>>>);

impl Buffers {
    /// A buffer, with whatever is in it.
    pub fn lend(&self) -> Vec<u8> {
        let mut buffers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        buffers.pop().unwrap_or_default()
    }

    /// Takes a buffer back.
    pub fn give_back(&self, buffer: Vec<u8>) {
        let mut buffers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        buffers.push(buffer);
    }
}

/// A thread's memory.
pub(super) struct Packer<'a> {
    buffers: &'a Buffers,
    tree: &'a Tree<'a>,
    pieces: &'a Pieces<'a>,
    block_size: usize,
    zstd: Zstd,
    raw: Vec<u8>,
}

impl<'a> Packer<'a> {
    pub fn new(
        buffers: &'a Buffers,
        tree: &'a Tree<'a>,
        pieces: &'a Pieces<'a>,
        level: i32,
        block_size: u32,
    ) -> Result<Self, FileSystemError> {
        Ok(Self {
            buffers,
            tree,
            pieces,
            block_size: usize::try_from(block_size).unwrap_or(usize::MAX),
            zstd: Zstd::new(level).map_err(failed)?,
            raw: Vec::new(),
        })
    }

    pub fn buffers(&self) -> &Buffers {
        self.buffers
    }

    /// Memory for what is looked at and not kept.
    pub fn scratch(&mut self) -> &mut Vec<u8> {
        &mut self.raw
    }

    /// Reads and compresses `piece`.
    pub fn pack(&mut self, piece: &Piece) -> Result<Packed, FileSystemError> {
        match piece {
            Piece::Blocks {
                entry,
                first,
                count,
                last,
                ..
            } => match self.tree.entries.get(*entry) {
                Some(entry) => self.pack_blocks(entry, *first, *count, *last),
                None => Ok(Packed::default()),
            },
            Piece::Fragment { members } => self.pack_fragment(self.pieces.members(members)),
        }
    }

    fn empty(&self) -> Packed {
        let mut bytes = self.buffers.lend();
        bytes.clear();
        Packed {
            bytes,
            ..Packed::default()
        }
    }

    fn pack_blocks(
        &mut self,
        entry: &Entry<'_>,
        first: u64,
        count: usize,
        last: bool,
    ) -> Result<Packed, FileSystemError> {
        let start = first * self.block_size as u64;
        let size = entry.size().unwrap_or(0);
        let room = (count * self.block_size) as u64;
        let length = usize::try_from(size.saturating_sub(start).min(room)).unwrap_or(0);
        let mut packed = self.empty();
        let bytes = match &entry.node.content {
            Content::Bytes(bytes) => {
                let start = usize::try_from(start).unwrap_or(usize::MAX);
                bytes.get(start..start + length).unwrap_or_default()
            }
            Content::File { path, size } => {
                let file = fill::open(path, *size)?;
                if is_hole(&file, start, length).map_err(|source| reading(path, source))? {
                    packed.blocks = vec![Block::HOLE; count];
                    return Ok(packed);
                }
                self.raw.resize(length, 0);
                file.read_exact_at(&mut self.raw, start)
                    .map_err(|source| reading(path, source))?;
                if last {
                    check_end(&file, path, *size)?;
                }
                &self.raw
            }
            _ => &[],
        };
        packed.bytes.reserve(length + 1024);
        for block in bytes.chunks(self.block_size) {
            let block = pack_block(&mut self.zstd, block, &mut packed.bytes)?;
            packed.blocks.push(block);
        }
        Ok(packed)
    }

    fn pack_fragment(&mut self, members: &[usize]) -> Result<Packed, FileSystemError> {
        let mut packed = self.empty();
        let mut known: HashMap<Digest, u32> = HashMap::new();
        self.raw.clear();
        let entries = members
            .iter()
            .filter_map(|index| self.tree.entries.get(*index));
        for entry in entries {
            let start = self.raw.len();
            append_content(&entry.node.content, &mut self.raw)?;
            let content = self.raw.get(start..).unwrap_or_default();
            let digest = *blake3::hash(content).as_bytes();
            let offset = u32::try_from(start).map_err(|error| failed(io::Error::other(error)))?;
            let offset = match known.get(&digest) {
                Some(offset) => {
                    self.raw.truncate(start);
                    *offset
                }
                None => *known.entry(digest).or_insert(offset),
            };
            packed.members.push(Member { offset, digest });
        }
        // Never a hole: fragments have none.
        let block = store(&mut self.zstd, &self.raw, &mut packed.bytes)?;
        packed.blocks.push(block);
        Ok(packed)
    }
}

fn pack_block(
    zstd: &mut Zstd,
    block: &[u8],
    packed: &mut Vec<u8>,
) -> Result<Block, FileSystemError> {
    if is_zero(block) {
        return Ok(Block::HOLE);
    }
    store(zstd, block, packed)
}

/// Appends `block` as it is stored.
fn store(zstd: &mut Zstd, block: &[u8], packed: &mut Vec<u8>) -> Result<Block, FileSystemError> {
    let start = packed.len();
    let compressed = zstd.append(block, packed).map_err(failed)?;
    let length = u32::try_from(packed.len() - start).map_err(io::Error::other);
    let length = length.map_err(failed)?;
    let bytes = packed.get(start..).unwrap_or_default();
    Ok(Block {
        stored: if compressed {
            length
        } else {
            length | UNCOMPRESSED
        },
        digest: *blake3::hash(bytes).as_bytes(),
    })
}

/// Appends a small file's content.
fn append_content(content: &Content, raw: &mut Vec<u8>) -> Result<(), FileSystemError> {
    match content {
        Content::Bytes(bytes) => raw.extend_from_slice(bytes),
        Content::File { path, size } => {
            let file = fill::open(path, *size)?;
            let start = raw.len();
            let length = usize::try_from(*size).unwrap_or(0);
            raw.resize(start + length, 0);
            file.read_exact_at(raw.get_mut(start..).unwrap_or_default(), 0)
                .map_err(|source| reading(path, source))?;
            check_end(&file, path, *size)?;
        }
        _ => {}
    }
    Ok(())
}

/// Refuses a file that has grown while it was read.
fn check_end(file: &File, path: &Path, size: u64) -> Result<(), FileSystemError> {
    let metadata = file.metadata().map_err(|source| reading(path, source))?;
    if metadata.len() == size {
        return Ok(());
    }
    Err(FileSystemError::Changed {
        path: path.to_owned(),
        expected: size,
        found: metadata.len(),
    })
}

/// Whether `file` has no data from `start` on for `length` bytes.
fn is_hole(file: &File, start: u64, length: usize) -> io::Result<bool> {
    let data = fill::seek_data(file, start)?;
    Ok(data.is_none_or(|data| data >= start + length as u64))
}

fn reading(path: &Path, source: io::Error) -> FileSystemError {
    FileSystemError::Read {
        path: path.to_owned(),
        source,
    }
}

pub(super) fn failed(source: io::Error) -> FileSystemError {
    FileSystemError::Write { kind: KIND, source }
}
