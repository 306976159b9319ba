//! Modes and owners.

use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::Path;

use nix::fcntl::OFlag;

use super::{FileError, Root, Touched, failed};

/// Mode and owner of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rights {
    /// Permission bits with setuid, setgid and sticky.
    pub mode: u32,
    /// Owner's number.
    pub uid: u32,
    /// Group's number.
    pub gid: u32,
}

impl Rights {
    /// Owned by root.
    #[must_use]
    pub const fn root(mode: u32) -> Self {
        Self {
            mode,
            uid: 0,
            gid: 0,
        }
    }

    pub(crate) fn is_root(self) -> bool {
        (self.uid, self.gid) == (0, 0)
    }
}

impl std::fmt::Display for Rights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04o} {}:{}", self.mode, self.uid, self.gid)
    }
}

/// Whether owners can be given away, and are therefore compared and set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owners {
    /// The process is the superuser.
    Set,
    /// It is not: files stay its own, and file capabilities are left out too.
    Ignored,
}

impl Root {
    /// Whether `found` is as good as `wanted`: owners count only where they can be set.
    pub(crate) fn same_rights(&self, found: Rights, wanted: Rights) -> bool {
        found.mode == wanted.mode
            && (self.owners == Owners::Ignored
                || (found.uid, found.gid) == (wanted.uid, wanted.gid))
    }

    /// Sets mode and owner of an existing directory; a link in its place is refused.
    pub(crate) fn set_rights(
        &self,
        path: &Path,
        rights: Rights,
        touched: &mut Touched,
    ) -> Result<(), FileError> {
        let place = self.place(path)?;
        touched.begin(&place)?;
        self.set_rights_of(&place, rights)
    }

    /// Sets mode and owner of a file or directory; a link in its place is refused, and so is a file
    /// that has a second name, which may be somebody else's.
    pub(crate) fn set_rights_of_any(
        &self,
        path: &Path,
        rights: Rights,
        touched: &mut Touched,
    ) -> Result<(), FileError> {
        let place = self.place(path)?;
        touched.begin(&place)?;
        // A device or pipe must not wait for its other end.
        let file = OpenOptions::new()
            .read(true)
            .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits())
            .open(&place)
            .map_err(failed("open", &place))?;
        let metadata = file.metadata().map_err(failed("examine", &place))?;
        if metadata.is_file() && metadata.nlink() > 1 {
            let second = io::Error::other("the file has a second name");
            return Err(failed("change rights of", &place)(second));
        }
        self.set_rights_through(&file, &place, rights)
    }

    /// Through a descriptor: who can write to the parent could put a link in its place.
    pub(super) fn set_rights_of(&self, place: &Path, rights: Rights) -> Result<(), FileError> {
        let file = OpenOptions::new()
            .read(true)
            .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_DIRECTORY).bits())
            .open(place)
            .map_err(failed("open", place))?;
        self.set_rights_through(&file, place, rights)
    }

    fn set_rights_through(
        &self,
        file: &File,
        place: &Path,
        rights: Rights,
    ) -> Result<(), FileError> {
        if self.owners == Owners::Set {
            fchown(file, Some(rights.uid), Some(rights.gid))
                .map_err(failed("change owner of", place))?;
        }
        file.set_permissions(Permissions::from_mode(rights.mode))
            .map_err(failed("change mode of", place))
    }
}
