//! A reader of ext4 as GRUB reads it: blocks as they are on the disk, journal left alone.
//!
//! It sees what GRUB sees, and, above a layer of [`super::journal`], what Linux sees. Checksums of
//! metadata are not looked at, as GRUB does not; that is e2fsck's part.
//! Source: kernel document `filesystems/ext4`.
//!
//! Invariant: whatever is on the disk, a question ends with an answer or an error.

use std::io;
use std::sync::Arc;

use super::disk::ReadAt;

const MAGIC: u16 = 0xef53;
const SUPERBLOCK: u64 = 1024;

/// Features that change how things are read: filetype, recover, extents, 64bit, `flex_bg`, `csum_seed`.
const KNOWN_FEATURES: u32 = 0x2 | 0x4 | 0x40 | 0x80 | 0x200 | 0x2000;
const FEATURE_64BIT: u32 = 0x80;

const EXTENTS_FLAG: u32 = 0x8_0000;
const EXTENT_MAGIC: u16 = 0xf30a;
/// An extent with a length above was allocated and not written.
const UNWRITTEN: u32 = 32768;
const MAX_DEPTH: u16 = 5;
/// More than any disk here has.
const MAX_GROUPS: u32 = 1 << 16;

/// The inode of `/`.
pub const ROOT: u32 = 2;
/// The inode of the journal.
pub const JOURNAL: u32 = 8;

/// Links on one way, and bytes of a link.
const MAX_LINKS: u32 = 40;
/// More than any directory here has.
const MAX_DIRECTORY: u64 = 64 << 20;

/// Why something cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Ext4Error {
    /// The disk.
    #[error("cannot read the disk: {0}")]
    Io(#[from] io::Error),
    /// The file system is not as it should be.
    #[error("damaged: {0}")]
    Damaged(String),
    /// There is no such file.
    #[error("there is no {0}")]
    NotFound(String),
}

type Result<T> = std::result::Result<T, Ext4Error>;

fn damaged(what: impl Into<String>) -> Ext4Error {
    Ext4Error::Damaged(what.into())
}

/// A file system on a part of a disk.
#[derive(Debug)]
pub struct Ext4<D> {
    disk: D,
    start: u64,
    block_size: u64,
    blocks: u64,
    inodes_per_group: u32,
    inode_size: u64,
    /// Where the inodes of each group begin: that never changes.
    tables: Arc<[u64]>,
}

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// With content.
    Regular,
    /// With names.
    Directory,
    /// With a target.
    Symlink,
    /// Anything else.
    Other,
}

/// A file without its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inode {
    /// Its number.
    pub number: u32,
    /// Type and permissions.
    pub mode: u16,
    /// Bytes of its content.
    pub size: u64,
    /// How many names it has.
    pub links: u16,
    flags: u32,
    map: [u8; 60],
}

impl Inode {
    /// What it is.
    #[must_use]
    pub fn kind(&self) -> FileKind {
        match self.mode & 0o170_000 {
            0o100_000 => FileKind::Regular,
            0o040_000 => FileKind::Directory,
            0o120_000 => FileKind::Symlink,
            _ => FileKind::Other,
        }
    }
}

/// A run of a file's blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Extent {
    /// Its first block in the file.
    logical: u64,
    length: u64,
    /// Its first block on the disk; none if it reads as zeros.
    physical: Option<u64>,
}

impl<D: ReadAt> Ext4<D> {
    /// The file system that begins at the byte `start` of the disk.
    ///
    /// # Errors
    /// There is none, or one with features that are not known here.
    pub fn open(disk: D, start: u64) -> Result<Self> {
        let mut block = [0; 1024];
        disk.read_at(start + SUPERBLOCK, &mut block)?;
        if u16_at(&block, 0x38) != MAGIC {
            return Err(damaged("no superblock"));
        }
        let features = u32_at(&block, 0x60);
        if features & !KNOWN_FEATURES != 0 {
            return Err(damaged(format!("features {features:#x} are not known")));
        }
        let log_size = u32_at(&block, 0x18);
        let wide = features & FEATURE_64BIT != 0;
        let high = if wide {
            u64::from(u32_at(&block, 0x150))
        } else {
            0
        };
        let descriptor_size = if wide {
            u64::from(u16_at(&block, 0xfe))
        } else {
            32
        };
        let mut this = Self {
            disk,
            start,
            block_size: 1024_u64.checked_shl(log_size).unwrap_or_default(),
            blocks: u64::from(u32_at(&block, 0x4)) | high << 32,
            inodes_per_group: u32_at(&block, 0x28),
            inode_size: u64::from(u16_at(&block, 0x58)),
            tables: Arc::default(),
        };
        let sane = (1024..=65536).contains(&this.block_size)
            && this.inodes_per_group > 0
            && (128..=4096).contains(&this.inode_size)
            && (32..=1024).contains(&descriptor_size);
        let groups = u32_at(&block, 0).div_ceil(this.inodes_per_group.max(1));
        if !sane || groups > MAX_GROUPS {
            return Err(damaged("the superblock"));
        }
        let tables = (0..u64::from(groups)).map(|group| this.inode_table(group, descriptor_size));
        this.tables = tables.collect::<Result<_>>()?;
        Ok(this)
    }

