//! What the pieces of one store object were made into, as a file.
//!
//! ```text
//! "cairn squashfs 2"   16 bytes
//! key                  32 bytes: what the file follows from
//! check                32 bytes: BLAKE3 of the key and the index
//! index                for each piece: u32 stored size of each block and hash of its stored bytes,
//!                      u32 offset and hash of each file of a fragment
//! zeros                to a multiple of 4 KiB
//! data                 stored bytes, piece by piece
//! ```
//! The data is where an image can share its blocks, if the file system knows how to.
//!
//! The index's length follows from the pieces, which follow from the key. Whatever does not fit is
//! taken for no file at all: the pieces can be made again.

use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use tempfile::NamedTempFile;

use crate::region::SHARED;

use super::packer::{Block, Buffers, Digest, Member, Origin, Packed, UNCOMPRESSED};

const MAGIC: &[u8; 16] = b"cairn squashfs 2";
const HEADER: usize = MAGIC.len() + 32 + 32;
const RECORD: usize = 4 + 32;
/// What was used within that time is not marked as used again: each mark is something to be written.
const RECENT: Duration = Duration::from_mins(10);

/// What a piece's record must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shape {
    /// Lengths of its blocks before compression; none for a fragment, which is one block.
    pub blocks: Vec<u32>,
    /// Lengths of a fragment's files.
    pub members: Vec<u32>,
    /// The longest a block may be.
    pub block_size: u32,
}

/// A file of these, found whole as far as its index goes.
#[derive(Debug)]
pub(super) struct Memory {
    path: PathBuf,
    /// Open as long as one of its pieces is on its way.
    file: Mutex<Weak<File>>,
    pieces: Vec<Known>,
    /// Whether some data was not what the index says.
    spoiled: AtomicBool,
}

/// A piece but for its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    blocks: Vec<Block>,
    members: Vec<Member>,
    data: Range<u64>,
}

impl Memory {
    /// The file at `path` for `key`, whose pieces have `shapes`.
    pub fn read(path: &Path, key: &Digest, shapes: &[Shape]) -> io::Result<Self> {
        let file = File::open(path)?;
        let mut head = vec![0; HEADER + shapes.iter().map(index_length).sum::<usize>()];
        file.read_exact_at(&mut head, 0)?;
        let data = data_start(head.len());
        let pieces = decode(&head, key, shapes).ok_or_else(damaged)?;
        let end = pieces.last().map_or(data, |piece| piece.data.end);
        let metadata = file.metadata()?;
        if metadata.len() != end {
            return Err(damaged());
        }
        // What was used last is forgotten last. A cache that cannot be written to still serves.
        let age = metadata.modified()?.elapsed();
        if !age.is_ok_and(|age| age <= RECENT)
            && let Err(error) = file.set_modified(SystemTime::now())
        {
            log::debug!("cannot mark '{}' as used: {error}", path.display());
        }
        Ok(Self {
            path: path.to_owned(),
            file: Mutex::default(),
            pieces,
            spoiled: AtomicBool::new(false),
        })
    }

    /// The piece `number`, if its bytes are still what they were; otherwise the file is spoiled.
    pub fn piece(&self, number: usize, buffers: &Buffers) -> Option<Packed> {
        self.noted(self.read_piece(number, buffers.lend()))
    }

    /// The same without its bytes, but with the place where they are; they are looked at in `scratch`.
    pub fn piece_to_share(&self, number: usize, scratch: &mut Vec<u8>) -> Option<Packed> {
        self.noted(self.check_piece(number, scratch))
    }

    fn noted(&self, piece: io::Result<Packed>) -> Option<Packed> {
        let noting = |error| {
            self.spoiled.store(true, Ordering::Relaxed);
            let path = self.path.display();
            log::warn!("cannot use '{path}', what it holds is made again: {error}");
        };
        piece.map_err(noting).ok()
    }

