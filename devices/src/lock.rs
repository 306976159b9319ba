//! The lock of a disk, by which programs that divide it or make file systems keep others from looking meanwhile.
//!
//! A disk's device is locked for all its partitions. Whoever writes holds it for himself (`sfdisk --lock`, `cairn install`);
//! the device manager holds it with others while it looks. The kernel reads no partition table while a partition is open.
//!
//! Source: `flock(2)`; systemd's "Locking Block Device Access" for who locks what.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};

use crate::device::Device;

/// So long somebody may have a disk for himself.
const PATIENCE: Duration = Duration::from_mins(3);

/// How often it is tried: the kernel has no lock that is waited for so long and no longer.
const AGAIN: Duration = Duration::from_millis(100);

/// Disks that nobody locks: they are made of others, and their tools have their own ways.
const WITHOUT: [&str; 4] = ["dm-", "md", "drbd", "fd"];

/// That a device may be looked at, for as long as this lives.
#[derive(Debug)]
pub struct Lock {
    /// None for what cannot be locked.
    _held: Option<Flock<File>>,
}

impl Lock {
    /// Takes the lock that is for `device`, whose disk's node is below `dev`, once nobody has it for himself.
    ///
    /// Whoever keeps it for more than three minutes is not waited for any more. That the disk cannot be opened is no
    /// obstacle: whoever looks at it will say so.
    pub fn wait(device: &Device, dev: &Path) -> Self {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if let Some(lock) = Self::take(device, dev) {
                return lock;
            }
            thread::sleep(AGAIN);
        }
        let (devpath, minutes) = (device.devpath(), PATIENCE.as_secs() / 60);
        log::warn!(
            "{devpath} has been locked by a program for {minutes} minutes, and is looked at all the same"
        );
        Self { _held: None }
    }

    /// The lock; none if somebody has it for himself.
    fn take(device: &Device, dev: &Path) -> Option<Self> {
        match Self::held(device, dev) {
            Ok(held) => Some(Self { _held: held }),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(error) => {
                log::debug!("{} is not locked: {error}", device.devpath());
                Some(Self { _held: None })
            }
        }
    }

    fn held(device: &Device, dev: &Path) -> io::Result<Option<Flock<File>>> {
        if device.subsystem() != Some("block") {
            return Ok(None);
        }
        let disk = match device.kind() {
            Some("partition") => device.parent(),
            _ => Some(device.clone()),
        };
        let node = disk.as_ref().and_then(Device::node);
        let Some(node) = node.filter(|node| !WITHOUT.iter().any(|name| node.starts_with(name)))
        else {
            return Ok(None);
        };
        lock(&dev.join(node)).map(Some)
    }
}

fn lock(node: &Path) -> io::Result<Flock<File>> {
    // A drive without a medium is not waited for.
    let flags = OFlag::O_NONBLOCK | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    let disk = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits())
        .open(node)?;
    Flock::lock(disk, FlockArg::LockSharedNonblock).map_err(|(_, error)| match error {
        Errno::EWOULDBLOCK => io::ErrorKind::WouldBlock.into(),
        error => error.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Properties;
    use std::fs;

    fn device(name: &str) -> Device {
        let fields = [
            ("SUBSYSTEM", "block"),
            ("DEVTYPE", "disk"),
            ("DEVNAME", name),
        ];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let devpath = format!("/devices/x/{name}");
        Device::of_event(Path::new("/sys"), &devpath, &Properties::from(fields)).unwrap()
    }

    #[test]
    fn who_has_it_for_himself_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let dev = folder.path();
        fs::write(dev.join("sda"), "").unwrap();
        fs::write(dev.join("dm-0"), "").unwrap();
        let first = Lock::take(&device("sda"), dev).unwrap();
        let second = Lock::take(&device("sda"), dev);
        assert!(second.is_some(), "those who look do so together");
        drop((first, second));
        let disk = File::open(dev.join("sda")).unwrap();
        let alone = Flock::lock(disk, FlockArg::LockExclusiveNonblock).unwrap();
        assert!(Lock::take(&device("sda"), dev).is_none());
        assert!(Lock::take(&device("dm-0"), dev).is_some());
        assert!(Lock::take(&device("none"), dev).is_some());
        let waiting = thread::spawn({
            let dev = dev.to_owned();
            move || drop(Lock::wait(&device("sda"), &dev))
        });
        thread::sleep(AGAIN);
        assert!(!waiting.is_finished());
        drop(alone);
        waiting.join().unwrap();
    }
}
