//! What every writer of a file system does, so that a young library can be exchanged.

use std::io;
use std::path::PathBuf;

use crate::manifest::Manifest;
use crate::region::Region;

/// Writes a manifest as a file system of one kind.
pub trait FileSystemWriter {
    /// A size in bytes in which `tree` fits and leaves `free` bytes over.
    ///
    /// # Errors
    /// The tree has what this kind of file system cannot hold.
    fn size(&self, tree: &Manifest, free: u64) -> Result<u64, FileSystemError>;

    /// Writes `tree` so that it fills `region`. `written` is told how many bytes of contents each
    /// step has written.
    ///
    /// # Errors
    /// See [`FileSystemError`].
    fn write(
        &self,
        tree: &Manifest,
        region: &Region<'_>,
        written: &mut dyn FnMut(u64),
    ) -> Result<(), FileSystemError>;
}

/// Why a file system cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum FileSystemError {
    /// A file cannot be stored in this kind of file system.
    #[error("cannot store '{path}' in the {kind} file system: {problem}")]
    Entry {
        /// Kind of file system.
        kind: &'static str,
        /// The file, relative to the file system's root.
        path: PathBuf,
        /// Why not.
        problem: String,
    },
    /// The file system as a whole cannot be made.
    #[error("cannot make the {kind} file system '{label}' of {size} bytes: {problem}")]
    Whole {
        /// Kind of file system.
        kind: &'static str,
        /// Its label.
        label: String,
        /// Its size in bytes.
        size: u64,
        /// Why not.
        problem: String,
    },
    /// A content cannot be read.
    #[error("cannot read '{path}' for the image: {source}")]
    Read {
        /// The file that it is read from.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A content has changed since the manifest was made.
    #[error("cannot read '{path}' for the image: it has {found} bytes, and had {expected}")]
    Changed {
        /// The file that it is read from.
        path: PathBuf,
        /// Bytes in the manifest.
        expected: u64,
        /// Bytes now.
        found: u64,
    },
    /// The image cannot be written.
    #[error("cannot write the {kind} file system: {source}")]
    Write {
        /// Kind of file system.
        kind: &'static str,
        /// The cause.
        source: io::Error,
    },
}
