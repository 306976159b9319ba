//! Extended attributes: sets of them, each stored once and called by its number.
//!
//! ```text
//! pairs (metadata): u16 prefix, u16 length of the name after it, name; u32 length, value; …
//! sets  (metadata): u64 place of the first pair, u32 pairs, u32 bytes of them
//! table:            u64 offset of the pairs, u32 sets, u32 0, u64 offset of each block of sets
//! ```

use std::collections::BTreeMap;
use std::io;

use super::metadata::{Metadata, Place, indexed_table};

/// The set of an inode that has no attributes.
pub(super) const NONE: u32 = u32::MAX;

const PREFIXES: [(u16, &[u8]); 3] = [(0, b"user."), (1, b"trusted."), (2, b"security.")];

type Set = BTreeMap<Vec<u8>, Vec<u8>>;

/// Number of the prefix of an attribute's name, and the rest of it.
pub(super) fn prefix_of(name: &[u8]) -> Option<(u16, &[u8])> {
    PREFIXES
        .iter()
        .find_map(|(number, prefix)| Some((*number, name.strip_prefix(*prefix)?)))
}

/// The sets of a file system.
pub(super) struct Xattrs<'a> {
    level: i32,
    pairs: Metadata,
    sets: Vec<[u8; 16]>,
    numbers: BTreeMap<&'a Set, u32>,
}

impl<'a> Xattrs<'a> {
    pub fn new(level: i32) -> io::Result<Self> {
        Ok(Self {
            level,
            pairs: Metadata::new(level)?,
            sets: Vec::new(),
            numbers: BTreeMap::new(),
        })
    }

    /// The number of `set`, which is stored if it is new.
    pub fn number(&mut self, set: &'a Set) -> io::Result<u32> {
        if set.is_empty() {
            return Ok(NONE);
        }
        if let Some(number) = self.numbers.get(set) {
            return Ok(*number);
        }
        let place = self.pairs.place()?;
        let bytes = encode(set)?;
        self.pairs.write(&bytes)?;
        let number = u32::try_from(self.sets.len()).map_err(io::Error::other)?;
        self.sets.push(record(place, set.len(), bytes.len())?);
        self.numbers.insert(set, number);
        Ok(number)
    }

    /// The table as it lies at `start`, and the offset that the superblock has; nothing if there
    /// are no attributes.
    pub fn finish(self, start: u64) -> io::Result<Option<(Vec<u8>, u64)>> {
        if self.sets.is_empty() {
            return Ok(None);
        }
        let count = u32::try_from(self.sets.len()).map_err(io::Error::other)?;
        let (mut bytes, _) = self.pairs.finish()?;
        let sets_start = start + bytes.len() as u64;
        let (sets, index) = indexed_table(self.level, &self.sets, sets_start)?;
        let table = usize::try_from(index - sets_start).map_err(io::Error::other)?;
        let (sets, index_bytes) = sets.split_at_checked(table).unwrap_or((&sets, &[]));
        bytes.extend_from_slice(sets);
        bytes.extend_from_slice(&start.to_le_bytes());
        bytes.extend_from_slice(&count.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(index_bytes);
        Ok(Some((bytes, index)))
    }
}

fn encode(set: &Set) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for (name, value) in set {
        let (prefix, rest) = prefix_of(name).ok_or(io::ErrorKind::InvalidInput)?;
        let name_length = u16::try_from(rest.len()).map_err(io::Error::other)?;
        let value_length = u32::try_from(value.len()).map_err(io::Error::other)?;
        bytes.extend_from_slice(&prefix.to_le_bytes());
        bytes.extend_from_slice(&name_length.to_le_bytes());
        bytes.extend_from_slice(rest);
        bytes.extend_from_slice(&value_length.to_le_bytes());
        bytes.extend_from_slice(value);
    }
    Ok(bytes)
}

fn record(place: Place, pairs: usize, length: usize) -> io::Result<[u8; 16]> {
    let number = |value: usize| u32::try_from(value).map_err(io::Error::other);
    let mut record = [0; 16];
    let (reference, rest) = record.split_at_mut(8);
    let (count, size) = rest.split_at_mut(4);
    reference.copy_from_slice(&place.reference().to_le_bytes());
    count.copy_from_slice(&number(pairs)?.to_le_bytes());
    size.copy_from_slice(&number(length)?.to_le_bytes());
    Ok(record)
}
