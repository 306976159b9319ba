//! Any bytes as events of devices and of files, and as options of mounts.

#![no_main]

use cairn_sys::inotify;
use cairn_sys::mount_options::MountOptions;
use cairn_sys::uevent::Uevent;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // An event takes 16 bytes at least.
    assert!(inotify::parse(bytes).len() <= bytes.len() / 16);
    drop(Uevent::parse(bytes));
    let text = String::from_utf8_lossy(bytes);
    let options: Vec<&str> = text.split(',').collect();
    drop(MountOptions::parse(&options).data_text());
});
