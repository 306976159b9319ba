//! Mounting, with errors that name both ends.
//!
//! `mount(2)` does one thing a call: a bind mount takes its flags in a second call, and propagation
//! is set in a third. [`mount`] makes the calls that one line of fstab needs.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags};

use crate::mount_options::{Bind, MountOptions};

/// Why something was not mounted, moved or unmounted.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// The kernel refuses the mount.
    #[error("cannot mount {source_name} on {target} as {fs_type}: {source}{hint}", target = target.display())]
    Mount {
        /// Device, directory or name.
        source_name: String,
        /// Where it should have been mounted.
        target: PathBuf,
        /// The type, or `bind mount`.
        fs_type: String,
        /// Why.
        source: Errno,
        /// What the error means here, with `; ` before it.
        hint: String,
    },
    /// A mount cannot be moved.
    #[error("cannot move the mount {from} to {to}: {source}", from = from.display(), to = to.display())]
    Move {
        /// Where it is.
        from: PathBuf,
        /// Where it should go.
        to: PathBuf,
        /// Why.
        source: Errno,
    },
    /// A mount cannot be removed.
    #[error("cannot unmount {target}: {source}", target = target.display())]
    Unmount {
        /// Where it is.
        target: PathBuf,
        /// Why.
        source: Errno,
    },
}

impl MountError {
    /// The kernel's error number.
    #[must_use]
    pub fn errno(&self) -> Errno {
        match self {
            Self::Mount { source, .. }
            | Self::Move { source, .. }
            | Self::Unmount { source, .. } => *source,
        }
    }
}

impl From<MountError> for io::Error {
    fn from(error: MountError) -> Self {
        let kind = io::Error::from(error.errno()).kind();
        io::Error::new(kind, error)
    }
}

/// Mounts `source` on `target`, which must exist. For a bind mount, `fs_type` is ignored.
///
/// A device that is write-protected is mounted read-only, with a line in the log, unless the
/// options say `rw`.
///
/// # Errors
/// The kernel's, with what it means for this type and these options.
pub fn mount(
    source: &str,
    target: &Path,
    fs_type: &str,
    options: &MountOptions,
) -> Result<(), MountError> {
    let failed = |fs_type: &str, errno| MountError::Mount {
        source_name: source.to_owned(),
        target: target.to_owned(),
        fs_type: fs_type.to_owned(),
        source: errno,
        hint: hint(errno, source, fs_type, options),
    };
    if options.bind == Bind::No {
        mount_file_system(source, target, fs_type, options)
            .map_err(|errno| failed(fs_type, errno))?;
    } else {
        bind(source, target, options).map_err(|errno| failed("bind mount", errno))?;
    }
    if let Some(propagation) = options.propagation {
        call(None, target, None, propagation, None).map_err(|errno| failed(fs_type, errno))?;
    }
    Ok(())
}

fn mount_file_system(
    source: &str,
    target: &Path,
    fs_type: &str,
    options: &MountOptions,
) -> Result<(), Errno> {
    let text = options.data_text();
    let data = (!text.is_empty()).then_some(text.as_str());
    let attempt = |flags| call(Some(source), target, Some(fs_type), flags, data);
    match attempt(options.flags) {
        Err(Errno::EROFS | Errno::EACCES)
            if !options.explicit_access && !options.flags.contains(MsFlags::MS_RDONLY) =>
        {
            attempt(options.flags | MsFlags::MS_RDONLY)?;
            log::info!("{source} is write-protected: it is mounted read-only");
            Ok(())
        }
        result => result,
    }
}

fn bind(source: &str, target: &Path, options: &MountOptions) -> Result<(), Errno> {
    let recursive = match options.bind {
        Bind::Tree => MsFlags::MS_REC,
        Bind::No | Bind::Directory => MsFlags::empty(),
    };
    if !options.flags.contains(MsFlags::MS_REMOUNT) {
        call(
            Some(source),
            target,
            None,
            MsFlags::MS_BIND | recursive,
            None,
        )?;
    }
    if options.flags.is_empty() {
        return Ok(());
    }
    let flags = options.flags | MsFlags::MS_BIND | MsFlags::MS_REMOUNT;
    call(None, target, None, flags, None)
}

