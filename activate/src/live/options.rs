//! Changing the options of a mount that is there.
//!
//! Source: mount(2), `MS_REMOUNT`. The flags that are given are the whole set, but for the ones
//! about access times: without any of them the old ones stay. Options of the file system stay
//! unless others are given.

use std::fmt;

use cairn_sys::mount_options::{Bind, MountOptions};
use cairn_system::MountPoint;
use nix::mount::MsFlags;

/// A mount and its new options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remount {
    /// Where.
    pub point: MountPoint,
    /// The whole set.
    pub options: MountOptions,
    /// As in the description, for people.
    pub text: String,
}

impl fmt::Display for Remount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "remount {} with {}", self.point.as_str(), self.text)
    }
}

const ACCESS_TIMES: MsFlags = MsFlags::MS_NOATIME
    .union(MsFlags::MS_RELATIME)
    .union(MsFlags::MS_STRICTATIME)
    .union(MsFlags::MS_NODIRATIME);

/// What mount(2) is told.
pub(super) fn flags(options: &MountOptions) -> MsFlags {
    let mut flags = options.flags | MsFlags::MS_REMOUNT;
    if !flags.intersects(ACCESS_TIMES) {
        flags |= MsFlags::MS_RELATIME;
    }
    if options.bind != Bind::No {
        flags |= MsFlags::MS_BIND;
    }
    flags
}

/// Whether the kernel has anything to change.
pub(super) fn differ(one: &MountOptions, other: &MountOptions) -> bool {
    (one.flags, &one.data, one.propagation) != (other.flags, &other.data, other.propagation)
}

/// Options of the file system that are not given any more, and that the kernel therefore keeps.
pub(super) fn kept<'a>(old: &'a MountOptions, new: &MountOptions) -> Vec<&'a str> {
    let key = |option: &str| option.split('=').next().unwrap_or_default().to_owned();
    let new: Vec<String> = new.data.iter().map(|option| key(option)).collect();
    old.data
        .iter()
        .filter(|option| !new.contains(&key(option)))
        .map(String::as_str)
        .collect()
}
