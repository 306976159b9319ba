//! All devices that there are.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::device::Device;

/// All devices below `sys`, those first that others are below.
#[must_use]
pub fn devices(sys: &Path) -> Vec<Device> {
    let mut paths = BTreeSet::new();
    for bus in folders(&sys.join("bus")) {
        add(sys, &bus.join("devices"), &mut paths);
    }
    for class in folders(&sys.join("class")) {
        add(sys, &class, &mut paths);
    }
    let paths = paths.iter();
    paths
        .filter_map(|devpath| Device::open(sys, devpath).ok())
        .collect()
}

/// The kernel's modules, which rules may set parameters of. They are no devices, and those that are built in have no
/// event of their own.
#[must_use]
pub fn modules(sys: &Path) -> Vec<Device> {
    let mut paths = BTreeSet::new();
    add(sys, &sys.join("module"), &mut paths);
    let paths = paths.iter();
    paths
        .filter_map(|devpath| Device::open(sys, devpath).ok())
        .collect()
}

/// The folders of a disk's partitions.
#[must_use]
pub fn partitions(disk: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(disk).into_iter().flatten();
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    paths
        .filter(|path| path.join("partition").is_file())
        .collect()
}

/// The device of a node's numbers.
#[must_use]
pub fn by_id(sys: &Path, id: &str) -> Option<Device> {
    let (kind, name) = (id.get(..1)?, id.get(1..)?);
    let link = match kind {
        "b" => sys.join("dev/block").join(name),
        "c" => sys.join("dev/char").join(name),
        "n" => {
            let number = name.parse().ok()?;
            let interfaces = fs::read_dir(sys.join("class/net")).ok()?;
            let paths = interfaces.filter_map(|entry| devpath(sys, &entry.ok()?.path()));
            let mut devices = paths.filter_map(|path| Device::open(sys, &path).ok());
            return devices.find(|device| device.interface() == Some(number));
        }
        "+" => {
            let (subsystem, name) = name.split_once(':')?;
            let places = [
                sys.join("bus").join(subsystem).join("devices").join(name),
                sys.join("class").join(subsystem).join(name),
            ];
            places.into_iter().find(|place| place.exists())?
        }
        _ => return None,
    };
    let device = Device::open(sys, &devpath(sys, &link)?).ok()?;
    (device.id().as_deref() == Some(id)).then_some(device)
}

/// Where a link below `sys` leads to, as a device's path.
#[must_use]
pub fn devpath(sys: &Path, link: &Path) -> Option<String> {
    let sys = sys.canonicalize().ok()?;
    let path = link.canonicalize().ok()?;
    let below = path.strip_prefix(&sys).ok()?.to_str()?;
    (!below.is_empty()).then(|| format!("/{below}"))
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new(); // a kernel with nothing of the kind
    };
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect()
}

fn add(sys: &Path, folder: &Path, paths: &mut BTreeSet<String>) {
    let links = folders(folder).into_iter();
    paths.extend(
        links
            .filter(|link| link.is_dir())
            .filter_map(|link| devpath(sys, &link)),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_devices_are_found_and_parents_come_first() {
        let sys = Path::new("/sys");
        let devices = devices(sys);
        let place = |name: &str| devices.iter().position(|device| device.devpath() == name);
        assert!(place("/devices/virtual/mem/null").is_some());
        assert!(place("/devices/virtual/net/lo").is_some());
        for (index, device) in devices.iter().enumerate() {
            if let Some(parent) = device.parent().and_then(|parent| place(parent.devpath())) {
                assert!(parent < index, "{}", device.devpath());
            }
        }
    }

    #[test]
    fn modules_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let module = folder.path().join("module/block");
        fs::create_dir_all(&module).unwrap();
        fs::create_dir_all(folder.path().join("module/without-events")).unwrap();
        fs::write(module.join("uevent"), "").unwrap();
        let modules = modules(folder.path());
        let found: Vec<_> = modules
            .iter()
            .map(|module| (module.devpath(), module.subsystem()))
            .collect();
        assert_eq!(found, [("/module/block", Some("module"))]);
    }

    #[test]
    fn devices_are_found_by_their_ids() {
        let found =
            |id: &str| by_id(Path::new("/sys"), id).map(|device| device.devpath().to_owned());
        assert_eq!(found("c1:3").as_deref(), Some("/devices/virtual/mem/null"));
        assert_eq!(found("n1").as_deref(), Some("/devices/virtual/net/lo"));
        for id in ["", "b9999:1", "n99999", "+none:x", "x", "c../1", "é"] {
            assert_eq!(found(id), None, "{id}");
        }
    }
}
