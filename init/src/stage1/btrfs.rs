//! A btrfs that is spread over several devices: the kernel mounts it by one of them, and must have been
//! told of the others.

use std::io;
use std::path::Path;
use std::time::Duration;

use cairn_sys::btrfs;

use super::block::Blocks;
use super::hardware::{Found, Hardware, Waiting};

/// The type that this is about.
pub const TYPE: &str = "btrfs";

/// A file system that some devices have not come of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Its UUID.
    pub uuid: String,
    /// How long they were waited for.
    pub waited: Duration,
}

/// Waits until the kernel knows all devices of the file system that `found` is a part of. If some don't
/// come the mount decides: it fails, unless it has the option `degraded`. The module is loaded.
///
/// # Errors
/// The kernel's events cannot be read.
pub fn gather(
    hardware: &mut Hardware,
    found: &Found,
    mount_point: &str,
    timeout: Duration,
) -> io::Result<Option<Missing>> {
    let uuid = found.contents.as_ref().and_then(|found| found.uuid.clone());
    let Some(uuid) = uuid else {
        return Ok(None); // the mount says what is wrong with it
    };
    let waiting = Waiting {
        what: &format!("the other devices of the btrfs UUID={uuid}"),
        purpose: mount_point,
        timeout,
    };
    let whole = hardware.wait_until(&waiting, |blocks, _| is_whole(blocks, &uuid).then_some(()))?;
    let Err(waited) = whole else {
        return Ok(None);
    };
    log::warn!(
        "{mount_point}: devices of the btrfs UUID={uuid} are missing after {} s",
        waited.as_secs()
    );
    Ok(Some(Missing { uuid, waited }))
}

/// Tells the kernel of the parts that are there; whether they are all.
fn is_whole(blocks: &Blocks, uuid: &str) -> bool {
    let is_part = |contents: &cairn_probe::Contents| {
        contents.kind == TYPE && contents.uuid.as_deref() == Some(uuid)
    };
    let mut whole = false;
    for block in blocks.all() {
        if !block.contents.as_ref().is_some_and(is_part) {
            continue;
        }
        let node = blocks.node(block);
        match btrfs::add_device(Path::new("/dev"), &node) {
            Ok(complete) => whole = complete,
            Err(error) => {
                log::warn!("cannot tell the kernel of {}: {error}", node.display());
                // Nothing is won by waiting if the kernel does not listen.
                whole |= error.kind() == io::ErrorKind::NotFound;
            }
        }
    }
    whole
}
