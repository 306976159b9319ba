//! What lies below `/etc`, read once: plans are made from this picture, and ask the disk only about
//! the few files that are copies.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::ops::Bound;
use std::path::{Path, PathBuf};

use crate::root::{FileError, Listed, Root, is_temporary};

use super::{ETC, FOREIGN, STATIC};

/// How deep it is looked.
const MAX_DEPTH: usize = 32;

/// The tree, by path below `/etc`.
#[derive(Debug, Default)]
pub(super) struct Present {
    found: BTreeMap<PathBuf, Listed>,
    /// What an interrupted run has left, which goes first and is nobody's.
    leftovers: Vec<(PathBuf, Listed)>,
}

impl Present {
    /// Reads the tree. A folder that cannot be listed is left out, and named in `problems`.
    pub(super) fn read(root: &Root, problems: &mut Vec<FileError>) -> Self {
        let mut present = Self::default();
        present.read_folder(root, Path::new(""), MAX_DEPTH, problems);
        present
    }

    fn read_folder(
        &mut self,
        root: &Root,
        folder: &Path,
        depth: usize,
        problems: &mut Vec<FileError>,
    ) {
        if depth == 0 || FOREIGN.iter().any(|foreign| Path::new(foreign) == folder) {
            return;
        }
        let listing = match root.list(&Path::new(ETC).join(folder)) {
            Ok(listing) => listing,
            Err(error) => return problems.push(error),
        };
        for (name, found) in listing {
            let path = folder.join(name);
            if found == Listed::Directory {
                self.read_folder(root, &path, depth - 1, problems);
            }
            // A directory in the making is empty: with something in it, it is somebody else's.
            if path.file_name().is_some_and(is_temporary) && self.below(&path).next().is_none() {
                self.leftovers.push((path, found));
            } else {
                self.found.insert(path, found);
            }
        }
    }

    pub(super) fn get(&self, path: &Path) -> Option<&Listed> {
        self.found.get(path)
    }

    /// Links into `/etc/static`: nobody but activation makes them.
    pub(super) fn own_links(&self) -> impl Iterator<Item = &Path> {
        self.found.iter().filter_map(|(path, found)| match found {
            Listed::Link(target) if is_own_link(target) => Some(path.as_path()),
            _ => None,
        })
    }

    pub(super) fn leftovers(&self) -> &[(PathBuf, Listed)] {
        &self.leftovers
    }

    /// All that is below `folder`, a folder before what is in it.
    pub(super) fn below(&self, folder: &Path) -> impl Iterator<Item = (&Path, &Listed)> {
        let folder = folder.to_owned();
        let after = (Bound::Excluded(folder.clone()), Bound::Unbounded);
        self.found
            .range(after)
            .map(|(path, found)| (path.as_path(), found))
            .take_while(move |(path, _)| path.starts_with(&folder))
    }
}

/// Whether a link's target says that activation made it.
pub(super) fn is_own_link(target: &Path) -> bool {
    target != Path::new(STATIC)
        && target.starts_with(STATIC)
        && target
            .components()
            .all(|part| part.as_os_str() != OsStr::new(".."))
}
