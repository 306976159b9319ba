//! The output file: written under another name, and given its own when it is whole and durable.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::statvfs::statvfs;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use tempfile::NamedTempFile;

/// Why an output cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// There is too little room.
    #[error(
        "cannot write '{path}': it needs {needed} bytes, and its file system has {available} free"
    )]
    Full {
        /// The output.
        path: PathBuf,
        /// Bytes needed at the least.
        needed: u64,
        /// Bytes free.
        available: u64,
    },
    /// Any other failure.
    #[error("cannot write '{path}': {source}")]
    Io {
        /// The output.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

/// A file that is not there until it is whole; dropped before that, it leaves nothing.
#[derive(Debug)]
pub(crate) struct Output<'a> {
    path: &'a Path,
    directory: &'a Path,
    file: NamedTempFile,
}

impl<'a> Output<'a> {
    /// A file of `size` bytes, all hole, of which `needed` will be written.
    pub fn create(path: &'a Path, size: u64, needed: u64) -> Result<Self, OutputError> {
        let io = |source| OutputError::Io {
            path: path.to_owned(),
            source,
        };
        let directory = parent_of(path);
        check_room(path, needed)?;
        // It would be found out at the end.
        if path.is_dir() {
            return Err(io(Errno::EISDIR.into()));
        }
        let file = tempfile::Builder::new()
            .prefix(".cairn-image-")
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(directory)
            .map_err(io)?;
        file.as_file().set_len(size).map_err(io)?;
        Ok(Self {
            path,
            directory,
            file,
        })
    }

    /// The folder that it is to be in.
    pub fn directory(&self) -> &Path {
        self.directory
    }

    /// The file to write to.
    pub fn file(&self) -> &File {
        self.file.as_file()
    }

    /// `error`, and the room that there is if there is none.
    pub fn failure(&self, error: io::Error, needed: u64) -> OutputError {
        let path = self.path.to_owned();
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => OutputError::Full {
                path,
                needed,
                available: 0,
            },
            _ => OutputError::Io {
                path,
                source: error,
            },
        }
    }

    /// Makes the file durable, then gives it its name.
    pub fn finish(self) -> Result<(), OutputError> {
        let io = |source| OutputError::Io {
            path: self.path.to_owned(),
            source,
        };
        self.file.as_file().sync_all().map_err(io)?;
        self.file
            .persist(self.path)
            .map_err(|error| io(error.error))?;
        File::open(self.directory)
            .and_then(|directory| directory.sync_all())
            .map_err(io)
    }
}

/// Whether `needed` bytes can be written beside `path`, as far as that is known before.
pub(crate) fn check_room(path: &Path, needed: u64) -> Result<(), OutputError> {
    let directory = parent_of(path);
    let available = match available(directory) {
        Ok(_) if !directory.is_dir() => Err(Errno::ENOTDIR.into()),
        available => available,
    };
    let available = available.map_err(|source| OutputError::Io {
        path: path.to_owned(),
        source,
    })?;
    if available < needed {
        return Err(OutputError::Full {
            path: path.to_owned(),
            needed,
            available,
        });
    }
    Ok(())
}

/// The folder that `path` is in.
pub(crate) fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Bytes that this user may still write to the file system of `directory`.
fn available(directory: &Path) -> io::Result<u64> {
    let status = statvfs(directory)?;
    Ok(status.blocks_available() * status.fragment_size())
}
