//! A device as the kernel shows it below `/sys`.
//!
//! Source: the kernel's `Documentation/admin-guide/sysfs-rules.rst`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::path::is_below;

mod uevent;

/// Names and values, of a device or of an event.
pub type Properties = BTreeMap<String, String>;

/// So much of an attribute is read, in bytes: the kernel's own are at most a page, descriptors of USB devices several.
const ATTRIBUTE_BYTES: u64 = 64 << 10;

/// A device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    sys: PathBuf,
    devpath: String,
    subsystem: Option<String>,
    uevent: Properties,
}

impl Device {
    /// The device at `devpath`, which begins with a slash, below `sys`, where sysfs is mounted.
    ///
    /// # Errors
    /// There is no device.
    pub fn open(sys: &Path, devpath: &str) -> io::Result<Self> {
        let path = below(sys, devpath)?;
        let text = read_bounded(&path.join("uevent")).map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}", path.display()))
        })?;
        let said = |name: &str| read_bounded(&path.join(name)).ok();
        let uevent = uevent::trusted(uevent::parse(&String::from_utf8_lossy(&text)), said);
        let subsystem = link_name(&path.join("subsystem")).or_else(|| implied_subsystem(devpath));
        Ok(Self {
            sys: sys.to_owned(),
            devpath: devpath.to_owned(),
            subsystem,
            uevent,
        })
    }

    /// The device that an event of the kernel's is about, which may be gone by now.
    ///
    /// # Errors
    /// The path leads out of `sys`.
    pub fn of_event(sys: &Path, devpath: &str, fields: &Properties) -> io::Result<Self> {
        below(sys, devpath)?;
        Ok(Self {
            sys: sys.to_owned(),
            devpath: devpath.to_owned(),
            subsystem: fields.get("SUBSYSTEM").cloned(),
            uevent: fields.clone(),
        })
    }

    /// It, once it has another name.
    #[must_use]
    pub fn renamed(&self, name: &str) -> Self {
        let (above, _) = self.devpath.rsplit_once('/').unwrap_or_default();
        Self {
            devpath: format!("{above}/{name}"),
            ..self.clone()
        }
    }

    /// It, of which the kernel says this as well.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.uevent.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Whether the kernel still has it.
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.path().exists()
    }

    /// Its path below `/sys`, with a slash first.
    #[must_use]
    pub fn devpath(&self) -> &str {
        &self.devpath
    }

    /// Its folder.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.sys.join(self.devpath.trim_start_matches('/'))
    }

    /// Its name for the kernel, with slashes where the kernel writes exclamation marks.
    #[must_use]
    pub fn name(&self) -> String {
        let (_, name) = self.devpath.rsplit_once('/').unwrap_or_default();
        name.replace('!', "/")
    }

    /// The digits that its name ends with; none if it has no others before them.
    #[must_use]
    pub fn number(&self) -> String {
        let name = self.name();
        let rest = name.trim_end_matches(|c: char| c.is_ascii_digit());
        if rest.is_empty() {
            return String::new();
        }
        name.strip_prefix(rest).unwrap_or_default().to_owned()
    }

    /// `block`, `net`, `usb` and the like.
    #[must_use]
    pub fn subsystem(&self) -> Option<&str> {
        self.subsystem.as_deref()
    }

    /// `disk`, `partition`, `usb_interface` and the like.
    #[must_use]
    pub fn kind(&self) -> Option<&str> {
        self.property("DEVTYPE")
    }

    /// The driver that it is bound to.
    #[must_use]
    pub fn driver(&self) -> Option<String> {
        link_name(&self.path().join("driver"))
    }

    /// The path of its node below `/dev`.
    #[must_use]
    pub fn node(&self) -> Option<&str> {
        let name = self.property("DEVNAME")?;
        let name = name.strip_prefix("/dev/").unwrap_or(name);
        is_below(name).then_some(name)
    }

    /// Major and minor number of its node.
    #[must_use]
    pub fn numbers(&self) -> Option<(u32, u32)> {
        let number = |name| self.property(name)?.parse().ok();
        Some((number("MAJOR")?, number("MINOR")?))
    }

    /// The number of a network interface.
    #[must_use]
    pub fn interface(&self) -> Option<u32> {
        self.property("IFINDEX")?.parse().ok()
    }

    /// What the kernel says in its events.
    #[must_use]
    pub fn uevent(&self) -> &Properties {
        &self.uevent
    }

    /// What is known of it without rules: what the kernel says, and where it is.
    #[must_use]
    pub fn properties(&self) -> Properties {
        let node = self.node().map(|node| format!("/dev/{node}"));
        let more = [
            ("DEVPATH", Some(self.devpath.clone())),
            ("SUBSYSTEM", self.subsystem.clone()),
            ("DEVNAME", node),
        ];
        let mut properties = self.uevent.clone();
        for (name, value) in more {
            if let Some(value) = value {
                properties.insert(name.to_owned(), value);
            }
        }
        properties
    }

    /// One of these.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&str> {
        self.uevent.get(name).map(String::as_str)
    }

    /// An attribute: a file's text with no line ends and spaces after it, the name that a link leads to. None if it is
    /// not there or cannot be read, or if its name leads out of `/sys`.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<String> {
        let path = self.attribute_path(name)?;
        if path.symlink_metadata().ok()?.is_symlink() {
            // As `driver`, `subsystem` and `module`: other links are no attributes.
            return ["driver", "subsystem", "module"]
                .contains(&name)
                .then(|| link_name(&path))?;
        }
        let bytes = self.attribute_bytes(name)?;
        let text = String::from_utf8_lossy(&bytes);
        Some(
            text.trim_end_matches(['\n', '\r', '\0', ' ', '\t'])
                .to_owned(),
        )
    }

    /// The bytes of an attribute, as those of descriptors.
    #[must_use]
    pub fn attribute_bytes(&self, name: &str) -> Option<Vec<u8>> {
        let path = self.attribute_path(name)?;
        path.is_file().then(|| read_bounded(&path).ok())?
    }

    /// The file of an attribute, which need not be there; none if its name leads out of the device's folder.
    #[must_use]
    pub fn attribute_path(&self, name: &str) -> Option<PathBuf> {
        below(&self.path(), name).ok()
    }

    /// The next device above it.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let mut devpath = self.devpath.as_str();
        while let Some((above, _)) = devpath.rsplit_once('/') {
            if above.is_empty() {
                return None;
            }
            if let Ok(parent) = Self::open(&self.sys, above) {
                return Some(parent);
            }
            devpath = above;
        }
        None
    }

    /// It and all above it, in this order.
    pub fn lineage(&self) -> impl Iterator<Item = Self> {
        std::iter::successors(Some(self.clone()), Self::parent)
    }

    /// The next one above it, or it itself, of `subsystem` and, if that is given, of `kind`.
    #[must_use]
    pub fn nearest(&self, subsystem: &str, kind: Option<&str>) -> Option<Self> {
        self.lineage().find(|device| {
            device.subsystem() == Some(subsystem) && (kind.is_none() || device.kind() == kind)
        })
    }

    /// Where sysfs is mounted.
    #[must_use]
    pub fn sys(&self) -> &Path {
        &self.sys
    }

    /// Its name in the records of devices: `b8:0`, `c13:64`, `n2`, `+usb:1-1`. None if it has no subsystem.
    #[must_use]
    pub fn id(&self) -> Option<String> {
        let subsystem = self.subsystem()?;
        if let Some((major, minor)) = self.numbers() {
            let kind = if subsystem == "block" { 'b' } else { 'c' };
            return Some(format!("{kind}{major}:{minor}"));
        }
        if let Some(interface) = self.interface() {
            return Some(format!("n{interface}"));
        }
        let (_, name) = self.devpath.rsplit_once('/')?;
        Some(format!("+{subsystem}:{name}"))
    }
}

