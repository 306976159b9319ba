//! The root directory that activation works on: the running system's, an image tree's or a test's.
//!
//! Paths inside of it are *logical*: absolute, as programs of that system see them. Symbolic links
//! are followed inside the root, absolute ones too, as after a `chroot`.
//!
//! Invariant: a file is replaced by `rename` of a finished, synced temporary in the same folder,
//! so that readers, and a machine that loses power, see the old file or the new one.

mod file;
mod found;
mod link;
mod removal;
mod rights;
mod temporary;
mod touched;

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use cairn_sys::mount::writable_view;
use nix::errno::Errno;
use nix::sys::statvfs::{FsFlags, statvfs};

pub(crate) use file::{Durability, bytes};
pub(crate) use found::{Kind, Listed};
pub use rights::{Owners, Rights};
pub(crate) use temporary::is_temporary;
pub(crate) use touched::{FILES_SYNCED_ONE_BY_ONE, Touched};

/// A root directory.
#[derive(Debug)]
pub(crate) struct Root {
    path: PathBuf,
    owners: Owners,
    etc: Option<View>,
}

/// A writable view of `/etc`, where others see it read-only.
#[derive(Debug)]
struct View {
    path: PathBuf,
    #[expect(dead_code, reason = "the view is there as long as this is open")]
    open: OwnedFd,
}

/// An I/O error with what was tried on which path (physical).
#[derive(Debug, thiserror::Error)]
#[error("cannot {verb} '{path}': {source}")]
pub struct FileError {
    /// `read`, `create`, …
    pub verb: &'static str,
    /// The path as this process names it.
    pub path: PathBuf,
    /// The cause.
    pub source: io::Error,
}

fn failed(verb: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileError {
    let path = path.to_owned();
    move |source| FileError { verb, path, source }
}

/// Longest chain of symbolic links that is followed, as the kernel's.
const MAX_LINKS: usize = 40;

impl Root {
    pub(crate) fn new(path: &Path) -> Self {
        let owners = if nix::unistd::geteuid().is_root() {
            Owners::Set
        } else {
            Owners::Ignored
        };
        Self {
            path: path.to_owned(),
            owners,
            etc: None,
        }
    }

    /// As [`Root::new`], where `/etc` can be written even if it is mounted read-only.
    pub(crate) fn for_changes(path: &Path) -> Result<Self, FileError> {
        let mut root = Self::new(path);
        let etc = path.join("etc");
        let flags = match statvfs(&etc) {
            Ok(found) => found.flags(),
            Err(Errno::ENOENT) => return Ok(root),
            Err(error) => return Err(failed("examine", &etc)(error.into())),
        };
        if flags.contains(FsFlags::ST_RDONLY) {
            let open = writable_view(&etc).map_err(failed("write", &etc))?;
            let path = PathBuf::from(format!("/proc/self/fd/{}", open.as_raw_fd()));
            root.etc = Some(View { path, open });
        }
        Ok(root)
    }

    pub(crate) fn owners(&self) -> Owners {
        self.owners
    }

    /// Where `path` (logical) lies for this process; its folder is followed through links, as far as
    /// [`Root::resolve_to_change`] does, its last component is not.
    pub(crate) fn place(&self, path: &Path) -> Result<PathBuf, FileError> {
        match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) => Ok(self.resolve_to_change(parent)?.join(name)),
            _ => Ok(self.path.clone()),
        }
    }

    /// Where `path` (logical) lies with every link followed; what does not exist stays as written.
    pub(crate) fn resolve(&self, path: &Path) -> Result<PathBuf, FileError> {
        self.follow(path, Links::Any)
    }

    /// The same where root is to change something: a link that belongs to somebody leads nowhere but to what is
    /// theirs, too.
    pub(crate) fn resolve_to_change(&self, path: &Path) -> Result<PathBuf, FileError> {
        match self.owners {
            Owners::Set => self.follow(path, Links::OfTheirOwners),
            Owners::Ignored => self.follow(path, Links::Any),
        }
    }

    fn follow(&self, path: &Path, followed: Links) -> Result<PathBuf, FileError> {
        let mut pending: Vec<OsString> = components_reversed(path);
        // Whose link is being followed, and how much of the path comes after it.
        let mut link: Option<(u32, usize)> = None;
        let mut place = self.path.clone();
        let mut depth = 0_usize;
        let mut links = 0;
        loop {
            if let Some((owner, _)) = link.take_if(|(_, behind)| pending.len() <= *behind)
                && !fs::symlink_metadata(&place).is_ok_and(|found| found.uid() == owner)
            {
                let text = "a link leads there that belongs to somebody else";
                return Err(failed("follow", &place)(io::Error::other(text)));
            }
            let Some(component) = pending.pop() else {
                return Ok(place);
            };
            if component == ".." {
                match depth {
                    0 => {}
                    1 => place.clone_from(&self.path),
                    _ => {
                        place.pop();
                    }
                }
                depth = depth.saturating_sub(1);
                continue;
            }
            if let Some(view) = self
                .etc
                .as_ref()
                .filter(|_| depth == 0 && component == "etc")
            {
                place.clone_from(&view.path);
                depth = 1;
                continue;
            }
            place.push(&component);
            let Some(found) = fs::symlink_metadata(&place)
                .ok()
                .filter(fs::Metadata::is_symlink)
            else {
                depth += 1;
                continue;
            };
            if followed == Links::OfTheirOwners && found.uid() != 0 {
                link.get_or_insert((found.uid(), pending.len()));
            }
            let target = fs::read_link(&place).map_err(failed("read link", &place))?;
            links += 1;
            if links > MAX_LINKS {
                let source = io::Error::other("too many symbolic links");
                return Err(failed("resolve", path)(source));
            }
            place.pop();
            if target.is_absolute() {
                place.clone_from(&self.path);
                depth = 0;
            }
            pending.extend(components_reversed(&target));
        }
    }
}

