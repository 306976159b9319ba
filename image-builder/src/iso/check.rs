//! The manifest of a medium: every piece of it with its hash, for stage 1 to compare.
//!
//! The MBR and the GPT are no part of it: whoever adds a partition to a stick changes them. The
//! primary volume descriptor is none either, since it has the manifest's own hash.

use std::collections::BTreeMap;
use std::path::PathBuf;

use cairn_system::live::{Extent, MediaManifest, Piece};

use crate::media;

use super::layout::{BLOCK, BOOT_RECORD, Layout};
use super::tree::Tree;

/// What the manifest calls the descriptors, path tables and directories.
const DIRECTORIES: &str = "(directories)";
/// Letters of a line beside the path: a hash, and numbers up to 16 digits.
const LINE: u64 = 64 + 16 + 16 + 4;

/// The pieces of a medium, without their hashes, by place.
pub(super) fn pieces(layout: &Layout, places: &BTreeMap<PathBuf, Extent>) -> Vec<Piece> {
    let first = BOOT_RECORD * BLOCK;
    let directories = Extent {
        offset: first,
        length: (layout.catalog + 1) * BLOCK - first,
    };
    let files = places
        .iter()
        .map(|(path, extent)| (path.display().to_string(), *extent));
    media::pieces(std::iter::once((DIRECTORIES.to_owned(), directories)).chain(files))
}

/// Bytes of the manifest of `pieces`.
pub(super) fn length(pieces: &[Piece]) -> u64 {
    let text = MediaManifest {
        pieces: pieces.to_vec(),
    };
    text.to_string().len() as u64
}

/// More bytes than the manifest has, whatever size up to `limit` the system gets.
pub(super) fn room(tree: &Tree, limit: u64) -> u64 {
    let of_file = |(path, size): (&std::path::Path, u64)| {
        (1 + size.min(limit) / media::PIECE) * (LINE + path.as_os_str().len() as u64)
    };
    let files: u64 = tree.files().map(of_file).sum();
    (files + LINE + 64).next_multiple_of(BLOCK)
}
