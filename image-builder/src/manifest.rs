//! The tree of a file system to be: one manifest feeds every format.
//!
//! Owners, modes, times and extended attributes come from the manifest alone, never from the
//! files that contents are read from, so the user who builds an image leaves no trace in it.
//!
//! Invariant: every entry but the root has a parent that is a directory of the manifest.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;
use std::path::{Path, PathBuf};

/// A whole tree, by path relative to its root; the root itself is the empty path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Manifest {
    entries: BTreeMap<PathBuf, Node>,
    objects: BTreeMap<PathBuf, Option<ContentHash>>,
}

/// What tells a store object's content from every other: the SHA-256 of its archive.
pub type ContentHash = [u8; 32];

/// One file of any kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Permission bits with setuid, setgid and sticky: `0o4755`.
    pub mode: u32,
    /// Owner's number.
    pub uid: u32,
    /// Group's number.
    pub gid: u32,
    /// Time of last change, in seconds since 1970.
    pub mtime: u32,
    /// Extended attributes by full name, `security.capability`.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Kind and content.
    pub content: Content,
}

/// What a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A directory.
    Directory,
    /// A regular file held in memory.
    Bytes(Vec<u8>),
    /// A regular file whose content is read when the image is written; its size is fixed here.
    File {
        /// Where it is read from.
        path: PathBuf,
        /// Its length in bytes; another length at writing time is an error.
        size: u64,
    },
    /// A symbolic link and its target.
    Symlink(PathBuf),
    /// A character device.
    CharDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A block device.
    BlockDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// Another name of the file at this path of the manifest, whose mode, owner, time and
    /// attributes count.
    HardLink(PathBuf),
}

/// What an entry is to whoever makes files one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Name<'a> {
    /// The first name of a file, which is this node.
    First(&'a Node),
    /// Another name of the file that this path named before.
    Again(&'a Path),
}

/// Why a manifest cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// An entry's parent is missing or is no directory.
    #[error("cannot place '{path}' in the image: its parent is not a directory of the image")]
    Parent {
        /// The entry.
        path: PathBuf,
    },
    /// The path is absolute or has `.` or `..` in it.
    #[error("cannot place '{path}' in the image: not a plain relative path")]
    Path {
        /// The entry.
        path: PathBuf,
    },
    /// Two different nodes for one path.
    #[error("cannot place '{path}' in the image: it is there already, and differs")]
    Twice {
        /// The entry.
        path: PathBuf,
    },
    /// A hard link to what is not there, or can have one name only.
    #[error(
        "cannot place '{path}' in the image: '{target}' is no file that can have a second name"
    )]
    Link {
        /// The entry.
        path: PathBuf,
        /// What it is to be a name of.
        target: PathBuf,
    },
    /// A file of the source tree cannot be read.
    #[error("cannot read '{path}' for the image: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A socket, pipe or device in the source tree.
    #[error("cannot take '{path}' into the image: neither file, directory nor link")]
    Kind {
        /// The file.
        path: PathBuf,
    },
}

impl Node {
    /// A node owned by root, of time 1, without extended attributes.
    #[must_use]
    pub fn new(mode: u32, content: Content) -> Self {
        Self {
            mode,
            uid: 0,
            gid: 0,
            mtime: 1,
            xattrs: BTreeMap::new(),
            content,
        }
    }

    /// A directory of root's.
    #[must_use]
    pub fn directory(mode: u32) -> Self {
        Self::new(mode, Content::Directory)
    }

    /// A symbolic link.
    #[must_use]
    pub fn symlink(target: impl Into<PathBuf>) -> Self {
        Self::new(0o777, Content::Symlink(target.into()))
    }

    /// Another name of the file at `target`, which is in the manifest already.
    #[must_use]
    pub fn hard_link(target: impl Into<PathBuf>) -> Self {
        Self::new(0, Content::HardLink(target.into()))
    }

    /// The same node with another owner.
    #[must_use]
    pub fn owned(self, uid: u32, gid: u32) -> Self {
        Self { uid, gid, ..self }
    }
}

impl Manifest {
    /// A tree that is just its root directory, mode 0755.
    #[must_use]
    pub fn new() -> Self {
        Self {
            entries: BTreeMap::from([(PathBuf::new(), Node::directory(0o755))]),
            objects: BTreeMap::new(),
        }
    }

    /// Places `node` at `path`; the same node twice is no error.
    ///
    /// # Errors
    /// See [`ManifestError`].
    pub fn insert(&mut self, path: impl Into<PathBuf>, node: Node) -> Result<(), ManifestError> {
        let path = path.into();
        let plain = !path.as_os_str().is_empty()
            && path
                .components()
                .all(|part| matches!(part, std::path::Component::Normal(_)));
        if !plain {
            return Err(ManifestError::Path { path });
        }
        let parent = path.parent().and_then(|parent| self.entries.get(parent));
        if !parent.is_some_and(|parent| parent.content == Content::Directory) {
            return Err(ManifestError::Parent { path });
        }
        if let Content::HardLink(target) = &node.content {
            let first = self.entries.get(target).map(|node| &node.content);
            if matches!(
                first,
                None | Some(Content::Directory | Content::HardLink(_))
            ) {
                let target = target.clone();
                return Err(ManifestError::Link { path, target });
            }
        }
        // One search: with many paths these are most of the time.
        match self.entries.entry(path) {
            Entry::Occupied(present) if *present.get() != node => {
                let path = present.key().clone();
                Err(ManifestError::Twice { path })
            }
            Entry::Occupied(_) => Ok(()),
            Entry::Vacant(place) => {
                place.insert(node);
                Ok(())
            }
        }
    }

