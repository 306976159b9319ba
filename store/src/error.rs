//! What can go wrong in the store, each with the path that it is about.

use std::io;
use std::path::{Path, PathBuf};

use cairn_store_path::derivation::ParseDerivationError;
use cairn_store_path::{ParseStorePathError, StorePath};

use crate::nar::NarError;

/// A failed operation on one file.
#[derive(Debug, thiserror::Error)]
#[error("cannot {verb} {}: {source}{}", path.display(), hint(source))]
pub struct IoError {
    /// What was tried, as a verb: `read`, `create`.
    pub verb: &'static str,
    /// On which file.
    pub path: PathBuf,
    /// Why it failed.
    pub source: io::Error,
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull => "; free some space and try again",
        io::ErrorKind::ReadOnlyFilesystem => "; the store must lie on a writable file system",
        _ => "",
    }
}

/// Makes an [`IoError`] of an [`io::Error`] or an error number.
pub(crate) fn io_error<E: Into<io::Error>>(
    verb: &'static str,
    path: impl AsRef<Path>,
) -> impl FnOnce(E) -> IoError {
    move |source| IoError {
        verb,
        path: path.as_ref().to_owned(),
        source: source.into(),
    }
}

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file operation failed.
    #[error(transparent)]
    Io(#[from] IoError),
    /// An archive could not be written or unpacked.
    #[error(transparent)]
    Nar(#[from] NarError),
    /// The database refused.
    #[error("cannot {verb} store database {}: {source}", path.display())]
    Database {
        /// What was tried.
        verb: &'static str,
        /// The database.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// The store has another format.
    #[error(
        "cannot use store {}: its database has schema '{found}', this program knows '10'",
        path.display()
    )]
    Schema {
        /// The schema file.
        path: PathBuf,
        /// What it says.
        found: String,
    },
    /// The database has something that is not what its schema promises.
    #[error("store database {} is damaged: {what}", path.display())]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// An object was asked for that is not registered.
    #[error("{path} is not in the store at {}", root.display())]
    Invalid {
        /// The object.
        path: StorePath,
        /// The store's root.
        root: PathBuf,
    },
    /// A name cannot be that of a store object.
    #[error(transparent)]
    Name(#[from] ParseStorePathError),
    /// A `.drv` file is not a derivation.
    #[error("{path} is damaged: {source}")]
    Derivation {
        /// The file.
        path: StorePath,
        /// What is wrong.
        source: ParseDerivationError,
    },
    /// A path that has to be a derivation is not called `.drv`.
    #[error("{0} is not a derivation: its name does not end with '.drv'")]
    NotDerivation(StorePath),
    /// The store's root is not usable as one.
    #[error("cannot use store {}: {why}", path.display())]
    Root {
        /// The root.
        path: PathBuf,
        /// What is wrong.
        why: &'static str,
    },
    /// An object's files are not what the database says of them.
    #[error(
        "cannot copy {path} from the store at {}: its files are damaged there",
        root.display()
    )]
    DamagedObject {
        /// The object.
        path: StorePath,
        /// The root of the store that has it.
        root: PathBuf,
    },
    /// A file changed while it was added.
    #[error("cannot add {} to the store: it changed while it was read; try again", .0.display())]
    Changed(PathBuf),
}
