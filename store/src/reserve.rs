//! Space that a collection can begin with when the disk is full: the database needs some to forget an
//! object, and even to be opened. `ROOT/nix/var/nix/db/reserved` takes it until then, as in Nix.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use nix::fcntl::{FallocateFlags, fallocate};

use crate::error::{IoError, io_error};

/// Its size in bytes, that of Nix: either would make the other's file anew.
const SIZE: u32 = 8 << 20;

/// Where it is, below the store's root.
const FILE: &str = "nix/var/nix/db/reserved";

/// Frees the reserved space of the store at `root`, for a collection to begin with. Nothing there is
/// fine.
///
/// # Errors
/// It cannot be removed.
pub fn free_reserve(root: &Path) -> Result<(), IoError> {
    let path = root.join(FILE);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(io_error("remove", &path)(error))
        }
        _ => Ok(()),
    }
}

/// Reserves it, unless that is done, or there is no space.
pub(crate) fn reserve(root: &Path) {
    let path = root.join(FILE);
    if fs::metadata(&path).is_ok_and(|metadata| metadata.len() == u64::from(SIZE)) {
        return;
    }
    let made = File::create(&path).and_then(|file| {
        fallocate(&file, FallocateFlags::empty(), 0, i64::from(SIZE))?;
        Ok(())
    });
    if let Err(error) = made {
        log::info!("no space is reserved for the next collection: {error}");
        if let Err(error) = free_reserve(root) {
            log::warn!("{error}");
        }
    }
}
