//! Listings of directories, and the index that finds a name in a long one.
//!
//! ```text
//! run:   u32 entries - 1, u32 block of their inodes, u32 an inode's number; entries
//! entry: u16 offset of the inode, i16 number less the run's, u16 kind, u16 length - 1, name
//! index: u32 offset in the listing, u32 block of the listing, u32 length - 1, first name there
//! ```
//! A run ends where a block of the listing does, so that the index, which knows runs only, leads
//! to within one block of any name.

use std::io;

use super::metadata::{BLOCK, Metadata, Place};

/// Most entries of a run.
const MAX_RUN: usize = 256;
/// What Linux adds to a listing's length, for `.` and `..`.
pub(super) const DOTS: u32 = 3;

/// A name in a directory, and its inode.
#[derive(Debug, Clone, Copy)]
pub(super) struct Name<'a> {
    pub text: &'a [u8],
    pub place: Place,
    pub inode: u32,
    /// Number of the inode's plain kind.
    pub kind: u16,
}

/// Where a listing lies.
#[derive(Debug)]
pub(super) struct Listing {
    pub place: Place,
    /// Its length as inodes have it.
    pub length: u32,
    /// Records of the index.
    pub index: Vec<Vec<u8>>,
}

/// Writes the listing of `names`, which are sorted bytewise.
pub(super) fn write_listing(listings: &mut Metadata, names: &[Name<'_>]) -> io::Result<Listing> {
    let place = listings.place()?;
    let mut indexed = place.block;
    let mut index = Vec::new();
    let mut length = 0;
    let mut rest = names;
    while let Some(first) = rest.first() {
        let start = listings.place()?;
        if start.block != indexed {
            indexed = start.block;
            index.push(index_record(length, start.block, first.text)?);
        }
        let (run, later) = rest.split_at(run_length(rest, start.offset));
        let bytes = encode_run(run, first)?;
        listings.write(&bytes)?;
        length += number(bytes.len())?;
        rest = later;
    }
    Ok(Listing {
        place,
        length: length + DOTS,
        index,
    })
}

/// How many of `names` can be in one run that starts at `offset` of its block.
fn run_length(names: &[Name<'_>], offset: u16) -> usize {
    let Some(first) = names.first() else {
        return 0;
    };
    let mut end = usize::from(offset) + 12;
    let mut count = 0;
    for name in names.iter().take(MAX_RUN) {
        let near = i16::try_from(i64::from(name.inode) - i64::from(first.inode)).is_ok();
        if name.place.block != first.place.block || !near || end >= BLOCK {
            break;
        }
        end += 8 + name.text.len();
        count += 1;
    }
    // A run that starts in the last bytes of a block has its first entry in the next one.
    count.max(1)
}

fn encode_run(run: &[Name<'_>], first: &Name<'_>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&number(run.len().saturating_sub(1))?.to_le_bytes());
    bytes.extend_from_slice(&first.place.block.to_le_bytes());
    bytes.extend_from_slice(&first.inode.to_le_bytes());
    for name in run {
        let delta = i64::from(name.inode) - i64::from(first.inode);
        let delta = i16::try_from(delta).map_err(io::Error::other)?;
        let length = u16::try_from(name.text.len().saturating_sub(1)).map_err(io::Error::other)?;
        bytes.extend_from_slice(&name.place.offset.to_le_bytes());
        bytes.extend_from_slice(&delta.to_le_bytes());
        bytes.extend_from_slice(&name.kind.to_le_bytes());
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(name.text);
    }
    Ok(bytes)
}

fn index_record(offset: u32, block: u32, name: &[u8]) -> io::Result<Vec<u8>> {
    let mut record = Vec::new();
    record.extend_from_slice(&offset.to_le_bytes());
    record.extend_from_slice(&block.to_le_bytes());
    record.extend_from_slice(&number(name.len().saturating_sub(1))?.to_le_bytes());
    record.extend_from_slice(name);
    Ok(record)
}

fn number(value: usize) -> io::Result<u32> {
    u32::try_from(value).map_err(io::Error::other)
}