    /// The same file system, its blocks read from another disk.
    #[must_use]
    pub fn on<Other>(&self, disk: Other) -> Ext4<Other> {
        Ext4 {
            disk,
            start: self.start,
            block_size: self.block_size,
            blocks: self.blocks,
            inodes_per_group: self.inodes_per_group,
            inode_size: self.inode_size,
            tables: Arc::clone(&self.tables),
        }
    }

    /// What it reads from.
    pub fn disk(&self) -> &D {
        &self.disk
    }

    /// Bytes of a block.
    #[must_use]
    pub fn block_size(&self) -> u64 {
        self.block_size
    }

    /// Where a block is on the disk, in bytes.
    ///
    /// # Errors
    /// The file system has no such block.
    pub fn place(&self, block: u64) -> Result<u64> {
        if block >= self.blocks {
            return Err(damaged(format!("block {block} is beyond its end")));
        }
        Ok(self.start + block * self.block_size)
    }

    fn read_block(&self, block: u64) -> Result<Vec<u8>> {
        let mut buffer = vec![0; usize::try_from(self.block_size).unwrap_or_default()];
        self.disk.read_at(self.place(block)?, &mut buffer)?;
        Ok(buffer)
    }

    /// The inode with this number.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub fn inode(&self, number: u32) -> Result<Inode> {
        let index = number.checked_sub(1).ok_or_else(|| damaged("inode 0"))?;
        let (group, index) = (index / self.inodes_per_group, index % self.inodes_per_group);
        let table = self.tables.get(group as usize);
        let table = table.ok_or_else(|| damaged(format!("there is no inode {number}")))?;
        let mut bytes = [0; 128];
        let within = u64::from(index) * self.inode_size;
        let place = self.place(table + within / self.block_size)? + within % self.block_size;
        self.disk.read_at(place, &mut bytes)?;
        let mut map = [0; 60];
        map.copy_from_slice(bytes.get(0x28..0x64).unwrap_or(&[0; 60]));
        Ok(Inode {
            number,
            mode: u16_at(&bytes, 0x0),
            size: u64::from(u32_at(&bytes, 0x4)) | u64::from(u32_at(&bytes, 0x6c)) << 32,
            links: u16_at(&bytes, 0x1a),
            flags: u32_at(&bytes, 0x20),
            map,
        })
    }

    fn inode_table(&self, group: u64, descriptor_size: u64) -> Result<u64> {
        // The table of groups follows the superblock's block.
        let first = if self.block_size == 1024 { 2 } else { 1 };
        let offset = group * descriptor_size;
        let place = self.place(first + offset / self.block_size)? + offset % self.block_size;
        let mut bytes = [0; 64];
        let length = if descriptor_size >= 64 { 64 } else { 32 };
        let wanted = bytes.get_mut(..length).unwrap_or_default();
        self.disk.read_at(place, wanted)?;
        let high = if length == 64 {
            u32_at(&bytes, 0x28)
        } else {
            0
        };
        Ok(u64::from(u32_at(&bytes, 0x8)) | u64::from(high) << 32)
    }

    fn extents(&self, inode: &Inode) -> Result<Vec<Extent>> {
        if inode.flags & EXTENTS_FLAG == 0 {
            return Err(damaged(format!("inode {} has no extents", inode.number)));
        }
        let mut extents = Vec::new();
        self.collect(&inode.map, MAX_DEPTH, &mut extents)
            .map_err(|error| match error {
                Ext4Error::Damaged(what) => damaged(format!("inode {}: {what}", inode.number)),
                other => other,
            })?;
        Ok(extents)
    }

    /// Adds the extents of a node of a file's tree; its depth is below `limit`.
    fn collect(&self, node: &[u8], limit: u16, extents: &mut Vec<Extent>) -> Result<()> {
        let (count, depth) = (u16_at(node, 2), u16_at(node, 6));
        if u16_at(node, 0) != EXTENT_MAGIC || depth > limit {
            return Err(damaged("no node of extents"));
        }
        let entries = node.get(12..).unwrap_or_default().chunks_exact(12);
        if usize::from(count) > entries.len() {
            return Err(damaged("a node of extents is too full"));
        }
        for entry in entries.take(usize::from(count)) {
            if depth > 0 {
                let child = u64::from(u32_at(entry, 4)) | u64::from(u16_at(entry, 8)) << 32;
                let below = depth - 1;
                let child = self.read_block(child)?;
                if u16_at(&child, 6) != below {
                    return Err(damaged("a node of extents at another depth"));
                }
                self.collect(&child, below, extents)?;
                continue;
            }
            let length = u32::from(u16_at(entry, 4));
            let physical = u64::from(u32_at(entry, 8)) | u64::from(u16_at(entry, 6)) << 32;
            let written = length <= UNWRITTEN;
            extents.push(Extent {
                logical: u64::from(u32_at(entry, 0)),
                length: u64::from(if written { length } else { length - UNWRITTEN }),
                physical: written.then_some(physical),
            });
        }
        Ok(())
    }

    /// Which block of the disk each block of a file is, holes left out.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn block_map(&self, inode: &Inode) -> Result<Vec<u64>> {
        let mut blocks = Vec::new();
        for extent in self.extents(inode)? {
            let first = extent
                .physical
                .ok_or_else(|| damaged("an unwritten block"))?;
            if blocks.len() as u64 != extent.logical {
                return Err(damaged("a hole"));
            }
            self.place(first + extent.length.saturating_sub(1))?;
            blocks.extend(first..first + extent.length);
        }
        Ok(blocks)
    }

    /// Hands the content of a file to `take`, in pieces.
    ///
    /// # Errors
    /// It cannot be read, or it is no regular file or directory; or `take` fails.
    pub fn read_pieces(
        &self,
        inode: &Inode,
        take: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<()> {
        let mut buffer = vec![0; 128 << 10];
        let mut done = 0;
        for extent in self.extents(inode)? {
            let begin = extent
                .logical
                .saturating_mul(self.block_size)
                .min(inode.size);
            let end = extent.logical + extent.length;
            let end = end.saturating_mul(self.block_size).min(inode.size);
            if begin < done {
                return Err(damaged(format!("inode {}: extents overlap", inode.number)));
            }
            // Between extents there is a hole.
            for (from, to, physical) in [(done, begin, None), (begin, end, extent.physical)] {
                self.read_run(from..to, physical, &mut buffer, take)?;
            }
            done = end.max(done);
        }
        self.read_run(done..inode.size, None, &mut buffer, take)
    }

    fn read_run(
        &self,
        bytes: std::ops::Range<u64>,
        physical: Option<u64>,
        buffer: &mut [u8],
        take: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<()> {
        let mut place = bytes.start;
        while place < bytes.end {
            let length = (bytes.end - place).min(buffer.len() as u64);
            let piece = usize::try_from(length).unwrap_or_default();
            let piece = buffer.get_mut(..piece).unwrap_or_default();
            match physical {
                Some(first) => {
                    let offset = place - bytes.start;
                    let block = first + offset / self.block_size;
                    self.place(first + (offset + length - 1) / self.block_size)?;
                    let at = self.place(block)? + offset % self.block_size;
                    self.disk.read_at(at, piece)?;
                }
                None => piece.fill(0),
            }
            take(piece)?;
            place += length;
        }
        Ok(())
    }

    /// The content of a file, which is at most `limit` bytes.
    ///
    /// # Errors
    /// It cannot be read, or is longer.
    pub fn content(&self, inode: &Inode, limit: u64) -> Result<Vec<u8>> {
        if inode.size > limit {
            let Inode { number, size, .. } = inode;
            return Err(damaged(format!("inode {number} has {size} bytes")));
        }
        let mut content = Vec::new();
        self.read_pieces(inode, &mut |piece| {
            content.extend(piece);
            Ok(())
        })?;
        Ok(content)
    }

    /// Name and inode of each entry of a directory but `.` and `..`.
    ///
    /// # Errors
    /// It is none, or is damaged.
    pub fn entries(&self, directory: &Inode) -> Result<Vec<(Vec<u8>, u32)>> {
        if directory.kind() != FileKind::Directory {
            return Err(damaged(format!(
                "inode {} is no directory",
                directory.number
            )));
        }
        let content = self.content(directory, MAX_DIRECTORY)?;
        let mut entries = Vec::new();
        let mut rest = &content[..];
        while !rest.is_empty() {
            let length = usize::from(u16_at(rest, 4));
            let name_length = usize::from(rest.get(6).copied().unwrap_or_default());
            let (Some(name), Some(next)) = (rest.get(8..8 + name_length), rest.get(length..))
            else {
                return Err(damaged(format!("directory {} ends", directory.number)));
            };
            if length < 8 + name_length {
                return Err(damaged(format!(
                    "directory {} has a bad entry",
                    directory.number
                )));
            }
            let number = u32_at(rest, 0);
            if number != 0 && name != b"." && name != b".." {
                entries.push((name.to_owned(), number));
            }
            rest = next;
        }
        Ok(entries)
    }

    /// Where a link leads.
    ///
    /// # Errors
    /// It is none, or cannot be read.
    pub fn target(&self, link: &Inode) -> Result<Vec<u8>> {
        if link.kind() != FileKind::Symlink {
            return Err(damaged(format!("inode {} is no link", link.number)));
        }
        if link.flags & EXTENTS_FLAG == 0 {
            let length = usize::try_from(link.size).unwrap_or(usize::MAX);
            return Ok(link.map.get(..length).unwrap_or_default().to_owned());
        }
        self.content(link, 4096)
    }

    /// The file at `path`, links on the way and at its end followed; `/` is this file system's.
    ///
    /// # Errors
    /// There is none, or the way is damaged.
    pub fn find(&self, path: &str) -> Result<Inode> {
        self.walk(path, true)
    }

    /// As [`Self::find`], but a link at the end is the answer.
    ///
    /// # Errors
    /// As for [`Self::find`].
    pub fn find_link(&self, path: &str) -> Result<Inode> {
        self.walk(path, false)
    }

    fn walk(&self, path: &str, follow: bool) -> Result<Inode> {
        let missing = || Ext4Error::NotFound(path.to_owned());
        // The way that is still to be gone, the next name last.
        let names = |path: &str| -> Vec<String> {
            let names = path
                .split('/')
                .filter(|name| !name.is_empty() && *name != ".");
            names.rev().map(str::to_owned).collect()
        };
        let mut way = names(path);
        let mut trail = vec![self.inode(ROOT)?];
        let mut links = 0;
        while let Some(name) = way.pop() {
            if name == ".." {
                if trail.len() > 1 {
                    trail.pop();
                }
                continue;
            }
            let here = trail.last().ok_or_else(missing)?;
            let entries = self.entries(here)?;
            let entry = entries.iter().find(|(other, _)| other == name.as_bytes());
            let inode = self.inode(entry.ok_or_else(missing)?.1)?;
            if inode.kind() == FileKind::Symlink && (follow || !way.is_empty()) {
                links += 1;
                if links > MAX_LINKS {
                    return Err(damaged(format!("{path} leads through too many links")));
                }
                let target = String::from_utf8_lossy(&self.target(&inode)?).into_owned();
                if target.starts_with('/') {
                    trail.truncate(1);
                }
                way.extend(names(&target));
                continue;
            }
            trail.push(inode);
        }
        trail.pop().ok_or_else(missing)
    }

    /// The content of the file at `path`, which is at most `limit` bytes.
    ///
    /// # Errors
    /// There is no such regular file, or it cannot be read.
    pub fn read(&self, path: &str, limit: u64) -> Result<Vec<u8>> {
        let inode = self.find(path)?;
        if inode.kind() != FileKind::Regular {
            return Err(damaged(format!("{path} is no file")));
        }
        self.content(&inode, limit)
    }

    /// The target of the link at `path`.
    ///
    /// # Errors
    /// There is no such link, or it cannot be read.
    pub fn read_link(&self, path: &str) -> Result<String> {
        let target = self.target(&self.find_link(path)?)?;
        String::from_utf8(target).map_err(|_| damaged(format!("{path} leads to no text")))
    }
}

pub(crate) fn u16_at(bytes: &[u8], place: usize) -> u16 {
    let word = bytes.get(place..).and_then(<[u8]>::first_chunk);
    word.copied().map_or(0, u16::from_le_bytes)
}

pub(crate) fn u32_at(bytes: &[u8], place: usize) -> u32 {
    let word = bytes.get(place..).and_then(<[u8]>::first_chunk);
    word.copied().map_or(0, u32::from_le_bytes)
}
