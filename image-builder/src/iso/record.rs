//! Directory records, with Rock Ridge's names, modes and times.
//!
//! ```text
//!  0  length      10  bytes, both orders    28  volume 1, both orders
//!  1  0           18  date, 7 bytes         32  length of the identifier
//!  2  block, in   25  flags                 33  identifier, padded to an even end
//!     both orders 26  0 0                       then Rock Ridge: SP and ER in the root, PX TF NM
//! ```
//!
//! Source: ECMA-119, 9.1; SUSP 1.12, 5.3 (SP) and 5.5 (ER); RRIP 1.09, 4.1.1 (PX), 4.1.4 (NM) and
//! 4.1.6 (TF). GRUB looks for names only where the root has an ER.

use cairn_system::live::Extent;

use super::date::short_date;
use super::layout::{BLOCK, LARGEST_EXTENT};
use super::tree::{Entry, Kind};

const DIRECTORY: u8 = 0x02;
const MORE_EXTENTS: u8 = 0x80;
const FIXED: usize = 33;

/// `value` in both orders, as most numbers of ISO 9660 are.
pub(crate) fn both32(value: u32) -> [u8; 8] {
    let mut bytes = [0; 8];
    let (little, big) = bytes.split_at_mut(4);
    little.copy_from_slice(&value.to_le_bytes());
    big.copy_from_slice(&value.to_be_bytes());
    bytes
}

/// `value` in both orders.
pub(crate) fn both16(value: u16) -> [u8; 4] {
    let [a, b] = value.to_le_bytes();
    [a, b, b, a]
}

/// A block or a length that fits: images end far below 8 TiB.
pub(crate) fn number(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// Bytes of one record of `entry`.
pub(crate) fn record_length(entry: &Entry) -> usize {
    let identifier = (FIXED + entry.identifier.len()).next_multiple_of(2);
    (identifier + rock_ridge(entry, 0, 0).len()).next_multiple_of(2)
}

/// The records of `entry`, whose content lies at `extent`: one for each 4 GiB.
pub(crate) fn records(entry: &Entry, extent: Extent, links: u32, epoch: u32) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    let mut done = 0;
    loop {
        let length = (extent.length - done).min(LARGEST_EXTENT);
        let last = done + length == extent.length;
        let part = Extent {
            offset: extent.offset + done,
            length,
        };
        let more = if last { 0 } else { MORE_EXTENTS };
        let flags = match entry.kind {
            Kind::File => more,
            Kind::Itself(_) | Kind::Parent(_) | Kind::Directory(_) => DIRECTORY,
        };
        records.push(record(
            entry,
            part,
            flags,
            &rock_ridge(entry, links, epoch),
            epoch,
        ));
        done += length;
        if last {
            return records;
        }
    }
}

/// The root's record in the primary volume descriptor: 34 bytes, without Rock Ridge.
pub(crate) fn root_record(root: &Entry, extent: Extent, epoch: u32) -> Vec<u8> {
    record(root, extent, DIRECTORY, &[], epoch)
}

fn record(entry: &Entry, extent: Extent, flags: u8, rock_ridge: &[u8], epoch: u32) -> Vec<u8> {
    let mut bytes = vec![0, 0];
    bytes.extend(both32(number(extent.offset / BLOCK)));
    bytes.extend(both32(number(extent.length)));
    bytes.extend(short_date(epoch));
    bytes.extend([flags, 0, 0]);
    bytes.extend(both16(1));
    bytes.push(u8::try_from(entry.identifier.len()).unwrap_or(u8::MAX));
    bytes.extend(&entry.identifier);
    pad(&mut bytes);
    bytes.extend(rock_ridge);
    pad(&mut bytes);
    let length = u8::try_from(bytes.len()).unwrap_or(u8::MAX);
    if let Some(first) = bytes.first_mut() {
        *first = length;
    }
    bytes
}

fn pad(bytes: &mut Vec<u8>) {
    if bytes.len() % 2 == 1 {
        bytes.push(0);
    }
}

fn rock_ridge(entry: &Entry, links: u32, epoch: u32) -> Vec<u8> {
    const EXTENSION: &[u8] = b"RRIP_1991A";
    const MODIFIED_ACCESSED_CHANGED: u8 = 0x0e;
    const S_IFDIR: u32 = 0o040_000;
    const S_IFREG: u32 = 0o100_000;
    let mut bytes = Vec::new();
    if entry.kind == Kind::Itself(0) {
        bytes.extend(*b"SP\x07\x01\xbe\xef\x00");
        bytes.extend(b"ER");
        bytes.extend([8 + 10, 1, 10, 0, 0, 1]);
        bytes.extend(EXTENSION);
    }
    let kind = match entry.kind {
        Kind::File => S_IFREG,
        Kind::Itself(_) | Kind::Parent(_) | Kind::Directory(_) => S_IFDIR,
    };
    bytes.extend(b"PX");
    bytes.extend([36, 1]);
    for value in [kind | entry.mode, links, 0, 0] {
        bytes.extend(both32(value));
    }
    bytes.extend(b"TF");
    bytes.extend([5 + 3 * 7, 1, MODIFIED_ACCESSED_CHANGED]);
    for _ in 0..3 {
        bytes.extend(short_date(epoch));
    }
    let name = entry.name();
    if !name.is_empty() {
        bytes.extend(b"NM");
        bytes.extend([u8::try_from(5 + name.len()).unwrap_or(u8::MAX), 1, 0]);
        bytes.extend(name);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> Entry {
        Entry {
            path: name.into(),
            identifier: b"A.;1".to_vec(),
            kind: Kind::File,
            mode: 0o444,
        }
    }

    #[test]
    fn a_large_file_has_several_extents() {
        let entry = file("large");
        let extent = Extent {
            offset: 4096,
            length: (9 << 30) + 1,
        };
        let records = records(&entry, extent, 1, 0);
        let parts: Vec<_> = records
            .iter()
            .map(|record| {
                let at =
                    |place: usize| u32::from_le_bytes(record[place..place + 4].try_into().unwrap());
                assert_eq!(usize::from(record[0]), record.len());
                assert_eq!(record.len(), entry.record_length());
                (at(2), at(10), record[25])
            })
            .collect();
        assert_eq!(
            parts,
            [
                (2, 0xffff_f800, MORE_EXTENTS),
                (2 + 0x1f_ffff, 0xffff_f800, MORE_EXTENTS),
                (2 + 2 * 0x1f_ffff, (1 << 30) + 4096 + 1, 0)
            ]
        );
    }

    #[test]
    fn the_longest_name_fits() {
        let entry = Entry {
            identifier: vec![b'A'; 33],
            ..file(&"n".repeat(100))
        };
        assert!(entry.record_length() < 256);
    }
}