    /// Whether a piece was found not to be what it was.
    pub fn is_spoiled(&self) -> bool {
        self.spoiled.load(Ordering::Relaxed)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    fn open(&self) -> io::Result<Arc<File>> {
        let mut known = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = known.upgrade() {
            return Ok(file);
        }
        let file = Arc::new(File::open(&self.path)?);
        *known = Arc::downgrade(&file);
        Ok(file)
    }

    fn read_piece(&self, number: usize, mut bytes: Vec<u8>) -> io::Result<Packed> {
        let known = self.pieces.get(number).ok_or_else(damaged)?;
        bytes.resize(known.length()?, 0);
        self.read_sound(known, &mut bytes)?;
        Ok(Packed {
            bytes,
            ..known.packed()
        })
    }

    fn check_piece(&self, number: usize, scratch: &mut Vec<u8>) -> io::Result<Packed> {
        let known = self.pieces.get(number).ok_or_else(damaged)?;
        let length = known.length()?;
        // It never gets shorter: what is longer again would be filled with zeros for nothing.
        scratch.resize(scratch.len().max(length), 0);
        let file = self.read_sound(known, scratch.get_mut(..length).unwrap_or_default())?;
        Ok(Packed {
            origin: Some(Origin {
                file,
                start: known.data.start,
            }),
            ..known.packed()
        })
    }

    /// Reads the bytes of a piece, if they are still what they were; gives the file.
    fn read_sound(&self, known: &Known, bytes: &mut [u8]) -> io::Result<Arc<File>> {
        let file = self.open()?;
        file.read_exact_at(bytes, known.data.start)?;
        let mut rest = &*bytes;
        for block in known.blocks.iter().filter(|block| block.stored != 0) {
            let stored = usize::try_from(block.stored & !UNCOMPRESSED).map_err(io::Error::other)?;
            let stored = take(&mut rest, stored).ok_or_else(damaged)?;
            if blake3::hash(stored) != blake3::Hash::from_bytes(block.digest) {
                return Err(damaged());
            }
        }
        Ok(file)
    }
}

impl Known {
    fn length(&self) -> io::Result<usize> {
        usize::try_from(self.data.end - self.data.start).map_err(io::Error::other)
    }

    fn packed(&self) -> Packed {
        Packed {
            bytes: Vec::new(),
            origin: None,
            blocks: self.blocks.clone(),
            members: self.members.clone(),
        }
    }
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "it is damaged")
}

/// Bytes of a piece in the index.
fn index_length(shape: &Shape) -> usize {
    RECORD * (block_count(shape) + shape.members.len())
}

fn block_count(shape: &Shape) -> usize {
    // A fragment's block has no length of its own.
    shape.blocks.len() + usize::from(!shape.members.is_empty())
}

/// The pieces in a header and index.
fn decode(head: &[u8], key: &Digest, shapes: &[Shape]) -> Option<Vec<Known>> {
    let mut at = data_start(head.len());
    let mut rest = head;
    if take(&mut rest, MAGIC.len())? != MAGIC || take(&mut rest, 32)? != key {
        return None;
    }
    let check = <[u8; 32]>::try_from(take(&mut rest, 32)?).ok()?;
    if blake3::Hash::from_bytes(check) != check_of(key, rest) {
        return None;
    }
    let mut pieces = Vec::new();
    for shape in shapes {
        let mut length = 0;
        let mut blocks = Vec::new();
        for number in 0..block_count(shape) {
            let (stored, digest) = record(&mut rest)?;
            let bytes = stored & !UNCOMPRESSED;
            let fits = match shape.blocks.get(number) {
                Some(raw) if stored & UNCOMPRESSED != 0 => bytes == *raw,
                Some(raw) => bytes < *raw,
                None => (1..=shape.block_size).contains(&bytes),
            };
            if !fits {
                return None;
            }
            length += u64::from(bytes);
            blocks.push(Block { stored, digest });
        }
        let mut members = Vec::new();
        for size in &shape.members {
            let (offset, digest) = record(&mut rest)?;
            if offset.checked_add(*size)? > shape.block_size {
                return None;
            }
            members.push(Member { offset, digest });
        }
        let data = at..at + length;
        at = data.end;
        pieces.push(Known {
            blocks,
            members,
            data,
        });
    }
    rest.is_empty().then_some(pieces)
}

/// Where the data begins behind `head` bytes.
fn data_start(head: usize) -> u64 {
    (head as u64).next_multiple_of(SHARED)
}

fn check_of(key: &Digest, index: &[u8]) -> blake3::Hash {
    blake3::Hasher::new().update(key).update(index).finalize()
}

