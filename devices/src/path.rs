//! Paths: names that lead nowhere else, and errors that say where.

use std::fs;
use std::io;
use std::path::{Component, Path};

/// Whether `name` is one below a folder, whatever the folder is.
pub(crate) fn is_below(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    !name.is_empty()
        && !name.contains('\0')
        && parts.all(|part| matches!(part, Component::Normal(_)))
}

/// Removes what is no folder; that nothing is there is no error.
///
/// # Errors
/// The file system's.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(named(path, &error)),
        _ => Ok(()),
    }
}

/// The error, with the path in front.
pub(crate) fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
