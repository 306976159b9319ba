//! btrfs: the kernel is told which devices one file system is spread over, and says whether it knows
//! them all.
//!
//! ```text
//! struct btrfs_ioctl_vol_args { s64 fd; char name[4088]; }
//! ```
//!
//! Source: the kernel's `include/uapi/linux/btrfs.h` (`BTRFS_IOC_DEVICES_READY`).

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// What takes the requests, in `/dev`; it is there once the module is loaded.
const CONTROL: &str = "btrfs-control";
const NAME_BYTES: usize = 4088;

#[repr(C)]
struct VolumeArguments {
    fd: i64,
    name: [u8; NAME_BYTES],
}

// The size is part of the request's number.
const _: () = assert!(size_of::<VolumeArguments>() == 4096);

mod request {
    use super::VolumeArguments;
    nix::ioctl_read!(devices_ready, 0x94, 39, VolumeArguments);
}

/// Makes `device` known to the kernel as part of its btrfs; whether all parts of that are known now.
/// `dev` is `/dev`. The device is only read.
///
/// # Errors
/// The kernel's: there is no btrfs, or none on the device.
pub fn add_device(dev: &Path, device: &Path) -> io::Result<bool> {
    let control = File::open(dev.join(CONTROL))?;
    let mut arguments = VolumeArguments {
        fd: 0,
        name: [0; NAME_BYTES],
    };
    let name = device.as_os_str().as_bytes();
    // The last byte stays NUL.
    let place = arguments.name.get_mut(..name.len().min(NAME_BYTES - 1));
    let place = place.filter(|place| place.len() == name.len());
    place
        .ok_or(io::ErrorKind::InvalidFilename)?
        .copy_from_slice(name);
    // SAFETY: the request reads one such structure, whose name ends in a NUL; its size is checked above.
    let missing = unsafe { request::devices_ready(control.as_raw_fd(), &raw mut arguments) }?;
    Ok(missing == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_the_module_the_error_says_so() {
        let error = add_device(Path::new("/nowhere"), Path::new("/dev/null")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_path_that_is_too_long_is_refused() {
        let folder = tempfile_with_control();
        let long = "x".repeat(NAME_BYTES);
        let error = add_device(&folder, Path::new(&long)).unwrap_err();
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(error.kind(), io::ErrorKind::InvalidFilename);
    }

    fn tempfile_with_control() -> std::path::PathBuf {
        let folder = std::env::temp_dir().join(format!("cairn-btrfs-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(CONTROL), "").unwrap();
        folder
    }
}
