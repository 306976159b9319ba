//! Why an import failed. Whatever the reason, the destination is removed again.

use std::io;
use std::path::{Path, PathBuf};

/// Why a group of packages could not be imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// A file could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb: `create`, `read` …
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The destination holds files already.
    #[error("cannot import into {}: it is not empty; name a new folder", .0.display())]
    DestinationInUse(PathBuf),
    /// The file is no Debian package, or it is damaged or cut off.
    #[error("cannot read package {}: {reason}; download it again", deb.display())]
    Damaged {
        /// The package file.
        deb: PathBuf,
        /// What is wrong with it, and where.
        reason: String,
    },
    /// The package uses a part of the format that is not supported.
    #[error("cannot read package {}: {reason}", deb.display())]
    Unsupported {
        /// The package file.
        deb: PathBuf,
        /// Which part.
        reason: String,
    },
    /// An entry of the package tries what no honest package does.
    #[error("refused package {}: entry '{entry}' {reason}", deb.display())]
    Hostile {
        /// The package file.
        deb: PathBuf,
        /// The entry's name, escaped.
        entry: String,
        /// What it tries.
        reason: String,
    },
    /// The package is larger than [`super::Limits`] allows.
    #[error("refused package {}: {what} exceeds the limit of {limit}; raise the limit if the package is trusted", deb.display())]
    TooLarge {
        /// The package file.
        deb: PathBuf,
        /// What is too large: `unpacked size in bytes`, `number of entries` …
        what: &'static str,
        /// The limit that was exceeded.
        limit: u64,
    },
    /// Two packages of the group have different things under one path.
    #[error("cannot merge {} and {}: both have '{entry}', with different content", first.display(), second.display())]
    Conflict {
        /// The package that came first.
        first: PathBuf,
        /// The package that came second.
        second: PathBuf,
        /// The path below the prefix.
        entry: String,
    },
    /// An ELF file cannot take an interpreter and a RUNPATH.
    #[error("cannot relocate '{entry}': {source}")]
    Elf {
        /// The file, below the prefix.
        entry: String,
        /// What is wrong with it.
        source: super::elf::ElfError,
    },
}

impl ImportError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }
}
