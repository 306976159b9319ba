//! Containers of block devices: members of a software RAID, and physical volumes of LVM.
//!
//! | type              | magic at                          | UUID at | label at | source |
//! |-------------------|-----------------------------------|---------|----------|--------|
//! | RAID 1.1, 1.2     | 0, 4096                           | 16      | 32, 32   | kernel `include/uapi/linux/raid/md_p.h` |
//! | RAID 1.0          | 8 KiB before the end, down to 4 KiB | 16    | 32, 32   | the same |
//! | RAID 0.90         | 64 KiB before the end, down to 64 KiB | 20, 52 | –      | the same |
//! | LVM2              | one of the first four sectors     | 32 letters where the label says | – | LVM2 `lib/label/label.h` |
//!
//! A member whose superblock is at its end begins with what the array holds: these are looked for
//! before any file system is, so that a member is never mounted in the place of its array.

use std::io;

use super::field::{array, has, label, le32, le64, uuid};
use super::{Contents, Source};

/// `blkid`'s name of a member of a software RAID.
pub const RAID_MEMBER: &str = "linux_raid_member";
/// `blkid`'s name of a physical volume of LVM.
pub const LVM_MEMBER: &str = "LVM2_member";

const RAID_MAGIC: u32 = 0xA92B_4EFC;
const SECTOR: u64 = 512;

/// What the head of a device of `size` bytes, or its end, says that it is part of.
///
/// # Errors
/// The device's.
pub(super) fn read(
    head: &[u8],
    source: &mut dyn Source,
    size: u64,
) -> io::Result<Option<Contents>> {
    if let Some(found) = lvm(head).or_else(|| raid_1(head, 0)).or_else(|| {
        let superblock = head.get(4096..)?;
        raid_1(superblock, 4096 / SECTOR)
    }) {
        return Ok(Some(found));
    }
    if let Some(sector) = place_of_1_0(size) {
        let superblock = source.read_at(sector * SECTOR, 256)?;
        if let Some(found) = raid_1(&superblock, sector) {
            return Ok(Some(found));
        }
    }
    let Some(place) = place_of_0_90(size) else {
        return Ok(None);
    };
    Ok(raid_0_90(&source.read_at(place, 256)?))
}

fn place_of_1_0(size: u64) -> Option<u64> {
    Some((size / SECTOR).checked_sub(16)? & !7)
}

fn place_of_0_90(size: u64) -> Option<u64> {
    const UNIT: u64 = 64 << 10;
    (size & !(UNIT - 1)).checked_sub(UNIT)
}

/// A superblock of version 1 notes the sector that it is at: one of a disk around is none of ours.
fn raid_1(superblock: &[u8], sector: u64) -> Option<Contents> {
    let is_one = le32(superblock, 0)? == RAID_MAGIC
        && le32(superblock, 4)? == 1
        && le64(superblock, 144)? == sector;
    is_one.then(|| Contents {
        kind: RAID_MEMBER,
        uuid: uuid(superblock, 16),
        label: label(superblock, 32, 32),
    })
}

fn raid_0_90(superblock: &[u8]) -> Option<Contents> {
    let is_one = le32(superblock, 0)? == RAID_MAGIC
        && le32(superblock, 4)? == 0
        && le32(superblock, 8)? == 90;
    let mut raw = [0; 16];
    let (first, rest) = raw.split_at_mut(4);
    first.copy_from_slice(superblock.get(20..24)?);
    rest.copy_from_slice(superblock.get(52..64)?);
    is_one.then(|| Contents {
        kind: RAID_MEMBER,
        uuid: uuid(&raw, 0),
        label: None,
    })
}

fn lvm(head: &[u8]) -> Option<Contents> {
    const SECTOR: usize = 512;
    let (number, sector) = head
        .chunks_exact(SECTOR)
        .take(4)
        .enumerate()
        .find(|(_, sector)| has(sector, 0, b"LABELONE") && has(sector, 24, b"LVM2 001"))?;
    if le64(sector, 8)? != number as u64 {
        return None;
    }
    let offset = usize::try_from(le32(sector, 20)?).ok()?;
    Some(Contents {
        kind: LVM_MEMBER,
        uuid: volume_uuid(sector, offset),
        label: None,
    })
}

/// 32 letters and digits, written in groups.
fn volume_uuid(sector: &[u8], offset: usize) -> Option<String> {
    const GROUPS: [usize; 6] = [6, 10, 14, 18, 22, 26];
    let letters: [u8; 32] = array(sector, offset)?;
    if !letters.iter().all(u8::is_ascii_alphanumeric) {
        return None;
    }
    let mut text = String::with_capacity(38);
    for (position, letter) in letters.into_iter().enumerate() {
        if GROUPS.contains(&position) {
            text.push('-');
        }
        text.push(char::from(letter));
    }
    Some(text)
}
