//! Copying, removing and syncing whole trees.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::error::{IoError, io_error};
use crate::nar::{Keep, MAX_DEPTH, NarError};

/// Removes the tree at `path`, read-only folders included; nothing there is fine.
pub(crate) fn remove(path: &Path) -> Result<(), IoError> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io_error("remove", path)(error)),
    };
    if !metadata.is_dir() {
        return fs::remove_file(path).map_err(io_error("remove", path));
    }
    make_removable(path)?;
    fs::remove_dir_all(path).map_err(io_error("remove", path))
}

/// Gives the owner all rights on a folder and those below it. Uses a list, not recursion: a
/// hostile builder may nest folders as deeply as it likes.
fn make_removable(path: &Path) -> Result<(), IoError> {
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        set_mode(&folder, 0o700)?;
        for entry in fs::read_dir(&folder).map_err(io_error("list", &folder))? {
            let entry = entry.map_err(io_error("list", &folder))?;
            if entry
                .file_type()
                .map_err(io_error("read", &folder))?
                .is_dir()
            {
                folders.push(entry.path());
            }
        }
    }
    Ok(())
}

pub(crate) fn set_mode(path: &Path, mode: u32) -> Result<(), IoError> {
    fs::set_permissions(path, Permissions::from_mode(mode))
        .map_err(io_error("set the mode of", path))
}

/// Copies files, folders and links, those below `from` only if `keep` says yes; of the modes, only
/// the executable bit matters.
pub(crate) fn copy(from: &Path, to: &Path, keep: &Keep<'_>, depth: usize) -> Result<(), NarError> {
    if depth > MAX_DEPTH {
        return Err(NarError::Deep(from.to_owned()));
    }
    let metadata = fs::symlink_metadata(from).map_err(io_error("read", from))?;
    let kind = metadata.file_type();
    if kind.is_file() {
        fs::copy(from, to).map_err(copy_error(from, to))?;
    } else if kind.is_symlink() {
        let target = fs::read_link(from).map_err(io_error("read link", from))?;
        std::os::unix::fs::symlink(target, to).map_err(io_error("create link", to))?;
    } else if kind.is_dir() {
        fs::create_dir(to).map_err(io_error("create folder", to))?;
        for name in crate::nar::sorted_names(from)? {
            let entry = from.join(&name);
            if keep(&entry) {
                copy(&entry, &to.join(&name), keep, depth + 1)?;
            }
        }
    } else {
        return Err(NarError::Special {
            path: from.to_owned(),
            kind: crate::nar::special_kind(&metadata),
        });
    }
    Ok(())
}

/// `fs::copy` does not say which of the two files failed: a full disk is the target's.
fn copy_error(from: &Path, to: &Path) -> impl FnOnce(std::io::Error) -> IoError {
    let (from, to) = (from.to_owned(), to.to_owned());
    move |source| match File::open(&from) {
        Ok(_) => io_error("write", to)(source),
        Err(_) => io_error("read", from)(source),
    }
}

/// Writes every file and folder of the tree at `path` to the disk.
pub(crate) fn sync(path: &Path) -> Result<(), IoError> {
    let metadata = fs::symlink_metadata(path).map_err(io_error("read", path))?;
    if metadata.is_dir() {
        for entry in fs::read_dir(path).map_err(io_error("list", path))? {
            sync(&entry.map_err(io_error("list", path))?.path())?;
        }
    }
    if metadata.is_symlink() {
        // A link has no data of its own: its folder names it.
        Ok(())
    } else {
        sync_file(path)
    }
}

/// Writes one file or folder to the disk.
pub(crate) fn sync_file(path: &Path) -> Result<(), IoError> {
    File::open(path)
        .and_then(|file| file.sync_all())
        .map_err(io_error("sync", path))
}

/// How many files, folders and links there are at `path`, at most `limit`.
pub(crate) fn count(path: &Path, limit: usize) -> Result<usize, IoError> {
    let metadata = fs::symlink_metadata(path).map_err(io_error("read", path))?;
    let mut total = 1;
    if metadata.is_dir() {
        for entry in fs::read_dir(path).map_err(io_error("list", path))? {
            if total >= limit {
                break;
            }
            let entry = entry.map_err(io_error("list", path))?;
            total += count(&entry.path(), limit - total)?;
        }
    }
    Ok(total)
}
