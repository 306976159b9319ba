//! All that lies behind the contents: inodes, listings and tables.
//!
//! ```text
//! inodes, directories, fragments' table, export table, ids, attributes
//! ```
//! Linux holds each table against the start of the next one: their order is part of the format.

use std::collections::HashMap;
use std::io;
use std::os::unix::ffi::OsStrExt;

use crate::manifest::{Content, Node};

use super::Options;
use super::contents::Contents;
use super::directory::{Name, write_listing};
use super::inode::{self, Common, kind};
use super::metadata::{Metadata, Place, indexed_table};
use super::superblock::{NO_TABLE, Superblock};
use super::tree::{Entry, Tree};
use super::xattrs::Xattrs;

/// Inodes and listings being written.
struct Index<'a> {
    tree: &'a Tree<'a>,
    contents: &'a Contents<'a>,
    block_size: u32,
    inodes: Metadata,
    listings: Metadata,
    ids: Ids,
    xattrs: Xattrs<'a>,
    /// Of the inodes written so far, by number - 1.
    places: Vec<Option<Place>>,
}

/// User and group numbers in the order in which they were first seen.
#[derive(Default)]
struct Ids {
    known: HashMap<u32, u16>,
    list: Vec<u32>,
}

impl Ids {
    fn number(&mut self, id: u32) -> io::Result<u16> {
        if let Some(number) = self.known.get(&id) {
            return Ok(*number);
        }
        // The superblock counts them in 16 bits.
        let number = u16::try_from(self.list.len())
            .ok()
            .filter(|number| *number < u16::MAX)
            .ok_or_else(|| io::Error::other("its files have more than 65535 owners and groups"))?;
        self.list.push(id);
        self.known.insert(id, number);
        Ok(number)
    }
}

/// What lies from `start` on, and the superblock that says so.
pub(super) fn index(
    tree: &Tree<'_>,
    contents: &Contents<'_>,
    options: &Options,
    start: u64,
) -> io::Result<(Vec<u8>, Superblock)> {
    let level = options.level.get();
    let mut index = Index {
        tree,
        contents,
        block_size: options.block_size.get(),
        inodes: Metadata::new(level)?,
        listings: Metadata::new(level)?,
        ids: Ids::default(),
        xattrs: Xattrs::new(level)?,
        places: vec![None; usize::try_from(tree.inodes).map_err(io::Error::other)?],
    };
    let root = index.write_directories()?;

    let (mut bytes, _) = index.inodes.finish()?;
    let directory_table = start + bytes.len() as u64;
    bytes.append(&mut index.listings.finish()?.0);
    let add = |bytes: &mut Vec<u8>, (table, offset): (Vec<u8>, u64)| {
        bytes.extend_from_slice(&table);
        offset
    };
    let end = |bytes: &Vec<u8>| start + bytes.len() as u64;
    let table = indexed_table(level, contents.fragment_records(), end(&bytes))?;
    let fragment_table = add(&mut bytes, table);
    let places = index.places.iter().flatten();
    let exports = places.map(|place| place.reference().to_le_bytes());
    let table = indexed_table(level, exports, end(&bytes))?;
    let export_table = add(&mut bytes, table);
    let ids = index.ids.list.iter().map(|id| id.to_le_bytes());
    let table = indexed_table(level, ids, end(&bytes))?;
    let id_table = add(&mut bytes, table);
    let xattr_table = match index.xattrs.finish(end(&bytes))? {
        Some(table) => add(&mut bytes, table),
        None => NO_TABLE,
    };
    let superblock = Superblock {
        inodes: tree.inodes,
        epoch: options.epoch,
        block_size: options.block_size.get(),
        fragments: u32::try_from(contents.fragment_count()).map_err(io::Error::other)?,
        ids: u16::try_from(index.ids.list.len()).map_err(io::Error::other)?,
        root: root.reference(),
        bytes: end(&bytes),
        id_table,
        xattr_table,
        inode_table: start,
        directory_table,
        fragment_table,
        export_table,
        level,
    };
    Ok((bytes, superblock))
}

