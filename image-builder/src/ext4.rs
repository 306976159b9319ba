//! ext4, by the crate `mkext4`.
//!
//! The file system is sealed first: every block's place is known. Then the metadata is written,
//! then each file's content to its blocks, in ascending order, neighbours together; a share of the
//! files by each core, since no file waits for another.
//!
//! Limits of the writer: names, link targets and names of extended attributes are UTF-8; an
//! extended attribute's value and name fit one block; there is no `resize_inode` (Linux grows the
//! file system with `meta_bg`, which GRUB reads).

use std::collections::BTreeMap;
use std::io;
use std::num::NonZero;
use std::path::Path;
use std::sync::mpsc;

use mkext4::{FsBuilder, InodeCount, InodeHandle, Meta, Options, ROOT, RegionSink, SpecialKind};
use uuid::Uuid;

use crate::ext4_size::blocks_for;
use crate::file_system::{FileSystemError, FileSystemWriter};
use crate::fill::{Filler, Span};
use crate::manifest::{Content, Manifest, Node};
use crate::region::Region;

pub(crate) const KIND: &str = "ext4";
pub(crate) const BLOCK: u64 = 4096;

/// An ext4 file system to be.
#[derive(Debug, Clone)]
pub struct Ext4 {
    /// Its label, at most 16 bytes.
    pub label: String,
    /// Its UUID; the seed of the directories' hashes comes from it too.
    pub uuid: Uuid,
    /// Time of its making, in seconds since 1970.
    pub epoch: u32,
}

impl FileSystemWriter for Ext4 {
    fn size(&self, tree: &Manifest, free: u64) -> Result<u64, FileSystemError> {
        self.size_from(tree, free, 0)
    }

    fn write(
        &self,
        tree: &Manifest,
        region: &Region<'_>,
        written: &mut dyn FnMut(u64),
    ) -> Result<(), FileSystemError> {
        let inodes = blocks_for(tree, 0, region.length() / BLOCK).inodes;
        let whole = |error| self.whole(region.length(), &error);
        let mut builder = FsBuilder::new(self.options(region.length(), inodes)?).map_err(whole)?;
        let contents = declare(tree, &mut builder)?;
        let layout = builder.seal().map_err(whole)?;
        layout
            .writer(RegionWriter(region))
            .map_err(|error| match error {
                mkext4::Error::Io(source) => FileSystemError::Write { kind: KIND, source },
                error => self.whole(region.length(), &error),
            })?;
        let files: Vec<PlacedFile<'_>> = contents
            .into_iter()
            .map(|(handle, node)| {
                let span = |(offset, length)| Span { offset, length };
                (
                    &node.content,
                    layout.extents(handle).into_iter().map(span).collect(),
                )
            })
            .collect();
        fill_in_parallel(&files, region, written)
    }
}

impl Ext4 {
    /// A size in bytes, `least` or the next one, in which `tree` fits and leaves `free` bytes over.
    ///
    /// # Errors
    /// As those of [`FileSystemWriter::size`].
    pub(crate) fn size_from(
        &self,
        tree: &Manifest,
        free: u64,
        least: u64,
    ) -> Result<u64, FileSystemError> {
        self.options(BLOCK, 16)?;
        Ok(blocks_for(tree, free, least / BLOCK).blocks * BLOCK)
    }

    fn options(&self, size: u64, inodes: u32) -> Result<Options, FileSystemError> {
        if self.label.len() > 16 || self.label.contains('\0') {
            let error = mkext4::Error::Invalid("the label is longer than 16 bytes".to_owned());
            return Err(self.whole(size, &error));
        }
        let mut options = Options::new(size, *self.uuid.as_bytes(), i64::from(self.epoch));
        options.inodes = InodeCount::Exact(inodes);
        options.label = Some(self.label.clone());
        // Only root writes to most of an image's root file system; 5 % would be wasted on it.
        options.reserved_percent = 1;
        Ok(options)
    }

