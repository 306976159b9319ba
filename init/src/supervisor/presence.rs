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
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use cairn_sys::inotify::{self, Mask};
use cairn_system::{DevicePath, Service};
use nix::errno::Errno;

use super::graph::Id;

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
    devices: Vec<(Id, DevicePath)>,
    queue: Option<OwnedFd>,
    watches: BTreeSet<i32>,
}

impl Presence {
    /// Those of `services`. Nothing is watched yet.
    pub fn new(services: &[Service]) -> Self {
        let devices = services.iter().enumerate();
        let devices = devices.filter_map(|(id, service)| Some((id, service.device.clone()?)));
        Self {
            devices: devices.collect(),
            ..Self::default()
        }
    }

    /// The devices, by number.
    pub fn devices(&self) -> &[(Id, DevicePath)] {
        &self.devices
    }

    /// Whether the kernel's events are needed.
    pub fn hears_kernel(&self) -> bool {
        self.devices.iter().any(|(_, path)| is_of_kernel(path))
    }

    /// The queue of what happens to folders, if there are any to watch: [`Presence::take`] watches them.
    ///
    /// # Errors
    /// No descriptor is left.
    pub fn open(&mut self) -> io::Result<Option<BorrowedFd<'_>>> {
        if self.devices.iter().any(|(_, path)| !is_of_kernel(path)) {
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
        let mut result = Ok(());
        let nodes = self.devices.iter().filter(|(_, path)| !is_of_kernel(path));
        for folder in nodes.flat_map(|(_, path)| folders(Path::new(path.as_str()))) {
            match inotify::add(queue.as_fd(), &folder, NAMES) {
                Ok(watch) => watches.extend([watch]),
                // The one that it is to come in says so.
                Err(error) if is_nothing(&error) => {}
                Err(error) => {
                    let text = format!("cannot watch {}: {error}", folder.display());
                    result = result.and(Err(io::Error::new(error.kind(), text)));
                }
            }
        }
        for old in self.watches.difference(&watches) {
            inotify::remove(queue.as_fd(), *old)?;
        }
        self.watches = watches;
        result
    }
}

/// Whether it is there now.
pub fn is_there(path: &DevicePath) -> bool {
    let node = Path::new(path.as_str());
    if is_of_kernel(path) {
        // The folder itself goes after the event, this file before.
        return node.join("uevent").exists();
    }
    let kind = fs::metadata(node).map(|metadata| metadata.file_type());
    kind.is_ok_and(|kind| kind.is_char_device() || kind.is_block_device())
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
