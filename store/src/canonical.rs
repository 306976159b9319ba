//! Canonical metadata: modification time 1, modes 0444, 0555 or a link's, no extended attributes.
//!
//! The Nix archive keeps less than a file system does; what it leaves out must not differ between
//! two objects with the same hash.

use std::fs::{self, Metadata};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;

use crate::error::{IoError, io_error};
use crate::nar::{MAX_DEPTH, NarError, sorted_names, special_kind};
use crate::tree::set_mode;

/// The modification time of everything in the store, in seconds since 1970.
const MTIME: i64 = 1;

/// Gives the tree at `path` canonical metadata. A second call changes nothing.
///
/// # Errors
/// The tree has a socket, pipe or device, or a file of somebody else that cannot be taken over.
pub(crate) fn canonicalise(path: &Path) -> Result<(), NarError> {
    let metadata = fs::symlink_metadata(path).map_err(io_error("read", path))?;
    visit(path, &metadata, 0)
}

fn visit(path: &Path, metadata: &Metadata, depth: usize) -> Result<(), NarError> {
    if depth > MAX_DEPTH {
        return Err(NarError::Deep(path.to_owned()));
    }
    let kind = metadata.file_type();
    if !(kind.is_file() || kind.is_dir() || kind.is_symlink()) {
        return Err(NarError::Special {
            path: path.to_owned(),
            kind: special_kind(metadata),
        });
    }
    let uid = nix::unistd::geteuid().as_raw();
    if metadata.uid() != uid {
        std::os::unix::fs::lchown(path, Some(uid), None).map_err(io_error("own", path))?;
    }
    if !kind.is_symlink() {
        let old = metadata.permissions().mode() & 0o7777;
        let new = if kind.is_dir() || old & 0o100 != 0 {
            0o555
        } else {
            0o444
        };
        if kind.is_dir() && old & 0o500 != 0o500 {
            set_mode(path, 0o700)?;
        }
        remove_attributes(path, old)?;
        if kind.is_dir() {
            for name in sorted_names(path)? {
                let child = path.join(name);
                let metadata = fs::symlink_metadata(&child).map_err(io_error("read", &child))?;
                visit(&child, &metadata, depth + 1)?;
            }
        }
        if old != new {
            set_mode(path, new)?;
        }
    }
    // Changing the modes of entries does not touch their folder's time.
    if metadata.mtime() != MTIME || metadata.mtime_nsec() != 0 {
        set_mtime(path)?;
    }
    Ok(())
}

/// Extended attributes of files that this user may write can be removed without further rights.
fn remove_attributes(path: &Path, mode: u32) -> Result<(), NarError> {
    let names = cairn_sys::xattr::list(path).map_err(io_error("read the attributes of", path))?;
    let names: Vec<_> = names
        .into_iter()
        .filter(|name| !KERNELS_OWN.iter().any(|own| name == own))
        .collect();
    if !names.is_empty() {
        // Attributes `user.*` need write permission, even of the owner.
        set_mode(path, mode & 0o777 | 0o200)?;
    }
    for name in &names {
        cairn_sys::xattr::remove(path, name)
            .map_err(io_error("remove an extended attribute of", path))?;
    }
    if !names.is_empty() {
        set_mode(path, mode)?;
    }
    Ok(())
}

/// Attributes that the system sets on every file by its own rules.
const KERNELS_OWN: [&str; 3] = ["security.selinux", "security.csm", "system.nfs4_acl"];

/// Sets access and modification time of `path` itself, not of what a link points to.
pub(crate) fn set_mtime(path: &Path) -> Result<(), IoError> {
    let time = TimeSpec::new(MTIME, 0);
    utimensat(
        AT_FDCWD,
        path,
        &time,
        &time,
        UtimensatFlags::NoFollowSymlink,
    )
    .map_err(|error| io_error("set the time of", path)(std::io::Error::from(error)))
}
