//! The manifest of a medium: every piece of it with its hash, for stage 1 to compare.
//!
//! The MBR and the GPT are no part of it: whoever adds a partition to a stick changes them. The
//! primary volume descriptor is none either, since it has the manifest's own hash.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use cairn_system::live::{Extent, MediaManifest, Piece};

use super::layout::{BLOCK, BOOT_RECORD, Layout};
use super::tree::Tree;

/// What the manifest calls the descriptors, path tables and directories.
const DIRECTORIES: &str = "(directories)";
/// Letters of a line beside the path: a hash, and numbers up to 16 digits.
const LINE: u64 = 64 + 16 + 16 + 4;

/// The pieces of a medium, without their hashes, by place.
pub(super) fn pieces(
    layout: &Layout,
    places: &BTreeMap<PathBuf, Extent>,
    largest: u64,
) -> Vec<Piece> {
    let first = BOOT_RECORD * BLOCK;
    let directories = Extent {
        offset: first,
        length: (layout.catalog + 1) * BLOCK - first,
    };
    let mut pieces = vec![(directories, DIRECTORIES.to_owned())];
    for (path, extent) in places {
        let mut done = 0;
        while done < extent.length {
            let length = (extent.length - done).min(largest);
            let offset = extent.offset + done;
            pieces.push((Extent { offset, length }, path.display().to_string()));
            done += length;
        }
    }
    pieces.sort_by_key(|(extent, _)| extent.offset);
    let piece = |(extent, path)| Piece {
        hash: "0".repeat(64),
        extent,
        path,
    };
    pieces.into_iter().map(piece).collect()
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
        (1 + size.min(limit) / super::PIECE) * (LINE + path.as_os_str().len() as u64)
    };
    let files: u64 = tree.files().map(of_file).sum();
    (files + LINE + 64).next_multiple_of(BLOCK)
}

/// The manifest of what is in `image` now.
pub(super) fn manifest(image: &File, mut pieces: Vec<Piece>) -> io::Result<MediaManifest> {
    let next = AtomicUsize::new(0);
    let work = || -> io::Result<Vec<(usize, String)>> {
        let mut done = Vec::new();
        let mut bytes = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(piece) = pieces.get(number) else {
                return Ok(done);
            };
            let length = usize::try_from(piece.extent.length).map_err(io::Error::other)?;
            bytes.resize(length, 0);
            image.read_exact_at(&mut bytes, piece.extent.offset)?;
            done.push((number, blake3::hash(&bytes).to_hex().to_string()));
        }
    };
    let threads = thread::available_parallelism()
        .map_or(1, usize::from)
        .min(8);
    let hashes: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let joined = workers.into_iter().map(|worker| {
            worker
                .join()
                .unwrap_or_else(|_| Err(io::Error::other("a thread that hashes has panicked")))
        });
        joined.collect::<io::Result<_>>()
    })?;
    for (number, hash) in hashes.into_iter().flatten() {
        if let Some(piece) = pieces.get_mut(number) {
            piece.hash = hash;
        }
    }
    Ok(MediaManifest { pieces })
}
