//! Any text as `/proc/self/mountinfo`.

#![no_main]

#[path = "../../src/mount_table.rs"]
mod mount_table;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    assert!(mount_table::parse(&text).count() <= text.lines().count());
    assert!(mount_table::MOUNT_TABLE.starts_with('/'));
});
