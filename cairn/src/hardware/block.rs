//! Block devices, and what they are made of.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::probe::Probe;
use super::read::{self, HardwareError};
use super::{Hardware, mount_table};

/// The block devices of a machine.
pub(super) struct Block<'a> {
    pub(super) machine: &'a Path,
    pub(super) probe: &'a dyn Probe,
}

impl Block<'_> {
    fn folder(&self, name: &str) -> PathBuf {
        self.machine.join("sys/class/block").join(name)
    }

    fn attribute(&self, name: &str, attribute: &str) -> Result<Option<String>, HardwareError> {
        read::text(&self.folder(name).join(attribute))
    }

    /// The kernel's name of the device with this number, or that a path in `/dev` is.
    pub(super) fn name(&self, number: &str, source: &str) -> Result<Option<String>, HardwareError> {
        if !number.is_empty() && !number.starts_with("0:") {
            let link = self.machine.join("sys/dev/block").join(number);
            return read::link_name(&link);
        }
        if let Some(mapping) = source.strip_prefix("/dev/mapper/") {
            for name in read::names(&self.machine.join("sys/class/block"))? {
                if self.mapping(&name)?.is_some_and(|(is, _)| is == mapping) {
                    return Ok(Some(name));
                }
            }
            return Ok(None);
        }
        let name = source
            .strip_prefix("/dev/")
            .filter(|name| !name.contains('/'));
        Ok(name
            .filter(|name| self.folder(name).exists())
            .map(str::to_owned))
    }

    /// Name and kind of a device of the device mapper.
    fn mapping(&self, name: &str) -> Result<Option<(String, String)>, HardwareError> {
        let Some(mapping) = self.attribute(name, "dm/name")? else {
            return Ok(None);
        };
        let kind = self.attribute(name, "dm/uuid")?.unwrap_or_default();
        Ok(Some((mapping, kind)))
    }

    /// By what the device is to be found again. The device mapper's names are given by whoever sets it
    /// up, and an identifier may be on a snapshot as well.
    pub(super) fn path(&self, name: &str) -> Result<String, HardwareError> {
        if let Some((mapping, _)) = self.mapping(name)? {
            return Ok(format!("/dev/mapper/{mapping}"));
        }
        let device = format!("/dev/{name}");
        let found = self.probe.identifiers(&device)?;
        Ok(match (found.uuid, found.partition_uuid) {
            (Some(uuid), _) => format!("/dev/disk/by-uuid/{uuid}"),
            (None, Some(uuid)) => format!("/dev/disk/by-partuuid/{uuid}"),
            (None, None) => device,
        })
    }

    /// By what a device is to be found again whatever is written to it.
    pub(super) fn place(&self, name: &str) -> Result<String, HardwareError> {
        if let Some((mapping, _)) = self.mapping(name)? {
            return Ok(format!("/dev/mapper/{mapping}"));
        }
        let device = format!("/dev/{name}");
        let found = self.probe.identifiers(&device)?.partition_uuid;
        Ok(found.map_or(device, |uuid| format!("/dev/disk/by-partuuid/{uuid}")))
    }

    /// The device below one that is encrypted without a header, as swap space is with a key of the
    /// moment.
    pub(super) fn below_plain(&self, name: &str) -> Result<Option<String>, HardwareError> {
        match self.mapping(name)? {
            Some((_, kind)) if kind.starts_with("CRYPT-PLAIN-") => {
                let below = read::names(&self.folder(name).join("slaves"))?;
                Ok(below.into_iter().next())
            }
            _ => Ok(None),
        }
    }

    /// All devices that the file system on this one has.
    pub(super) fn members(&self, name: &str, fs_type: &str) -> Result<Vec<String>, HardwareError> {
        if fs_type == "btrfs"
            && let Some(uuid) = self.probe.identifiers(&format!("/dev/{name}"))?.uuid
        {
            let folder = self.machine.join("sys/fs/btrfs").join(uuid).join("devices");
            let members = read::names(&folder)?;
            if !members.is_empty() {
                return Ok(members);
            }
        }
        Ok(vec![name.to_owned()])
    }

    /// Notes in `hardware` what the device is made of. The names of its disks.
    pub(super) fn descend(
        &self,
        name: &str,
        hardware: &mut Hardware,
    ) -> Result<BTreeSet<String>, HardwareError> {
        let mut disks = BTreeSet::new();
        let mut pending = vec![name.to_owned()];
        let mut seen = BTreeSet::new();
        while let Some(name) = pending.pop() {
            if !seen.insert(name.clone()) {
                continue;
            }
            let below = read::names(&self.folder(&name).join("slaves"))?;
            if let Some((mapping, kind)) = self.mapping(&name)? {
                if kind.starts_with("CRYPT-LUKS") {
                    if is_plain(&mapping) {
                        for device in &below {
                            let device = self.path(device)?;
                            hardware.encrypted.insert(mapping.clone(), device);
                        }
                    } else {
                        hardware.notes.push(format!(
                            "The encrypted device '{mapping}' is left out: open it with a name of \
                             letters, digits and . _ + - alone."
                        ));
                    }
                } else if kind.starts_with("LVM-") {
                    hardware.has_volumes = true;
                } else {
                    hardware.notes.push(format!(
                        "The device '{mapping}' is of a kind of the device mapper that is not known."
                    ));
                }
            }
            if self.folder(&name).join("md").exists() {
                hardware.has_arrays = true;
            }
            if below.is_empty() {
                disks.insert(self.disk(&name)?);
            }
            pending.extend(below);
        }
        Ok(disks)
    }

    /// The disk that a partition is on, or the device itself.
    fn disk(&self, name: &str) -> Result<String, HardwareError> {
        if !self.folder(name).join("partition").exists() {
            return Ok(name.to_owned());
        }
        let place = read::place(&self.folder(name))?;
        let disk = place.as_deref().and_then(Path::parent);
        let disk = disk
            .and_then(Path::file_name)
            .and_then(|disk| disk.to_str());
        Ok(disk.unwrap_or(name).to_owned())
    }

    /// The file behind a loop device.
    pub(super) fn backing_file(&self, name: &str) -> Result<Option<String>, HardwareError> {
        let file = self.attribute(name, "loop/backing_file")?;
        Ok(file.map(|file| mount_table::unescaped(&file)))
    }
}

/// Whether `boot.initrd.luks.devices` takes this name.
fn is_plain(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_.+-".contains(&byte))
}
