//! The directories of an ISO 9660 volume, in the order that its path tables have.
//!
//! Each file has two names: the one that people gave it, which Rock Ridge has, and an identifier of
//! the letters that ISO 9660 knows.
//!
//! Source: ECMA-119, 6.9.1 (order of the path table), 7.5 and 7.6 (identifiers), 9.3 (order of
//! records).

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::record::record_length;
use crate::file_system::FileSystemError;
use crate::manifest::{Content, Manifest, Node};

pub(crate) const KIND: &str = "ISO 9660";
/// So that an identifier and a name fit into one record, with the rest of Rock Ridge.
const LONGEST_NAME: usize = 100;
/// Letters of an identifier, without the version of a file; level 2 of ISO 9660 has 30.
const LONGEST_IDENTIFIER: usize = 30;

/// The whole volume.
#[derive(Debug, Clone)]
pub(crate) struct Tree {
    /// The root first, then each level: a directory's number in the path table is its place here,
    /// counted from 1.
    pub directories: Vec<Directory>,
    sizes: BTreeMap<PathBuf, u64>,
}

/// One directory.
#[derive(Debug, Clone)]
pub(crate) struct Directory {
    /// Its place in [`Tree::directories`]; the root is its own parent.
    pub parent: usize,
    /// Its identifier; the root's is one byte, 0.
    pub identifier: Vec<u8>,
    /// Itself, its parent, and what is in it, by identifier.
    pub entries: Vec<Entry>,
}

/// What a record stands for.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// Its path in the volume.
    pub path: PathBuf,
    /// Its identifier; 0 for the directory itself, 1 for its parent.
    pub identifier: Vec<u8>,
    /// Its kind.
    pub kind: Kind,
    /// Its permission bits.
    pub mode: u32,
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The directory itself.
    Itself(usize),
    /// The directory's parent.
    Parent(usize),
    /// A directory, by its place in [`Tree::directories`].
    Directory(usize),
    /// A file.
    File,
}

impl Entry {
    /// The name that Rock Ridge has.
    pub fn name(&self) -> &[u8] {
        match self.kind {
            Kind::Itself(_) | Kind::Parent(_) => &[],
            Kind::Directory(_) | Kind::File => self.path.file_name().unwrap_or_default().as_bytes(),
        }
    }

    /// Bytes of one of its records.
    pub fn record_length(&self) -> usize {
        record_length(self)
    }
}

impl Tree {
    /// The volume of `manifest`, in which `sizes` has the sizes of files that are written later.
    pub fn new(
        manifest: &Manifest,
        sizes: &BTreeMap<PathBuf, u64>,
    ) -> Result<Self, FileSystemError> {
        let mut all = BTreeMap::new();
        let mut children: BTreeMap<&Path, Vec<(&Path, &Node)>> = BTreeMap::new();
        for (path, node) in manifest.entries() {
            match &node.content {
                Content::Directory => {}
                Content::Bytes(bytes) => {
                    all.insert(path.to_owned(), bytes.len() as u64);
                }
                Content::File { size, .. } => {
                    all.insert(path.to_owned(), *size);
                }
                Content::Symlink(_)
                | Content::CharDevice { .. }
                | Content::BlockDevice { .. }
                | Content::HardLink(_) => {
                    return Err(refused(path, "there are files and directories only"));
                }
            }
            if let Some(parent) = path.parent() {
                children.entry(parent).or_default().push((path, node));
            }
        }
        all.extend(sizes.clone());
        let mut tree = Self {
            directories: Vec::new(),
            sizes: all,
        };
        let mode = |path: &Path| manifest.get(path).map_or(0o755, |node| node.mode);
        // A level at a time; within it in the order of parents, then of identifiers.
        let mut level = vec![(PathBuf::new(), 0, vec![0])];
        while !level.is_empty() {
            let mut next = Vec::new();
            let first_of_next = tree.directories.len() + level.len();
            for (path, parent, identifier) in level {
                let number = tree.directories.len();
                let children = children.get(path.as_path()).map_or(&[][..], Vec::as_slice);
                let mut entries = named(children)?;
                for entry in &mut entries {
                    if let Kind::Directory(place) = &mut entry.kind {
                        *place = first_of_next + next.len();
                        next.push((entry.path.clone(), number, entry.identifier.clone()));
                    }
                }
                let special = |kind, identifier, mode| Entry {
                    path: path.clone(),
                    identifier: vec![identifier],
                    kind,
                    mode,
                };
                let above = mode(path.parent().unwrap_or(Path::new("")));
                let mut all = vec![
                    special(Kind::Itself(number), 0, mode(&path)),
                    special(Kind::Parent(parent), 1, above),
                ];
                all.append(&mut entries);
                tree.directories.push(Directory {
                    parent,
                    identifier,
                    entries: all,
                });
            }
            level = next;
        }
        Ok(tree)
    }

    /// Every file with its size, by path.
    pub fn files(&self) -> impl Iterator<Item = (&Path, u64)> {
        self.sizes
            .iter()
            .map(|(path, size)| (path.as_path(), *size))
    }

