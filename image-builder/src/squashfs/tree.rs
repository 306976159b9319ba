//! The manifest with what squashfs asks of it: children by directory, inode numbers, link counts.
//!
//! Inode numbers count from 1, the root's; all children of a directory have numbers in a row,
//! so that a listing needs few headers.

use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::file_system::FileSystemError;
use crate::manifest::{Content, ContentHash, Manifest, Node};

use super::KIND;
use super::xattrs::prefix_of;

/// The longest name that Linux knows.
const MAX_NAME: usize = 255;
/// The longest target that Linux follows.
const MAX_TARGET: usize = 4095;
/// A value's length has 32 bits in the format; Linux has this limit.
const MAX_XATTR: usize = 65_536;
const MAX_MAJOR: u32 = 0xfff;
const MAX_MINOR: u32 = 0xf_ffff;

/// One path.
#[derive(Debug, Clone)]
pub(super) struct Entry<'a> {
    pub path: &'a Path,
    pub node: &'a Node,
    /// Number of its inode; a hard link has that of its first name.
    pub inode: u32,
    /// The entry of its directory; the root is its own.
    pub parent: usize,
    /// The entry that has the inode: itself, but for a hard link.
    pub first: usize,
    /// Names of the inode, or two and a directory's subdirectories.
    pub links: u32,
    /// Which store object it is in.
    pub object: Option<usize>,
    children: Range<usize>,
}

/// All entries in the manifest's order: the root is number 0.
#[derive(Debug, Clone)]
pub(super) struct Tree<'a> {
    pub entries: Vec<Entry<'a>>,
    /// Roots of store objects, with their contents' hashes.
    pub objects: Vec<(&'a Path, Option<&'a ContentHash>)>,
    /// Inodes in all.
    pub inodes: u32,
    /// Entries by directory.
    by_parent: Vec<usize>,
}

impl Entry<'_> {
    pub fn name(&self) -> &[u8] {
        self.path.file_name().map_or(&[], OsStrExt::as_bytes)
    }

    pub fn is_directory(&self) -> bool {
        self.node.content == Content::Directory
    }

    /// Bytes of a regular file.
    pub fn size(&self) -> Option<u64> {
        match &self.node.content {
            Content::Bytes(bytes) => Some(bytes.len() as u64),
            Content::File { size, .. } => Some(*size),
            _ => None,
        }
    }

    pub fn refused(&self, problem: impl Into<String>) -> FileSystemError {
        FileSystemError::Entry {
            kind: KIND,
            path: self.path.to_owned(),
            problem: problem.into(),
        }
    }

    /// Refuses what squashfs, or Linux in it, cannot hold.
    fn check(&self) -> Result<(), FileSystemError> {
        if self.name().len() > MAX_NAME {
            return Err(self.refused(format!("its name is longer than {MAX_NAME} bytes")));
        }
        match &self.node.content {
            Content::Symlink(target) if !(1..=MAX_TARGET).contains(&target.as_os_str().len()) => {
                return Err(self.refused(format!(
                    "the link's target is empty, or longer than {MAX_TARGET} bytes"
                )));
            }
            Content::CharDevice { major, minor } | Content::BlockDevice { major, minor }
                if *major > MAX_MAJOR || *minor > MAX_MINOR =>
            {
                return Err(
                    self.refused(format!("device numbers go to {MAX_MAJOR} and {MAX_MINOR}"))
                );
            }
            _ => {}
        }
        for (name, value) in &self.node.xattrs {
            let shown = String::from_utf8_lossy(name);
            if prefix_of(name).is_none() {
                return Err(self.refused(format!(
                    "the attribute '{shown}' is neither user., trusted. nor security."
                )));
            }
            if name.len() > MAX_NAME || value.len() > MAX_XATTR {
                return Err(self.refused(format!("the attribute '{shown}' is too large")));
            }
        }
        Ok(())
    }
}

impl<'a> Tree<'a> {
    pub fn new(manifest: &'a Manifest) -> Result<Self, FileSystemError> {
        let mut tree = Self {
            entries: Vec::new(),
            objects: manifest.objects().collect(),
            inodes: 0,
            by_parent: Vec::new(),
        };
        tree.add_entries(manifest)?;
        tree.find_children();
        tree.number()?;
        Ok(tree)
    }

