//! What a live medium is checked by: its parts, each with its hash.
//!
//! The hash of a block of the system is known since it was compressed: nearly all of a medium is not read
//! again to make its manifest.

use std::fs::File;
use std::io;
use std::num::NonZero;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;

use cairn_system::live::{Extent, MediaManifest, Piece};

use crate::in_order::{Schedule, in_order};
use crate::squashfs::Written;

/// The most bytes of what is hashed for the manifest alone: a damaged place is named as exactly as that.
pub(crate) const PART: u64 = 4 << 20;
/// Bytes that are read at once.
const READ: u64 = 256 << 10;

/// A part of a medium, by place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    path: String,
    extent: Extent,
    /// BLAKE3 of its bytes, if it is known.
    hash: Option<[u8; 32]>,
}

/// A path as it stands in a manifest, of which a line is a piece: control characters, backslashes and
/// what is not UTF-8 are written with a backslash.
pub(crate) fn shown(path: &Path) -> String {
    let mut text = String::new();
    for chunk in path.as_os_str().as_bytes().utf8_chunks() {
        for letter in chunk.valid().chars() {
            if letter.is_control() || letter == '\\' {
                text.extend(letter.escape_default());
            } else {
                text.push(letter);
            }
        }
        text.extend(chunk.invalid().escape_ascii().map(char::from));
    }
    text
}

/// The parts of the file `path`, which lies at `extent`.
pub(crate) fn parts(path: &str, extent: Extent) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut done = 0;
    while done < extent.length {
        let length = (extent.length - done).min(PART);
        parts.push(Part {
            path: path.to_owned(),
            extent: Extent {
                offset: extent.offset + done,
                length,
            },
            hash: None,
        });
        done += length;
    }
    parts
}

/// The parts of the file `path`, which is the file system `written` from `offset` on.
pub(crate) fn parts_of_system(path: &str, offset: u64, written: &Written) -> Vec<Part> {
    let mut all = Vec::with_capacity(written.blocks.len() + 4);
    let mut done = 0;
    let between = |from: u64, to: u64| Extent {
        offset: offset + from,
        length: to.saturating_sub(from),
    };
    for block in &written.blocks {
        all.extend(parts(path, between(done, block.offset)));
        done = block.offset + block.length;
        all.push(Part {
            path: path.to_owned(),
            extent: between(block.offset, done),
            hash: Some(block.digest),
        });
    }
    all.extend(parts(path, between(done, written.size)));
    all
}

/// The manifest of `parts`, those that have no hash yet as they are in `image` now: they are read by as many threads
/// as there are processors.
pub(crate) fn manifest(image: &File, parts: &[Part]) -> io::Result<MediaManifest> {
    let length = usize::try_from(READ).map_err(io::Error::other)?;
    let schedule = Schedule {
        pieces: parts.len(),
        threads: std::thread::available_parallelism().map_or(1, NonZero::get),
        ahead: parts.len(),
    };
    let mut pieces = Vec::with_capacity(parts.len());
    in_order(
        schedule,
        || Ok(vec![0; length]),
        |buffer, number| match parts.get(number) {
            Some(part) => part.piece(image, buffer),
            None => Err(io::ErrorKind::NotFound.into()),
        },
        |_| true,
        |_, piece| {
            pieces.push(piece);
            Ok(())
        },
    )?;
    Ok(MediaManifest { pieces })
}

impl Part {
    /// It as the manifest has it; `buffer` is what it is read into.
    fn piece(&self, image: &File, buffer: &mut [u8]) -> io::Result<Piece> {
        let hash = match self.hash {
            Some(hash) => blake3::Hash::from_bytes(hash),
            None => hash_of(image, self.extent, buffer)?,
        };
        Ok(Piece {
            hash: hash.to_hex().to_string(),
            extent: self.extent,
            path: self.path.clone(),
        })
    }
}

/// Bytes of the manifest of `parts`.
pub(crate) fn length(parts: &[Part]) -> u64 {
    let piece = |Part { path, extent, .. }: &Part| Piece {
        hash: "0".repeat(64),
        extent: *extent,
        path: path.clone(),
    };
    let text = MediaManifest {
        pieces: parts.iter().map(piece).collect(),
    };
    text.to_string().len() as u64
}

fn hash_of(image: &File, extent: Extent, buffer: &mut [u8]) -> io::Result<blake3::Hash> {
    let mut hasher = blake3::Hasher::new();
    let mut done = 0;
    while done < extent.length {
        let left = usize::try_from(extent.length - done).unwrap_or(usize::MAX);
        let length = left.min(buffer.len());
        let bytes = buffer.get_mut(..length).unwrap_or_default();
        image.read_exact_at(bytes, extent.offset + done)?;
        hasher.update(bytes);
        done += length as u64;
    }
    Ok(hasher.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::squashfs::StoredBlock;

    #[test]
    fn a_path_is_a_part_of_a_line() {
        use std::ffi::OsStr;
        let path = OsStr::from_bytes(b"a b/\xc3\xa9\n\r\t\\\xff\xfe\x7f\xe2\x80\xa8c");
        assert_eq!(
            shown(Path::new(path)),
            "a b/\u{e9}\\n\\r\\t\\\\\\xff\\xfe\\u{7f}\u{2028}c"
        );
    }

    #[test]
    fn parts_of_a_system_cover_it_once() {
        let block = |offset, length, digest| StoredBlock {
            offset,
            length,
            digest: [digest; 32],
        };
        let written = Written {
            size: PART + 1000,
            blocks: vec![block(96, 4, 1), block(100, 50, 2)],
        };
        let found: Vec<_> = parts_of_system("s", 5000, &written)
            .into_iter()
            .map(|part| (part.extent.offset, part.extent.length, part.hash))
            .collect();
        let wanted = [
            (5000, 96, None),
            (5096, 4, Some([1; 32])),
            (5100, 50, Some([2; 32])),
            (5150, PART, None),
            (5150 + PART, 850, None),
        ];
        assert_eq!(found, wanted);
    }
}
