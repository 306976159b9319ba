//! The object's tree while it is made: which prefix path is a folder, a file or a link.
//!
//! Folders and files exist on disk as soon as they are here; links are kept here alone until the
//! last file is written, so that no package can make another write through one.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::layout::{self, below};
use super::{ImportError, Report};

/// What lies at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A folder.
    Directory,
    /// A name of the file with that number; hard links share it.
    File(usize),
    /// A symbolic link.
    Link(Symlink),
}

/// A symbolic link as the package has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Symlink {
    /// Debian path of the link itself: relative targets start in its folder.
    pub debian_path: Vec<u8>,
    /// The target as written.
    pub target: Vec<u8>,
    /// Number of the package.
    pub deb: usize,
}

impl Symlink {
    /// The Debian path of the target. Targets that climb above the root never get here.
    pub fn target_path(&self) -> Vec<u8> {
        layout::link_target(&self.debian_path, &self.target).unwrap_or_default()
    }
}

/// One inode.
#[derive(Debug)]
pub struct File {
    /// The first of its names.
    pub path: Vec<u8>,
    /// Number of the package.
    pub deb: usize,
    /// Whether anybody may execute it.
    pub executable: bool,
    /// What relocation has to do with it.
    pub content: Content,
}

/// What the first bytes and the name say about a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// It begins as an ELF file.
    Elf,
    /// It is executable and begins with `#!`.
    Script,
    /// It is a `*.pc` file of pkg-config.
    PkgConfig,
    /// Anything else.
    Other,
}

/// All that the packages have brought.
#[derive(Debug, Default)]
pub struct Tree {
    nodes: BTreeMap<Vec<u8>, Node>,
    files: Vec<File>,
    sbin_merged: bool,
}

/// A path of `sbin`, and where it goes in `bin`, if anywhere.
type Move = (Vec<u8>, Option<Vec<u8>>);

/// Why something cannot be put into the tree.
#[derive(Debug, PartialEq, Eq)]
pub enum Clash {
    /// Something different from that package is there.
    With(usize),
    /// A folder of the path is a symbolic link.
    ThroughLink,
    /// A folder of the path is a file.
    ThroughFile,
    /// A folder is there already.
    Directory,
}

impl Tree {
    /// What lies at a prefix path.
    pub fn get(&self, path: &[u8]) -> Option<&Node> {
        self.nodes.get(path)
    }

    /// All paths in order.
    pub fn nodes(&self) -> impl Iterator<Item = (&[u8], &Node)> {
        self.nodes
            .iter()
            .map(|(path, node)| (path.as_slice(), node))
    }

    /// All inodes.
    pub fn files(&self) -> &[File] {
        &self.files
    }

    /// The inode with that number.
    pub fn file(&self, number: usize) -> Option<&File> {
        self.files.get(number)
    }

    /// The prefix path of a Debian path.
    pub fn place(&self, debian_path: &[u8]) -> Vec<u8> {
        let path = layout::flatten(debian_path);
        if !self.sbin_merged {
            return path.to_vec();
        }
        match path {
            b"sbin" => b"bin".to_vec(),
            _ => below(path, b"sbin")
                .map_or_else(|| path.to_vec(), |rest| layout::join(b"bin", rest)),
        }
    }

    /// Puts a folder and those above it into the tree; returns those that are new, outermost
    /// first.
    pub fn add_directory(&mut self, path: &[u8]) -> Result<Vec<Vec<u8>>, Clash> {
        let mut new = Vec::new();
        let mut at = path;
        while !at.is_empty() {
            match self.nodes.get(at) {
                Some(Node::Directory) => break,
                Some(Node::File(_)) => return Err(Clash::ThroughFile),
                // Merged /usr: `bin -> usr/bin` is the folder itself here.
                Some(Node::Link(link)) if self.place(&link.target_path()) == at => {}
                Some(Node::Link(_)) => return Err(Clash::ThroughLink),
                None => {}
            }
            new.push(at.to_vec());
            at = layout::parent(at);
        }
        new.reverse();
        for folder in &new {
            self.nodes.insert(folder.clone(), Node::Directory);
        }
        Ok(new)
    }

    /// Whether a file may be put at `path`: `Ok(None)` for a free place, `Ok(Some(number))` if a
    /// file is there, which must be compared.
    pub fn vacancy(&self, path: &[u8]) -> Result<Option<usize>, Clash> {
        match self.nodes.get(path) {
            None => Ok(None),
            Some(Node::File(number)) => Ok(Some(*number)),
            Some(Node::Directory) => Err(Clash::Directory),
            Some(Node::Link(link)) if self.place(&link.target_path()) == path => Ok(None),
            Some(Node::Link(link)) => Err(Clash::With(link.deb)),
        }
    }

