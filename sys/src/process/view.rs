//! A process's own view of the files: mounts that are made in its mount namespace, in order.
//!
//! Source: `mount(2)`, `mount_setattr(2)`, `mount_namespaces(7)`.

use std::ffi::{CStr, CString, NulError};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::child::{Done, check};

/// One step towards the view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What is done.
    pub change: Change,
    /// That a path of it is not there is no obstacle.
    pub optional: bool,
}

/// What a step does. Paths are absolute, as the process sees them at that step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A folder is made with these permission bits; that it is there already is well.
    Folder(PathBuf, u32),
    /// An empty file is made; that it is there already is well.
    File(PathBuf),
    /// A symbolic link.
    Link {
        /// What it says.
        target: PathBuf,
        /// Where it is.
        at: PathBuf,
    },
    /// A new file system.
    FileSystem {
        /// Its type.
        kind: &'static str,
        /// On what it is mounted.
        at: PathBuf,
        /// What may be done in it.
        access: Access,
        /// Its own options.
        options: String,
    },
    /// A file or folder is seen at another place too.
    Bind {
        /// What.
        from: PathBuf,
        /// On what.
        at: PathBuf,
        /// With what is mounted below it.
        tree: bool,
    },
    /// A mount becomes the root. What was it is seen below it, with all that is mounted there.
    Root {
        /// Where the mount is.
        at: PathBuf,
        /// The folder in it, absolute as it will be, where the old root is seen.
        before: PathBuf,
    },
    /// A mount, with all that is mounted below it, is not seen any more, and its folder is removed.
    Hide(PathBuf),
    /// A mount is moved.
    Move {
        /// Where it is.
        from: PathBuf,
        /// Where it will be.
        at: PathBuf,
    },
    /// What may be done in a mount.
    Access {
        /// Where it is mounted.
        at: PathBuf,
        /// In all that is mounted below it too.
        tree: bool,
        /// What is forbidden from now on.
        forbid: Access,
        /// What is allowed again.
        allow: Access,
    },
}

/// What a mount forbids, as in `mount_setattr(2)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Access(u64);

impl Access {
    /// Nothing.
    pub const FREE: Self = Self(0);
    /// Writing.
    pub const READ_ONLY: Self = Self(libc::MOUNT_ATTR_RDONLY);
    /// Setuid and file capabilities.
    pub const NO_SUID: Self = Self(libc::MOUNT_ATTR_NOSUID);
    /// Devices.
    pub const NO_DEVICES: Self = Self(libc::MOUNT_ATTR_NODEV);
    /// Executing.
    pub const NO_EXEC: Self = Self(libc::MOUNT_ATTR_NOEXEC);

    /// Both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// As flags of `mount(2)`: the first four attributes have the same numbers there.
    fn flags(self) -> libc::c_ulong {
        self.0
    }
}

/// A step, ready to be done.
#[derive(Debug)]
pub(super) struct Ready {
    operation: Operation,
    optional: bool,
    /// What it is called when it fails.
    text: CString,
}

#[derive(Debug)]
enum Operation {
    Folder(CString, u32),
    File(CString),
    Link(CString, CString),
    Mount {
        source: CString,
        at: CString,
        kind: CString,
        flags: libc::c_ulong,
        options: CString,
    },
    Root {
        at: CString,
        /// As seen from there.
        before: CString,
    },
    Hide(CString),
    Attributes {
        at: CString,
        flags: libc::c_uint,
        attributes: libc::mount_attr,
    },
}

