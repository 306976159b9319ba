//! Devices that lie on others, taken apart at the machine's end: an encrypted device forgets its key, an
//! array marks its members clean, and a loop device lets go of its file.
//!
//! What the root lies on stays: it is in use until the last moment, read-only. The kernel marks such
//! arrays clean itself when it restarts the machine.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use cairn_sys::{mapper, stacked};

/// The first namespace of processes, which the kernel itself makes: `PROC_PID_INIT_INO`.
const FIRST_NAMESPACE: u64 = 0xEFFF_FFFC;

/// Whether this is the machine's own PID 1. Devices know no namespaces: where it is that of a container
/// or of a test, they belong to others.
pub fn are_ours() -> bool {
    fs::metadata("/proc/self/ns/pid").is_ok_and(|namespace| namespace.ino() == FIRST_NAMESPACE)
}

/// Takes apart what is not in use; whether anything was, so that what it lay on may be free now.
pub fn take_apart(blocks: &Path, dev: &Path) -> bool {
    let mut progress = false;
    // Each by itself: asked to remove all, the kernel complains on the console of what the root lies on.
    for name in mapped(blocks) {
        progress |= mapper::remove(dev, &name).is_ok();
    }
    for name in arrays(blocks) {
        progress |= stacked::stop_array(&dev.join(name)).is_ok();
    }
    for name in loops(blocks) {
        progress |= stacked::detach_loop(&dev.join(&name)).is_ok() && !has_file(blocks, &name);
    }
    progress
}

/// The names of the device mapper's devices, which are not those of their nodes.
fn mapped(blocks: &Path) -> Vec<String> {
    let name = |node: String| {
        let name = fs::read_to_string(blocks.join(node).join("dm/name")).ok()?;
        Some(name.trim_end().to_owned())
    };
    let nodes = names(blocks, |node| blocks.join(node).join("dm").exists());
    nodes.into_iter().filter_map(name).collect()
}

/// Arrays that run.
fn arrays(blocks: &Path) -> Vec<String> {
    names(blocks, |name| {
        let state = fs::read_to_string(blocks.join(name).join("md/array_state"));
        state.is_ok_and(|state| state.trim_end() != "clear")
    })
}

/// Loop devices that have a file.
fn loops(blocks: &Path) -> Vec<String> {
    names(blocks, |name| has_file(blocks, name))
}

fn has_file(blocks: &Path, name: &str) -> bool {
    blocks.join(name).join("loop/backing_file").exists()
}

fn names(blocks: &Path, is_one: impl Fn(&str) -> bool) -> Vec<String> {
    let listing = fs::read_dir(blocks).into_iter().flatten().flatten();
    listing
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| is_one(name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let blocks = folder.path();
        for (path, text) in [
            ("dm-0/dm/name", "root\n"),
            ("md0/md/array_state", "clean\n"),
            ("md1/md/array_state", "clear\n"),
            ("loop0/loop/backing_file", "/image\n"),
            ("loop1/size", "0\n"),
            ("sda/size", "100\n"),
        ] {
            let file = blocks.join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        assert_eq!(mapped(blocks), ["root"]);
        assert_eq!(arrays(blocks), ["md0"]);
        assert_eq!(loops(blocks), ["loop0"]);
        // None of them is a device here.
        assert!(!take_apart(blocks, &blocks.join("dev")));
    }
}