    /// Places directories of mode 0755 at `path` and above it where there are none.
    ///
    /// # Errors
    /// See [`ManifestError`].
    pub fn insert_directories(&mut self, path: &Path) -> Result<(), ManifestError> {
        let missing: Vec<_> = path
            .ancestors()
            .filter(|part| !self.entries.contains_key(*part))
            .collect();
        missing
            .into_iter()
            .rev()
            .try_for_each(|part| self.insert(part, Node::directory(0o755)))
    }

    /// Notes that a store object is at `path`.
    pub(crate) fn note_object(&mut self, path: PathBuf, content: Option<ContentHash>) {
        self.objects.insert(path, content);
    }

    /// Adds what is in store objects that are new here.
    pub(crate) fn add_below_objects(&mut self, mut entries: BTreeMap<PathBuf, Node>) {
        self.entries.append(&mut entries);
    }

    /// Takes what is in the directory at `path` out of the tree, with paths from there; the directory stays.
    pub fn take_below(&mut self, path: &Path) -> impl Iterator<Item = (PathBuf, Node)> {
        let is_below = |other: &PathBuf| other.starts_with(path) && other != path;
        let paths: Vec<PathBuf> = self
            .entries
            .keys()
            .filter(|key| is_below(key))
            .cloned()
            .collect();
        let taken = paths.into_iter().filter_map(|key| {
            let node = self.entries.remove(&key)?;
            Some((key.strip_prefix(path).ok()?.to_owned(), node))
        });
        taken.collect::<Vec<_>>().into_iter()
    }

    /// All entries, a directory before what is in it; the first is the root with an empty path.
    pub fn entries(&self) -> impl Iterator<Item = (&Path, &Node)> {
        self.entries
            .iter()
            .map(|(path, node)| (path.as_path(), node))
    }

    /// All entries as [`Manifest::entries`] has them. A hard link may come before what it names: then it is
    /// the file's first name here.
    pub(crate) fn names(&self) -> impl Iterator<Item = (&Path, Name<'_>)> {
        let mut firsts: BTreeMap<&Path, &Path> = BTreeMap::new();
        for (path, node) in self.entries() {
            if let Content::HardLink(target) = &node.content {
                let first = firsts.entry(target).or_insert(target);
                *first = (*first).min(path);
            }
        }
        self.entries().filter_map(move |(path, node)| {
            let target = match &node.content {
                Content::HardLink(target) => target,
                _ => path,
            };
            let first = firsts.get(target).copied().unwrap_or(target);
            let name = if first == path {
                Name::First(self.get(target)?)
            } else {
                Name::Again(first)
            };
            Some((path, name))
        })
    }

    /// Paths of the store objects in it, none within another, with their contents' hashes where
    /// they are known.
    pub(crate) fn objects(&self) -> impl Iterator<Item = (&Path, Option<&ContentHash>)> {
        self.objects
            .iter()
            .map(|(path, content)| (path.as_path(), content.as_ref()))
    }

    /// Bytes of all contents.
    #[must_use]
    pub fn content_size(&self) -> u64 {
        let size = |node: &Node| match &node.content {
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::File { size, .. } => *size,
            Content::Directory
            | Content::Symlink(_)
            | Content::CharDevice { .. }
            | Content::BlockDevice { .. }
            | Content::HardLink(_) => 0,
        };
        self.entries.values().map(size).sum()
    }

    /// The node at `path`.
    #[must_use]
    pub fn get(&self, path: &Path) -> Option<&Node> {
        self.entries.get(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> Node {
        Node::new(0o644, Content::Bytes(text.into()))
    }

    #[test]
    fn parents_come_first_and_siblings_in_bytewise_order() {
        let mut tree = Manifest::new();
        tree.insert_directories(Path::new("b/c")).unwrap();
        for path in ["b/c/d", "b.a", "a", "b/a"] {
            tree.insert(path, file(path)).unwrap();
        }
        let paths: Vec<_> = tree
            .entries()
            .map(|(path, _)| path.to_str().unwrap())
            .collect();
        assert_eq!(paths, ["", "a", "b", "b/a", "b/c", "b/c/d", "b.a"]);
    }

    #[test]
    fn what_has_no_place_is_refused() {
        let mut tree = Manifest::new();
        tree.insert("file", file("")).unwrap();
        for (path, wanted) in [
            (
                "",
                "cannot place '' in the image: not a plain relative path",
            ),
            (
                "/a",
                "cannot place '/a' in the image: not a plain relative path",
            ),
            (
                "../a",
                "cannot place '../a' in the image: not a plain relative path",
            ),
            (
                "a/../b",
                "cannot place 'a/../b' in the image: not a plain relative path",
            ),
            (
                "no/file",
                "cannot place 'no/file' in the image: its parent is not a directory of the image",
            ),
            (
                "file/a",
                "cannot place 'file/a' in the image: its parent is not a directory of the image",
            ),
            (
                "file",
                "cannot place 'file' in the image: it is there already, and differs",
            ),
        ] {
            let message = tree.insert(path, file("other")).unwrap_err().to_string();
            assert_eq!(message, wanted);
        }
        tree.insert("file", file("")).unwrap();
        assert!(tree.insert_directories(Path::new("file/below")).is_err());
    }
}
