//! The manifest of a medium: every piece of it with its hash, for stage 1 to compare.
//!
//! The MBR and the GPT are no part of it: whoever adds a partition to a stick changes them. The
//! primary volume descriptor is none either, since it has the manifest's own hash.

use cairn_system::live::Extent;

use crate::media::{self, Part};
use crate::squashfs::Written;

use super::layout::{BLOCK, BOOT_RECORD, Layout, SYSTEM};
use super::tree::Tree;

/// What the manifest calls the descriptors, path tables and directories.
const DIRECTORIES: &str = "(directories)";
/// Letters of a line beside the path: a hash, and numbers up to 16 digits.
const LINE: u64 = 64 + 16 + 16 + 4;

/// The parts of a medium, by place.
pub(super) fn parts(layout: &Layout, system: &Written) -> Vec<Part> {
    let first = BOOT_RECORD * BLOCK;
    let directories = Extent {
        offset: first,
        length: (layout.catalog + 1) * BLOCK - first,
    };
    // The system is behind all others.
    let mut files: Vec<_> = layout.files.iter().collect();
    files.sort_by_key(|(_, extent)| extent.offset);
    let mut all = media::parts(DIRECTORIES, directories);
    for (path, extent) in files {
        all.extend(media::parts(&media::shown(path), *extent));
    }
    all.extend(media::parts_of_system(SYSTEM, layout.system, system));
    all
}

/// More bytes than the manifest has, whatever size the system gets, which has at most `blocks` blocks and
/// `limit` bytes.
pub(super) fn room(tree: &Tree, blocks: u64, limit: u64) -> u64 {
    let of_file = |(path, size): (&std::path::Path, u64)| {
        (1 + size.min(limit) / media::PART) * (LINE + media::shown(path).len() as u64)
    };
    let files: u64 = tree.files().map(of_file).sum();
    // What is before the first block, and behind the last one.
    let of_blocks = (blocks + 2) * (LINE + SYSTEM.len() as u64);
    (files + of_blocks + LINE + 64).next_multiple_of(BLOCK)
}