    /// The entries in the directory `entry`, by name.
    pub fn children(&self, entry: &Entry<'_>) -> impl DoubleEndedIterator<Item = usize> {
        let range = self.by_parent.get(entry.children.clone());
        range.unwrap_or_default().iter().copied()
    }

    /// Regular files, each once, in the manifest's order.
    pub fn files(&self) -> impl Iterator<Item = (usize, &Entry<'a>)> {
        let entries = self.entries.iter().enumerate();
        entries.filter(|(_, entry)| entry.size().is_some())
    }

    fn add_entries(&mut self, manifest: &'a Manifest) -> Result<(), FileSystemError> {
        // Directories from the root to the last entry's parent, as entries come depth-first.
        let mut directories: Vec<usize> = Vec::new();
        let mut objects = self.objects.iter().map(|(path, _)| *path).enumerate();
        let mut object = objects.next();
        for (index, (path, node)) in manifest.entries().enumerate() {
            let parent_path = path.parent().unwrap_or(path);
            while let Some(last) = directories.last().and_then(|last| self.entries.get(*last))
                && last.path != parent_path
            {
                directories.pop();
            }
            let parent = directories.last().copied().unwrap_or(index);
            let begun = object.filter(|(_, begin)| *begin == path);
            if begun.is_some() {
                object = objects.next();
            }
            let inherited = self.entries.get(parent).and_then(|parent| parent.object);
            let entry = Entry {
                path,
                node,
                inode: 0,
                parent,
                first: index,
                links: if node.content == Content::Directory {
                    2
                } else {
                    1
                },
                object: begun.map(|(number, _)| number).or(inherited),
                children: 0..0,
            };
            entry.check()?;
            if entry.is_directory() {
                directories.push(index);
                if parent != index
                    && let Some(parent) = self.entries.get_mut(parent)
                {
                    parent.links += 1;
                }
            }
            self.entries.push(entry);
        }
        Ok(())
    }

    fn find_children(&mut self) {
        let parent = |index: &usize| self.entries.get(*index).map(|entry| entry.parent);
        let mut order: Vec<usize> = (1..self.entries.len()).collect();
        // Stable: siblings stay in the order of their names.
        order.sort_by_key(parent);
        let mut start = 0;
        let mut ranges = Vec::new();
        for run in order.chunk_by(|one, other| parent(one) == parent(other)) {
            let end = start + run.len();
            ranges.extend(
                run.first()
                    .and_then(parent)
                    .map(|parent| (parent, start..end)),
            );
            start = end;
        }
        for (parent, range) in ranges {
            if let Some(entry) = self.entries.get_mut(parent) {
                entry.children = range;
            }
        }
        self.by_parent = order;
    }

    fn number(&mut self) -> Result<(), FileSystemError> {
        let too_many = |_| FileSystemError::Whole {
            kind: KIND,
            label: String::new(),
            size: 0,
            problem: "it has more than 4,294,967,294 files".to_owned(),
        };
        let mut links = Vec::new();
        let mut next = 1u32;
        // One more is what the root's parent is called.
        u32::try_from(self.entries.len() + 1).map_err(too_many)?;
        for index in std::iter::once(0).chain(self.by_parent.iter().copied()) {
            let Some(entry) = self.entries.get_mut(index) else {
                continue;
            };
            if let Content::HardLink(target) = &entry.node.content {
                links.push((index, target.as_path()));
            } else {
                entry.inode = next;
                next += 1;
            }
        }
        self.inodes = next - 1;
        for (index, target) in links {
            // The manifest's order is that of paths.
            let found = self
                .entries
                .binary_search_by(|entry| entry.path.cmp(target))
                .ok();
            let number = found
                .and_then(|first| self.entries.get_mut(first))
                .map(|first| {
                    first.links += 1;
                    first.inode
                });
            if let (Some(first), Some(number), Some(entry)) =
                (found, number, self.entries.get_mut(index))
            {
                (entry.first, entry.inode) = (first, number);
            }
        }
        Ok(())
    }
}