    /// The size of the file that `entry` is; 0 of a directory.
    pub fn size(&self, entry: &Entry) -> u64 {
        self.sizes.get(&entry.path).copied().unwrap_or(0)
    }

    /// Bytes of a path table.
    pub fn path_table_size(&self) -> u64 {
        let sizes = self.directories.iter().map(|directory| {
            let identifier = directory.identifier.len() as u64;
            8 + identifier.next_multiple_of(2)
        });
        sizes.sum()
    }
}

/// The entries of one directory, by identifier.
fn named(children: &[(&Path, &Node)]) -> Result<Vec<Entry>, FileSystemError> {
    let mut taken = BTreeSet::new();
    let mut entries = Vec::new();
    for (path, node) in children {
        let name = path.file_name().unwrap_or_default();
        if name.len() > LONGEST_NAME {
            let problem = format!("its name has {} bytes, and {LONGEST_NAME} fit", name.len());
            return Err(refused(path, &problem));
        }
        let kind = match node.content {
            Content::Directory => Kind::Directory(0),
            _ => Kind::File,
        };
        entries.push(Entry {
            path: (*path).to_owned(),
            identifier: identifier(name, kind, &mut taken),
            kind,
            mode: node.mode,
        });
    }
    entries.sort_by(|a, b| a.identifier.cmp(&b.identifier));
    Ok(entries)
}

/// An identifier like `name` that is not `taken`: upper case, other characters as `_`, at most one
/// dot, and the version of a file.
fn identifier(name: &OsStr, kind: Kind, taken: &mut BTreeSet<Vec<u8>>) -> Vec<u8> {
    let letter = |byte: &u8| match byte.to_ascii_uppercase() {
        byte if byte.is_ascii_uppercase() || byte.is_ascii_digit() => byte,
        _ => b'_',
    };
    let bytes = name.as_bytes();
    let dot = bytes.iter().rposition(|byte| *byte == b'.');
    let (stem, extension) = match dot {
        Some(dot) if kind == Kind::File => bytes.split_at(dot),
        _ => (bytes, &[][..]),
    };
    let stem: Vec<u8> = stem.iter().map(letter).collect();
    let extension: Vec<u8> = extension.iter().skip(1).take(8).map(letter).collect();
    for number in 0u32.. {
        let number = if number == 0 {
            String::new()
        } else {
            number.to_string()
        };
        let room = LONGEST_IDENTIFIER - 1 - extension.len() - number.len();
        let mut identifier: Vec<u8> = stem.iter().copied().take(room).collect();
        identifier.extend(number.bytes());
        if kind == Kind::File {
            identifier.push(b'.');
            identifier.extend(&extension);
            identifier.extend(b";1");
        }
        if taken.insert(identifier.clone()) {
            return identifier;
        }
    }
    Vec::new()
}

fn refused(path: &Path, problem: &str) -> FileSystemError {
    FileSystemError::Entry {
        kind: KIND,
        path: path.to_owned(),
        problem: problem.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn a_level_at_a_time_and_unique_identifiers() {
        let mut manifest = Manifest::new();
        for directory in ["b/d/f", "a/e", "c"] {
            manifest.insert_directories(Path::new(directory)).unwrap();
        }
        for file in [
            "a/grub.cfg",
            "a/GRUB.cfg",
            "a/x.y.z",
            "a/Ünder",
            "a/.dot",
            "c/noext",
        ] {
            let node = Node::new(0o444, Content::Bytes(vec![0; 3]));
            manifest.insert(file, node).unwrap();
        }
        let tree = Tree::new(&manifest, &BTreeMap::new()).unwrap();
        let text: Vec<_> = tree
            .directories
            .iter()
            .enumerate()
            .map(|(number, directory)| {
                let name = String::from_utf8_lossy(&directory.identifier).replace('\0', "root");
                let entries: Vec<_> = directory.entries[2..]
                    .iter()
                    .map(|entry| String::from_utf8_lossy(&entry.identifier))
                    .collect();
                format!(
                    "{number} {name} in {}: [{}]\n",
                    directory.parent,
                    entries.join(" ")
                )
            })
            .collect();
        expect![[r#"
            0 root in 0: [A B C]
            1 A in 0: [.DOT;1 E GRUB.CFG;1 GRUB1.CFG;1 X_Y.Z;1 __NDER.;1]
            2 B in 0: [D]
            3 C in 0: [NOEXT.;1]
            4 E in 1: []
            5 D in 2: [F]
            6 F in 5: []
        "#]]
        .assert_eq(&text.concat());
    }

    #[test]
    fn what_it_cannot_hold_is_refused() {
        let mut manifest = Manifest::new();
        manifest.insert("link", Node::symlink("x")).unwrap();
        let error = Tree::new(&manifest, &BTreeMap::new()).unwrap_err();
        expect![
            "cannot store 'link' in the ISO 9660 file system: there are files and directories only"
        ]
        .assert_eq(&error.to_string());
        let mut manifest = Manifest::new();
        manifest
            .insert("n".repeat(101), Node::directory(0o755))
            .unwrap();
        assert!(Tree::new(&manifest, &BTreeMap::new()).is_err());
    }
}
