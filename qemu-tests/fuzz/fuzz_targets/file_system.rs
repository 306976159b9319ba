//! Any bytes over a small file system: recovering and reading it ends.

#![no_main]

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use cairn_qemu_tests::power_cut::disk::{Disk, Layer};
use cairn_qemu_tests::power_cut::ext4::Ext4;
use cairn_qemu_tests::power_cut::journal;
use libfuzzer_sys::fuzz_target;

/// Bytes of the disk.
const LENGTH: u64 = 1 << 20;

fuzz_target!(|bytes: &[u8]| {
    let image = tempfile::tempfile().expect("a temporary file");
    let empty: File = tempfile::tempfile().expect("a temporary file");
    image.set_len(LENGTH).expect("it grows");
    image.write_all_at(bytes, 1024).expect("it is written");
    let none: Vec<&Layer> = Vec::new();
    let disk = Disk::new(&image, &empty, none);
    let recovered = journal::replay(&disk, 0);
    let layer = recovered.map(|replay| replay.layer).unwrap_or_default();
    let disk = disk.with(&layer);
    if let Ok(system) = Ext4::open(&disk, 0) {
        drop(system.read("/boot/grub/grubenv", LENGTH));
        drop(system.read_link("/etc/static"));
    }
});
