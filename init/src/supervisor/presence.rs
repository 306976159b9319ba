//! Which devices are there that services are for, and what wakes us when another one is.
//!
//! A name below `/dev` is there if it leads to a device. Every folder on the way, and on the way to where links lead,
//! is watched for names that come and go, whoever makes them. What is below `/sys` has no such events: the
//! kernel's own events of devices come when it is there, or is not any more. After any event everything is looked at
//! anew, so that neither one that is lost nor a successor misses anything.
//!
//! Source: `inotify(7)`; `device_add` and `device_del` in the kernel's `drivers/base/core.c` for the order of things.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use cairn_sys::inotify::{self, Mask};
use cairn_system::{DevicePath, Service};
use nix::errno::Errno;

use super::graph::Id;
use super::watching::until_known;

/// A name comes or goes in a folder, or the folder does.
const NAMES: Mask = inotify::CREATE
    | inotify::DELETE
    | inotify::MOVED_FROM
    | inotify::MOVED_TO
    | inotify::DELETE_SELF
    | inotify::MOVE_SELF;

/// So many links are followed, as by the kernel.
const LINKS: usize = 40;

/// The devices of a description, and what is watched for them.
#[derive(Debug, Default)]
pub struct Presence {
    devices: Vec<Device>,
    queue: Option<OwnedFd>,
    watches: BTreeSet<i32>,
}

#[derive(Debug)]
struct Device {
    id: Id,
    path: DevicePath,
    /// What was there when it was last looked at.
    seen: Option<Identity>,
}

/// Tells a device from another one that has taken its place: the numbers of its node, or of its file below `/sys`.
/// Neither file system gives them to the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    file_system: u64,
    inode: u64,
    device: u64,
}

/// What has become of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct News {
    /// Its service.
    pub id: Id,
    /// It is there.
    pub is_there: bool,
    /// It is there, and another one than that of before.
    pub is_another: bool,
}

impl Presence {
    /// Those of `services`. Nothing is watched yet.
    pub fn new(services: &[Service]) -> Self {
        let devices = services.iter().enumerate();
        let devices = devices.filter_map(|(id, service)| {
            let path = service.device.clone()?;
            Some(Device {
                id,
                path,
                seen: None,
            })
        });
        Self {
            devices: devices.collect(),
            ..Self::default()
        }
    }

    /// Looks at all of them.
    pub fn look(&mut self) -> Vec<News> {
        let devices = self.devices.iter_mut();
        devices
            .map(|device| {
                let now = identity(&device.path);
                let before = std::mem::replace(&mut device.seen, now);
                News {
                    id: device.id,
                    is_there: now.is_some(),
                    is_another: before.is_some() && now.is_some() && before != now,
                }
            })
            .collect()
    }

    /// Whether the kernel's events are needed.
    pub fn hears_kernel(&self) -> bool {
        self.devices.iter().any(|device| is_of_kernel(&device.path))
    }

    /// The queue of what happens to folders, if there are any to watch: [`Presence::take`] watches them.
    ///
    /// # Errors
    /// No descriptor is left.
    pub fn open(&mut self) -> io::Result<Option<BorrowedFd<'_>>> {
        if self
            .devices
            .iter()
            .any(|device| !is_of_kernel(&device.path))
        {
            self.queue = Some(inotify::open()?);
        }
        Ok(self.queue.as_ref().map(AsFd::as_fd))
    }

    /// Takes what has happened, and watches the folders that there are now.
    ///
    /// # Errors
    /// One cannot be watched; the others are.
    pub fn take(&mut self) -> io::Result<()> {
        let Some(queue) = &self.queue else {
            return Ok(());
        };
        inotify::read(queue.as_fd())?;
        let mut watches = BTreeSet::new();
        let mut failure = None;
        let add = |folders: &Vec<PathBuf>| {
            for folder in folders {
                match inotify::add(queue.as_fd(), folder, NAMES) {
                    Ok(watch) => watches.extend([watch]),
                    // The one that it is to come in says so.
                    Err(error) if is_nothing(&error) => {}
                    Err(error) => {
                        let text = format!("cannot watch {}: {error}", folder.display());
                        failure.get_or_insert(io::Error::new(error.kind(), text));
                    }
                }
            }
            Ok(())
        };
        until_known(|| self.folders(), add)?;
        for old in self.watches.difference(&watches) {
            inotify::remove(queue.as_fd(), *old)?;
        }
        self.watches = watches;
        failure.map_or(Ok(()), Err)
    }

    /// What is to be watched now.
    fn folders(&self) -> Vec<PathBuf> {
        let paths = self.devices.iter().map(|device| &device.path);
        let nodes = paths.filter(|path| !is_of_kernel(path));
        nodes
            .flat_map(|path| folders(Path::new(path.as_str())))
            .collect()
    }
}

/// Whether it is there now.
pub fn is_there(path: &DevicePath) -> bool {
    identity(path).is_some()
}

fn identity(path: &DevicePath) -> Option<Identity> {
    let node = Path::new(path.as_str());
    let metadata = if is_of_kernel(path) {
        // The folder itself goes after the event, this file before.
        fs::metadata(node.join("uevent")).ok()?
    } else {
        let is_device = |kind: fs::FileType| kind.is_char_device() || kind.is_block_device();
        fs::metadata(node)
            .ok()
            .filter(|node| is_device(node.file_type()))?
    };
    Some(Identity {
        file_system: metadata.dev(),
        inode: metadata.ino(),
        device: metadata.rdev(),
    })
}

/// Whether the kernel shows it, and no node stands for it.
fn is_of_kernel(path: &DevicePath) -> bool {
    path.as_str().starts_with("/sys/")
}

fn is_nothing(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(errno, Some(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP))
}

/// The folders on the way to it, and to where it leads, those first in which the next ones come.
fn folders(path: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        let Some(folder) = path.parent() else { break };
        let mut on_the_way: Vec<&Path> = folder
            .ancestors()
            .filter(|f| f.parent().is_some())
            .collect();
        on_the_way.reverse();
        all.extend(on_the_way.into_iter().map(Path::to_owned));
        let Ok(target) = fs::read_link(&path) else {
            break;
        };
        path = folder.join(target);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_are_followed_to_where_they_lead() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir_all(root.join("by/id")).unwrap();
        symlink("../../tty", root.join("by/id/modem")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        let below = |path: &str| {
            let all = folders(&root.join(path));
            let below = all.iter().filter_map(|path| path.strip_prefix(root).ok());
            below
                .map(|path| path.display().to_string())
                .collect::<Vec<_>>()
        };
        let way = ["", "by", "by/id"];
        assert_eq!(below("by/id/none"), way);
        let there = ["", "by", "by/id", "by/id/..", "by/id/../.."];
        assert_eq!(below("by/id/modem"), [&way[..], &there].concat());
        assert_eq!(below("loop"), [""; LINKS]);
    }

    #[test]
    fn what_is_no_device_is_not_there() {
        let is_there = |path: &str| is_there(&path.try_into().unwrap());
        assert!(is_there("/dev/null"));
        assert!(is_there("/sys/class/net/lo"));
        for path in [
            "/dev/shm",
            "/dev/none",
            "/sys/class/net/none",
            "/sys/class/net",
        ] {
            assert!(!is_there(path), "{path}");
        }
        for path in [
            "/dev",
            "/dev/",
            "/dev/../x",
            "/dev//x",
            "/etc/x",
            "dev/x",
            "/dev/x\n",
        ] {
            assert!(DevicePath::try_from(path).is_err(), "{path}");
        }
    }
}
