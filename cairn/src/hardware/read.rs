//! Reading the kernel's files.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Why a machine cannot be looked at.
#[derive(Debug, thiserror::Error)]
pub enum HardwareError {
    /// A file or folder cannot be read.
    #[error("cannot read '{}': {source}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What devices hold cannot be found out.
    #[error("cannot run blkid: {source}; install util-linux")]
    NoProbe {
        /// Why.
        source: io::Error,
    },
    /// A device could not be looked at.
    #[error("cannot find out what '{device}' holds: blkid ended with {status}: {message}")]
    Probe {
        /// The device.
        device: String,
        /// How it ended.
        status: std::process::ExitStatus,
        /// What it said.
        message: String,
    },
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> HardwareError + '_ {
    |source| HardwareError::Read {
        path: path.to_owned(),
        source,
    }
}

/// The text of a file, without the line's end; nothing if there is no such file, or if the device behind
/// it has gone meanwhile.
pub(super) fn text(path: &Path) -> Result<Option<String>, HardwareError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).trim_end().to_owned())),
        Err(error) if is_gone(&error) => Ok(None),
        Err(error) => Err(failed(path)(error)),
    }
}

/// What is in a file; nothing if there is no such file.
pub(super) fn bytes(path: &Path) -> Result<Option<Vec<u8>>, HardwareError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if is_gone(&error) => Ok(None),
        Err(error) => Err(failed(path)(error)),
    }
}

/// The text of a file that must be there.
pub(super) fn present(path: &Path) -> Result<String, HardwareError> {
    let bytes = fs::read(path).map_err(failed(path))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Names in a folder, sorted; none if there is no such folder.
pub(super) fn names(folder: &Path) -> Result<Vec<String>, HardwareError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if is_gone(&error) => return Ok(Vec::new()),
        Err(error) => return Err(failed(folder)(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name: OsString = entry.map_err(failed(folder))?.file_name();
        names.extend(name.into_string());
    }
    names.sort();
    Ok(names)
}

/// The last part of what a link points to; nothing if there is no such link.
pub(super) fn link_name(link: &Path) -> Result<Option<String>, HardwareError> {
    match fs::read_link(link) {
        Ok(target) => Ok(target
            .file_name()
            .and_then(|name| name.to_str())
            .map(str::to_owned)),
        Err(error) if is_gone(&error) => Ok(None),
        Err(error) => Err(failed(link)(error)),
    }
}

/// Where a path leads to; nothing if it leads nowhere.
pub(super) fn place(path: &Path) -> Result<Option<PathBuf>, HardwareError> {
    match fs::canonicalize(path) {
        Ok(place) => Ok(Some(place)),
        Err(error) if is_gone(&error) => Ok(None),
        Err(error) => Err(failed(path)(error)),
    }
}

/// Devices come and go while they are looked at.
fn is_gone(error: &io::Error) -> bool {
    use nix::libc::{EINVAL, ENODEV, ENOENT, ENOTDIR, ENXIO, EOPNOTSUPP};
    error
        .raw_os_error()
        .is_some_and(|code| [ENOENT, ENOTDIR, ENODEV, ENXIO, EINVAL, EOPNOTSUPP].contains(&code))
}
