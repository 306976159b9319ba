//! Inodes, each in the short form of its kind where that says all, else in the long one.
//!
//! ```text
//! all:        u16 kind, u16 mode, u16 owner, u16 group (numbers of ids), u32 time, u32 number
//! directory:  u32 block, u32 links, u16 length, u16 offset, u32 parent's number
//!   long:     u32 links, u32 length, u32 block, u32 parent's number, u16 records of the index,
//!             u16 offset, u32 attributes; index
//! file:       u32 start, u32 fragment, u32 offset in it, u32 size; u32 stored size of each block
//!   long:     u64 start, u64 size, u64 bytes in holes, u32 links, u32 fragment, u32 offset in it,
//!             u32 attributes; u32 stored size of each block
//! link:       u32 links, u32 length, target; long: u32 attributes
//! device:     u32 links, u32 number; long: u32 attributes
//! ```

use super::directory::Listing;
use super::xattrs::NONE;

/// A kind's plain number; the long form's is greater by [`LONG`].
pub(super) mod kind {
    pub const DIRECTORY: u16 = 1;
    pub const FILE: u16 = 2;
    pub const SYMLINK: u16 = 3;
    pub const BLOCK_DEVICE: u16 = 4;
    pub const CHAR_DEVICE: u16 = 5;
}
const LONG: u16 = 7;
/// The fragment of a file that is in none.
pub(super) const NO_FRAGMENT: u32 = u32::MAX;

/// What every inode has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Common {
    pub mode: u16,
    pub owner: u16,
    pub group: u16,
    pub time: u32,
    pub number: u32,
    pub links: u32,
    pub xattrs: u32,
}

/// Where a file's content is.
#[derive(Debug, Clone, Copy)]
pub(super) struct FileData<'a> {
    pub start: u64,
    pub size: u64,
    pub holes: u64,
    pub fragment: u32,
    pub offset: u32,
    pub blocks: &'a [u32],
}

/// Little-endian numbers, one after the other.
struct Bytes(Vec<u8>);

impl Bytes {
    fn new(kind: u16, common: &Common) -> Self {
        let mut bytes = Self(Vec::with_capacity(64));
        bytes.u16(kind).u16(common.mode);
        bytes.u16(common.owner).u16(common.group);
        bytes.u32(common.time).u32(common.number);
        bytes
    }

    fn u16(&mut self, value: u16) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    fn u32(&mut self, value: u32) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    fn u64(&mut self, value: u64) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }
}

pub(super) fn directory(common: &Common, listing: &Listing, parent: u32) -> Vec<u8> {
    let short = u16::try_from(listing.length)
        .ok()
        .filter(|_| common.xattrs == NONE && listing.index.is_empty());
    if let Some(length) = short {
        let mut bytes = Bytes::new(kind::DIRECTORY, common);
        bytes.u32(listing.place.block).u32(common.links).u16(length);
        bytes.u16(listing.place.offset).u32(parent);
        return bytes.0;
    }
    // Linux looks from the last record that is not past the name: fewer are slower, not wrong.
    let records = u16::try_from(listing.index.len()).unwrap_or(u16::MAX);
    let mut bytes = Bytes::new(kind::DIRECTORY + LONG, common);
    bytes.u32(common.links).u32(listing.length);
    bytes.u32(listing.place.block).u32(parent);
    bytes.u16(records).u16(listing.place.offset);
    bytes.u32(common.xattrs);
    for record in listing.index.iter().take(usize::from(records)) {
        bytes.raw(record);
    }
    bytes.0
}

pub(super) fn file(common: &Common, data: &FileData<'_>) -> Vec<u8> {
    let short = (u32::try_from(data.start).ok())
        .zip(u32::try_from(data.size).ok())
        .filter(|_| common.xattrs == NONE && common.links == 1 && data.holes == 0);
    let mut bytes = if let Some((start, size)) = short {
        let mut bytes = Bytes::new(kind::FILE, common);
        bytes.u32(start).u32(data.fragment).u32(data.offset);
        bytes.u32(size);
        bytes
    } else {
        let mut bytes = Bytes::new(kind::FILE + LONG, common);
        bytes.u64(data.start).u64(data.size).u64(data.holes);
        bytes.u32(common.links).u32(data.fragment).u32(data.offset);
        bytes.u32(common.xattrs);
        bytes
    };
    for block in data.blocks {
        bytes.u32(*block);
    }
    bytes.0
}

pub(super) fn symlink(common: &Common, target: &[u8]) -> Vec<u8> {
    // Targets are checked to be shorter than 4096 bytes.
    let length = u32::try_from(target.len()).unwrap_or(0);
    let mut bytes = Bytes::new(long_with_xattrs(kind::SYMLINK, common), common);
    bytes.u32(common.links).u32(length).raw(target);
    with_xattrs(bytes, common)
}

/// `kind` is that of a character or block device.
pub(super) fn device(common: &Common, kind: u16, major: u32, minor: u32) -> Vec<u8> {
    let number = minor & 0xff | major << 8 | (minor & !0xff) << 12;
    let mut bytes = Bytes::new(long_with_xattrs(kind, common), common);
    bytes.u32(common.links).u32(number);
    with_xattrs(bytes, common)
}

fn long_with_xattrs(kind: u16, common: &Common) -> u16 {
    if common.xattrs == NONE {
        kind
    } else {
        kind + LONG
    }
}

fn with_xattrs(mut bytes: Bytes, common: &Common) -> Vec<u8> {
    if common.xattrs != NONE {
        bytes.u32(common.xattrs);
    }
    bytes.0
}
