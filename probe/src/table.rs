//! Partition tables: GPT, its backup when the primary is damaged, and MBR.
//!
//! ```text
//! MBR   440 disk signature   446 four entries of 16 (type at +4)   510 0xAA55
//! GPT   header in sector 1 and in the last one:
//!       0 "EFI PART"  12 header size  16 CRC  24 own sector  56 the disk's GUID
//!       72 entries' sector  80 count  84 entry size  88 CRC of the entries
//! entry 0 type  16 GUID  32 first  40 last  48 flags  56 name, 36 units of UTF-16
//! ```
//!
//! Source: UEFI specification 2.10, section 5. As the kernel does, a GPT is believed only if the
//! MBR before it has an entry of type 0xEE: else it is a leftover.

use std::io;

use super::Source;
use super::field::{array, guid, has, le16, le32, le64, utf16_label};

/// The largest array of entries that is read, in bytes; 128 entries are 16 KiB.
const ENTRIES_BYTES: usize = 1 << 20;

/// How a partition is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionName {
    /// The GUID, or `<disk signature>-<number>` of an MBR, in lower case.
    pub uuid: String,
    /// The GPT's name.
    pub label: Option<String>,
}

/// A disk's partition table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Table {
    /// Entries by number, the first is 1; `None` where none is used.
    Gpt(Vec<Option<PartitionName>>),
    /// The disk's signature: partitions are known by it and their number.
    Mbr(u32),
}

impl Table {
    /// The name of the partition that the kernel gave `number`.
    #[must_use]
    pub fn partition(&self, number: u32) -> Option<PartitionName> {
        match self {
            Self::Gpt(entries) => {
                let index = usize::try_from(number).ok()?.checked_sub(1)?;
                entries.get(index)?.clone()
            }
            Self::Mbr(0) => None,
            Self::Mbr(signature) => Some(PartitionName {
                uuid: format!("{signature:08x}-{number:02x}"),
                label: None,
            }),
        }
    }
}

/// Reads the table of a disk of `size` bytes with sectors of `sector` bytes.
///
/// # Errors
/// The disk's; a damaged table is no error but `None`.
pub fn read(source: &mut dyn Source, sector: u32, size: u64) -> io::Result<Option<Table>> {
    let Some(mbr) = Mbr::parse(&source.read_at(0, 512)?) else {
        return Ok(None);
    };
    if !mbr.protective {
        return Ok(Some(Table::Mbr(mbr.signature)));
    }
    Ok(gpt(source, sector, size)?.map(|(header, entries)| header.table(&entries)))
}

/// The header of a GPT and its entries, of which the checksums are right.
pub(super) fn gpt(
    source: &mut dyn Source,
    sector: u32,
    size: u64,
) -> io::Result<Option<(Header, Vec<u8>)>> {
    let sector = u64::from(sector.max(512));
    let backup = (size / sector).saturating_sub(1);
    for lba in [1, backup] {
        let block = source.read_at(lba.saturating_mul(sector), 512)?;
        let Some(header) = Header::parse(&block, lba) else {
            continue;
        };
        let entries = source.read_at(header.entries.saturating_mul(sector), header.bytes)?;
        if header.is_of(&entries) {
            if lba != 1 {
                log::warn!("the primary GPT is damaged: its backup is used");
            }
            return Ok(Some((header, entries)));
        }
    }
    Ok(None)
}

/// What matters of a master boot record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mbr {
    /// What the disk is known by; zero is none.
    pub(super) signature: u32,
    /// Whether a GPT is what counts.
    pub(super) protective: bool,
}

impl Mbr {
    pub(super) fn parse(sector: &[u8]) -> Option<Self> {
        if le16(sector, 510)? != 0xAA55 {
            return None;
        }
        let types = [446, 462, 478, 494].map(|entry| array::<1>(sector, entry + 4));
        types.iter().any(|kind| *kind != Some([0])).then_some(())?;
        Some(Self {
            signature: le32(sector, 440)?,
            protective: types.contains(&Some([0xEE])),
        })
    }
}

/// A GPT header whose checksum is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    /// The disk's GUID.
    pub(super) disk: Option<String>,
    entries: u64,
    bytes: usize,
    entry_bytes: usize,
    crc: u32,
}

impl Header {
    pub(super) fn parse(block: &[u8], lba: u64) -> Option<Self> {
        let length = usize::try_from(le32(block, 12)?).ok()?;
        if !has(block, 0, b"EFI PART") || !(92..=512).contains(&length) || le64(block, 24)? != lba {
            return None;
        }
        let mut header = block.get(..length)?.to_vec();
        header.get_mut(16..20)?.fill(0);
        if crc32(&header) != le32(block, 16)? {
            return None;
        }
        let count = usize::try_from(le32(block, 80)?).ok()?;
        let entry_bytes = usize::try_from(le32(block, 84)?).ok()?;
        let bytes = count.checked_mul(entry_bytes)?;
        let plausible = entry_bytes >= 128 && entry_bytes % 8 == 0 && bytes <= ENTRIES_BYTES;
        plausible.then_some(Self {
            disk: guid(block, 56),
            entries: le64(block, 72)?,
            bytes,
            entry_bytes,
            crc: le32(block, 88)?,
        })
    }

    /// Whether these are its entries.
    pub(super) fn is_of(&self, entries: &[u8]) -> bool {
        entries.len() == self.bytes && crc32(entries) == self.crc
    }

    /// Entry by entry; at least 128 bytes each.
    pub(super) fn split<'e>(&self, entries: &'e [u8]) -> impl Iterator<Item = &'e [u8]> {
        entries.chunks_exact(self.entry_bytes.max(1))
    }

    fn table(&self, entries: &[u8]) -> Table {
        let names = self.split(entries).map(|entry| {
            guid(entry, 0)?; // the type: zero where nothing is
            Some(PartitionName {
                uuid: guid(entry, 16)?,
                label: utf16_label(entry, 56, 36),
            })
        });
        Table::Gpt(names.collect())
    }
}

/// CRC-32 of IEEE 802.3, bit by bit: a table of 16 KiB takes no measurable time.
pub(super) fn crc32(bytes: &[u8]) -> u32 {
    const POLYNOMIAL: u32 = 0xEDB8_8320;
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _bit| {
            (crc >> 1) ^ (POLYNOMIAL & 0_u32.wrapping_sub(crc & 1))
        })
    })
}
