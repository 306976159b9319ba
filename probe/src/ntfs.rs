//! NTFS: the serial number, and the label, which is an attribute of the file `$Volume`.
//!
//! ```text
//! boot sector   3 "NTFS    "  11 bytes/sector  13 sectors/cluster  48 cluster of the file table
//!               64 clusters/record, or minus the logarithm of its bytes  72 serial number
//! record 3      0 "FILE"  4 place of the words below  6 their count  20 place of the first attribute
//!               each sector of it ends with a mark; the words after the first are what belongs there
//! attribute     0 type: 0x60 is the label, 0xFFFFFFFF the end  4 length  8 whether it is elsewhere
//!               16 length of the value  20 its place
//! ```
//!
//! Source: the kernel's `fs/ntfs3/ntfs.h`.

use std::io;

use super::field::{array, has, le16, le32, le64, utf16_label};
use super::{Contents, Source};

/// The largest record that is believed, in bytes.
const RECORD_BYTES: u64 = 64 << 10;
const SECTOR: usize = 512;
/// So many attributes are looked at.
const ATTRIBUTES: usize = 64;

/// A boot sector that makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BootSector {
    serial: u64,
    /// Where `$Volume` is, in bytes.
    volume: u64,
    record_bytes: usize,
}

/// Reads a boot sector; `None` if it is not one of NTFS.
pub(super) fn parse(sector: &[u8]) -> Option<BootSector> {
    const VOLUME: u64 = 3;
    if !has(sector, 3, b"NTFS    ") {
        return None;
    }
    let bytes_per_sector = u64::from(le16(sector, 11)?);
    let sectors_per_cluster = match array(sector, 13)? {
        [count @ 1..=0x80] => u64::from(count),
        // A large cluster, by its logarithm.
        [negative @ 0xF4..=0xFF] => 1 << (256 - u32::from(negative)),
        _ => return None,
    };
    let is_plausible =
        bytes_per_sector.is_power_of_two() && (256..=4096).contains(&bytes_per_sector);
    let cluster = bytes_per_sector.checked_mul(sectors_per_cluster)?;
    let record = match array(sector, 64)? {
        [count @ 1..=0x7F] => u64::from(count).checked_mul(cluster)?,
        [negative @ 0xE1..=0xFF] => 1 << (256 - u32::from(negative)),
        _ => return None,
    };
    if !is_plausible || !(SECTOR as u64..=RECORD_BYTES).contains(&record) {
        return None;
    }
    let table = le64(sector, 48)?.checked_mul(cluster)?;
    Some(BootSector {
        serial: le64(sector, 72)?,
        volume: table.checked_add(VOLUME * record)?,
        record_bytes: usize::try_from(record).ok()?,
    })
}

/// What a device holds, if it is NTFS; reads the record of `$Volume` for the label.
pub(super) fn contents(boot: BootSector, source: &mut dyn Source) -> io::Result<Contents> {
    let mut record = source.read_at(boot.volume, boot.record_bytes)?;
    Ok(Contents {
        kind: "ntfs",
        uuid: Some(format!("{:016X}", boot.serial)),
        label: volume_name(&mut record),
    })
}

/// The label in a record, of which the ends of sectors are put right.
pub(super) fn volume_name(record: &mut [u8]) -> Option<String> {
    const NAME: u32 = 0x60;
    const END: u32 = u32::MAX;
    if !has(record, 0, b"FILE") {
        return None;
    }
    put_right(record)?;
    let mut place = usize::from(le16(record, 20)?);
    for _ in 0..ATTRIBUTES {
        let (kind, length) = (le32(record, place)?, le32(record, place.checked_add(4)?)?);
        let length = usize::try_from(length)
            .ok()
            .filter(|length| *length >= 24)?;
        let attribute = record.get(place..place.checked_add(length)?)?;
        match kind {
            NAME => {
                let bytes = usize::try_from(le32(attribute, 16)?).ok()?;
                let start = usize::from(le16(attribute, 20)?);
                return utf16_label(attribute, start, bytes / 2);
            }
            END => return None,
            _ => place += length,
        }
    }
    None
}

fn put_right(record: &mut [u8]) -> Option<()> {
    let (place, count) = (usize::from(le16(record, 4)?), usize::from(le16(record, 6)?));
    for number in 1..count {
        let word: [u8; 2] = array(record, place.checked_add(number * 2)?)?;
        let end = number * SECTOR;
        record.get_mut(end - 2..end)?.copy_from_slice(&word);
    }
    Some(())
}
