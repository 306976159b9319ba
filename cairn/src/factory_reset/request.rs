//! The file that asks stage 1 for a factory reset: `/nix/var/cairn/factory-reset`.
//!
//! Stage 1 takes it away once it has obeyed, or where it does not obey. Between the two it says that the reset
//! was begun.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use cairn_system::factory_reset::{ASKED, BEGUN, REQUEST};
use nix::sys::statfs::{TMPFS_MAGIC, statfs};
use nix::unistd::{AccessFlags, access};
use tempfile::NamedTempFile;

/// The file, on one machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    path: PathBuf,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nothing.
    Nothing,
    /// The next boot does a factory reset.
    Asked,
    /// One was begun, and did not come to its end; the next boot goes on.
    Begun,
}

/// Why a request cannot be made or withdrawn.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The file cannot be dealt with.
    #[error("cannot {attempt} '{}': {source}", path.display())]
    Io {
        /// What was tried.
        attempt: &'static str,
        /// On what.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The next boot would not find it.
    #[error("cannot ask for a factory reset: '{}' is in memory, and no boot would find a request there", .0.display())]
    InMemory(PathBuf),
}

impl Request {
    /// That of the machine whose file systems are at `root`.
    #[must_use]
    pub fn of(root: &Path) -> Self {
        Self {
            path: root.join(REQUEST.trim_start_matches('/')),
        }
    }

    /// What is asked for.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn standing(&self) -> Result<Standing, RequestError> {
        match fs::read(&self.path) {
            Ok(text) if text == BEGUN => Ok(Standing::Begun),
            Ok(_) => Ok(Standing::Asked),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Standing::Nothing),
            Err(error) => Err(at("read", &self.path)(error)),
        }
    }

    /// Finds out whether one can be made that the next boot sees, without making one.
    ///
    /// # Errors
    /// The folder cannot be written to, or is in memory.
    pub fn check(&self) -> Result<(), RequestError> {
        let mut folders = self.path.ancestors().skip(1);
        let Some(folder) = folders.find(|folder| folder.exists()) else {
            return Ok(());
        };
        let failed = at("write to", folder);
        access(folder, AccessFlags::W_OK).map_err(|error| failed(error.into()))?;
        let kind = statfs(folder).map_err(|error| failed(error.into()))?;
        if kind.filesystem_type() == TMPFS_MAGIC {
            return Err(RequestError::InMemory(folder.to_owned()));
        }
        Ok(())
    }

    /// Makes it, whole and on the disk when this returns; one that is there stays as it is.
    ///
    /// # Errors
    /// It cannot be written. What fails at the very end may leave it there: [`Request::withdraw`] is sure.
    pub fn make(&self) -> Result<(), RequestError> {
        if self.standing()? != Standing::Nothing {
            return Ok(());
        }
        let failed = at("write", &self.path);
        self.write().map_err(failed)
    }

    fn write(&self) -> io::Result<()> {
        let folder = self.folder();
        make_folder(folder)?;
        let mut new = NamedTempFile::new_in(folder)?;
        new.write_all(ASKED)?;
        new.as_file().sync_all()?;
        new.persist(&self.path)?;
        sync(folder)
    }

    /// Takes it back; gives what was asked for.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn withdraw(&self) -> Result<Standing, RequestError> {
        let standing = self.standing()?;
        if standing != Standing::Nothing {
            fs::remove_file(&self.path)
                .and_then(|()| sync(self.folder()))
                .map_err(at("remove", &self.path))?;
        }
        Ok(standing)
    }

    fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("/"))
    }
}

/// Makes `folder` and those above it, each on the disk.
fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = folder.parent().unwrap_or(Path::new("/"));
    make_folder(parent)?;
    fs::create_dir(folder)?;
    sync(parent)
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn at(attempt: &'static str, path: &Path) -> impl Fn(io::Error) -> RequestError {
    let path = path.to_owned();
    move |source| RequestError::Io {
        attempt,
        path: path.clone(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect()
    }

    #[test]
    fn it_is_made_and_taken_back() {
        let root = tempfile::tempdir().unwrap();
        let request = Request::of(root.path());
        assert_eq!(request.standing().unwrap(), Standing::Nothing);
        assert_eq!(request.withdraw().unwrap(), Standing::Nothing);
        for _ in 0..2 {
            request.make().unwrap();
            assert_eq!(request.standing().unwrap(), Standing::Asked);
            assert_eq!(names(&root.path().join("nix/var/cairn")), ["factory-reset"]);
        }
        assert_eq!(request.withdraw().unwrap(), Standing::Asked);
        assert!(names(&root.path().join("nix/var/cairn")).is_empty());
    }

    #[test]
    fn what_was_begun_stays_begun() {
        let root = tempfile::tempdir().unwrap();
        let request = Request::of(root.path());
        make_folder(request.folder()).unwrap();
        fs::write(&request.path, BEGUN).unwrap();
        request.make().unwrap();
        assert_eq!(request.standing().unwrap(), Standing::Begun);
        assert_eq!(request.withdraw().unwrap(), Standing::Begun);
        assert_eq!(request.standing().unwrap(), Standing::Nothing);
    }

    #[test]
    fn what_is_in_memory_or_no_file_is_refused_by_its_name() {
        let root = tempfile::tempdir_in("/dev/shm").unwrap();
        let request = Request::of(root.path());
        let error = request.check().unwrap_err().to_string();
        let folder = root.path().display();
        assert_eq!(
            error,
            format!(
                "cannot ask for a factory reset: '{folder}' is in memory, and no boot would find a request there"
            )
        );
        make_folder(&request.path).unwrap();
        assert_eq!(
            request.make().unwrap_err().to_string(),
            format!(
                "cannot read '{}': Is a directory (os error 21)",
                request.path.display()
            )
        );
    }
}
