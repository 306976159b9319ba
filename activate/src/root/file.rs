//! Files and directories written.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::Path;

use super::removal::remove_if_there;
use super::temporary::temporary_beside;
use super::{FileError, Owners, Rights, Root, Touched, failed};

/// When a file's content reaches the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// Before the call returns.
    Now,
    /// By [`Root::sync_file_system`].
    Later,
}

impl Root {
    /// Writes a file with `write_content`, replacing what is there unless it is a directory. Owner and mode
    /// are set before the file gets its name.
    pub(crate) fn write(
        &self,
        path: &Path,
        rights: Rights,
        touched: &mut Touched,
        write_content: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> Result<(), FileError> {
        self.prepare_file(path, rights, Durability::Now, touched, write_content)?;
        self.publish(path, touched)
    }

    /// Writes a file under a temporary name, for [`Root::publish`].
    pub(crate) fn prepare_file(
        &self,
        path: &Path,
        rights: Rights,
        durability: Durability,
        touched: &mut Touched,
        write_content: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> Result<(), FileError> {
        let temporary = temporary_beside(&self.place(path)?);
        touched.begin(&temporary)?;
        remove_if_there(&temporary)?;
        let written = self.write_temporary(&temporary, rights, durability, write_content);
        if written.is_err() {
            remove_if_there(&temporary)?;
        }
        written
    }

    fn write_temporary(
        &self,
        temporary: &Path,
        rights: Rights,
        durability: Durability,
        write_content: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> Result<(), FileError> {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(temporary)
            .map_err(failed("create", temporary))?;
        // The owner first: a change of owner clears setuid bits and capabilities. The content
        // before the capabilities that `write_content` may set last: a write clears them as well.
        if self.owners == Owners::Set {
            fchown(&file, Some(rights.uid), Some(rights.gid))
                .map_err(failed("change owner of", temporary))?;
        }
        write_content(&mut file).map_err(failed("write", temporary))?;
        file.set_permissions(Permissions::from_mode(rights.mode))
            .map_err(failed("change mode of", temporary))?;
        match durability {
            Durability::Now => file.sync_all().map_err(failed("sync", temporary)),
            Durability::Later => Ok(()),
        }
    }

    /// Writes into the file at `path`, which must be there; links are followed.
    pub(crate) fn write_into(
        &self,
        path: &Path,
        content: &[u8],
        touched: &mut Touched,
    ) -> Result<(), FileError> {
        let place = self.resolve_to_change(path)?;
        touched.begin(&place)?;
        OpenOptions::new()
            .write(true)
            .truncate(true)
            .open(&place)
            .and_then(|mut file| file.write_all(content))
            .map_err(failed("write", &place))
    }

    /// Makes one directory whose parent exists.
    pub(crate) fn make_directory(
        &self,
        path: &Path,
        rights: Rights,
        touched: &mut Touched,
    ) -> Result<(), FileError> {
        let place = self.place(path)?;
        let temporary = temporary_beside(&place);
        touched.begin(&temporary)?;
        if fs::symlink_metadata(&temporary).is_ok() {
            // Left by an interrupted run; it is empty unless someone else uses that name.
            fs::remove_dir(&temporary).map_err(failed("remove", &temporary))?;
        }
        DirBuilder::new()
            .mode(0o700)
            .create(&temporary)
            .map_err(failed("create", &temporary))?;
        self.set_rights_of(&temporary, rights)?;
        self.publish(path, touched)
    }
}

/// Writes `bytes`; for [`Root::write`].
pub(crate) fn bytes(content: &[u8]) -> impl FnOnce(&mut File) -> io::Result<()> + '_ {
    move |file| file.write_all(content)
}
