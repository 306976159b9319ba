//! The devices that a btrfs is spread over.

use std::io;
use std::path::Path;

use cairn_sys::btrfs;

use super::{invalid, put};
use crate::device::Properties;
use crate::event::Event;

/// `ready [NAME]`: the kernel is told of the device of `event`, whose node is below `dev`; whether it knows all of its
/// file system now. It shows the device by this name from then on, among mounts too: the node's, if none is given.
///
/// # Errors
/// It is another word; there is no btrfs, or none on the device.
pub fn run(arguments: &[String], event: &Event, dev: &Path) -> io::Result<Option<Properties>> {
    let name = match arguments {
        [word] if word == "ready" => None,
        [word, name] if word == "ready" => Some(name.strip_prefix("/dev/").unwrap_or(name)),
        _ => {
            return Err(invalid(
                "btrfs takes a word, and a name below /dev: ready".to_owned(),
            ));
        }
    };
    let Some(node) = event.device.node() else {
        return Ok(None);
    };
    let is_whole = btrfs::add_device(dev, &dev.join(name.unwrap_or(node)))?;
    let mut properties = Properties::new();
    put(
        &mut properties,
        "ID_BTRFS_READY",
        if is_whole { "1" } else { "0" },
    );
    Ok(Some(properties))
}
