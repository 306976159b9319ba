//! A watchdog: hardware, or the kernel, that resets the machine unless it hears from us in time.
//!
//! Opening the device starts it, writing to it is a sign of life, and closing it leaves it running
//! unless `V` was written before. Where the driver was built or loaded with `nowayout`, nothing
//! stops it again.
//!
//! Source: the kernel's `Documentation/watchdog/watchdog-api.rst`, `include/uapi/linux/watchdog.h`.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsRawFd;

mod request {
    nix::ioctl_readwrite!(set_timeout, b'W', 6, libc::c_int);
}

/// What is written before the device is closed, to stop it.
const MAGIC: &[u8] = b"V";

/// A watchdog that runs.
#[derive(Debug)]
pub struct Watchdog {
    device: File,
}

impl Watchdog {
    /// Takes over the open device, which its opening has started.
    #[must_use]
    pub fn new(device: File) -> Self {
        Self { device }
    }

    /// Asks for a reset so many seconds after the last sign of life; the driver's choice is
    /// returned, which is near to that.
    ///
    /// # Errors
    /// The driver has a fixed time, or takes no such one.
    pub fn set_timeout(&self, seconds: u32) -> io::Result<u32> {
        let mut value = libc::c_int::try_from(seconds).unwrap_or(libc::c_int::MAX);
        // SAFETY: the number is that of WDIOC_SETTIMEOUT, which reads and writes one int.
        unsafe { request::set_timeout(self.device.as_raw_fd(), &raw mut value) }?;
        Ok(u32::try_from(value).unwrap_or(seconds))
    }

    /// A sign of life.
    ///
    /// # Errors
    /// The driver's.
    pub fn pet(&mut self) -> io::Result<()> {
        self.device.write_all(&[0])
    }

    /// Stops it.
    ///
    /// # Errors
    /// The driver's; it then goes on, and the machine will be reset.
    pub fn disarm(mut self) -> io::Result<()> {
        self.device.write_all(MAGIC)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Seek};

    #[test]
    fn a_sign_of_life_is_never_the_magic() {
        let mut file = tempfile();
        let mut watchdog = Watchdog::new(file.try_clone().unwrap());
        assert!(watchdog.set_timeout(30).is_err(), "a file is no watchdog");
        watchdog.pet().unwrap();
        watchdog.disarm().unwrap();
        let mut written = Vec::new();
        file.rewind().unwrap();
        file.read_to_end(&mut written).unwrap();
        assert_eq!(written, b"\0V");
    }

    fn tempfile() -> File {
        crate::memory_file::memory_file(c"watchdog").unwrap()
    }
}
