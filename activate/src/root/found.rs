//! What there is.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{FileError, Rights, Root, failed};

/// What lies at a path, links not followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Absent,
    Link(PathBuf),
    Directory(Rights),
    File(Rights),
    Other,
}

/// What a folder has under a name, without rights: reading many is quick.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Listed {
    Directory,
    File,
    Link(PathBuf),
    Other,
}

impl Root {
    pub(crate) fn kind(&self, path: &Path) -> Result<Kind, FileError> {
        let place = self.place(path)?;
        let Some(metadata) =
            there(fs::symlink_metadata(&place)).map_err(failed("examine", &place))?
        else {
            return Ok(Kind::Absent);
        };
        let rights = Rights {
            mode: metadata.mode() & 0o7777,
            uid: metadata.uid(),
            gid: metadata.gid(),
        };
        Ok(if metadata.is_symlink() {
            Kind::Link(fs::read_link(&place).map_err(failed("read link", &place))?)
        } else if metadata.is_dir() {
            Kind::Directory(rights)
        } else if metadata.is_file() {
            Kind::File(rights)
        } else {
            Kind::Other
        })
    }

    /// The bytes at `path`, links followed; `None` if there is nothing.
    pub(crate) fn read_if_there(&self, path: &Path) -> Result<Option<Vec<u8>>, FileError> {
        let place = self.resolve(path)?;
        there(fs::read(&place)).map_err(failed("read", &place))
    }

    /// Opens the regular file at `path`, links followed.
    pub(crate) fn open(&self, path: &Path) -> Result<File, FileError> {
        let place = self.resolve(path)?;
        File::open(&place).map_err(failed("open", &place))
    }

    /// Whether the files at both paths have the same bytes; `false` if one is missing.
    pub(crate) fn same_content(&self, one: &Path, other: &Path) -> Result<bool, FileError> {
        let (one, other) = (self.resolve(one)?, self.resolve(other)?);
        let (Ok(one_data), Ok(other_data)) = (fs::metadata(&one), fs::metadata(&other)) else {
            return Ok(false);
        };
        if !one_data.is_file() || !other_data.is_file() || one_data.len() != other_data.len() {
            return Ok(false);
        }
        equal_files(&one, &other)
    }

    /// Names in the directory at `path`, sorted; none if it is absent.
    pub(crate) fn names(&self, path: &Path) -> Result<Vec<OsString>, FileError> {
        let place = self.resolve(path)?;
        let Some(entries) = there(fs::read_dir(&place)).map_err(failed("list", &place))? else {
            return Ok(Vec::new());
        };
        let mut names = entries
            .map(|entry| entry.map(|entry| entry.file_name()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(failed("list", &place))?;
        names.sort();
        Ok(names)
    }

    /// What the directory at `path` holds, sorted; nothing if it is absent.
    pub(crate) fn list(&self, path: &Path) -> Result<Vec<(OsString, Listed)>, FileError> {
        let place = self.resolve(path)?;
        let entries = match fs::read_dir(&place) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed("list", &place)(error)),
        };
        let mut listing = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed("list", &place))?;
            let name = entry.file_name();
            let kind = entry
                .file_type()
                .map_err(failed("examine", &entry.path()))?;
            let listed = if kind.is_symlink() {
                let link = place.join(&name);
                Listed::Link(fs::read_link(&link).map_err(failed("read link", &link))?)
            } else if kind.is_dir() {
                Listed::Directory
            } else if kind.is_file() {
                Listed::File
            } else {
                Listed::Other
            };
            listing.push((name, listed));
        }
        listing.sort_by(|one, other| one.0.cmp(&other.0));
        Ok(listing)
    }
}

/// What was found, or nothing if there is nothing.
fn there<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn equal_files(one: &Path, other: &Path) -> Result<bool, FileError> {
    let mut one_file = File::open(one).map_err(failed("open", one))?;
    let mut other_file = File::open(other).map_err(failed("open", other))?;
    let (mut one_block, mut other_block) = (Vec::new(), Vec::new());
    loop {
        one_block.clear();
        other_block.clear();
        (&mut one_file)
            .take(1 << 16)
            .read_to_end(&mut one_block)
            .map_err(failed("read", one))?;
        (&mut other_file)
            .take(1 << 16)
            .read_to_end(&mut other_block)
            .map_err(failed("read", other))?;
        if one_block != other_block {
            return Ok(false);
        }
        if one_block.is_empty() {
            return Ok(true);
        }
    }
}