impl Ready {
    pub fn new(step: &Step) -> Result<Self, NulError> {
        let path = |path: &Path| CString::new(path.as_os_str().as_bytes());
        let mount = |source: &Path, at: &Path, flags| -> Result<Operation, NulError> {
            Ok(Operation::Mount {
                source: path(source)?,
                at: path(at)?,
                kind: CString::default(),
                flags,
                options: CString::default(),
            })
        };
        let (operation, text) = match &step.change {
            Change::Folder(at, mode) => (
                Operation::Folder(path(at)?, *mode),
                format!("make the folder {} for it", at.display()),
            ),
            Change::File(at) => (
                Operation::File(path(at)?),
                format!("make the file {} for it", at.display()),
            ),
            Change::Link { target, at } => (
                Operation::Link(path(target)?, path(at)?),
                format!("make the link {} for it", at.display()),
            ),
            Change::FileSystem {
                kind,
                at,
                access,
                options,
            } => (
                Operation::Mount {
                    source: CString::new(*kind)?,
                    at: path(at)?,
                    kind: CString::new(*kind)?,
                    flags: access.flags(),
                    options: CString::new(options.as_str())?,
                },
                format!("mount a {kind} on {} for it", at.display()),
            ),
            Change::Bind { from, at, tree } => {
                let recursive = if *tree { libc::MS_REC } else { 0 };
                let operation = mount(from, at, libc::MS_BIND | recursive)?;
                let (from, at) = (from.display(), at.display());
                (operation, format!("show {from} to it as {at}"))
            }
            Change::Root { at, before } => {
                let relative = before.strip_prefix("/").unwrap_or(before);
                let (at, before) = (path(at)?, path(relative)?);
                let text = "give it a root of its own".to_owned();
                (Operation::Root { at, before }, text)
            }
            Change::Hide(at) => {
                let text = format!("hide {} from it", at.display());
                (Operation::Hide(path(at)?), text)
            }
            Change::Move { from, at } => {
                let operation = mount(from, at, libc::MS_MOVE)?;
                (
                    operation,
                    format!("put what it sees in place at {}", at.display()),
                )
            }
            Change::Access {
                at,
                tree,
                forbid,
                allow,
            } => (
                Operation::Attributes {
                    at: path(at)?,
                    flags: if *tree { AT_RECURSIVE } else { 0 },
                    attributes: libc::mount_attr {
                        attr_set: forbid.0,
                        attr_clr: allow.0,
                        propagation: 0,
                        userns_fd: 0,
                    },
                },
                format!("set what it may do in {}", at.display()),
            ),
        };
        Ok(Self {
            operation,
            optional: step.optional,
            text: CString::new(text)?,
        })
    }

    /// Does it. Async-signal-safe.
    pub unsafe fn apply(&self) -> Done<'_> {
        // SAFETY: all strings end with a zero byte, and the structure has the kernel's layout.
        let result = unsafe {
            match &self.operation {
                Operation::Folder(at, mode) => there(libc::mkdir(at.as_ptr(), *mode)),
                Operation::File(at) => there(libc::mknod(at.as_ptr(), libc::S_IFREG | 0o444, 0)),
                Operation::Link(target, at) => there(libc::symlink(target.as_ptr(), at.as_ptr())),
                Operation::Mount {
                    source,
                    at,
                    kind,
                    flags,
                    options,
                } => libc::mount(
                    source.as_ptr(),
                    at.as_ptr(),
                    kind.as_ptr(),
                    *flags,
                    options.as_ptr().cast(),
                )
                .into(),
                Operation::Root { at, before } => change_root(at, before),
                Operation::Hide(at) => match libc::umount2(at.as_ptr(), libc::MNT_DETACH) {
                    0 => libc::rmdir(at.as_ptr()).into(),
                    failed => failed.into(),
                },
                Operation::Attributes {
                    at,
                    flags,
                    attributes,
                } => libc::syscall(
                    libc::SYS_mount_setattr,
                    libc::AT_FDCWD,
                    at.as_ptr(),
                    *flags,
                    std::ptr::from_ref(attributes),
                    size_of::<libc::mount_attr>(),
                ),
            }
        };
        // SAFETY: the number is this thread's.
        let absent = matches!(
            unsafe { *libc::__errno_location() },
            libc::ENOENT | libc::ENOTDIR
        );
        if result < 0 && self.optional && absent {
            return Ok(());
        }
        check(result, &self.text)
    }
}

/// Makes the mount at `at` the root of this mount namespace, in which the old one is at `before`, relative.
/// Async-signal-safe. Source: `pivot_root(2)`.
unsafe fn change_root(at: &CStr, before: &CStr) -> i64 {
    // SAFETY: all strings end with a zero byte.
    unsafe {
        let entered = libc::chdir(at.as_ptr());
        if entered < 0 {
            return entered.into();
        }
        let changed = libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), before.as_ptr());
        if changed < 0 {
            return changed;
        }
        libc::chdir(c"/".as_ptr()).into()
    }
}

/// That something is there already is well.
unsafe fn there(result: libc::c_int) -> i64 {
    // SAFETY: the number is this thread's.
    if result < 0 && unsafe { *libc::__errno_location() } == libc::EEXIST {
        return 0;
    }
    result.into()
}

/// `AT_RECURSIVE`
const AT_RECURSIVE: libc::c_uint = 0x8000;
