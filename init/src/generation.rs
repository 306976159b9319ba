//! Which generation's services run: the link [`Realm::generation`], which is the one truth about it.
//!
//! The supervisor sets it when it hands over to a generation's own program, before it executes that;
//! core starts the supervisor through it, so that whoever is killed at whichever moment, the next
//! supervisor is of the generation that the link names. The kernel resolves it when core executes
//! it: core needs no memory for that.
//!
//! [`Realm::generation`]: crate::realm::Realm::generation

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::realm::realm;

/// The program in a toplevel that comes first: stage 2.
pub const INIT: &str = "init";

/// The program in a toplevel that stays: core and supervisor.
pub const CORE: &str = "core";

/// The toplevel that `argument` stands for: the link's target, or itself.
///
/// # Errors
/// It is the link, and that is not there.
pub fn resolve(argument: &Path) -> io::Result<PathBuf> {
    if argument == realm().generation {
        fs::read_link(argument)
    } else {
        Ok(argument.to_owned())
    }
}

/// Makes `link` name `toplevel`, in one step.
///
/// # Errors
/// Its directory cannot be written.
pub fn set(link: &Path, toplevel: &Path) -> io::Result<()> {
    let next = link.with_added_extension("new");
    match fs::remove_file(&next) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    symlink(toplevel, &next)?;
    fs::rename(&next, link)
}

/// Makes `link` name `toplevel`, if it is not there yet and is not itself `toplevel`.
///
/// # Errors
/// Its directory cannot be made or written.
pub fn ensure(link: &Path, toplevel: &Path) -> io::Result<()> {
    if link == toplevel {
        return Ok(());
    }
    if let Some(directory) = link.parent() {
        fs::create_dir_all(directory)?;
    }
    match symlink(toplevel, link) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_link_is_made_once_and_replaced_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("run/generation");
        ensure(&link, Path::new("/one")).unwrap();
        ensure(&link, Path::new("/two")).unwrap();
        assert_eq!(fs::read_link(&link).unwrap(), Path::new("/one"));
        // What a supervisor that was killed in between has left is no obstacle.
        symlink("/none", link.with_added_extension("new")).unwrap();
        set(&link, Path::new("/two")).unwrap();
        assert_eq!(fs::read_link(&link).unwrap(), Path::new("/two"));
        assert_eq!(resolve(Path::new("/three")).unwrap(), Path::new("/three"));
    }
}
