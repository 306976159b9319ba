//! The medium that the running system was started from.
//!
//! Nothing of it is mounted: a loop device shows the part that is the system (see decision 0027), and
//! claims nothing. So neither `lsblk` nor opening the disk exclusively tells that it is in use.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Devices that loop devices show: disks, or partitions of some. Their paths in `/dev`.
///
/// # Errors
/// `sys` cannot be read.
pub(super) fn carriers(sys: &Path) -> Result<BTreeSet<PathBuf>> {
    let folder = sys.join("class/block");
    let reading = || format!("cannot read '{}'", folder.display());
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(&folder).with_context(reading)? {
        let file = entry
            .with_context(reading)?
            .path()
            .join("loop/backing_file");
        match fs::read_to_string(&file) {
            Ok(path) if path.starts_with("/dev/") => {
                found.insert(PathBuf::from(path.trim_end()));
            }
            // A file lies on a file system that is mounted, which does tell.
            Ok(_) => {}
            Err(error) if is_no_loop(&error) => {}
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read '{}'", file.display()));
            }
        }
    }
    Ok(found)
}

/// Another device, or a loop device that shows nothing.
fn is_no_loop(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    ) || error.raw_os_error() == Some(nix::libc::ENXIO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_loop_devices_show() {
        let sys = tempfile::tempdir().unwrap();
        for (name, file) in [
            ("loop0", Some("/dev/sdb\n")),
            ("loop1", None),
            ("loop2", Some("/srv/image\n")),
            ("sda", None),
        ] {
            let device = sys.path().join("class/block").join(name);
            fs::create_dir_all(&device).unwrap();
            if let Some(file) = file {
                fs::create_dir(device.join("loop")).unwrap();
                fs::write(device.join("loop/backing_file"), file).unwrap();
            }
        }
        let found = carriers(sys.path()).unwrap();
        assert_eq!(found, [PathBuf::from("/dev/sdb")].into());
    }
}
