//! Files in memory, `memfd_create(2)`.

use std::fs::File;
use std::io;
use std::os::fd::FromRawFd;

/// A file in memory that lives as long as a descriptor of it.
///
/// # Errors
/// No descriptor is left.
pub fn memory_file(name: &std::ffi::CStr) -> io::Result<File> {
    // SAFETY: the name ends in NUL.
    let fd = unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { File::from_raw_fd(fd) })
}