/// Which links are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Links {
    /// All.
    Any,
    /// Root's, and those that lead to what is their owner's.
    OfTheirOwners,
}

/// Where `path` lies on this machine, its folder followed as far as root can where it is to change something: a link
/// that belongs to somebody leads nowhere but to what is theirs, too.
///
/// # Errors
/// A link leads elsewhere, or in a circle.
pub fn place_to_change(path: &Path) -> Result<PathBuf, FileError> {
    Root::new(Path::new("/")).place(path)
}

fn components_reversed(path: &Path) -> Vec<OsString> {
    let mut parts: Vec<OsString> = path
        .components()
        .filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            _ => None,
        })
        .collect();
    parts.reverse();
    parts
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::symlink;

    use super::*;

    /// Where others cannot write to `/etc`, all that is below it is reached through the view.
    #[test]
    fn etc_is_another_place() {
        let folder = tempfile::tempdir().unwrap();
        let [tree, other] = ["tree", "other"].map(|name| folder.path().join(name));
        for place in [tree.join("etc"), tree.join("run"), other.join("ssh")] {
            fs::create_dir_all(place).unwrap();
        }
        symlink("/etc/ssh", tree.join("run/ssh")).unwrap();
        symlink("../run", other.join("run")).unwrap();
        let root = Root {
            etc: Some(View {
                path: other.clone(),
                open: File::open(&other).unwrap().into(),
            }),
            ..Root::new(&tree)
        };
        for (path, wanted) in [
            ("/etc/passwd", other.join("passwd")),
            ("/run/ssh/key", other.join("ssh/key")),
            ("/etc/run/ssh/key", other.join("ssh/key")),
            ("/etc/ssh/../../etc/a", other.join("a")),
            ("/run/etc/a", tree.join("run/etc/a")),
            ("/etc", other),
        ] {
            assert_eq!(root.resolve(Path::new(path)).unwrap(), wanted, "{path}");
        }
    }
}
