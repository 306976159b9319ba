//! exFAT: the serial number, and the label, which is an entry of the root directory.
//!
//! ```text
//! boot sector   3 "EXFAT   "  88 sector of the first cluster  96 cluster of the root directory
//!               100 serial number  108, 109 logarithms of the bytes of a sector, the sectors of a cluster
//! entry of 32   0 type: 0x83 is the label, 0 the end  1 its length  2 eleven units of UTF-16
//! ```
//!
//! Source: Microsoft's exFAT specification 1.0, 3.1 and 7.3.

use std::io;

use super::field::{array, has, le32, utf16_label};
use super::{Contents, Source};

/// How much of the root directory is searched for the label, in bytes: it is one of the first entries.
const ROOT_BYTES: usize = 16 << 10;

/// A boot sector that makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BootSector {
    serial: u32,
    /// Where the root directory begins, in bytes, and how long its first cluster is.
    root: u64,
    root_bytes: usize,
}

/// Reads a boot sector; `None` if it is not one of exFAT.
pub(super) fn parse(sector: &[u8]) -> Option<BootSector> {
    if !has(sector, 3, b"EXFAT   ") {
        return None;
    }
    let [bytes_shift, sectors_shift] = array(sector, 108)?;
    let cluster_shift = bytes_shift.checked_add(sectors_shift)?;
    if !(9..=12).contains(&bytes_shift) || cluster_shift > 25 {
        return None;
    }
    let heap = u64::from(le32(sector, 88)?) << bytes_shift;
    let cluster = u64::from(le32(sector, 96)?.checked_sub(2)?);
    Some(BootSector {
        serial: le32(sector, 100)?,
        root: heap.checked_add(cluster << cluster_shift)?,
        root_bytes: ROOT_BYTES.min(1 << cluster_shift),
    })
}

/// What a device holds, if it is exFAT; reads the root directory for the label.
pub(super) fn contents(boot: BootSector, source: &mut dyn Source) -> io::Result<Contents> {
    let directory = source.read_at(boot.root, boot.root_bytes)?;
    let serial = boot.serial;
    Ok(Contents {
        kind: "exfat",
        uuid: Some(format!("{:04X}-{:04X}", serial >> 16, serial & 0xFFFF)),
        label: directory_label(&directory),
    })
}

/// The entry that is the volume's label.
pub(super) fn directory_label(directory: &[u8]) -> Option<String> {
    const LABEL: u8 = 0x83;
    const UNITS: usize = 11;
    let mut entries = directory
        .chunks_exact(32)
        .take_while(|entry| entry.first() != Some(&0));
    let entry = entries.find(|entry| entry.first() == Some(&LABEL))?;
    let [units] = array(entry, 1)?;
    utf16_label(entry, 2, UNITS.min(units.into()))
}