/// Shows `directory` on itself with the given options, as `/nix/store` is: read-only there, while
/// the file system below stays writable.
///
/// # Errors
/// The kernel's.
pub fn bind_on_itself(directory: &Path, options: &[&str]) -> Result<(), MountError> {
    let mut options = MountOptions::parse(options);
    options.bind = Bind::Directory;
    mount(&directory.to_string_lossy(), directory, "none", &options)
}

/// A view of `directory` for this process alone: what the file system has there, writable, without
/// what is mounted below it. The mounts that others see stay as they are. The view is reached through
/// `/proc/self/fd/<number>/…`, by every thread, and is gone when it is closed.
///
/// `rename(2)` works between any two places in one view. Needs `CAP_SYS_ADMIN` in the user namespace
/// that the mounts belong to. Source: `open_tree(2)`, `mount_setattr(2)`.
///
/// # Errors
/// The kernel's: no privilege, no such directory, or Linux before 5.12.
pub fn writable_view(directory: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(directory.as_os_str().as_bytes())?;
    let flags = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC;
    // SAFETY: the string ends with a zero byte; the kernel gives a new descriptor or -1.
    let view = new_descriptor(unsafe {
        libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags)
    })?;
    let attributes = libc::mount_attr {
        attr_set: 0,
        attr_clr: libc::MOUNT_ATTR_RDONLY,
        propagation: 0,
        userns_fd: 0,
    };
    // SAFETY: the structure has the kernel's layout and the size that is passed.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            view.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    match done {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(view),
    }
}

/// The file system of type `fs_type` on `device`, mounted for this process alone: nobody sees the mount
/// in a directory. It is reached through `/proc/self/fd/<number>/…`, and is gone when it is closed.
///
/// Source: `fsopen(2)`, `fsconfig(2)`, `fsmount(2)`.
///
/// # Errors
/// The kernel's: no privilege, no such device or type, or another file system on it.
pub fn private_mount(device: &Path, fs_type: &str) -> io::Result<OwnedFd> {
    let fs_type = CString::new(fs_type)?;
    let device = CString::new(device.as_os_str().as_bytes())?;
    // SAFETY: the string ends with a zero byte; the kernel gives a new descriptor or -1.
    let context = new_descriptor(unsafe {
        libc::syscall(libc::SYS_fsopen, fs_type.as_ptr(), libc::FSOPEN_CLOEXEC)
    })?;
    let configure =
        |command: libc::c_uint, key: *const libc::c_char, value: *const libc::c_char| {
            // SAFETY: the strings end with a zero byte, or are null where the command has none.
            let done = unsafe {
                libc::syscall(
                    libc::SYS_fsconfig,
                    context.as_raw_fd(),
                    command,
                    key,
                    value,
                    0,
                )
            };
            match done {
                -1 => Err(io::Error::last_os_error()),
                _ => Ok(()),
            }
        };
    configure(FSCONFIG_SET_STRING, c"source".as_ptr(), device.as_ptr())?;
    configure(FSCONFIG_CMD_CREATE, std::ptr::null(), std::ptr::null())?;
    let attributes = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV | libc::MOUNT_ATTR_NOEXEC;
    // SAFETY: numbers alone; the kernel gives a new descriptor or -1.
    new_descriptor(unsafe {
        libc::syscall(
            libc::SYS_fsmount,
            context.as_raw_fd(),
            libc::FSMOUNT_CLOEXEC,
            attributes,
        )
    })
}

/// Commands of `fsconfig(2)`, from `include/uapi/linux/mount.h`.
const FSCONFIG_SET_STRING: libc::c_uint = 1;
const FSCONFIG_CMD_CREATE: libc::c_uint = 6;

