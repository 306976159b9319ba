//! Any text as `/proc/self/mountinfo`.

#![no_main]

#[path = "../../src/mount_table.rs"]
mod mount_table;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let lines = bytes.iter().filter(|byte| **byte == b'\n').count() + 1;
    assert!(mount_table::parse(bytes).count() <= lines);
    assert!(mount_table::MOUNT_TABLE.starts_with('/'));
});
