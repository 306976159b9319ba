//! How large an ext4 file system must be for a tree: an upper bound, so that sealing never fails.
//!
//! Source of the geometry: `Documentation/filesystems/ext4` of Linux, and mke2fs's defaults, which
//! `mkext4` follows: groups of 32768 blocks, inodes of 256 bytes, flex groups of 16, backups of
//! superblock and group descriptors in groups 1 and powers of 3, 5 and 7.

use crate::ext4::BLOCK;
use crate::manifest::{Content, Manifest, Node};

const BLOCKS_PER_GROUP: u64 = 32_768;
const INODES_PER_BLOCK: u64 = 16;
/// mke2fs's ratio for inodes that are free: one per 16 KiB.
const BYTES_PER_INODE: u64 = 16_384;
/// The smallest file system of which the smallest journal, 1024 blocks, is a quarter.
const MIN_BLOCKS: u64 = 4_096;
/// Blocks of a MiB.
const MEBIBYTE: u64 = (1 << 20) / BLOCK;
/// Inodes 1 to 11: reserved ones and `lost+found`.
const RESERVED_INODES: u64 = 11;

/// A file system's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    /// Blocks of 4096 bytes.
    pub blocks: u64,
    /// Inodes: what mke2fs gives a file system of that size, and enough for the tree.
    pub inodes: u32,
}

/// The size, of at least `least` blocks, in which `tree` fits and leaves `free` bytes over.
pub(crate) fn blocks_for(tree: &Manifest, free: u64, least: u64) -> Size {
    let entries = tree.entries().count() as u64;
    let used: u64 = tree.entries().map(|(_, node)| blocks_of(node)).sum();
    let names: u64 = directory_blocks(tree);
    let content = used + names + free.div_ceil(BLOCK) + 8;
    let inodes = entries + entries / 8 + RESERVED_INODES + INODES_PER_BLOCK;

    // What the content needs, plus the overhead of a file system of that size, and so on, until
    // the size holds its own overhead. Each step adds less than a tenth of the last.
    let mut blocks = content.max(MIN_BLOCKS).max(least);
    let mut inodes_wanted = inodes;
    for _ in 0..64 {
        inodes_wanted = inodes.max(blocks * BLOCK / BYTES_PER_INODE);
        // Whole MiB, since partitions are; those may be a step larger.
        let whole = blocks.next_multiple_of(MEBIBYTE);
        let needed = |blocks| (content + overhead(blocks, inodes_wanted)).max(MIN_BLOCKS);
        if needed(blocks) > blocks {
            blocks = needed(blocks);
        } else if needed(whole) > whole {
            blocks = needed(whole);
        } else {
            break;
        }
    }
    Size {
        blocks: blocks.next_multiple_of(MEBIBYTE),
        inodes: u32::try_from(inodes_wanted).unwrap_or(u32::MAX),
    }
}

/// Blocks for one entry's content, extents and extended attributes.
fn blocks_of(node: &Node) -> u64 {
    let size = match &node.content {
        Content::Bytes(bytes) => bytes.len() as u64,
        Content::File { size, .. } => *size,
        // Shorter targets are in the inode.
        Content::Symlink(target) => match target.as_os_str().len() as u64 {
            0..60 => 0,
            length => length,
        },
        Content::Directory
        | Content::CharDevice { .. }
        | Content::BlockDevice { .. }
        | Content::HardLink(_) => 0,
    };
    // Four extents of at most 128 MiB are in the inode; groups' metadata interrupts extents.
    let extents = match size >> 27 {
        0 => 0,
        large => 2 + large / 128,
    };
    size.div_ceil(BLOCK) + extents + u64::from(!node.xattrs.is_empty())
}

/// Blocks of all directories: each has one; those with more get half-filled leaves and an index.
fn directory_blocks(tree: &Manifest) -> u64 {
    let mut sizes = std::collections::BTreeMap::new();
    for (path, node) in tree.entries() {
        if node.content == Content::Directory {
            sizes.insert(path, 24_u64);
        }
        let name = path.file_name().map_or(0, |name| name.len() as u64);
        if let Some(size) = path.parent().and_then(|parent| sizes.get_mut(parent)) {
            *size += 8 + name.next_multiple_of(4);
        }
    }
    sizes
        .into_values()
        .map(|size| {
            if size <= BLOCK - 12 {
                1
            } else {
                let leaves = size.div_ceil(BLOCK / 2);
                leaves + leaves / 100 + 3
            }
        })
        .sum()
}

/// Blocks of a file system of `blocks` that can hold no content.
fn overhead(blocks: u64, inodes: u64) -> u64 {
    let groups = blocks.div_ceil(BLOCKS_PER_GROUP);
    let backups = 1 + (1..groups).filter(|group| has_backup(*group)).count() as u64;
    let descriptors = (groups * 32).div_ceil(BLOCK);
    let inode_table = inodes.div_ceil(groups).div_ceil(INODES_PER_BLOCK);
    // Inode tables are in one piece: the gap before one that would be cut by a backup is lost to
    // it, but not to contents.
    backups * (1 + descriptors) + groups * (2 + inode_table) + journal(blocks)
}

