//! Swap space of the kernel.
//!
//! Source: swapon(2); `SWAP_FLAG_*` of the kernel's `include/linux/swap.h`.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The priority in the lower bits counts.
const PREFER: i32 = 0x8000;
const DISCARD: i32 = 0x1_0000;
const DISCARD_ONCE: i32 = 0x2_0000;
const DISCARD_PAGES: i32 = 0x4_0000;

/// How a swap space is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Use {
    /// The higher one is filled first, at most 32767; the kernel chooses if absent.
    pub priority: Option<u16>,
    /// The whole space is discarded when swapping begins.
    pub discard_once: bool,
    /// Each page is discarded when it becomes free.
    pub discard_pages: bool,
}

impl Use {
    fn flags(self) -> i32 {
        let flag = |set: bool, flag: i32| if set { flag } else { 0 };
        self.priority
            .map_or(0, |priority| PREFER | i32::from(priority.min(0x7fff)))
            | flag(self.discard_once, DISCARD | DISCARD_ONCE)
            | flag(self.discard_pages, DISCARD | DISCARD_PAGES)
    }
}

/// Starts swapping to `device`, a block device or a file that begins with a header of swap space.
///
/// # Errors
/// The kernel's: it has no such header, it is in use, or its file system cannot do it.
pub fn on(device: &Path, how: Use) -> io::Result<()> {
    let device = CString::new(device.as_os_str().as_bytes())?;
    // SAFETY: the path ends in NUL; the flags are a number.
    if unsafe { libc::swapon(device.as_ptr(), how.flags()) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Stops swapping to `device`; takes as long as reading it back takes.
///
/// # Errors
/// It is not swapped to, or memory does not suffice.
pub fn off(device: &Path) -> io::Result<()> {
    let device = CString::new(device.as_os_str().as_bytes())?;
    // SAFETY: the path ends in NUL.
    if unsafe { libc::swapoff(device.as_ptr()) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_the_kernels() {
        assert_eq!(Use::default().flags(), 0);
        let how = Use {
            priority: Some(5),
            discard_once: false,
            discard_pages: true,
        };
        assert_eq!(how.flags(), 0x5_8005);
        let how = Use {
            priority: None,
            discard_once: true,
            discard_pages: false,
        };
        assert_eq!(how.flags(), 0x3_0000);
    }

    #[test]
    fn what_is_no_swap_space_is_refused() {
        assert!(on(Path::new("/proc/self/status"), Use::default()).is_err());
        assert!(on(Path::new("/a\0b"), Use::default()).is_err());
    }
}