/// What the kernel has no link for.
fn implied_subsystem(devpath: &str) -> Option<String> {
    if devpath.starts_with("/module/") {
        return Some("module".to_owned());
    }
    devpath.contains("/drivers/").then(|| "drivers".to_owned())
}

/// The last part of what a link leads to.
fn link_name(link: &Path) -> Option<String> {
    let target = fs::read_link(link).ok()?;
    Some(target.file_name()?.to_string_lossy().into_owned())
}

/// `name`, which may begin with a slash, below `folder`.
fn below(folder: &Path, name: &str) -> io::Result<PathBuf> {
    let name = name.trim_start_matches('/');
    if !is_below(name) {
        let text = format!("'{name}' is no path below {}", folder.display());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    Ok(folder.join(name))
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(ATTRIBUTE_BYTES)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        let named = |devpath: &str| {
            let device = Device::of_event(Path::new("/sys"), devpath, &Properties::new()).unwrap();
            (device.name(), device.number())
        };
        let pair = |name: &str, number: &str| (name.to_owned(), number.to_owned());
        assert_eq!(named("/devices/x/sda12"), pair("sda12", "12"));
        assert_eq!(named("/devices/x/cciss!c0d0"), pair("cciss/c0d0", "0"));
        assert_eq!(named("/devices/x/12"), pair("12", ""));
        assert_eq!(named("/devices/x/sda"), pair("sda", ""));
    }

    #[test]
    fn nothing_leads_out_of_sys() {
        for devpath in ["", "/", "/../etc", "/devices/../../etc", "/a\0b"] {
            assert!(
                Device::of_event(Path::new("/sys"), devpath, &Properties::new()).is_err(),
                "{devpath}"
            );
        }
        let device = Device::of_event(Path::new("/sys"), "/devices/x", &Properties::new()).unwrap();
        assert_eq!(device.attribute_path("../../etc/passwd"), None);
        assert_eq!(
            device.attribute_path("/etc/passwd"),
            Some("/sys/devices/x/etc/passwd".into())
        );
    }

    #[test]
    fn a_node_is_below_dev() {
        let node = |name: &str| {
            let fields = Properties::from([("DEVNAME".to_owned(), name.to_owned())]);
            let device = Device::of_event(Path::new("/sys"), "/devices/x", &fields).unwrap();
            device.node().map(str::to_owned)
        };
        assert_eq!(node("input/event0").as_deref(), Some("input/event0"));
        assert_eq!(node("/dev/sda").as_deref(), Some("sda"));
        assert_eq!(node("../etc/passwd"), None);
        assert_eq!(node("/etc/passwd"), None);
    }

    #[test]
    fn the_machines_own() {
        let memory = Device::open(Path::new("/sys"), "/devices/virtual/mem/null").unwrap();
        assert_eq!(memory.subsystem(), Some("mem"));
        assert_eq!(memory.id().as_deref(), Some("c1:3"));
        assert_eq!(memory.node(), Some("null"));
        assert_eq!(memory.attribute("dev").as_deref(), Some("1:3"));
        assert_eq!(memory.attribute("subsystem").as_deref(), Some("mem"));
        assert_eq!(memory.attribute("none"), None);
    }
}