    fn whole(&self, size: u64, error: &mkext4::Error) -> FileSystemError {
        FileSystemError::Whole {
            kind: KIND,
            label: self.label.clone(),
            size,
            problem: error.to_string(),
        }
    }
}

/// A file's content, and where it goes.
type PlacedFile<'a> = (&'a Content, Vec<Span>);

/// Writes all contents, a share by each core; `written` is called in the calling thread.
fn fill_in_parallel(
    files: &[PlacedFile<'_>],
    region: &Region<'_>,
    written: &mut dyn FnMut(u64),
) -> Result<(), FileSystemError> {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let (sender, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        let workers: Vec<_> = shares(files, cores)
            .into_iter()
            .map(|share| {
                let sender = sender.clone();
                scope.spawn(move || fill_share(share, region, &sender))
            })
            .collect();
        drop(sender);
        receiver.iter().for_each(&mut *written);
        workers.into_iter().try_for_each(|worker| {
            worker.join().unwrap_or_else(|_| {
                let source = io::Error::other("a thread that wrote contents has failed");
                Err(FileSystemError::Write { kind: KIND, source })
            })
        })
    })
}

fn fill_share(
    files: &[PlacedFile<'_>],
    region: &Region<'_>,
    written: &mpsc::Sender<u64>,
) -> Result<(), FileSystemError> {
    // The receiver outlives all senders; if not, nobody wants to know.
    let mut count = |bytes| written.send(bytes).unwrap_or_default();
    let mut filler = Filler::new(KIND, region, &mut count);
    for (content, spans) in files {
        filler.fill(content, spans.iter().copied())?;
    }
    filler.finish()
}

/// Cuts `files` into at most `count` runs of about the same number of bytes.
fn shares<'a, 'b>(files: &'a [PlacedFile<'b>], count: usize) -> Vec<&'a [PlacedFile<'b>]> {
    let size = |(_, spans): &PlacedFile<'_>| spans.iter().map(|span| span.length).sum::<u64>();
    let total: u64 = files.iter().map(size).sum();
    let goal = total.div_ceil(count.max(1) as u64).max(1);
    let mut filled = 0;
    // A file belongs to the share in which its first byte lies.
    let share_of = |file: &PlacedFile<'_>| {
        let share = filled / goal;
        filled += size(file);
        share
    };
    let numbers: Vec<u64> = files.iter().map(share_of).collect();
    let mut shares = Vec::new();
    let mut start = 0;
    for run in numbers.chunk_by(|one, other| one == other) {
        shares.extend(files.get(start..start + run.len()));
        start += run.len();
    }
    shares
}

/// Metadata of the file system to its region.
struct RegionWriter<'a>(&'a Region<'a>);

impl RegionSink for RegionWriter<'_> {
    fn data(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_at(bytes, offset)
    }

    fn zeros(&mut self, _offset: u64, _length: u64) -> io::Result<()> {
        Ok(())
    }
}

