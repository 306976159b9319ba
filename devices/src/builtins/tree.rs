//! A sysfs for tests.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::device::{Device, Properties};
use crate::event::Event;

/// A folder with devices as the kernel would show them.
pub(super) struct Tree(TempDir);

impl Tree {
    pub(super) fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    /// A device, of which the kernel says `uevent`.
    pub(super) fn device(&self, devpath: &str, subsystem: Option<&str>, uevent: &str) {
        let folder = self.folder(devpath);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("uevent"), uevent).unwrap();
        let said = |name: &str| uevent.lines().find_map(|line| line.strip_prefix(name));
        if let (Some(major), Some(minor)) = (said("MAJOR="), said("MINOR=")) {
            fs::write(folder.join("dev"), format!("{major}:{minor}\n")).unwrap();
        }
        if let Some(number) = said("IFINDEX=") {
            fs::write(folder.join("ifindex"), format!("{number}\n")).unwrap();
        }
        if let Some(subsystem) = subsystem {
            self.link(devpath, "subsystem", &format!("/bus/{subsystem}"));
        }
    }

    /// A link of a device to what is at `target` below `/sys`, which need not be there.
    pub(super) fn link(&self, devpath: &str, name: &str, target: &str) {
        symlink(self.folder(target), self.folder(devpath).join(name)).unwrap();
    }

    /// Attributes of a device, as `cat` would show them.
    pub(super) fn attributes(&self, devpath: &str, attributes: &[(&str, &str)]) {
        for (name, text) in attributes {
            self.bytes(devpath, name, format!("{text}\n").as_bytes());
        }
    }

    pub(super) fn bytes(&self, devpath: &str, name: &str, bytes: &[u8]) {
        let path = self.folder(devpath).join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    pub(super) fn open(&self, devpath: &str) -> Device {
        Device::open(self.path(), devpath).unwrap()
    }

    pub(super) fn event(&self, devpath: &str) -> Event {
        Event::new("add", self.open(devpath))
    }

    fn folder(&self, devpath: &str) -> PathBuf {
        self.path().join(devpath.trim_start_matches('/'))
    }
}

/// Properties, one a line; none is said so.
pub(super) fn text(found: Option<Properties>) -> String {
    let Some(found) = found else {
        return "none\n".to_owned();
    };
    let lines = found.iter();
    let lines: Vec<String> = lines
        .map(|(name, value)| format!("{name}={value}\n"))
        .collect();
    lines.concat()
}
