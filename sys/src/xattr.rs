//! Extended attributes: of paths (list, remove) and of open files (get, set). Source: `xattr(7)`.

use std::ffi::{CStr, CString, OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// The names of the extended attributes of `path` itself, not of what a link points to. A file
/// system without attributes has none.
///
/// # Errors
/// The file cannot be read.
pub fn list(path: &Path) -> io::Result<Vec<OsString>> {
    let c_path = CString::new(path.as_os_str().as_bytes())?;
    let mut names = vec![0_u8; 0];
    loop {
        // SAFETY: the path ends with a zero byte, and the kernel writes at most `len` bytes.
        let length =
            unsafe { libc::llistxattr(c_path.as_ptr(), names.as_mut_ptr().cast(), names.len()) };
        match usize::try_from(length) {
            Ok(0) => return Ok(Vec::new()),
            Ok(length) if names.is_empty() => names.resize(length, 0),
            Ok(length) => {
                names.truncate(length);
                break;
            }
            Err(_) => match io::Error::last_os_error() {
                error if error.raw_os_error() == Some(libc::ENOTSUP) => return Ok(Vec::new()),
                // Grown since it was measured.
                error if error.raw_os_error() == Some(libc::ERANGE) => names.clear(),
                error => return Err(error),
            },
        }
    }
    Ok(names
        .split(|&byte| byte == 0)
        .filter(|name| !name.is_empty())
        .map(|name| OsStr::from_bytes(name).to_owned())
        .collect())
}

/// Removes the extended attribute `name` of `path` itself.
///
/// # Errors
/// There is no such attribute, or the caller may not.
pub fn remove(path: &Path, name: &OsStr) -> io::Result<()> {
    let c_path = CString::new(path.as_os_str().as_bytes())?;
    let c_name = CString::new(name.as_bytes())?;
    // SAFETY: both strings end with a zero byte.
    let status = unsafe { libc::lremovexattr(c_path.as_ptr(), c_name.as_ptr()) };
    match status {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

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
