//! What a live medium is checked by: its pieces, each with its hash.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use cairn_system::live::{Extent, MediaManifest, Piece};

/// Bytes that are hashed as one: a damaged place is named as exactly as that.
pub(crate) const PIECE: u64 = 4 << 20;

/// The pieces of named places, without their hashes, in the order of the places.
pub(crate) fn pieces(places: impl Iterator<Item = (String, Extent)>) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for (path, extent) in places {
        let mut done = 0;
        while done < extent.length {
            let length = (extent.length - done).min(PIECE);
            pieces.push(Piece {
                hash: "0".repeat(64),
                extent: Extent {
                    offset: extent.offset + done,
                    length,
                },
                path: path.clone(),
            });
            done += length;
        }
    }
    pieces.sort_by_key(|piece| piece.extent.offset);
    pieces
}

/// The manifest of what is in `image` now.
pub(crate) fn manifest(image: &File, mut pieces: Vec<Piece>) -> io::Result<MediaManifest> {
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
