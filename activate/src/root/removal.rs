//! Things removed, moved aside, kept under a second name.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::{FileError, Root, Touched, failed};

impl Root {
    /// Gives `path` another name in its folder; the new name must be free.
    pub(crate) fn move_aside(
        &self,
        path: &Path,
        to: &Path,
        touched: &mut Touched,
    ) -> Result<(), FileError> {
        let (place, to) = (self.place(path)?, self.place(to)?);
        touched.begin(&place)?;
        if fs::symlink_metadata(&to).is_ok() {
            let taken = io::Error::from(io::ErrorKind::AlreadyExists);
            return Err(failed("move something to", &to)(taken));
        }
        fs::rename(&place, &to).map_err(failed("rename", &place))?;
        touched.note(&place);
        Ok(())
    }

    /// Gives a file a second name in its folder, which must be free.
    pub(crate) fn keep_as(
        &self,
        path: &Path,
        to: &Path,
        touched: &mut Touched,
    ) -> Result<(), FileError> {
        let (place, to) = (self.place(path)?, self.place(to)?);
        touched.begin(&to)?;
        fs::hard_link(&place, &to).map_err(failed("keep", &place))?;
        touched.note(&to);
        touched.sync()
    }

    /// Removes a file or link.
    pub(crate) fn remove_file(&self, path: &Path, touched: &mut Touched) -> Result<(), FileError> {
        let place = self.place(path)?;
        touched.begin(&place)?;
        remove_if_there(&place)?;
        touched.note(&place);
        Ok(())
    }

    /// Removes whatever is at `path`, links not followed. Nothing is removed if a part of it is on
    /// another file system.
    pub(crate) fn remove_tree(&self, path: &Path, touched: &mut Touched) -> Result<(), FileError> {
        let place = self.place(path)?;
        touched.begin(&place)?;
        match fs::symlink_metadata(&place) {
            Ok(metadata) if metadata.is_dir() => {
                check_one_file_system(&place, parent_device(&place)?)?;
                fs::remove_dir_all(&place).map_err(failed("remove", &place))?;
            }
            _ => remove_if_there(&place)?,
        }
        touched.note(&place);
        Ok(())
    }

    /// Removes an empty directory.
    pub(crate) fn remove_directory(
        &self,
        path: &Path,
        touched: &mut Touched,
    ) -> Result<(), FileError> {
        let place = self.place(path)?;
        touched.begin(&place)?;
        fs::remove_dir(&place).map_err(failed("remove", &place))?;
        touched.note(&place);
        Ok(())
    }
}

fn parent_device(place: &Path) -> Result<u64, FileError> {
    let parent = place.parent().unwrap_or(place);
    fs::metadata(parent)
        .map(|metadata| metadata.dev())
        .map_err(failed("examine", parent))
}

/// Fails if a directory in the tree is a mount point of another file system.
fn check_one_file_system(directory: &Path, device: u64) -> Result<(), FileError> {
    let metadata = fs::symlink_metadata(directory).map_err(failed("examine", directory))?;
    if metadata.dev() != device {
        let mounted = io::Error::other("another file system is mounted there");
        return Err(failed("remove", directory)(mounted));
    }
    for entry in fs::read_dir(directory).map_err(failed("list", directory))? {
        let entry = entry.map_err(failed("list", directory))?;
        let kind = entry
            .file_type()
            .map_err(failed("examine", &entry.path()))?;
        if kind.is_dir() {
            check_one_file_system(&entry.path(), device)?;
        }
    }
    Ok(())
}

pub(super) fn remove_if_there(place: &Path) -> Result<(), FileError> {
    let removed = match fs::symlink_metadata(place) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir(place),
        _ => fs::remove_file(place),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(failed("remove", place)(error))
        }
        _ => Ok(()),
    }
}
