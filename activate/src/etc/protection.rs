//! `/etc` read-only for everybody but activation.
//!
//! ```text
//! /etc         the folder on its file system: activation's, through a view of its own
//! /etc         bound on itself, read-only: everybody's
//! /etc/nixos   bound on itself before, and writable: the operator's configuration and its lock
//! ```
//! The switch of generations stays the rename of `/etc/static`, below the mount: what is read through it
//! changes at that moment. Nothing is mounted or unmounted between two generations that are both
//! protected.

use std::fs;
use std::io;
use std::path::Path;

use cairn_sys::mount;
use cairn_sys::mount_options::MountOptions;
use nix::errno::Errno;
use nix::mount::MntFlags;

use crate::plan::Failure;

/// What stays writable in it.
const OPERATORS: &str = "/etc/nixos";

/// Makes `/etc` read-only, until [`open_etc`] or the machine's end.
///
/// # Errors
/// The kernel's.
pub fn protect_etc() -> Result<(), Failure> {
    match fs::create_dir(OPERATORS) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(Failure::new(format!("cannot create {OPERATORS}: {error}")));
        }
        _ => bind(OPERATORS, &["bind"])?,
    }
    bind(super::ETC, &["rbind", "ro"])
}

fn bind(path: &str, options: &[&str]) -> Result<(), Failure> {
    mount::mount(path, Path::new(path), "none", &MountOptions::parse(options)).map_err(Failure::new)
}

/// Makes `/etc` writable again. Who has a folder of it open keeps what is there.
///
/// # Errors
/// The kernel's.
pub fn open_etc() -> Result<(), Failure> {
    unmount(super::ETC)?;
    unmount(OPERATORS)
}

fn unmount(path: &str) -> Result<(), Failure> {
    match mount::unmount(Path::new(path), MntFlags::MNT_DETACH) {
        Ok(()) => Ok(()),
        // There was nothing to keep writable.
        Err(error) if matches!(error.errno(), Errno::EINVAL | Errno::ENOENT) => Ok(()),
        Err(error) => Err(Failure::new(error)),
    }
}
