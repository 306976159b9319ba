//! Directories that belong to a service: made before it starts, and removed when it has stopped.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use cairn_sys::process::Credentials;
use cairn_system::ServiceDirectory;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat2};

/// Makes them, with owner and mode; what is there already is put right, but not what is in it.
///
/// # Errors
/// One cannot be made, or something else is there: the message names it.
pub fn make(directories: &[ServiceDirectory], owner: &Credentials) -> io::Result<()> {
    directories.iter().try_for_each(|directory| {
        make_one(directory, owner).map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("cannot make the directory {}: {error}", directory.path),
            )
        })
    })
}

fn make_one(directory: &ServiceDirectory, owner: &Credentials) -> io::Result<()> {
    let path = &followed(directory)?;
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    // Through a descriptor: what is there, or on the way, may be a link that the service's user has put there.
    let how = OpenHow::new()
        .flags(OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_NO_SYMLINKS);
    let file = File::from(openat2(AT_FDCWD, path, how)?);
    let (uid, gid) = if directory.root {
        (0, 0)
    } else {
        (owner.uid, owner.gid)
    };
    let metadata = file.metadata()?;
    if (metadata.uid(), metadata.gid()) != (uid, gid) {
        fchown(&file, Some(uid), Some(gid))?;
    }
    if metadata.mode() & 0o7777 != directory.mode {
        file.set_permissions(Permissions::from_mode(directory.mode))?;
    }
    Ok(())
}

/// Where it lies: what leads there can be somebody's whose it is not.
fn followed(directory: &ServiceDirectory) -> io::Result<PathBuf> {
    let path = Path::new(&directory.path);
    cairn_activate::place_to_change(path).map_err(io::Error::other)
}

/// Makes an empty file of root's with this mode, if nothing is there.
///
/// # Errors
/// It cannot be made: the message names it.
pub fn make_file(path: &Path, mode: u32) -> io::Result<()> {
    let mut options = OpenOptions::new();
    match options.write(true).create_new(true).mode(mode).open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            let message = format!("cannot make the file {}: {error}", path.display());
            Err(io::Error::new(error.kind(), message))
        }
        _ => Ok(()),
    }
}

/// Removes those that are there only while the service runs, with what is in them.
///
/// # Errors
/// The first that cannot be removed; the others are tried all the same.
pub fn remove<'a>(directories: impl Iterator<Item = &'a ServiceDirectory>) -> io::Result<()> {
    let mut result = Ok(());
    for directory in directories.filter(|d| d.removed_at_stop) {
        // Follows no link at the end or within.
        match followed(directory).and_then(fs::remove_dir_all) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                let message = format!("cannot remove {}: {error}", directory.path);
                result = result.and(Err(io::Error::new(error.kind(), message)));
            }
            _ => {}
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let directory = |name: &str, removed_at_stop| ServiceDirectory {
            path: path(name).display().to_string(),
            mode: 0o750,
            root: false,
            removed_at_stop,
            kept_at_restart: false,
        };
        let metadata = fs::metadata(folder.path()).unwrap();
        let owner = Credentials {
            uid: metadata.uid(),
            gid: metadata.gid(),
            groups: Vec::new(),
        };
        let all = [directory("run/a/b", true), directory("lib", false)];
        make(&all, &owner).unwrap();
        make(&all, &owner).unwrap();
        assert_eq!(
            fs::metadata(path("run/a/b")).unwrap().mode() & 0o7777,
            0o750
        );
        fs::write(path("run/a/b/file"), "x").unwrap();
        remove(all.iter()).unwrap();
        remove(all.iter()).unwrap();
        assert!(!path("run/a/b").exists() && path("run/a").exists() && path("lib").exists());
        std::os::unix::fs::symlink("/tmp", path("link")).unwrap();
        assert!(make(&[directory("link", false)], &owner).is_err());
    }
}
