//! FAT12, FAT16 and FAT32: the serial number, and the label, whose valid copy is a directory entry.
//!
//! ```text
//! boot sector   11 bytes/sector  13 sectors/cluster  14 reserved  16 FATs  17 root entries
//!               19 sectors  22 sectors/FAT  32 sectors (large)
//!   FAT12/16    38 0x29  39 serial  43 label, 11 bytes
//!   FAT32       36 sectors/FAT  44 root cluster  66 0x29  67 serial  71 label
//! ```
//!
//! Source: Microsoft's FAT specification, revision 1.03.

use std::io;

use super::field::{array, label, le16, le32};
use super::{Contents, Source};

/// How much of a root directory is searched for the label, in bytes.
const ROOT_BYTES: usize = 16 << 10;

/// A boot sector that makes sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BootSector {
    serial: Option<u32>,
    label: Option<String>,
    /// Where the root directory begins, in bytes.
    root: u64,
    /// How long it is at least, in bytes; the first cluster of FAT32.
    root_bytes: usize,
}

/// Reads a boot sector; `None` if it is not one of FAT.
pub(super) fn parse(sector: &[u8]) -> Option<BootSector> {
    let jump: [u8; 1] = array(sector, 0)?;
    if !matches!(jump, [0xEB | 0xE9]) || le16(sector, 510)? != 0xAA55 {
        return None;
    }
    let bytes_per_sector = le16(sector, 11)?;
    let [sectors_per_cluster] = array(sector, 13)?;
    let reserved = le16(sector, 14)?;
    let [fats, ..] = array::<2>(sector, 16)?;
    let root_entries = le16(sector, 17)?;
    let [media] = array(sector, 21)?;
    let plausible = bytes_per_sector.is_power_of_two()
        && (512..=4096).contains(&bytes_per_sector)
        && sectors_per_cluster.is_power_of_two()
        && reserved > 0
        && (1..=4).contains(&fats)
        && (media == 0xF0 || media >= 0xF8);
    if !plausible {
        return None;
    }
    let is_fat32 = root_entries == 0;
    let sectors_per_fat = match le16(sector, 22)? {
        0 if is_fat32 => le32(sector, 36)?,
        0 => return None,
        count => count.into(),
    };
    let extended = if is_fat32 { 66 } else { 38 };
    let signed = matches!(array(sector, extended)?, [0x28_u8 | 0x29]);
    let data = u64::from(reserved) + u64::from(fats) * u64::from(sectors_per_fat);
    let cluster_bytes = usize::from(sectors_per_cluster) * usize::from(bytes_per_sector);
    let (root, root_bytes) = if is_fat32 {
        let cluster = u64::from(le32(sector, 44)?.checked_sub(2)?);
        (
            data + cluster * u64::from(sectors_per_cluster),
            cluster_bytes,
        )
    } else {
        (data, usize::from(root_entries) * 32)
    };
    Some(BootSector {
        serial: if signed {
            le32(sector, extended + 1)
        } else {
            None
        },
        label: if signed {
            label(sector, extended + 5, 11)
        } else {
            None
        }
        .filter(|label| label != "NO NAME"),
        root: root.checked_mul(bytes_per_sector.into())?,
        root_bytes: root_bytes.min(ROOT_BYTES),
    })
}

/// What a device holds, if it is FAT; reads the root directory for the label.
pub(super) fn contents(boot: BootSector, source: &mut dyn Source) -> io::Result<Contents> {
    let directory = source.read_at(boot.root, boot.root_bytes)?;
    Ok(Contents {
        kind: "vfat",
        uuid: boot
            .serial
            .map(|serial| format!("{:04X}-{:04X}", serial >> 16, serial & 0xFFFF)),
        label: directory_label(&directory).or(boot.label),
    })
}

/// The name of the entry that is the volume's label.
pub(super) fn directory_label(directory: &[u8]) -> Option<String> {
    const VOLUME: u8 = 0x08;
    const DIRECTORY: u8 = 0x10;
    directory
        .chunks_exact(32)
        .take_while(|entry| entry.first() != Some(&0))
        .filter(|entry| entry.first() != Some(&0xE5))
        .find(|entry| {
            // A long name's entry has all of read-only, hidden, system and volume.
            entry
                .get(11)
                .is_some_and(|attributes| attributes & (VOLUME | DIRECTORY | 0x07) == VOLUME)
        })
        .and_then(|entry| label(entry, 0, 11))
}
