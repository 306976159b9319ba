//! Loading one kernel module from an open file.
//!
//! Which modules, and in what order, is the caller's matter.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

/// `MODULE_INIT_COMPRESSED_FILE` of `linux/module.h`: the kernel unpacks the file (since 5.17).
const COMPRESSED_FILE: libc::c_uint = 4;

/// Why a module was not loaded.
#[derive(Debug, thiserror::Error)]
pub enum ModuleError {
    /// The file cannot be opened.
    #[error("cannot open module {path}: {source}", path = path.display())]
    Open {
        /// The module's file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The kernel does not let it go.
    #[error("cannot remove module {name}: {source}{hint}")]
    Remove {
        /// The module's name.
        name: String,
        /// Why.
        source: io::Error,
        /// What that error means here; starts with `; `.
        hint: &'static str,
    },
    /// The kernel refuses it.
    #[error("cannot load module {path}: {source}{hint}", path = path.display())]
    Load {
        /// The module's file.
        path: PathBuf,
        /// Why.
        source: io::Error,
        /// What that error means here; starts with `; `.
        hint: &'static str,
    },
}

impl ModuleError {
    /// The driver works, but found none of its devices: for a device that exists that means that
    /// it has no use for this driver, which is nothing to worry about.
    #[must_use]
    pub fn has_no_device(&self) -> bool {
        matches!(self, Self::Load { source, .. } if source.raw_os_error() == Some(libc::ENODEV))
    }
}

/// What became of a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loaded {
    /// It runs since this call.
    Now,
    /// It was there before, or another process was faster.
    Before,
}

/// Loads the module in `path` with `parameters` (`name=value`, separated by spaces), and returns
/// when its init function has. `.xz`, `.zst` and `.gz` are unpacked by the kernel, if it can.
///
/// # Errors
/// The file is missing, or the kernel refuses the module; the error says what that means.
pub fn load(path: &Path, parameters: &str) -> Result<Loaded, ModuleError> {
    let file = File::open(path).map_err(|source| ModuleError::Open {
        path: path.to_owned(),
        source,
    })?;
    let failed = |errno: Errno| ModuleError::Load {
        path: path.to_owned(),
        source: errno.into(),
        hint: hint(errno),
    };
    let parameters = CString::new(parameters).map_err(|_nul| failed(Errno::EINVAL))?;
    let compressed = path
        .extension()
        .is_some_and(|extension| ["xz", "zst", "gz"].iter().any(|known| extension == *known));
    let flags = if compressed { COMPRESSED_FILE } else { 0 };
    // SAFETY: finit_module(2) takes a descriptor, which `file` keeps open, a NUL-terminated
    // string, which `parameters` keeps alive, and flags; it keeps none of them.
    let result = unsafe {
        libc::syscall(
            libc::SYS_finit_module,
            file.as_raw_fd(),
            parameters.as_ptr(),
            flags,
        )
    };
    match Errno::result(result) {
        Ok(_) => Ok(Loaded::Now),
        Err(Errno::EEXIST) => Ok(Loaded::Before),
        Err(errno) => Err(failed(errno)),
    }
}

/// Removes the module `name` if nothing uses it; those that it depends on stay.
///
/// # Errors
/// It is not loaded, in use, or the caller is not the superuser.
pub fn remove(name: &str) -> Result<(), ModuleError> {
    let failed = |errno: Errno| ModuleError::Remove {
        name: name.to_owned(),
        source: errno.into(),
        hint: match errno {
            Errno::ENOENT => "; it is not loaded",
            Errno::EWOULDBLOCK => "; it is in use",
            Errno::EBUSY => "; it has no function that undoes its work",
            Errno::EPERM => "; only the superuser may",
            _ => "",
        },
    };
    let text = CString::new(name.replace('-', "_")).map_err(|_nul| failed(Errno::EINVAL))?;
    // SAFETY: delete_module(2) takes a NUL-terminated string, which `text` keeps alive, and flags.
    let result = unsafe { libc::syscall(libc::SYS_delete_module, text.as_ptr(), libc::O_NONBLOCK) };
    Errno::result(result).map(drop).map_err(failed)
}

fn hint(errno: Errno) -> &'static str {
    match errno {
        Errno::ENOEXEC => "; it was built for another kernel",
        Errno::ENOENT => "; it needs a symbol that no loaded module has: a dependency is missing",
        Errno::ENODEV => "; it found none of its devices",
        Errno::EINVAL => "; it does not know one of its parameters, or the file is damaged",
        Errno::EOPNOTSUPP => "; the kernel cannot unpack modules (CONFIG_MODULE_DECOMPRESS)",
        Errno::EKEYREJECTED | Errno::ENOKEY => {
            "; the kernel trusts no key of its signature (Secure Boot or module.sig_enforce)"
        }
        Errno::EPERM => "; module loading is not permitted here (kernel.modules_disabled)",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_is_named() {
        let error = load(Path::new("/nonexistent/x.ko"), "").unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot open module /nonexistent/x.ko: No such file or directory (os error 2)"
        );
    }

    #[test]
    fn only_the_absence_of_a_device_is_no_worry() {
        let load = |errno: Errno| ModuleError::Load {
            path: "/x.ko".into(),
            source: errno.into(),
            hint: "",
        };
        assert!(load(Errno::ENODEV).has_no_device());
        assert!(!load(Errno::ENOEXEC).has_no_device());
    }

    #[test]
    fn what_is_not_loaded_cannot_be_removed() {
        let error = remove("no-such-module-cairn").unwrap_err().to_string();
        assert!(
            error.starts_with("cannot remove module no-such-module-cairn: "),
            "{error}"
        );
    }

    #[test]
    fn a_file_that_is_no_module_is_refused() {
        let error = load(Path::new("/dev/null"), "").unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("cannot load module /dev/null: "),
            "{error}"
        );
    }
}