impl<'a> Index<'a> {
    /// Writes all inodes, a directory's after those of its children, and gives back the root's
    /// place.
    fn write_directories(&mut self) -> io::Result<Place> {
        let tree = self.tree;
        // Backwards, the manifest's order has all that is in a directory before it.
        let mut root = Place {
            block: 0,
            offset: 0,
        };
        for entry in tree.entries.iter().rev() {
            if entry.is_directory() {
                root = self.write_directory(entry)?;
            }
        }
        Ok(root)
    }

    fn write_directory(&mut self, directory: &Entry<'a>) -> io::Result<Place> {
        let tree = self.tree;
        let mut names = Vec::new();
        for index in tree.children(directory) {
            let Some(entry) = tree.entries.get(index) else {
                continue;
            };
            let Some(first) = tree.entries.get(entry.first) else {
                continue;
            };
            names.push(Name {
                text: entry.name(),
                place: self.written(entry.first, first)?,
                inode: first.inode,
                kind: kind_of(first.node),
            });
        }
        let listing = write_listing(&mut self.listings, &names)?;
        // The root's parent has the number after the last.
        let parent = match tree.entries.get(directory.parent) {
            Some(parent) if parent.inode != directory.inode => parent.inode,
            _ => tree.inodes + 1,
        };
        let common = self.common(directory)?;
        self.place_inode(directory, &inode::directory(&common, &listing, parent))
    }

    /// The place of an inode, which is written now if it is not there yet.
    fn written(&mut self, index: usize, entry: &Entry<'a>) -> io::Result<Place> {
        let number = usize::try_from(entry.inode).map_err(io::Error::other)?;
        let known = self.places.get(number.wrapping_sub(1)).copied().flatten();
        if let Some(place) = known {
            return Ok(place);
        }
        let common = self.common(entry)?;
        let bytes = match &entry.node.content {
            Content::Bytes(_) | Content::File { .. } => {
                let size = entry.size().unwrap_or(0);
                inode::file(&common, &self.contents.of(index, size, self.block_size))
            }
            Content::Symlink(target) => inode::symlink(&common, target.as_os_str().as_bytes()),
            Content::CharDevice { major, minor } => {
                inode::device(&common, kind::CHAR_DEVICE, *major, *minor)
            }
            Content::BlockDevice { major, minor } => {
                inode::device(&common, kind::BLOCK_DEVICE, *major, *minor)
            }
            Content::Directory | Content::HardLink(_) => {
                return Err(io::Error::other(
                    "a directory's inode comes before its names",
                ));
            }
        };
        self.place_inode(entry, &bytes)
    }

    fn place_inode(&mut self, entry: &Entry<'_>, bytes: &[u8]) -> io::Result<Place> {
        let place = self.inodes.place()?;
        self.inodes.write(bytes)?;
        let number = usize::try_from(entry.inode).map_err(io::Error::other)?;
        if let Some(known) = self.places.get_mut(number.wrapping_sub(1)) {
            *known = Some(place);
        }
        Ok(place)
    }

    fn common(&mut self, entry: &Entry<'a>) -> io::Result<Common> {
        let node = entry.node;
        Ok(Common {
            mode: u16::try_from(node.mode & 0o7777).map_err(io::Error::other)?,
            owner: self.ids.number(node.uid)?,
            group: self.ids.number(node.gid)?,
            time: node.mtime,
            number: entry.inode,
            links: entry.links,
            xattrs: self.xattrs.number(&node.xattrs)?,
        })
    }
}

fn kind_of(node: &Node) -> u16 {
    match &node.content {
        Content::Directory => kind::DIRECTORY,
        Content::Bytes(_) | Content::File { .. } | Content::HardLink(_) => kind::FILE,
        Content::Symlink(_) => kind::SYMLINK,
        Content::CharDevice { .. } => kind::CHAR_DEVICE,
        Content::BlockDevice { .. } => kind::BLOCK_DEVICE,
    }
}
