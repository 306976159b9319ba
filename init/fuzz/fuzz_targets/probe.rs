//! Any bytes as a block device: superblocks, FAT's root directory, partition tables.

#![no_main]

#[path = "../../src/probe/mod.rs"]
mod probe;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // A slice never fails to be read, so that an error here is a bug too.
    probe::contents(&mut &*bytes, bytes.len() as u64).expect("a slice can be read");
    for sector in [512, 4096] {
        let table = probe::table::read(&mut &*bytes, sector, bytes.len() as u64);
        let table = table.expect("a slice can be read");
        if let Some(table) = table {
            let named = (0..130).filter(|number| table.partition(*number).is_some());
            assert!(named.count() <= 130);
        }
    }
});