    /// Puts a new file at a place that [`Tree::vacancy`] called free.
    pub fn add_file(&mut self, path: &[u8], file: File) -> usize {
        let number = self.files.len();
        self.files.push(file);
        self.nodes.insert(path.to_vec(), Node::File(number));
        number
    }

    /// Gives a file another name, at a place that [`Tree::vacancy`] called free.
    pub fn add_name(&mut self, path: &[u8], number: usize) {
        self.nodes.insert(path.to_vec(), Node::File(number));
    }

    /// Puts a link at `path`. A link to its own place, as merged `/usr` makes them, and a second
    /// link to the same place change nothing.
    pub fn add_link(&mut self, path: &[u8], link: Symlink) -> Result<(), Clash> {
        let target = self.place(&link.target_path());
        match self.nodes.get(path) {
            None => {}
            Some(_) if target == path => return Ok(()),
            Some(Node::Link(old)) => {
                let old_target = self.place(&old.target_path());
                if old_target == target {
                    return Ok(());
                }
                if old_target != path {
                    return Err(Clash::With(old.deb));
                }
            }
            Some(Node::File(number)) => {
                return Err(Clash::With(
                    self.files.get(*number).map_or(0, |file| file.deb),
                ));
            }
            Some(Node::Directory) => return Err(Clash::Directory),
        }
        self.nodes.insert(path.to_vec(), Node::Link(link));
        Ok(())
    }

    /// Merges `sbin` into `bin` where nothing speaks against it, on disk too.
    ///
    /// # Errors
    /// A file cannot be moved.
    pub fn settle(&mut self, destination: &Path, report: &mut Report) -> Result<(), ImportError> {
        let sbin = b"sbin".as_slice();
        if self.nodes.get(sbin) != Some(&Node::Directory) {
            return Ok(());
        }
        self.sbin_merged = true;
        let Some(moves) = self.sbin_moves() else {
            self.sbin_merged = false;
            return Ok(());
        };
        report.sbin_merged = true;
        let bin = disk_path(destination, b"bin");
        if self
            .nodes
            .insert(b"bin".to_vec(), Node::Directory)
            .is_none()
        {
            fs::create_dir(&bin).map_err(ImportError::io("create", &bin))?;
        }
        for (old, new) in moves {
            self.rename(destination, &old, new)?;
        }
        let old = disk_path(destination, sbin);
        fs::remove_dir_all(&old).map_err(ImportError::io("remove", &old))?;
        let link = Symlink {
            debian_path: sbin.to_vec(),
            target: b"bin".to_vec(),
            deb: 0,
        };
        self.nodes.insert(sbin.to_vec(), Node::Link(link));
        Ok(())
    }

    fn rename(
        &mut self,
        destination: &Path,
        old: &[u8],
        new: Option<Vec<u8>>,
    ) -> Result<(), ImportError> {
        let Some(node) = self.nodes.remove(old) else {
            return Ok(());
        };
        let Some(new) = new else { return Ok(()) };
        if let Node::File(number) = node {
            let from = disk_path(destination, old);
            fs::rename(&from, disk_path(destination, &new))
                .map_err(ImportError::io("rename", &from))?;
            if let Some(file) = self.files.get_mut(number)
                && file.path == old
            {
                file.path.clone_from(&new);
            }
        }
        self.nodes.insert(new, node);
        Ok(())
    }

    /// Where each entry of `sbin` goes (`None`: it is a link to its counterpart), or nothing if
    /// the folders cannot be merged.
    fn sbin_moves(&self) -> Option<Vec<Move>> {
        let mut moves = Vec::new();
        let from = b"sbin/".to_vec();
        for (old, node) in self.nodes.range(from..) {
            let Some(rest) = below(old, b"sbin") else {
                break;
            };
            let new = layout::join(b"bin", rest);
            let target = |link: &Symlink| self.place(&link.target_path());
            let keep = match (node, self.nodes.get(&new)) {
                // Folders below sbin are too rare to be worth merging.
                (Node::Directory, _) => return None,
                (Node::Link(link), Some(_)) if target(link) == new => false,
                (_, None) => true,
                (Node::Link(link), Some(Node::Link(other))) if target(link) == target(other) => {
                    false
                }
                (_, Some(Node::Link(other))) if target(other) == new => true,
                _ => return None,
            };
            moves.push((old.clone(), keep.then_some(new)));
        }
        Some(moves)
    }
}

/// The path on disk of a prefix path.
pub fn disk_path(destination: &Path, path: &[u8]) -> PathBuf {
    destination.join(std::ffi::OsStr::from_bytes(path))
}
