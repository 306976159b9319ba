//! Owner, group and mode of a device's node, and the names by its numbers.
//!
//! Invariant: only a node with the device's numbers is changed, whatever is at its path.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::sys::stat::makedev;

use crate::device::Device;
use crate::event::Event;
use crate::path::{self, named};

/// What a node is to be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rights {
    /// Its owner's number.
    pub owner: Option<u32>,
    /// Its group's number.
    pub group: Option<u32>,
    /// Its mode.
    pub mode: Option<u32>,
}

impl Rights {
    /// What the rules have said. A group that is named may use the device.
    #[must_use]
    pub fn of(event: &Event) -> Self {
        let implied = event.group.filter(|group| *group > 0).map(|_| 0o660);
        Self {
            owner: event.owner,
            group: event.group,
            mode: event.mode.or(implied),
        }
    }
}

/// Makes the node of `device` so, and gives it its name by its numbers. That it has no node is no error.
///
/// # Errors
/// There is none any more, or another one is there.
pub fn set(device: &Device, dev: &Path, rights: Rights) -> io::Result<()> {
    let (Some(name), Some((major, minor))) = (device.node(), device.numbers()) else {
        return Ok(());
    };
    let path = dev.join(name);
    let node = open(&path).map_err(|error| named(&path, &error))?;
    let metadata = node.metadata().map_err(|error| named(&path, &error))?;
    let is_block = device.subsystem() == Some("block");
    let kind = metadata.file_type();
    let is_kind = if is_block {
        kind.is_block_device()
    } else {
        kind.is_char_device()
    };
    if !is_kind || metadata.rdev() != makedev(major.into(), minor.into()) {
        let text = format!(
            "{}: is not the node of {}",
            path.display(),
            device.devpath()
        );
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    change(&node, &metadata, rights).map_err(|error| named(&path, &error))?;
    let by_numbers = by_numbers(dev, is_block, major, minor);
    let up = Path::new("..").join(name);
    if fs::read_link(&by_numbers).is_ok_and(|target| target == up) {
        return Ok(());
    }
    if let Some(folder) = by_numbers.parent() {
        fs::create_dir_all(folder).map_err(|error| named(folder, &error))?;
    }
    path::remove(&by_numbers)?;
    symlink(up, &by_numbers).map_err(|error| named(&by_numbers, &error))
}

/// The device is gone, and with it its node.
///
/// # Errors
/// The name by its numbers cannot be removed.
pub fn remove(device: &Device, dev: &Path) -> io::Result<()> {
    let Some((major, minor)) = device.numbers() else {
        return Ok(());
    };
    path::remove(&by_numbers(
        dev,
        device.subsystem() == Some("block"),
        major,
        minor,
    ))
}

/// Makes a node that the kernel has made for a driver which is not loaded yet so, if it is there.
///
/// # Errors
/// It cannot be changed.
pub fn set_static(dev: &Path, name: &str, rights: Rights) -> io::Result<()> {
    let path = dev.join(name);
    let node = match open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        node => node.map_err(|error| named(&path, &error))?,
    };
    let metadata = node.metadata().map_err(|error| named(&path, &error))?;
    let kind = metadata.file_type();
    if !kind.is_char_device() && !kind.is_block_device() {
        let text = format!("{}: is no device", path.display());
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    change(&node, &metadata, rights).map_err(|error| named(&path, &error))
}

/// What is there itself, and not what a link leads to. Nothing happens to the device.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits())
        .open(path)
}

fn change(node: &File, is: &fs::Metadata, rights: Rights) -> io::Result<()> {
    // A descriptor that is only a place is changed by its name.
    let place = PathBuf::from(format!("/proc/self/fd/{}", node.as_raw_fd()));
    let owner = rights.owner.filter(|owner| *owner != is.uid());
    let group = rights.group.filter(|group| *group != is.gid());
    let mode = rights.mode.filter(|mode| *mode != is.mode() & 0o7777);
    if owner.is_some() || group.is_some() {
        chown(&place, owner, group)?;
    }
    match mode {
        Some(mode) => fs::set_permissions(&place, Permissions::from_mode(mode)),
        None => Ok(()),
    }
}

fn by_numbers(dev: &Path, is_block: bool, major: u32, minor: u32) -> PathBuf {
    let folder = if is_block { "block" } else { "char" };
    dev.join(folder).join(format!("{major}:{minor}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Properties;
    use nix::sys::stat::{Mode, SFlag, mknod};

    fn device(major: &str) -> Device {
        let fields = [
            ("DEVNAME", "sub/null"),
            ("MAJOR", major),
            ("MINOR", "3"),
            ("SUBSYSTEM", "mem"),
        ];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Device::of_event(
            Path::new("/sys"),
            "/devices/virtual/mem/null",
            &Properties::from(fields),
        )
        .unwrap()
    }

    /// Needs to be root, as the device manager does.
    #[test]
    fn only_the_devices_node_is_changed() {
        let folder = tempfile::tempdir().unwrap();
        let dev = folder.path();
        let rights = Rights {
            owner: None,
            group: Some(0),
            mode: Some(0o604),
        };
        assert_eq!(
            set(&device("1"), dev, rights).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
        fs::create_dir(dev.join("sub")).unwrap();
        let node = dev.join("sub/null");
        mknod(
            &node,
            SFlag::S_IFCHR,
            Mode::from_bits_truncate(0o600),
            makedev(1, 3),
        )
        .unwrap();
        set(&device("1"), dev, rights).unwrap();
        assert_eq!(fs::metadata(&node).unwrap().mode() & 0o7777, 0o604);
        assert_eq!(
            fs::read_link(dev.join("char/1:3")).unwrap(),
            Path::new("../sub/null")
        );
        set(&device("1"), dev, rights).unwrap();
        let other = set(
            &device("7"),
            dev,
            Rights {
                mode: Some(0o666),
                ..rights
            },
        )
        .unwrap_err();
        assert!(
            other
                .to_string()
                .ends_with("is not the node of /devices/virtual/mem/null"),
            "{other}"
        );
        assert_eq!(fs::metadata(&node).unwrap().mode() & 0o7777, 0o604);
        remove(&device("1"), dev).unwrap();
        assert!(!dev.join("char/1:3").exists());

        symlink("sub/null", dev.join("fuse")).unwrap();
        assert!(set_static(dev, "fuse", rights).is_err());
        set_static(dev, "none", rights).unwrap();
        set_static(
            dev,
            "sub/null",
            Rights {
                mode: Some(0o666),
                ..rights
            },
        )
        .unwrap();
        assert_eq!(fs::metadata(&node).unwrap().mode() & 0o7777, 0o666);
    }
}
