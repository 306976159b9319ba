//! Arrays of software RAID and loop devices are taken apart when nothing uses them any more.
//!
//! Source: the kernel's `include/uapi/linux/raid/md_u.h`, `loop.h`.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

mod request {
    nix::ioctl_none!(stop_array, 9, 0x32);
    nix::ioctl_none_bad!(detach_loop, 0x4c01);
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
    fn what_is_no_such_device_is_refused() {
        for result in [
            stop_array(Path::new("/dev/null")),
            detach_loop(Path::new("/dev/null")),
        ] {
            let error = result.unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::ENOTTY));
        }
    }
}
