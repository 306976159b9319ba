//! What is mounted where.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One mount, as `fileSystems.<name>` of NixOS describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FileSystem {
    /// Where it is mounted.
    pub mount_point: MountPoint,
    /// What is mounted.
    pub device: Device,
    /// The kernel's name of the type; `auto` probes the device's superblock.
    pub fs_type: String,
    /// Mount options as in fstab: the kernel's flags by name, the rest handed to the file system.
    #[serde(default)]
    pub options: Vec<String>,
    /// Stage 1 mounts it. Always so for `/`, `/nix`, `/nix/store`, `/var`, `/var/log` and `/etc`.
    #[serde(default)]
    pub needed_for_boot: bool,
    /// Do not run `fsck` even where the type wants it.
    #[serde(default)]
    pub no_check: bool,
}

impl FileSystem {
    /// Whether stage 1, not stage 2, mounts it.
    #[must_use]
    pub fn is_early(&self) -> bool {
        const ALWAYS: [&str; 6] = ["/", "/nix", "/nix/store", "/var", "/var/log", "/etc"];
        self.needed_for_boot || ALWAYS.contains(&self.mount_point.as_str())
    }
}

/// An absolute, normal path: no `.`, `..`, doubled or trailing slash, no NUL.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MountPoint(String);

impl MountPoint {
    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for MountPoint {
    type Error = String;

    fn try_from(path: String) -> Result<Self, String> {
        let normal = path == "/"
            || path
                .strip_prefix('/')
                .is_some_and(|rest| rest.split('/').all(|part| !matches!(part, "" | "." | "..")));
        if normal && !path.contains('\0') {
            Ok(Self(path))
        } else {
            Err(format!(
                "'{path}' is not a mount point; write an absolute path without '.', '..', '//' or a trailing '/'"
            ))
        }
    }
}

impl From<MountPoint> for String {
    fn from(mount_point: MountPoint) -> Self {
        mount_point.0
    }
}

/// What a file system is on, as in fstab's first column.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Device {
    /// `LABEL=`: the file system's label.
    Label(String),
    /// `UUID=`: the file system's UUID or serial, compared without regard to case.
    Uuid(String),
    /// `PARTLABEL=`: the GPT partition's name.
    PartLabel(String),
    /// `PARTUUID=`: the GPT partition's GUID, or `<disk signature>-<number>` of an MBR.
    PartUuid(String),
    /// An absolute path: a device node, or the source of a bind mount.
    Path(String),
    /// A name for file systems without a device: `tmpfs`, `overlay`, `proc`.
    None(String),
}

impl TryFrom<String> for Device {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.is_empty() || text.contains('\0') {
            return Err(
                "a file system's device must not be empty; write none for one without".to_owned(),
            );
        }
        let by_path = |prefix: &str| text.strip_prefix(prefix).map(str::to_owned);
        let value = |key: &str, path: &str| {
            by_path(key)
                .or_else(|| by_path(path))
                .filter(|value| !value.is_empty())
        };
        Ok(
            if let Some(label) = value("LABEL=", "/dev/disk/by-label/") {
                Self::Label(label)
            } else if let Some(uuid) = value("UUID=", "/dev/disk/by-uuid/") {
                Self::Uuid(uuid)
            } else if let Some(label) = value("PARTLABEL=", "/dev/disk/by-partlabel/") {
                Self::PartLabel(label)
            } else if let Some(uuid) = value("PARTUUID=", "/dev/disk/by-partuuid/") {
                Self::PartUuid(uuid)
            } else if text.starts_with('/') {
                Self::Path(text)
            } else if text.contains('=') {
                return Err(format!(
                    "'{text}' is not a device; LABEL=, UUID=, PARTLABEL=, PARTUUID= or a path are known"
                ));
            } else {
                Self::None(text)
            },
        )
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Label(label) => write!(f, "LABEL={label}"),
            Self::Uuid(uuid) => write!(f, "UUID={uuid}"),
            Self::PartLabel(label) => write!(f, "PARTLABEL={label}"),
            Self::PartUuid(uuid) => write!(f, "PARTUUID={uuid}"),
            Self::Path(path) => f.write_str(path),
            Self::None(name) => f.write_str(name),
        }
    }
}

impl From<Device> for String {
    fn from(device: Device) -> Self {
        device.to_string()
    }
}
