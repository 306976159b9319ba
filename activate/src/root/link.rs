//! Symbolic links.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::removal::remove_if_there;
use super::temporary::temporary_beside;
use super::{FileError, Root, Touched, failed};

impl Root {
    /// Makes the link, replacing what is there unless it is a directory.
    pub(crate) fn link(
        &self,
        path: &Path,
        target: &Path,
        touched: &mut Touched,
    ) -> Result<(), FileError> {
        self.prepare_link(path, target, touched)?;
        self.publish(path, touched)
    }

    /// Makes links in one folder, by name and target, where there is nothing yet. One that cannot be
    /// made is the error, and the others are made.
    pub(crate) fn make_links(
        &self,
        folder: &Path,
        links: &[(OsString, PathBuf)],
        touched: &mut Touched,
    ) -> Result<(), FileError> {
        let folder = self.resolve(folder)?;
        let mut first = Ok(());
        for (name, target) in links {
            let place = folder.join(name);
            let made = touched
                .begin(&place)
                .and_then(|()| symlink(target, &place).map_err(failed("create", &place)));
            match made {
                Ok(()) => touched.note(&place),
                Err(error) if first.is_ok() => first = Err(error),
                Err(error) => log::error!("{error}"),
            }
        }
        first
    }

    /// Removes links in one folder; what is no link any more stays.
    pub(crate) fn remove_links(
        &self,
        folder: &Path,
        names: &[OsString],
        touched: &mut Touched,
    ) -> Result<(), FileError> {
        let folder = self.resolve(folder)?;
        for name in names {
            let place = folder.join(name);
            if fs::symlink_metadata(&place).is_ok_and(|found| found.is_symlink()) {
                touched.begin(&place)?;
                remove_if_there(&place)?;
                touched.note(&place);
            }
        }
        Ok(())
    }

    /// Makes the link under a temporary name, for [`Root::publish`].
    pub(crate) fn prepare_link(
        &self,
        path: &Path,
        target: &Path,
        touched: &mut Touched,
    ) -> Result<(), FileError> {
        let temporary = temporary_beside(&self.place(path)?);
        touched.begin(&temporary)?;
        remove_if_there(&temporary)?;
        symlink(target, &temporary).map_err(failed("create", &temporary))
    }
}
