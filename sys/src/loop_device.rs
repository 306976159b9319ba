//! Loop devices: a part of a file, or of another device, as a block device.
//!
//! ```text
//! struct loop_config {              struct loop_info64 {
//!   u32 fd                            u64 device, inode, rdevice
//!   u32 block_size, 0: 512            u64 offset, sizelimit        in bytes
//!   struct loop_info64 info           u32 number, encrypt_type, encrypt_key_size, flags
//!   u64 reserved[8]                   u8  file_name[64], crypt_name[64], encrypt_key[32]
//! }                                   u64 init[2]
//!                                   }
//! ```
//!
//! The backing file is not claimed: a partition of the disk that a loop device shows can still be
//! mounted.
//!
//! Source: the kernel's `include/uapi/linux/loop.h`, and loop(4).

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// The device that gives free ones.
const CONTROL: &str = "loop-control";
const READ_ONLY: u32 = 1;
const DETACH_WHEN_UNUSED: u32 = 4;

#[repr(C)]
struct Info {
    device: u64,
    inode: u64,
    rdevice: u64,
    offset: u64,
    size_limit: u64,
    number: u32,
    encrypt_type: u32,
    encrypt_key_size: u32,
    flags: u32,
    file_name: [u8; 64],
    crypt_name: [u8; 64],
    encrypt_key: [u8; 32],
    init: [u64; 2],
}

#[repr(C)]
struct Config {
    fd: u32,
    block_size: u32,
    info: Info,
    reserved: [u64; 8],
}

// The kernel's sizes.
const _: () = assert!(size_of::<Info>() == 232 && size_of::<Config>() == 304);

mod request {
    use super::Config;
    nix::ioctl_none_bad!(get_free, 0x4c82);
    nix::ioctl_write_ptr_bad!(configure, 0x4c0a, Config);
}

/// A loop device that shows something. It goes when it is dropped and nothing has it mounted.
#[derive(Debug)]
pub struct LoopDevice {
    node: PathBuf,
    _open: File,
}

impl LoopDevice {
    /// Shows `length` bytes of `backing` from `offset` on, read-only; `dev` is `/dev`.
    ///
    /// # Errors
    /// The kernel's: there is no driver, or `backing` is neither a file nor a block device.
    pub fn attach(dev: &Path, backing: &File, offset: u64, length: u64) -> io::Result<Self> {
        let control = File::options()
            .read(true)
            .write(true)
            .open(dev.join(CONTROL))?;
        loop {
            // SAFETY: LOOP_CTL_GET_FREE takes no argument, and gives a number.
            let number = unsafe { request::get_free(control.as_raw_fd()) }?;
            let node = dev.join(format!("loop{number}"));
            let device = File::options().read(true).open(&node)?;
            let config = Config {
                fd: u32::try_from(backing.as_raw_fd()).map_err(io::Error::other)?,
                block_size: 0,
                info: Info {
                    device: 0,
                    inode: 0,
                    rdevice: 0,
                    offset,
                    size_limit: length,
                    number: 0,
                    encrypt_type: 0,
                    encrypt_key_size: 0,
                    flags: READ_ONLY | DETACH_WHEN_UNUSED,
                    file_name: [0; 64],
                    crypt_name: [0; 64],
                    encrypt_key: [0; 32],
                    init: [0; 2],
                },
                reserved: [0; 8],
            };
            // SAFETY: LOOP_CONFIGURE reads one such structure, whose size is checked above.
            match unsafe { request::configure(device.as_raw_fd(), &raw const config) } {
                Ok(_) => {
                    return Ok(Self {
                        node,
                        _open: device,
                    });
                }
                // Somebody else took it in between.
                Err(nix::errno::Errno::EBUSY) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Its node.
    #[must_use]
    pub fn node(&self) -> &Path {
        &self.node
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_driver_the_error_says_so() {
        let file = File::open("/dev/null").unwrap();
        let error = LoopDevice::attach(Path::new("/nowhere"), &file, 0, 512).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