fn record(rest: &mut &[u8]) -> Option<(u32, Digest)> {
    let number = take(rest, 4)?.try_into().ok()?;
    let digest = take(rest, 32)?.try_into().ok()?;
    Some((u32::from_le_bytes(number), digest))
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

/// A file of these being written; without a name, until it is whole.
#[derive(Debug)]
pub(super) struct Recorder {
    file: NamedTempFile,
    path: PathBuf,
    key: Digest,
    index: Vec<u8>,
    position: u64,
    pieces: usize,
}

impl Recorder {
    /// For `path`, from pieces of `shapes`.
    pub fn new(path: PathBuf, key: Digest, shapes: &[Shape], prefix: &str) -> io::Result<Self> {
        let folder = path.parent().unwrap_or(Path::new("."));
        let file = tempfile::Builder::new()
            .prefix(prefix)
            .tempfile_in(folder)?;
        let index: usize = shapes.iter().map(index_length).sum();
        Ok(Self {
            file,
            path,
            key,
            index: Vec::with_capacity(index),
            position: data_start(HEADER + index),
            pieces: shapes.len(),
        })
    }

    /// Adds the next piece. Gives back the file unless it was the last one.
    pub fn add(mut self, packed: &Packed) -> io::Result<Option<Self>> {
        self.file
            .as_file()
            .write_all_at(&packed.bytes, self.position)?;
        self.position += packed.bytes.len() as u64;
        for block in &packed.blocks {
            self.index.extend_from_slice(&block.stored.to_le_bytes());
            self.index.extend_from_slice(&block.digest);
        }
        for member in &packed.members {
            self.index.extend_from_slice(&member.offset.to_le_bytes());
            self.index.extend_from_slice(&member.digest);
        }
        self.pieces = self.pieces.saturating_sub(1);
        if self.pieces > 0 {
            return Ok(Some(self));
        }
        let mut head = Vec::with_capacity(HEADER + self.index.len());
        head.extend_from_slice(MAGIC);
        head.extend_from_slice(&self.key);
        head.extend_from_slice(check_of(&self.key, &self.index).as_bytes());
        head.extend_from_slice(&self.index);
        self.file.write_all(&head)?;
        // Not synced: what a power cut leaves of it does not pass the checks.
        self.file.persist(&self.path).map_err(|error| error.error)?;
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shapes() -> Vec<Shape> {
        let shape = |blocks: &[u32], members: &[u32]| Shape {
            blocks: blocks.to_vec(),
            members: members.to_vec(),
            block_size: 4096,
        };
        vec![shape(&[4096, 100], &[]), shape(&[], &[7, 4000])]
    }

    /// A header that passes the check, before `index`.
    fn head(index: &[u8]) -> Vec<u8> {
        let key = [7; 32];
        let mut head = MAGIC.to_vec();
        head.extend_from_slice(&key);
        head.extend_from_slice(check_of(&key, index).as_bytes());
        head.extend_from_slice(index);
        head
    }

    fn index(numbers: [u32; 5]) -> Vec<u8> {
        let record = |number: u32| [&number.to_le_bytes()[..], &[1; 32]].concat();
        numbers.map(record).concat()
    }

    #[test]
    fn numbers_that_do_not_fit_are_refused() {
        let fits = |numbers| decode(&head(&index(numbers)), &[7; 32], &shapes()).is_some();
        assert!(fits([4095, 0, 1, 0, 96]));
        assert!(fits([
            0x1000 | UNCOMPRESSED,
            0x64 | UNCOMPRESSED,
            4096,
            4089,
            0
        ]));
        for numbers in [
            [4096, 0, 1, 0, 96],
            [4095 | UNCOMPRESSED, 0, 1, 0, 96],
            [4095, 101, 1, 0, 96],
            [4095, 0, 0, 0, 96],
            [4095, 0, 4097, 0, 96],
            [4095, 0, 1, 4090, 96],
            [4095, 0, 1, 0, 97],
            [4095, 0, 1, u32::MAX, 96],
            [u32::MAX, 0, 1, 0, 96],
        ] {
            assert!(!fits(numbers), "{numbers:?}");
        }
        let other_key = decode(&head(&index([4095, 0, 1, 0, 96])), &[8; 32], &shapes());
        assert_eq!(other_key, None);
    }

    proptest! {
        #[test]
        fn whatever_passes_the_check_is_within_its_bounds(
            bytes in prop::collection::vec(any::<u8>(), 5 * RECORD),
            small in prop::collection::vec(0u32..5000, 5),
        ) {
            let mut bytes = bytes;
            for (record, number) in bytes.chunks_mut(RECORD).zip(small) {
                record[..4].copy_from_slice(&number.to_le_bytes());
            }
            if let Some(pieces) = decode(&head(&bytes), &[7; 32], &shapes()) {
                let end = pieces.last().unwrap().data.end;
                prop_assert!(end <= data_start(HEADER + 5 * RECORD) + 3 * 4096);
            }
        }

        #[test]
        fn any_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            prop_assert_eq!(decode(&bytes, &[7; 32], &shapes()), None);
        }
    }
}
