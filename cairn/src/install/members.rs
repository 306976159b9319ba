//! Devices by their numbers: those that a configuration's word names, and those of a file system that is
//! mounted, which for a btrfs may be several.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use cairn_system::Device;
use nix::sys::stat::makedev;

use crate::hardware::first;
use crate::program;

/// The devices that `device` names here, one at least.
///
/// # Errors
/// There is none, or no `blkid`.
pub(super) fn named(device: &Device) -> Result<Vec<PathBuf>> {
    if let Device::Path(path) = device {
        let found = fs::canonicalize(path).with_context(|| format!("cannot find '{path}'"))?;
        return Ok(vec![found]);
    }
    let token = device.to_string();
    let output = program::command("blkid")
        .args([
            "--cache-file",
            "/dev/null",
            "--output",
            "device",
            "--match-token",
            &token,
        ])
        .output()
        .context("cannot run blkid; it is in util-linux")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut found: Vec<PathBuf> = text.lines().map(PathBuf::from).collect();
    if let (true, Device::Uuid(uuid)) = (found.is_empty(), device) {
        found = with_uuid(uuid)?;
    }
    ensure!(!found.is_empty(), "no device is called so");
    Ok(found)
}

/// The devices that stage 1 knows by this UUID: `blkid` does not name one that holds several things.
fn with_uuid(uuid: &str) -> Result<Vec<PathBuf>> {
    let devices = entries(Path::new("/sys/class/block"))?;
    let nodes = devices
        .iter()
        .filter_map(|device| Some(Path::new("/dev").join(device.file_name()?)));
    let is_called_so = |node: &PathBuf| {
        let uuid_of = first(node).ok().and_then(|found| found.uuid);
        uuid_of.is_some_and(|found| found.eq_ignore_ascii_case(uuid))
    };
    Ok(nodes.filter(is_called_so).collect())
}

/// The number of a block device; none of what is no device.
///
/// # Errors
/// There is nothing.
pub(super) fn number(path: &Path) -> Result<Option<u64>> {
    match fs::metadata(path) {
        Ok(found) if found.file_type().is_block_device() => Ok(Some(found.rdev())),
        Ok(_) => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot find '{}'", path.display())),
    }
}

/// The numbers of all devices of the mounted file system that has the device `own`.
///
/// # Errors
/// `sys` cannot be read.
pub(super) fn of_file_system(sys: &Path, own: u64) -> Result<BTreeSet<u64>> {
    let folder = sys.join("fs/btrfs");
    let alone = BTreeSet::from([own]);
    if !folder.exists() {
        return Ok(alone);
    }
    for file_system in entries(&folder)? {
        let devices = file_system.join("devices");
        // Beside the file systems is a folder of what the driver can do.
        if !devices.is_dir() {
            continue;
        }
        let mut found = BTreeSet::new();
        for device in entries(&devices)? {
            let file = device.join("dev");
            let text = fs::read_to_string(&file)
                .with_context(|| format!("cannot read '{}'", file.display()))?;
            found.extend(parse(&text));
        }
        if found.contains(&own) {
            return Ok(found);
        }
    }
    Ok(alone)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let reading = || format!("cannot read '{}'", folder.display());
    fs::read_dir(folder)
        .with_context(reading)?
        .map(|entry| Ok(entry.with_context(reading)?.path()))
        .collect()
}

/// `MAJOR:MINOR`.
fn parse(text: &str) -> Option<u64> {
    let (major, minor) = text.trim_end().split_once(':')?;
    Some(makedev(major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_btrfs_of_two_devices() {
        let sys = tempfile::tempdir().unwrap();
        let folder = sys.path().join("fs/btrfs");
        let of = |own| of_file_system(sys.path(), own).unwrap();
        let [sda, sdb, sdc] = [makedev(8, 0), makedev(8, 16), makedev(8, 32)];
        assert_eq!(of(sda), [sda].into());
        for (place, number) in [("A/devices/sda", "8:0\n"), ("A/devices/sdb", "8:16\n")] {
            fs::create_dir_all(folder.join(place)).unwrap();
            fs::write(folder.join(place).join("dev"), number).unwrap();
        }
        fs::create_dir_all(folder.join("features")).unwrap();
        assert_eq!(of(sdb), [sda, sdb].into());
        assert_eq!(of(sdc), [sdc].into());
    }

    #[test]
    fn what_is_no_device_has_no_number() {
        assert_eq!(number(Path::new("/dev/null")).unwrap(), None);
        number(Path::new("/dev/absent")).unwrap_err();
        assert_eq!(parse("8"), None);
        let named = named(&Device::Path("/dev/null".to_owned())).unwrap();
        assert_eq!(named, [PathBuf::from("/dev/null")]);
    }
}
