//! What has been prepared under a temporary name gets its own.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::removal::remove_if_there;
use super::{FileError, Root, Touched, failed};

const TEMPORARY: &str = ".cairn-tmp";

/// One fixed name for each path: what an interrupted run leaves is replaced by the next.
pub(super) fn temporary_beside(place: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(place.file_name().unwrap_or_default());
    name.push(TEMPORARY);
    place.with_file_name(name)
}

/// Whether the name is one that only files in the making have.
pub(crate) fn is_temporary(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.starts_with(b".") && name.ends_with(TEMPORARY.as_bytes())
}

impl Root {
    /// Gives what has been prepared its name, replacing what is there unless it is a directory.
    pub(crate) fn publish(&self, path: &Path, touched: &mut Touched) -> Result<(), FileError> {
        let place = self.place(path)?;
        touched.begin(&place)?;
        rename_over(&temporary_beside(&place), &place)?;
        touched.note(&place);
        Ok(())
    }

    /// Makes everything on the file system of `path` durable.
    pub(crate) fn sync_file_system(
        &self,
        path: &Path,
        touched: &mut Touched,
    ) -> Result<(), FileError> {
        let place = self.resolve(path)?;
        touched.begin(&place)?;
        let folder = File::open(&place).map_err(failed("open", &place))?;
        nix::unistd::syncfs(&folder).map_err(|errno| failed("sync", &place)(errno.into()))
    }
}

fn rename_over(temporary: &Path, place: &Path) -> Result<(), FileError> {
    let renamed = fs::rename(temporary, place).map_err(failed("replace", place));
    if renamed.is_err() {
        remove_if_there(temporary)?;
    }
    renamed
}
