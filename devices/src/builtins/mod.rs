//! What is found out about devices, as udev's builtins and the programs beside it do: with the names of properties that
//! its clients, and rules that others have written, expect.
//!
//! | builtin          | finds out                                                  | from |
//! |------------------|------------------------------------------------------------|------|
//! | `blkid`          | file system or container, partition table, partition       | the node, read only |
//! | `path_id`        | where the device is plugged in                              | sysfs |
//! | `usb_id`         | what a USB device says that it is                          | sysfs |
//! | `input_id`       | keyboard, mouse, touchpad and the like                     | sysfs |
//! | `net_id`         | names of a network interface that stay                     | sysfs |
//! | `btrfs ready`    | whether all of a file system is there, of which the kernel is told | the kernel |
//! | `dm_cookie`      | what libdevmapper says, and answers it                     | the event |
//! | `disk_id`        | model and serial number of a disk; udev has `ata_id`, `scsi_id` and `cdrom_id` for it | sysfs |
//!
//! Known, and without effect here, so that rules that others have written run: `kmod` (the supervisor loads drivers),
//! `hwdb` and `keyboard` (there is no database of hardware), `net_setup_link` (interfaces keep the kernel's names),
//! `uaccess` (there are no seats with rights of their own: groups give access), `factory_reset` (Cairn has its own), `dissect_image` (partitions are named by their tables alone),
//! `net_driver` (rules have `$driver` for it).
//!
//! Invariant: everything read here is untrusted, and no device is opened except by `blkid`, which never waits for one, and by
//! the kernel for `btrfs`.

mod blkid;
mod btrfs;
mod disk_id;
mod dm_cookie;
mod input_id;
mod net_id;
mod path_id;
#[cfg(test)]
mod tree;
mod usb_id;
mod words;

use std::io;
use std::path::Path;

use crate::device::Properties;
use crate::event::Event;

/// Names of those that do nothing.
const WITHOUT_EFFECT: [&str; 8] = [
    "dissect_image",
    "factory_reset",
    "hwdb",
    "keyboard",
    "kmod",
    "net_driver",
    "net_setup_link",
    "uaccess",
];

/// Names of those that find something out.
const WITH_EFFECT: [&str; 8] = [
    "blkid",
    "btrfs",
    "disk_id",
    "dm_cookie",
    "input_id",
    "net_id",
    "path_id",
    "usb_id",
];

/// Whether there is such a builtin, with effect or without.
#[must_use]
pub fn is_known(name: &str) -> bool {
    names().any(|known| known == name)
}

/// The names of all.
pub fn names() -> impl Iterator<Item = &'static str> {
    WITH_EFFECT.into_iter().chain(WITHOUT_EFFECT)
}

/// What the builtin `argv` finds out about the device of `event`, whose node is below `dev`; none if it knows nothing
/// of it.
///
/// # Errors
/// There is no such builtin, or it does not know an argument; the node cannot be read.
pub fn run(argv: &[String], event: &Event, dev: &Path) -> io::Result<Option<Properties>> {
    let [name, arguments @ ..] = argv else {
        return Err(invalid("no builtin is named".to_owned()));
    };
    let found = match name.as_str() {
        "blkid" => return blkid::run(arguments, event, dev),
        "btrfs" => return btrfs::run(arguments, event, dev),
        "dm_cookie" => return dm_cookie::run(arguments, event),
        "disk_id" => Some(disk_id::find(&event.device)),
        "input_id" => input_id::find(&event.device),
        "net_id" => net_id::find(&event.device),
        "path_id" => path_id::find(&event.device),
        "usb_id" => usb_id::find(event),
        other if WITHOUT_EFFECT.contains(&other) => None,
        other => return Err(unknown(other)),
    };
    Ok(found.filter(|found| !found.is_empty()))
}

fn unknown(name: &str) -> io::Error {
    invalid(format!(
        "there is no builtin '{name}'; known are {}, and without effect {}",
        WITH_EFFECT.join(", "),
        WITHOUT_EFFECT.join(", ")
    ))
}

fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

/// Adds `value`, unless it is empty.
fn put(properties: &mut Properties, name: &str, value: impl Into<String>) {
    let value = value.into();
    if !value.is_empty() {
        properties.insert(name.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::tree::Tree;
    use super::*;

    fn named(argv: &[&str]) -> io::Result<Option<Properties>> {
        let tree = Tree::new();
        tree.device("/devices/x", Some("mem"), "");
        let argv: Vec<String> = argv.iter().map(|&word| word.to_owned()).collect();
        run(&argv, &tree.event("/devices/x"), Path::new("/nowhere"))
    }

    #[test]
    fn an_unknown_builtin_is_an_error_that_names_the_known_ones() {
        let text = |argv: &[&str]| named(argv).unwrap_err().to_string();
        expect!["there is no builtin 'firmware'; known are blkid, btrfs, disk_id, dm_cookie, input_id, net_id, path_id, usb_id, and without effect dissect_image, factory_reset, hwdb, keyboard, kmod, net_driver, net_setup_link, uaccess"].assert_eq(&text(&["firmware"]));
        expect!["no builtin is named"].assert_eq(&text(&[]));
    }

    #[test]
    fn nothing_is_known_of_a_device_that_a_builtin_is_not_for() {
        for name in names() {
            assert!(is_known(name));
            let word = match name {
                "btrfs" => Some("ready"),
                "dm_cookie" => Some("flags"),
                _ => None,
            };
            let argv: Vec<&str> = std::iter::once(name).chain(word).collect();
            assert_eq!(named(&argv).unwrap(), None, "{name}");
        }
        assert!(!is_known("firmware"));
    }
}
