//! Extended attributes of open files. Source: xattr(7), fsetxattr(2), fgetxattr(2).

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Sets the attribute `name` of the open file to `value`, whether it is there or not.
///
/// # Errors
/// The file system has no extended attributes (`EOPNOTSUPP`), or the caller may not (`EPERM`).
pub fn set(file: impl AsFd, name: &CStr, value: &[u8]) -> io::Result<()> {
    // SAFETY: the descriptor is open as long as `file` is borrowed; `name` ends with NUL; the
    // pointer and length are those of a slice, which the kernel only reads.
    let status = unsafe {
        libc::fsetxattr(
            file.as_fd().as_raw_fd(),
            name.as_ptr(),
            value.as_ptr().cast(),
            value.len(),
            0,
        )
    };
    if status == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Reads the attribute `name` of the open file, up to 4096 bytes; `None` if it has none.
///
/// # Errors
/// The value is longer (`ERANGE`), or the file system fails.
pub fn get(file: impl AsFd, name: &CStr) -> io::Result<Option<Vec<u8>>> {
    let mut value = vec![0_u8; 4096];
    // SAFETY: as in `set`; the kernel writes at most `value.len()` bytes to the vector's memory.
    let length = unsafe {
        libc::fgetxattr(
            file.as_fd().as_raw_fd(),
            name.as_ptr(),
            value.as_mut_ptr().cast(),
            value.len(),
        )
    };
    if let Ok(length) = usize::try_from(length) {
        value.truncate(length);
        return Ok(Some(value));
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::ENODATA | libc::EOPNOTSUPP) => Ok(None),
        _ => Err(error),
    }
}
