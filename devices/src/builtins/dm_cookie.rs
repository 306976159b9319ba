//! What libdevmapper says along with an event of its devices, and what it waits for.
//!
//! ```text
//! DM_COOKIE=<32 bits>   31..16  flags for the rules, [`FLAGS`] from the lowest
//!                       15..0   which semaphore it waits at: its key is 0x0d4d and these
//! ```
//!
//! While a device manager runs (`/run/udev/control` is there), whoever makes or removes a device with libdevmapper waits
//! until its rules are through, and expects `/dev/mapper/<name>` of them: `cryptsetup` would wait for ever for one that
//! does not answer.
//!
//! Source: `dmsetup(8)`, `udevflags` and `udevcomplete`; libdevmapper's `libdevmapper.h` and `libdm-common.c` for the
//! numbers.

use std::io;

use cairn_sys::semaphore;

use super::{invalid, put};
use crate::device::Properties;
use crate::event::Event;

/// The flags' names as properties, from the lowest bit: `DM_UDEV_<name>_FLAG`.
const FLAGS: [&str; 7] = [
    "DISABLE_DM_RULES",
    "DISABLE_SUBSYSTEM_RULES",
    "DISABLE_DISK_RULES",
    "DISABLE_OTHER_RULES",
    "LOW_PRIORITY",
    "DISABLE_LIBRARY_FALLBACK",
    "PRIMARY_SOURCE",
];

/// The upper half of a semaphore's key.
const MAGIC: u32 = 0x0d4d_0000;

/// `flags`: those of the event; `complete`: whoever waits for it is told that it is over.
///
/// # Errors
/// It is another word, or nobody can be told.
pub fn run(arguments: &[String], event: &Event) -> io::Result<Option<Properties>> {
    let word = arguments.first().map(String::as_str);
    let cookie = event
        .property("DM_COOKIE")
        .and_then(|text| text.parse().ok());
    match (word, cookie) {
        (Some("flags"), Some(cookie)) => Ok(Some(flags(cookie))),
        (Some("complete"), Some(cookie)) => complete(cookie).map(|()| Some(Properties::new())),
        (Some("flags" | "complete"), None) => Ok(None),
        _ => Err(invalid(
            "dm_cookie takes a word: flags or complete".to_owned(),
        )),
    }
}

fn flags(cookie: u32) -> Properties {
    let mut properties = Properties::new();
    for (bit, name) in (16..).zip(FLAGS) {
        if cookie & (1 << bit) != 0 {
            put(&mut properties, &format!("DM_UDEV_{name}_FLAG"), "1");
        }
    }
    properties
}

fn complete(cookie: u32) -> io::Result<()> {
    match semaphore::decrement(MAGIC | (cookie & 0xffff)) {
        // Whoever waited has gone, or does not wait for this one.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::WouldBlock
            ) =>
        {
            Ok(())
        }
        told => told,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Device;
    use std::path::Path;

    fn said(cookie: &str, word: &str) -> io::Result<Option<Properties>> {
        let fields = [("DM_COOKIE", cookie), ("SUBSYSTEM", "block")];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let fields = Properties::from(fields);
        let device = Device::of_event(Path::new("/sys"), "/devices/virtual/block/dm-0", &fields);
        run(&[word.to_owned()], &Event::new("change", device.unwrap()))
    }

    #[test]
    fn flags_are_named() {
        // As `dmsetup udevflags` prints them.
        let cookie = (0x0d4d_u32 | (0b0100_1110 << 16)).to_string();
        let names: Vec<String> = said(&cookie, "flags")
            .unwrap()
            .unwrap()
            .into_keys()
            .collect();
        assert_eq!(
            names,
            [
                "DM_UDEV_DISABLE_DISK_RULES_FLAG",
                "DM_UDEV_DISABLE_OTHER_RULES_FLAG",
                "DM_UDEV_DISABLE_SUBSYSTEM_RULES_FLAG",
                "DM_UDEV_PRIMARY_SOURCE_FLAG",
            ]
        );
        assert_eq!(said("", "flags").unwrap(), None);
        assert!(said("7", "other").is_err());
    }

    #[test]
    fn that_nobody_waits_is_no_error() {
        assert!(said("4660", "complete").is_ok());
    }
}
