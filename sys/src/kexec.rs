//! A kernel that is executed in the place of the one that runs.
//!
//! Source: `kexec_file_load(2)`, the kernel's `Documentation/ABI/testing/sysfs-kernel-kexec`.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::Path;

/// Whether a kernel is loaded, below `/sys`.
const LOADED: &str = "kernel/kexec_loaded";

/// Why no kernel can be loaded.
#[derive(Debug, thiserror::Error)]
pub enum KexecError {
    /// This kernel has no such thing.
    #[error("this kernel cannot load another one: it was built without CONFIG_KEXEC_FILE")]
    Absent,
    /// It does not want to.
    #[error(
        "the kernel forbids it: lockdown, the sysctl kernel.kexec_load_disabled, or missing rights (CAP_SYS_BOOT)"
    )]
    Forbidden,
    /// It wants a signature that it knows.
    #[error("the kernel takes only one that is signed with a key that it knows")]
    Signature,
    /// The file is no kernel that it can execute.
    #[error("the file is no kernel that can be loaded so")]
    NoKernel,
    /// The command line has a NUL in it.
    #[error("the command line has a NUL in it")]
    CommandLine,
    /// Something else.
    #[error(transparent)]
    Other(io::Error),
}

/// Loads a kernel, to be executed by [`crate::reboot::Ending::Kexec`].
///
/// # Errors
/// The kernel that runs cannot, or does not want to.
pub fn load(
    kernel: BorrowedFd<'_>,
    initrd: BorrowedFd<'_>,
    command_line: &str,
) -> Result<(), KexecError> {
    let line = CString::new(command_line).map_err(|_| KexecError::CommandLine)?;
    let line = line.as_bytes_with_nul();
    let no_flags: libc::c_ulong = 0;
    // SAFETY: the pointer is to that many bytes, of which the last one is NUL.
    let result = unsafe {
        libc::syscall(
            libc::SYS_kexec_file_load,
            kernel.as_raw_fd(),
            initrd.as_raw_fd(),
            line.len(),
            line.as_ptr(),
            no_flags,
        )
    };
    if result == 0 {
        return Ok(());
    }
    Err(explain(io::Error::last_os_error()))
}

fn explain(error: io::Error) -> KexecError {
    match error.raw_os_error() {
        Some(libc::ENOSYS) => KexecError::Absent,
        Some(libc::EPERM | libc::EACCES) => KexecError::Forbidden,
        Some(libc::ENOKEY | libc::EKEYREJECTED | libc::EKEYEXPIRED | libc::EBADMSG) => {
            KexecError::Signature
        }
        Some(libc::ENOEXEC) => KexecError::NoKernel,
        _ => KexecError::Other(error),
    }
}

/// Whether a kernel is loaded, as `sys` (the folder `/sys`) tells.
#[must_use]
pub fn is_loaded(sys: &Path) -> bool {
    fs::read_to_string(sys.join(LOADED)).is_ok_and(|text| text.trim_end() == "1")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn what_the_kernel_says_is_told_in_words() {
        let words = |number| explain(io::Error::from_raw_os_error(number)).to_string();
        let all = [libc::ENOSYS, libc::EPERM, libc::EKEYREJECTED, libc::ENOEXEC].map(words);
        expect_test::expect![[r"
            this kernel cannot load another one: it was built without CONFIG_KEXEC_FILE
            the kernel forbids it: lockdown, the sysctl kernel.kexec_load_disabled, or missing rights (CAP_SYS_BOOT)
            the kernel takes only one that is signed with a key that it knows
            the file is no kernel that can be loaded so
        "]]
        .assert_eq(&(all.join("\n") + "\n"));
    }

    #[test]
    fn what_is_no_kernel_is_not_loaded() {
        // Whichever reason comes first on the machine that this runs on.
        let file = std::fs::File::open("/dev/null").unwrap();
        assert!(load(file.as_fd(), file.as_fd(), "quiet").is_err());
        let error = load(file.as_fd(), file.as_fd(), "a\0b").unwrap_err();
        assert!(matches!(error, KexecError::CommandLine));
    }

    #[test]
    fn sysfs_says_whether_one_is_there() {
        assert!(!is_loaded(Path::new("/nonexistent")));
        assert!(!is_loaded(Path::new("/sys")));
    }
}
