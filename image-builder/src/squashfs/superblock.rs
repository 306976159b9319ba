//! The first 96 bytes, and the compressor's options after them.
//!
//! ```text
//! u32 magic, u32 inodes, u32 time, u32 block size, u32 fragments, u16 compressor,
//! u16 log2 of the block size, u16 flags, u16 ids, u16 4, u16 0, u64 root inode, u64 bytes,
//! u64 offsets of: ids, attributes, inodes, directories, fragments, export table
//! options: a block of metadata that is not compressed: u32 level
//! ```

/// Bytes of the superblock and of the options.
pub(super) const LENGTH: u64 = 96 + 2 + 4;
/// The offset of a table that is not there.
pub(super) const NO_TABLE: u64 = u64::MAX;

const MAGIC: u32 = 0x7371_7368;
const VERSION: [u16; 2] = [4, 0];
const ZSTD: u16 = 6;

const DEDUPLICATED: u16 = 0x40;
const EXPORTABLE: u16 = 0x80;
const NO_XATTRS: u16 = 0x200;
const OPTIONS: u16 = 0x400;

/// What the superblock says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Superblock {
    pub inodes: u32,
    pub epoch: u32,
    pub block_size: u32,
    pub fragments: u32,
    pub ids: u16,
    pub root: u64,
    pub bytes: u64,
    pub id_table: u64,
    pub xattr_table: u64,
    pub inode_table: u64,
    pub directory_table: u64,
    pub fragment_table: u64,
    pub export_table: u64,
    pub level: i32,
}

impl Superblock {
    /// Superblock and options.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut flags = DEDUPLICATED | EXPORTABLE | OPTIONS;
        if self.xattr_table == NO_TABLE {
            flags |= NO_XATTRS;
        }
        let log = u16::try_from(self.block_size.trailing_zeros()).unwrap_or(0);
        let mut bytes = Vec::new();
        for value in [
            MAGIC,
            self.inodes,
            self.epoch,
            self.block_size,
            self.fragments,
        ] {
            bytes.extend_from_slice(&value.to_le_bytes());
        }
        let [major, minor] = VERSION;
        for value in [ZSTD, log, flags, self.ids, major, minor] {
            bytes.extend_from_slice(&value.to_le_bytes());
        }
        for value in [
            self.root,
            self.bytes,
            self.id_table,
            self.xattr_table,
            self.inode_table,
            self.directory_table,
            self.fragment_table,
            self.export_table,
        ] {
            bytes.extend_from_slice(&value.to_le_bytes());
        }
        bytes.extend_from_slice(&0x8004_u16.to_le_bytes());
        bytes.extend_from_slice(&self.level.to_le_bytes());
        bytes
    }
}
