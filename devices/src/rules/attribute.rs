//! Attributes by name: of the device, of one above it, of a folder above it by `../attribute`, or of any device by
//! `[subsystem/name]attribute`.

use std::fs;
use std::path::{Path, PathBuf};

use super::apply::Decision;
use crate::device::{Device, Properties};

impl Decision<'_> {
    /// The attribute of the device itself (0) or of one above it, with spaces at its end; read once.
    pub(super) fn attribute(&mut self, of: usize, name: &str) -> Option<String> {
        let key = (of, name.to_owned());
        if let Some(known) = self.attributes.get(&key) {
            return known.clone();
        }
        let device = if of == 0 {
            &self.event.device
        } else {
            self.lineage().get(of)?
        };
        let found = match elsewhere(device, name) {
            Some((device, name)) => text(&device, name),
            None => text(device, name),
        };
        self.attributes.insert(key, found.clone());
        found
    }

    /// The device and the name of an attribute that is to be written; what was read of it is forgotten.
    pub(super) fn written(&mut self, name: &str) -> Option<(Device, String)> {
        self.attributes.clear();
        let device = &self.event.device;
        let (device, name) = match elsewhere(device, name) {
            Some(found) => found,
            None if is_elsewhere(name) => return None,
            None => (device.clone(), name),
        };
        let name = resolved(&device.path(), name)?;
        Some((device, name))
    }

    /// The absolute path that `TEST` means by `path`.
    pub(super) fn tested(&self, path: &str) -> Option<PathBuf> {
        if path.starts_with('/') {
            return Some(path.into());
        }
        let device = &self.event.device;
        let (folder, name) = match elsewhere(device, path) {
            Some((device, name)) => (device.path(), name),
            None => (device.path(), path),
        };
        let name = resolved(&folder, name)?;
        Some(folder.join(name))
    }
}

/// The text of an attribute; only the line's end is cut off.
fn text(device: &Device, name: &str) -> Option<String> {
    if device.attribute_path(name)?.is_symlink() {
        return device.attribute(name);
    }
    let bytes = device.attribute_bytes(name)?;
    let text = String::from_utf8_lossy(&bytes);
    Some(text.trim_end_matches(['\n', '\r', '\0']).to_owned())
}

fn is_elsewhere(name: &str) -> bool {
    name.starts_with('[') || name.starts_with("../")
}

/// The device of `[subsystem/name]`, or the folder above `device` that `../` leads to, and what follows.
fn elsewhere<'a>(device: &Device, name: &'a str) -> Option<(Device, &'a str)> {
    let sys = device.sys();
    if name.starts_with("../") {
        let (mut devpath, mut rest) = (device.devpath(), name);
        while let Some(after) = rest.strip_prefix("../") {
            (devpath, _) = devpath.rsplit_once('/')?;
            rest = after;
        }
        // It need not be a device.
        let folder = Device::of_event(sys, devpath, &Properties::new()).ok()?;
        return Some((folder, rest));
    }
    let (device, rest) = name.strip_prefix('[')?.split_once(']')?;
    let (subsystem, device) = device.split_once('/')?;
    Some((find(sys, subsystem, device)?, rest.trim_start_matches('/')))
}

/// The device of a subsystem by its name.
fn find(sys: &Path, subsystem: &str, name: &str) -> Option<Device> {
    let name = name.replace('/', "!");
    let is_name =
        |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains('\0');
    let places = match subsystem {
        "subsystem" => vec![format!("bus/{name}"), format!("class/{name}")],
        "module" => vec![format!("module/{name}")],
        "drivers" => {
            let (bus, driver) = name.split_once(':')?;
            if !is_name(bus) || !is_name(driver) {
                return None;
            }
            vec![format!("bus/{bus}/drivers/{driver}")]
        }
        _ => vec![
            format!("bus/{subsystem}/devices/{name}"),
            format!("class/{subsystem}/{name}"),
        ],
    };
    if !is_name(subsystem) || !is_name(&name) {
        return None;
    }
    let root = fs::canonicalize(sys).ok()?;
    let mut found = places.iter().filter_map(|place| {
        let path = fs::canonicalize(root.join(place)).ok()?;
        let devpath = format!("/{}", path.strip_prefix(&root).ok()?.to_str()?);
        // What is no device has attributes all the same.
        Device::open(sys, &devpath)
            .or_else(|_| Device::of_event(sys, &devpath, &Properties::new()))
            .ok()
    });
    found.next()
}

/// `name` with the first folder that fits for a part `*`.
fn resolved(folder: &Path, name: &str) -> Option<String> {
    let parts = match name.strip_prefix("*/") {
        Some(after) => Some(("", after)),
        None => name.split_once("/*/"),
    };
    let Some((before, after)) = parts else {
        return Some(name.to_owned());
    };
    let entries = fs::read_dir(folder.join(before)).ok()?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let names = names.map(|entry| match before {
        "" => format!("{entry}/{after}"),
        _ => format!("{before}/{entry}/{after}"),
    });
    names.filter(|name| folder.join(name).exists()).min()
}
