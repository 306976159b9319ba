//! Nodes whose devices are looked at anew when somebody has written to them.
//!
//! Invariant: however often somebody opens a node and closes it, its device has an event at most each [`PAUSE`], and the
//! last writing is followed by one.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use cairn_sys::inotify;

use crate::device::Device;

/// Between two events of a device that is written to again and again.
pub(crate) const PAUSE: Duration = Duration::from_millis(200);

/// After so many events in a row nobody waits for the next one.
const STORM: u32 = 20;

/// Between two looks at what was written to: each wakes this process.
const REST: Duration = Duration::from_millis(20);

/// What is read of the kernel's news at once, in pieces: whoever writes without end is not waited for.
const PIECES: usize = 64;

#[derive(Debug)]
struct Watched {
    device: Device,
    /// When an event was last asked for.
    asked: Option<Instant>,
    /// So many were, each soon after the one before.
    row: u32,
}

/// The nodes.
#[derive(Debug)]
pub(crate) struct Watches {
    changes: OwnedFd,
    watched: BTreeMap<i32, Watched>,
    by_device: BTreeMap<String, i32>,
    written: BTreeSet<i32>,
    /// Until then nothing is to be heard.
    rest: Option<Instant>,
}

impl Watches {
    pub(crate) fn open() -> io::Result<Self> {
        Ok(Self {
            changes: inotify::open()?,
            watched: BTreeMap::new(),
            by_device: BTreeMap::new(),
            written: BTreeSet::new(),
            rest: None,
        })
    }

    /// From now on the node of `device` is watched, or not any more.
    pub(crate) fn set(&mut self, device: Device, node: &Path, is_watched: bool) {
        let devpath = device.devpath().to_owned();
        match (is_watched, self.by_device.get(&devpath).copied()) {
            (true, None) => match inotify::add(self.changes.as_fd(), node, inotify::CLOSE_WRITE) {
                Ok(watch) => {
                    self.forget(watch); // the node had another device
                    let watched = Watched {
                        device,
                        asked: None,
                        row: 0,
                    };
                    self.watched.insert(watch, watched);
                    self.by_device.insert(devpath, watch);
                }
                Err(error) => log::debug!("{devpath} is not watched: {error}"), // it may be gone
            },
            (false, Some(watch)) => {
                self.forget(watch);
                // The kernel has done so if the node is gone.
                if let Err(error) = inotify::remove(self.changes.as_fd(), watch) {
                    log::debug!("{devpath} was not watched any more: {error}");
                }
            }
            _ => {}
        }
    }

    fn forget(&mut self, watch: i32) {
        self.written.remove(&watch);
        if let Some(watched) = self.watched.remove(&watch) {
            self.by_device.remove(watched.device.devpath());
        }
    }

    /// Takes note of what the kernel says that was written to.
    pub(crate) fn note(&mut self) -> io::Result<()> {
        for _ in 0..PIECES {
            let events = inotify::read(self.changes.as_fd())?;
            if events.is_empty() {
                return Ok(());
            }
            self.rest = Some(Instant::now() + REST);
            for event in events {
                if event.watch == inotify::LOST {
                    self.written.extend(self.watched.keys());
                } else if event.mask & inotify::IGNORED != 0 {
                    self.forget(event.watch);
                } else if self.watched.contains_key(&event.watch) {
                    self.written.insert(event.watch);
                }
            }
        }
        Ok(())
    }

    /// The devices that are to have an event now, which the caller asks for.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<Device> {
        let (due, later) = std::mem::take(&mut self.written)
            .into_iter()
            .partition(|watch| self.time(*watch).is_none_or(|time| time <= now));
        self.written = later;
        let due: BTreeSet<i32> = due;
        let mut devices = Vec::new();
        for watch in due {
            let Some(watched) = self.watched.get_mut(&watch) else {
                continue;
            };
            let is_soon = watched.asked.is_some_and(|asked| now < asked + 2 * PAUSE);
            watched.row = if is_soon { watched.row + 1 } else { 0 };
            watched.asked = Some(now);
            if watched.row == STORM {
                let devpath = watched.device.devpath();
                log::warn!("{devpath} is written to again and again: it is looked at now and then");
            }
            devices.push(watched.device.clone());
        }
        devices
    }

    /// When [`Watches::note`] is called next, though there may be news before.
    pub(crate) fn rest(&self) -> Option<Instant> {
        self.rest.filter(|rest| *rest > Instant::now())
    }

    /// When [`Watches::due`] has something next.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.written
            .iter()
            .filter_map(|watch| self.time(*watch))
            .min()
    }

    /// Whether nothing is to be looked at, but what is written to without end.
    pub(crate) fn is_quiet(&self) -> bool {
        let mut written = self.written.iter();
        written.all(|watch| {
            let watched = self.watched.get(watch);
            watched.is_none_or(|watched| watched.row >= STORM)
        })
    }

    fn time(&self, watch: i32) -> Option<Instant> {
        Some(self.watched.get(&watch)?.asked? + PAUSE)
    }
}

impl AsFd for Watches {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.changes.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, OpenOptions};

    use crate::device::Properties;

    #[test]
    fn a_storm_of_writing_is_an_event_now_and_then() {
        let folder = tempfile::tempdir().unwrap();
        let node = folder.path().join("sda");
        fs::write(&node, "").unwrap();
        let device =
            Device::of_event(Path::new("/sys"), "/devices/sda", &Properties::new()).unwrap();
        let mut watches = Watches::open().unwrap();
        watches.set(device.clone(), &node, true);
        watches.set(device.clone(), &node, true);
        let write = || drop(OpenOptions::new().write(true).open(&node).unwrap());
        let mut now = Instant::now();
        let mut asked = 0;
        for number in 1..=3000 {
            write();
            watches.note().unwrap();
            asked += watches.due(now).len();
            now += PAUSE / 100;
            assert_eq!(
                watches.is_quiet(),
                number > 2001 || watches.next().is_none(),
                "{number}"
            );
        }
        assert_eq!(asked, 30);
        // The last one is not forgotten.
        let next = watches.next().unwrap();
        assert_eq!(watches.due(next).len(), 1);
        assert_eq!(watches.next(), None);
        // After a while it counts as any other.
        write();
        watches.note().unwrap();
        assert_eq!(watches.due(next + 10 * PAUSE).len(), 1);
        write();
        watches.note().unwrap();
        assert!(!watches.is_quiet());
        watches.set(device.clone(), &node, false);
        assert!(watches.is_quiet());
        watches.set(device, &node, true);
        fs::remove_file(&node).unwrap();
        watches.note().unwrap();
        assert!(watches.watched.is_empty() && watches.by_device.is_empty());
    }
}
