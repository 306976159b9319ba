//! What is on this machine, as far as a service's view depends on it.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What is at a path, behind all links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum There {
    /// Nothing.
    Nothing,
    /// A folder.
    Folder,
    /// A file, a device, a socket.
    File,
}

/// What a name in a folder is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A symbolic link, and what it says.
    Link(PathBuf),
    /// A folder.
    Folder,
    /// A file, a device, a socket.
    File,
}

/// Where this is looked up: the machine, or a test's.
pub trait Machine {
    /// What is there now.
    fn there(&self, path: &Path) -> There;

    /// The path without links.
    ///
    /// # Errors
    /// There is nothing.
    fn real(&self, path: &Path) -> io::Result<PathBuf>;

    /// What is in a folder, in the order of the names.
    ///
    /// # Errors
    /// It cannot be read, or is none.
    fn entries(&self, folder: &Path) -> io::Result<Vec<(OsString, Entry)>>;

    /// The lines of a file.
    ///
    /// # Errors
    /// It cannot be read, or is no text.
    fn lines(&self, file: &Path) -> io::Result<Vec<String>>;
}

/// The machine.
#[derive(Debug)]
pub struct Here;

impl Machine for Here {
    fn there(&self, path: &Path) -> There {
        match path.metadata() {
            Ok(metadata) if metadata.is_dir() => There::Folder,
            Ok(_) => There::File,
            Err(_) => There::Nothing,
        }
    }

    fn real(&self, path: &Path) -> io::Result<PathBuf> {
        fs::canonicalize(path)
    }

    fn entries(&self, folder: &Path) -> io::Result<Vec<(OsString, Entry)>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            let what = if kind.is_symlink() {
                Entry::Link(fs::read_link(entry.path())?)
            } else if kind.is_dir() {
                Entry::Folder
            } else {
                Entry::File
            };
            entries.push((entry.file_name(), what));
        }
        entries.sort_by(|one, other| one.0.cmp(&other.0));
        Ok(entries)
    }

    fn lines(&self, file: &Path) -> io::Result<Vec<String>> {
        let text = fs::read_to_string(file)?;
        Ok(text.lines().map(str::to_owned).collect())
    }
}
