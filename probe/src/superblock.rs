//! Superblocks of the file systems and containers whose place on a device is fixed.
//!
//! | type     | magic at        | UUID at      | label at       | source |
//! |----------|-----------------|--------------|----------------|--------|
//! | ext2/3/4 | 1024+56         | 1024+104     | 1024+120, 16   | kernel `filesystems/ext4/super.rst` |
//! | xfs      | 0               | 32           | 108, 12        | XFS Algorithms & Data Structures |
//! | btrfs    | 65536+64        | 65536+32     | 65536+299, 256 | btrfs On-disk Format |
//! | f2fs     | 1024            | 1024+108     | 1024+124, UTF-16 | kernel `include/linux/f2fs_fs.h` |
//! | erofs    | 1024            | 1024+48      | 1024+64, 16    | kernel `filesystems/erofs.rst` |
//! | squashfs | 0               | –            | –              | kernel `filesystems/squashfs.rst` |
//! | iso9660  | 32768+1         | dates        | 32768+40, 32   | ECMA-119 |
//! | swap     | page end−10     | 1024+12      | 1024+28, 16    | kernel `include/linux/swap.h` |
//! | LUKS     | 0               | 168, text    | 24, 48 (v2)    | LUKS1 and LUKS2 specifications |

use super::Contents;
use super::field::{array, be16, has, label, le16, le32, utf16_label, uuid};

/// How many bytes from a device's start the parsers look at: `btrfs` has the farthest superblock.
pub(super) const HEAD_BYTES: usize = 0x1_0000 + 0x1000;

type Parser = fn(&[u8]) -> Option<Contents>;

/// What the head of a device says that it holds; FAT, exFAT and NTFS are told apart by modules of their own.
pub(super) fn parse(head: &[u8]) -> Option<Contents> {
    const PARSERS: [Parser; 9] = [luks, xfs, squashfs, iso9660, btrfs, ext, f2fs, erofs, swap];
    PARSERS.iter().find_map(|parser| parser(head))
}

fn ext(head: &[u8]) -> Option<Contents> {
    const HAS_JOURNAL: u32 = 0x4;
    const JOURNAL_DEVICE: u32 = 0x8;
    // Anything beyond these makes it ext4.
    const EXT3_INCOMPATIBLE: u32 = 0x2 | 0x4 | 0x10;
    const EXT3_READ_ONLY: u32 = 0x1 | 0x2 | 0x4;
    let superblock = head.get(1024..2048)?;
    if le16(superblock, 56)? != 0xEF53 {
        return None;
    }
    let compatible = le32(superblock, 92)?;
    let incompatible = le32(superblock, 96)?;
    let read_only = le32(superblock, 100)?;
    let kind = if incompatible & JOURNAL_DEVICE != 0 {
        "jbd"
    } else if incompatible & !EXT3_INCOMPATIBLE != 0 || read_only & !EXT3_READ_ONLY != 0 {
        "ext4"
    } else if compatible & HAS_JOURNAL != 0 {
        "ext3"
    } else {
        "ext2"
    };
    Some(Contents {
        kind,
        uuid: uuid(superblock, 104),
        label: label(superblock, 120, 16),
    })
}

fn xfs(head: &[u8]) -> Option<Contents> {
    has(head, 0, b"XFSB").then(|| Contents {
        kind: "xfs",
        uuid: uuid(head, 32),
        label: label(head, 108, 12),
    })
}

fn btrfs(head: &[u8]) -> Option<Contents> {
    let superblock = head.get(0x1_0000..)?;
    has(superblock, 64, b"_BHRfS_M").then(|| Contents {
        kind: "btrfs",
        uuid: uuid(superblock, 32),
        label: label(superblock, 299, 256),
    })
}

fn f2fs(head: &[u8]) -> Option<Contents> {
    let superblock = head.get(1024..)?;
    (le32(superblock, 0)? == 0xF2F5_2010).then(|| Contents {
        kind: "f2fs",
        uuid: uuid(superblock, 108),
        label: utf16_label(superblock, 124, 512),
    })
}

fn erofs(head: &[u8]) -> Option<Contents> {
    let superblock = head.get(1024..)?;
    (le32(superblock, 0)? == 0xE0F5_E1E2).then(|| Contents {
        kind: "erofs",
        uuid: uuid(superblock, 48),
        label: label(superblock, 64, 16),
    })
}

fn squashfs(head: &[u8]) -> Option<Contents> {
    (has(head, 0, b"hsqs") && le16(head, 28)? == 4).then_some(Contents {
        kind: "squashfs",
        uuid: None,
        label: None,
    })
}

fn iso9660(head: &[u8]) -> Option<Contents> {
    const DESCRIPTOR: usize = 32768;
    const PRIMARY: &[u8] = b"\x01CD001";
    const CREATED: usize = 813;
    const MODIFIED: usize = 830;
    let descriptor = head.get(DESCRIPTOR..)?;
    has(descriptor, 0, PRIMARY).then(|| Contents {
        kind: "iso9660",
        uuid: iso_date(descriptor, MODIFIED).or_else(|| iso_date(descriptor, CREATED)),
        label: label(descriptor, 40, 32),
    })
}

/// `YYYYMMDDHHMMSScc` as `YYYY-MM-DD-HH-MM-SS-cc`: what serves as UUID of a disc.
fn iso_date(descriptor: &[u8], offset: usize) -> Option<String> {
    let digits: [u8; 16] = array(descriptor, offset)?;
    let set = digits.iter().all(u8::is_ascii_digit) && digits != [b'0'; 16];
    set.then(|| {
        let mut text = String::with_capacity(22);
        for (position, digit) in digits.into_iter().enumerate() {
            if position >= 4 && position % 2 == 0 {
                text.push('-');
            }
            text.push(char::from(digit));
        }
        text
    })
}

fn swap(head: &[u8]) -> Option<Contents> {
    // 4, 16 and 64 KiB: the page sizes of this and other architectures.
    const PAGES: [usize; 3] = [0x1000, 0x4000, 0x1_0000];
    let found = |magic: &[u8]| {
        let ends = PAGES.map(|page| page.saturating_sub(10));
        ends.iter().any(|end| has(head, *end, magic))
    };
    // The latter while it holds the memory of a machine that sleeps.
    let kind = if found(b"SWAPSPACE2") {
        "swap"
    } else if found(b"S1SUSPEND\0") {
        "swsuspend"
    } else {
        return None;
    };
    Some(Contents {
        kind,
        uuid: uuid(head, 1024 + 12),
        label: label(head, 1024 + 28, 16),
    })
}

fn luks(head: &[u8]) -> Option<Contents> {
    if !has(head, 0, b"LUKS\xba\xbe") {
        return None;
    }
    Some(Contents {
        kind: "crypto_LUKS",
        uuid: label(head, 168, 40),
        label: if be16(head, 6)? == 2 {
            label(head, 24, 48)
        } else {
            None
        },
    })
}
