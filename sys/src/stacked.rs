//! Block devices that lie on others are taken apart when nothing uses them any more: those of the device
//! mapper, arrays of software RAID, loop devices.
//!
//! ```text
//! struct dm_ioctl {
//!   u32 version[3], data_size, data_start, target_count
//!   s32 open_count
//!   u32 flags, event_nr, padding
//!   u64 dev
//!   char name[128], uuid[129], data[7]
//! }
//! ```
//!
//! Source: the kernel's `include/uapi/linux/dm-ioctl.h`, `raid/md_u.h`, `loop.h`.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

/// What takes the device mapper's requests, in `/dev`.
const CONTROL: &str = "mapper/control";
const VERSION: [u32; 3] = [4, 0, 0];

#[repr(C)]
struct MapperRequest {
    version: [u32; 3],
    data_size: u32,
    data_start: u32,
    target_count: u32,
    open_count: i32,
    flags: u32,
    event: u32,
    padding: u32,
    device: u64,
    name: [u8; 128],
    uuid: [u8; 129],
    data: [u8; 7],
}

/// Bytes of the structure, as the kernel wants to be told.
const REQUEST_BYTES: u32 = 312;
const _: () = assert!(size_of::<MapperRequest>() == REQUEST_BYTES as usize);

mod request {
    use super::MapperRequest;
    nix::ioctl_readwrite!(remove_all, 0xfd, 1, MapperRequest);
    nix::ioctl_none!(stop_array, 9, 0x32);
    nix::ioctl_none_bad!(detach_loop, 0x4c01);
}

/// Removes every device of the device mapper that nothing has open, and then those below that were
/// held by them. `dev` is `/dev`.
///
/// # Errors
/// The kernel's; that there is no device mapper among them.
pub fn remove_mapped(dev: &Path) -> io::Result<()> {
    let control = open(&dev.join(CONTROL))?;
    let mut request = MapperRequest {
        version: VERSION,
        data_size: REQUEST_BYTES,
        data_start: REQUEST_BYTES,
        target_count: 0,
        open_count: 0,
        flags: 0,
        event: 0,
        padding: 0,
        device: 0,
        name: [0; 128],
        uuid: [0; 129],
        data: [0; 7],
    };
    // SAFETY: the request reads and writes one such structure, whose size is checked above.
    unsafe { request::remove_all(control.as_raw_fd(), &raw mut request) }?;
    Ok(())
}

/// Stops the array that `node` shows: its members are marked clean.
///
/// # Errors
/// The kernel's: it is in use, or no array.
pub fn stop_array(node: &Path) -> io::Result<()> {
    let array = open(node)?;
    // SAFETY: STOP_ARRAY takes no argument.
    unsafe { request::stop_array(array.as_raw_fd()) }?;
    Ok(())
}

/// Takes the file away from the loop device `node`; if it is in use, as soon as it is not.
///
/// # Errors
/// The kernel's: it has none, or it is no loop device.
pub fn detach_loop(node: &Path) -> io::Result<()> {
    let device = open(node)?;
    // SAFETY: LOOP_CLR_FD takes no argument.
    unsafe { request::detach_loop(device.as_raw_fd()) }?;
    Ok(())
}

fn open(node: &Path) -> io::Result<File> {
    File::options().read(true).write(true).open(node)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_or_is_no_such_device_is_refused() {
        let error = remove_mapped(Path::new("/nowhere")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        for result in [
            stop_array(Path::new("/dev/null")),
            detach_loop(Path::new("/dev/null")),
        ] {
            let error = result.unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::ENOTTY));
        }
    }
}
