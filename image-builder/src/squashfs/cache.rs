//! A folder of what store objects were made into, so that the next image compresses only what is
//! new.
//!
//! An object's file is named by what its bytes follow from: content, names and sizes of its files,
//! level, block size, and the version of zstd. An image is the same with the cache and without it;
//! what in the cache is damaged, or cannot be written, costs time only.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::manifest::ContentHash;

use super::Options;
use super::memory::{Memory, Recorder, Shape};
use super::packer::Digest;
use super::pieces::{Group, Piece, Pieces};
use super::tree::Tree;

const SUFFIX: &str = ".pieces";
const UNFINISHED: &str = ".unfinished-";
/// A file that nobody has written to for so long was left behind.
const ABANDONED: Duration = Duration::from_hours(24);

/// A folder with a file for each store object, and how large it may become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    folder: PathBuf,
    limit: u64,
}

impl Cache {
    /// The cache in `folder`, which is made if it is not there. After each image, what was not
    /// used for the longest time is removed until `limit` bytes are left.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn open(folder: impl Into<PathBuf>, limit: u64) -> io::Result<Self> {
        let folder = folder.into();
        fs::create_dir_all(&folder)?;
        Ok(Self { folder, limit })
    }

    /// What is known of the object with this key.
    pub(super) fn recall(&self, key: &Digest, shapes: &[Shape]) -> Option<Memory> {
        let path = self.path(key);
        match Memory::read(&path, key, shapes) {
            Ok(memory) => Some(memory),
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    let path = path.display();
                    log::warn!("cannot use '{path}', what it holds is made again: {error}");
                }
                None
            }
        }
    }

    /// A file for the object with this key.
    pub(super) fn record(&self, key: &Digest, shapes: &[Shape]) -> io::Result<Recorder> {
        Recorder::new(self.path(key), *key, shapes, UNFINISHED)
    }

    /// Removes what is too much, and what was left behind.
    pub(super) fn prune(&self) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.as_bytes();
            // Another process may have removed it.
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            let age = metadata.modified()?;
            if name.ends_with(SUFFIX.as_bytes()) {
                files.push((age, entry.path(), metadata.len()));
            } else if name.starts_with(UNFINISHED.as_bytes())
                && SystemTime::now()
                    .duration_since(age)
                    .is_ok_and(|age| age > ABANDONED)
            {
                remove(&entry.path())?;
            }
        }
        files.sort();
        let mut total: u64 = files.iter().map(|(_, _, size)| size).sum();
        for (_, path, size) in files {
            if total <= self.limit {
                break;
            }
            remove(&path)?;
            total -= size;
        }
        Ok(())
    }

    fn path(&self, key: &Digest) -> PathBuf {
        let name = blake3::Hash::from_bytes(*key).to_hex();
        self.folder.join(format!("{name}{SUFFIX}"))
    }
}

pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// What the pieces of the object at `root`, of this content, follow from.
pub(super) fn key(
    tree: &Tree<'_>,
    pieces: &Pieces<'_>,
    group: &Group<'_>,
    (root, content): (&Path, &ContentHash),
    options: &Options,
) -> Digest {
    let mut hasher = blake3::Hasher::new_derive_key("cairn 2026-11 squashfs pieces");
    hasher
        .update(content)
        .update(&options.level.get().to_le_bytes())
        .update(&options.block_size.get().to_le_bytes())
        .update(&zstd::zstd_safe::version_number().to_le_bytes());
    let mut add = |entry: &usize| {
        let Some(entry) = tree.entries.get(*entry) else {
            return;
        };
        let path = entry.path.strip_prefix(root).unwrap_or(entry.path);
        let path = path.as_os_str().as_bytes();
        hasher
            .update(&(path.len() as u64).to_le_bytes())
            .update(path)
            .update(&entry.size().unwrap_or(0).to_le_bytes());
    };
    for piece in pieces.of(group) {
        match piece {
            Piece::Blocks { entry, last, .. } if *last => add(entry),
            Piece::Blocks { .. } => {}
            Piece::Fragment { members } => pieces.members(members).iter().for_each(&mut add),
        }
    }
    *hasher.finalize().as_bytes()
}