/// Declares all of `tree`; gives back the files with contents in the order of their blocks.
fn declare<'a>(
    tree: &'a Manifest,
    builder: &mut FsBuilder,
) -> Result<Vec<(InodeHandle, &'a Node)>, FileSystemError> {
    let mut contents = Vec::new();
    // Directories from the root to the last entry's parent; entries come in depth-first order.
    let mut directories: Vec<(&Path, InodeHandle)> = Vec::new();
    // A link may come before the file that it names again.
    let mut links = Vec::new();
    let mut linked: BTreeMap<&Path, Option<InodeHandle>> = tree
        .entries()
        .filter_map(|(_, node)| match &node.content {
            Content::HardLink(target) => Some((target.as_path(), None)),
            _ => None,
        })
        .collect();
    for (path, node) in tree.entries() {
        let refused = |problem: String| FileSystemError::Entry {
            kind: KIND,
            path: path.to_owned(),
            problem,
        };
        let mkfs = |error: mkext4::Error| refused(error.to_string());
        let handle = match path.parent() {
            None => {
                builder.set_meta(ROOT, meta(node)).map_err(mkfs)?;
                directories.push((path, ROOT));
                ROOT
            }
            Some(parent) => {
                while directories.last().is_some_and(|(last, _)| *last != parent) {
                    directories.pop();
                }
                let Some(&(_, directory)) = directories.last() else {
                    return Err(refused("its parent is no directory".to_owned()));
                };
                let name = path
                    .file_name()
                    .and_then(|name| name.to_str())
                    .ok_or_else(|| refused("its name is not UTF-8".to_owned()))?;
                if directory == ROOT && name == "lost+found" {
                    return Err(refused("every ext4 file system has its own".to_owned()));
                }
                if let Content::HardLink(target) = &node.content {
                    links.push((path, directory, name, target.as_path()));
                    continue;
                }
                let handle = declare_one(builder, directory, name, node, &refused)?;
                if node.content == Content::Directory {
                    directories.push((path, handle));
                }
                handle
            }
        };
        for (name, value) in &node.xattrs {
            let name = std::str::from_utf8(name).map_err(|_| {
                refused("the name of an extended attribute is not UTF-8".to_owned())
            })?;
            builder.set_xattr(handle, name, value).map_err(mkfs)?;
        }
        if matches!(node.content, Content::Bytes(_) | Content::File { .. }) {
            contents.push((handle, node));
        }
        if let Some(first) = linked.get_mut(path) {
            *first = Some(handle);
        }
    }
    for (path, directory, name, target) in links {
        let refused = |problem: String| FileSystemError::Entry {
            kind: KIND,
            path: path.to_owned(),
            problem,
        };
        let first = linked.get(target).copied().flatten();
        let first = first.ok_or_else(|| refused("its first name is missing".to_owned()))?;
        builder
            .hardlink(directory, name, first)
            .map_err(|error| refused(error.to_string()))?;
    }
    Ok(contents)
}

fn declare_one(
    builder: &mut FsBuilder,
    directory: InodeHandle,
    name: &str,
    node: &Node,
    refused: &dyn Fn(String) -> FileSystemError,
) -> Result<InodeHandle, FileSystemError> {
    let meta = meta(node);
    match &node.content {
        Content::Directory => builder.mkdir(directory, name, meta),
        Content::Bytes(bytes) => builder.file(directory, name, meta, bytes.len() as u64),
        Content::File { size, .. } => builder.file(directory, name, meta, *size),
        Content::Symlink(target) => {
            let target = target
                .to_str()
                .ok_or_else(|| refused("the target of the link is not UTF-8".to_owned()))?;
            builder.symlink(directory, name, target, meta)
        }
        Content::CharDevice { major, minor } => {
            let kind = SpecialKind::Char {
                major: *major,
                minor: *minor,
            };
            builder.mknod(directory, name, meta, kind)
        }
        Content::BlockDevice { major, minor } => {
            let kind = SpecialKind::Block {
                major: *major,
                minor: *minor,
            };
            builder.mknod(directory, name, meta, kind)
        }
        Content::HardLink(_) => return Err(refused("a link is made after its file".to_owned())),
    }
    .map_err(|error| refused(error.to_string()))
}

fn meta(node: &Node) -> Meta {
    let mode = u16::try_from(node.mode & 0o7777).unwrap_or(0);
    Meta::new(mode, node.uid, node.gid, (i64::from(node.mtime), 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_in_one_share() {
        let content = Content::Directory;
        let file = |length| (&content, vec![Span { offset: 0, length }]);
        let cut = |lengths: &[u64], count| {
            let files: Vec<_> = lengths.iter().map(|length| file(*length)).collect();
            shares(&files, count)
                .iter()
                .map(|share| share.len())
                .collect::<Vec<_>>()
        };
        assert_eq!(cut(&[], 2), [0usize; 0]);
        assert_eq!(cut(&[0, 0], 2), [2]);
        assert_eq!(cut(&[10, 10, 10, 10], 2), [2, 2]);
        assert_eq!(cut(&[100, 1, 1], 2), [1, 2]);
        assert_eq!(cut(&[1, 1, 100, 1], 3), [3, 1]);
        assert_eq!(cut(&[5], 8), [1]);
    }
}
