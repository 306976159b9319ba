//! Any bytes where a block device has something that is looked at: superblocks, FAT's root directory,
//! partition tables.

#![no_main]

use cairn_probe as probe;
use libfuzzer_sys::fuzz_target;

/// Bytes of the device.
const BYTES: usize = 3 << 16;

/// What begins there: boot sectors, GPT and LVM's label, most file systems, members of RAID (1.2, 1.0 and
/// 0.90), the ends of pages of a swap, ISO 9660, btrfs, a GPT's backup.
const PLACES: [usize; 12] = [
    0,
    512,
    1024,
    2048,
    4096,
    4086,
    32_768,
    65_536,
    65_526,
    2 << 16,
    BYTES - 8192,
    BYTES - 512,
];

fuzz_target!(|pieces: Vec<(u8, &[u8])>| {
    let mut bytes = vec![0; BYTES];
    for (place, piece) in pieces {
        let rest = &mut bytes[PLACES[usize::from(place) % PLACES.len()]..];
        let length = piece.len().min(rest.len());
        rest[..length].copy_from_slice(&piece[..length]);
    }
    // A slice never fails to be read, so that an error here is a bug too.
    probe::contents(&mut &*bytes, bytes.len() as u64).expect("a slice can be read");
    probe::superblock_copy::find(&mut &*bytes).expect("a slice can be read");
    for sector in [512, 4096] {
        let table = probe::table::read(&mut &*bytes, sector, bytes.len() as u64);
        let table = table.expect("a slice can be read");
        if let Some(table) = table {
            let named = (0..130).filter(|number| table.partition(*number).is_some());
            assert!(named.count() <= 130);
        }
        let partitions = probe::partition::read(&mut &*bytes, sector, bytes.len() as u64);
        partitions.expect("a slice can be read");
    }
});
