//! Devices as people name them: `/dev/sda`, `/dev/disk/by-label/x`, `/sys/class/net/eth0`, `/devices/…`, `b8:0`.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use anyhow::{Context, Result, bail};
use cairn_devices::device::Device;
use cairn_devices::enumerate;
use cairn_devices::places::Places;
use nix::sys::stat::{major, minor};

/// The device that `name` stands for.
///
/// # Errors
/// There is none.
pub fn find(places: &Places, name: &str) -> Result<Device> {
    let path = Path::new(name);
    let device = if path.starts_with(&places.sys) {
        let link = path.to_owned();
        enumerate::devpath(&places.sys, &link)
            .and_then(|devpath| Device::open(&places.sys, &devpath).ok())
    } else if path.starts_with(&places.dev) {
        return of_node(places, path);
    } else if name.starts_with('/') {
        // A link as that of a class leads to the device.
        let link = places.sys.join(name.trim_start_matches('/'));
        enumerate::devpath(&places.sys, &link)
            .and_then(|devpath| Device::open(&places.sys, &devpath).ok())
    } else {
        enumerate::by_id(&places.sys, name)
    };
    if let Some(device) = device {
        return Ok(device);
    }
    if name.starts_with('/') {
        bail!("'{name}' is no device: name its node below /dev, or its folder below /sys");
    }
    of_node(places, &places.dev.join(name))
}

fn of_node(places: &Places, node: &Path) -> Result<Device> {
    let metadata = fs::metadata(node).with_context(|| node.display().to_string())?;
    let kind = metadata.file_type();
    let letter = match (kind.is_block_device(), kind.is_char_device()) {
        (true, _) => 'b',
        (_, true) => 'c',
        _ => bail!("{} is no device", node.display()),
    };
    let (major, minor) = (major(metadata.rdev()), minor(metadata.rdev()));
    let id = format!("{letter}{major}:{minor}");
    enumerate::by_id(&places.sys, &id).with_context(|| {
        format!(
            "{}: the kernel has no device {major}:{minor}",
            node.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_have_many_names() {
        let places = Places::of(Path::new("/"));
        for name in [
            "/dev/null",
            "null",
            "/sys/class/mem/null",
            "/class/mem/null",
            "/devices/virtual/mem/null",
            "c1:3",
        ] {
            assert_eq!(
                find(&places, name).unwrap().devpath(),
                "/devices/virtual/mem/null",
                "{name}"
            );
        }
        for name in [
            "/dev/none",
            "none",
            "/sys/none",
            "/etc/passwd",
            "/dev/shm",
            "/dev/../etc/passwd",
        ] {
            assert!(find(&places, name).is_err(), "{name}");
        }
    }
}