/// What a system call that makes a descriptor has given.
fn new_descriptor(number: libc::c_long) -> io::Result<OwnedFd> {
    match i32::try_from(number) {
        // SAFETY: the descriptor was just made, and nobody else owns it.
        Ok(number) if number >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(number) }),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Moves a mount, and all below it, to another directory.
///
/// # Errors
/// `from` is no mount point, `to` does not exist, or `from` lies in a shared mount.
pub fn move_mount(from: &Path, to: &Path) -> Result<(), MountError> {
    nix::mount::mount(Some(from), to, None::<&str>, MsFlags::MS_MOVE, None::<&str>).map_err(
        |source| MountError::Move {
            from: from.to_owned(),
            to: to.to_owned(),
            source,
        },
    )
}

/// Unmounts `target`; `flags` as in `umount2(2)`.
///
/// # Errors
/// It is in use, or no mount point.
pub fn unmount(target: &Path, flags: MntFlags) -> Result<(), MountError> {
    nix::mount::umount2(target, flags).map_err(|source| MountError::Unmount {
        target: target.to_owned(),
        source,
    })
}

fn call(
    source: Option<&str>,
    target: &Path,
    fs_type: Option<&str>,
    flags: MsFlags,
    data: Option<&str>,
) -> Result<(), Errno> {
    nix::mount::mount(source, target, fs_type, flags, data)
}

fn hint(errno: Errno, source: &str, fs_type: &str, options: &MountOptions) -> String {
    match errno {
        Errno::ENODEV => format!("; the kernel has no file system type '{fs_type}'"),
        Errno::EINVAL if options.data.is_empty() => {
            format!("; {source} holds no valid {fs_type}, or needs features that the kernel lacks")
        }
        Errno::EINVAL => format!(
            "; {source} holds no valid {fs_type}, or one of its options is not known: {}",
            options.data_text()
        ),
        Errno::ENOTBLK => "; the device is no block device".to_owned(),
        Errno::ENOENT => "; the source or the mount point does not exist".to_owned(),
        Errno::ENXIO => "; the device node has no device behind it".to_owned(),
        Errno::EBUSY => "; it is mounted already, or another program uses it".to_owned(),
        Errno::EPERM => "; that needs the privilege CAP_SYS_ADMIN".to_owned(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn message(errno: Errno, options: &[&str]) -> String {
        let options = MountOptions::parse(options);
        MountError::Mount {
            source_name: "/dev/vda2".to_owned(),
            target: "/sysroot".into(),
            fs_type: "ext4".to_owned(),
            source: errno,
            hint: hint(errno, "/dev/vda2", "ext4", &options),
        }
        .to_string()
    }

    #[test]
    fn errors_say_what_they_mean() {
        let messages = [
            message(Errno::ENODEV, &[]),
            message(Errno::EINVAL, &[]),
            message(Errno::EINVAL, &["ro", "foo"]),
            message(Errno::EIO, &[]),
        ];
        expect![[r#"
            cannot mount /dev/vda2 on /sysroot as ext4: ENODEV: No such device; the kernel has no file system type 'ext4'
            cannot mount /dev/vda2 on /sysroot as ext4: EINVAL: Invalid argument; /dev/vda2 holds no valid ext4, or needs features that the kernel lacks
            cannot mount /dev/vda2 on /sysroot as ext4: EINVAL: Invalid argument; /dev/vda2 holds no valid ext4, or one of its options is not known: foo
            cannot mount /dev/vda2 on /sysroot as ext4: EIO: I/O error"#]]
        .assert_eq(&messages.join("\n"));
    }

    #[test]
    fn a_missing_target_is_named() {
        let error = mount(
            "none",
            Path::new("/nonexistent/x"),
            "tmpfs",
            &MountOptions::default(),
        )
        .unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("cannot mount none on /nonexistent/x as tmpfs: "),
            "{error}"
        );
    }
}