fn has_backup(group: u64) -> bool {
    let power = |base: u64| {
        let mut rest = group;
        while rest.is_multiple_of(base) {
            rest /= base;
        }
        rest == 1
    };
    group == 1 || power(3) || power(5) || power(7)
}

/// mke2fs's sizes of the journal, in blocks. A size is taken that may be one step too large, so
/// that a file system at a step's edge fits too.
fn journal(blocks: u64) -> u64 {
    match blocks {
        0..32_768 => 1_024,
        32_768..262_144 => 4_096,
        262_144..524_288 => 8_192,
        524_288..4_194_304 => 16_384,
        4_194_304..8_388_608 => 32_768,
        8_388_608..16_777_216 => 65_536,
        16_777_216..33_554_432 => 131_072,
        _ => 262_144,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mkext4::{FsBuilder, InodeCount, Options};
    use proptest::prelude::*;

    #[test]
    fn backups_are_where_ext4_has_them() {
        let groups: Vec<_> = (1..350).filter(|group| has_backup(*group)).collect();
        assert_eq!(groups, [1, 3, 5, 7, 9, 25, 27, 49, 81, 125, 243, 343]);
    }

    fn seal(size: Size, files: &[(u64, usize)], directories: usize) -> mkext4::Result<()> {
        let mut options = Options::new(size.blocks * BLOCK, [1; 16], 0);
        options.inodes = InodeCount::Exact(size.inodes);
        options.reserved_percent = 1;
        let mut builder = FsBuilder::new(options)?;
        let meta = mkext4::Meta::new(0o755, 0, 0, (0, 0));
        for number in 0..directories {
            let name = format!("directory {number}");
            let directory = builder.mkdir(mkext4::ROOT, &name, meta)?;
            for (number, (size, name)) in files.iter().enumerate() {
                let name = format!("{number}{}", "x".repeat(*name));
                builder.file(directory, &name, meta, *size)?;
            }
        }
        builder.seal().map(drop)
    }

    fn tree(files: &[(u64, usize)], directories: usize) -> Manifest {
        let mut tree = Manifest::new();
        for number in 0..directories {
            let directory = format!("directory {number}");
            tree.insert(&directory, Node::directory(0o755)).unwrap();
            for (number, (size, name)) in files.iter().enumerate() {
                let name = format!("{directory}/{number}{}", "x".repeat(*name));
                let path = "/nowhere".into();
                let content = Content::File { path, size: *size };
                tree.insert(name, Node::new(0o444, content)).unwrap();
            }
        }
        tree
    }

    #[test]
    fn large_trees_fit() {
        for (files, directories) in [
            (vec![(3 << 30, 9); 3], 1),
            (vec![(40 << 30, 9)], 1),
            (vec![(1, 240); 5_000], 1),
            (vec![(0, 1); 40], 200),
            (vec![(4097, 20); 10_000], 1),
        ] {
            let size = blocks_for(&tree(&files, directories), 0, 0);
            let sealed = seal(size, &files, directories);
            assert!(sealed.is_ok(), "{size:?} {directories}: {sealed:?}");
        }
        // Among them are those that whole MiB make a group large, which then has a larger journal.
        for mebibytes in 100..140 {
            let files = [(mebibytes << 20, 9)];
            let size = blocks_for(&tree(&files, 1), 0, 0);
            let sealed = seal(size, &files, 1);
            assert!(sealed.is_ok(), "{size:?} {mebibytes}: {sealed:?}");
        }
    }

    /// More blocks need more inodes, groups and journal: what is left must do for them.
    #[test]
    fn more_blocks_are_filled() {
        let files = [(90 << 20, 9)];
        let tree = tree(&files, 1);
        let least = blocks_for(&tree, 0, 0).blocks;
        for mebibytes in (0..200).chain([900, 1024, 2048, 5000]) {
            let blocks = least + mebibytes * MEBIBYTE;
            let size = blocks_for(&tree, 0, blocks);
            assert!(size.blocks - blocks <= 16 * MEBIBYTE, "{blocks}: {size:?}");
            assert_eq!(
                u64::from(size.inodes),
                size.blocks * BLOCK / BYTES_PER_INODE
            );
            let sealed = seal(size, &files, 1);
            assert!(sealed.is_ok(), "{size:?} {mebibytes}: {sealed:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn every_tree_fits(
            files in prop::collection::vec((0u64..10_000_000, 0usize..250), 0..100),
            directories in 0usize..5,
        ) {
            let size = blocks_for(&tree(&files, directories), 0, 0);
            let sealed = seal(size, &files, directories);
            prop_assert!(sealed.is_ok(), "{size:?}: {sealed:?}");
        }
    }
}
