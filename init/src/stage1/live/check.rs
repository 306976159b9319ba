//! Comparing the medium with its manifest, piece by piece.

use std::fmt::Write as _;

use cairn_system::live::{MediaManifest, Piece};

use super::LiveError;
use super::copy::{Progress, for_each_part};
use super::medium::Medium;
use super::say;

/// So much of a manifest is read at most: some 100 bytes for each block of the system, which has 128 KiB
/// before compression.
const LARGEST_MANIFEST: u64 = 64 << 20;
/// So many damaged places are named.
const NAMED: usize = 8;

/// Reads the whole medium.
pub(super) fn check(medium: &Medium) -> Result<(), LiveError> {
    let manifest = manifest(medium)?;
    let total = manifest
        .pieces
        .iter()
        .map(|piece| piece.extent.length)
        .sum();
    say(&format!("checking {} of {}", mebibytes(total), medium.name));
    let mut progress = Progress::new("checked", total);
    let mut damaged = Vec::new();
    for piece in &manifest.pieces {
        if let Some(damage) = damage(medium, piece, &mut progress) {
            log::error!("{damage}");
            damaged.push(damage);
        }
    }
    if damaged.is_empty() {
        say("the medium is as it was written");
        return Ok(());
    }
    let more = damaged.len().saturating_sub(NAMED);
    damaged.truncate(NAMED);
    let mut damage = damaged.join("; ");
    if more > 0 {
        write!(damage, "; and {more} more").unwrap_or_default();
    }
    Err(LiveError::Damaged {
        name: medium.name.clone(),
        damage,
    })
}

/// What is wrong with `piece`, if anything is.
fn damage(medium: &Medium, piece: &Piece, progress: &mut Progress) -> Option<String> {
    let place = format!(
        "{}, bytes {} to {} of the medium",
        piece.path,
        piece.extent.offset,
        piece.extent.offset + piece.extent.length
    );
    let mut hasher = blake3::Hasher::new();
    let read = for_each_part(&medium.file, piece.extent, |bytes| {
        hasher.update(bytes);
        progress.add(bytes.len());
        Ok(())
    });
    match read {
        Ok(()) if hasher.finalize().to_hex().as_str() == piece.hash => None,
        Ok(()) => Some(format!("{place}, differs")),
        Err(error) => Some(format!("{place}, cannot be read: {error}")),
    }
}

fn manifest(medium: &Medium) -> Result<MediaManifest, LiveError> {
    let damaged = |damage: String| LiveError::Damaged {
        name: medium.name.clone(),
        damage,
    };
    let place = medium.live.manifest;
    if place.length > LARGEST_MANIFEST {
        return Err(damaged(
            "its descriptor names an endless manifest".to_owned(),
        ));
    }
    let mut text = Vec::new();
    for_each_part(&medium.file, place, |bytes| {
        text.extend_from_slice(bytes);
        Ok(())
    })
    .map_err(|source| LiveError::Read {
        name: medium.name.clone(),
        what: "the manifest".to_owned(),
        source,
    })?;
    if blake3::hash(&text).to_hex().as_str() != medium.live.manifest_hash {
        return Err(damaged("its manifest differs".to_owned()));
    }
    let text =
        String::from_utf8(text).map_err(|_| damaged("its manifest is no text".to_owned()))?;
    MediaManifest::parse(&text).map_err(|error| damaged(error.to_string()))
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_system::live::{Extent, LiveMedium, MediumId};
    use expect_test::expect;
    use std::io::Write as _;
    use std::os::unix::fs::FileExt;

    /// A medium of two pieces and their manifest.
    fn medium() -> Medium {
        let contents = [vec![1u8; 3000], vec![2; 5000]];
        let mut pieces = Vec::new();
        let mut bytes = Vec::new();
        for (name, content) in ["boot/a", "cairn/system.squashfs"].iter().zip(&contents) {
            pieces.push(Piece {
                hash: blake3::hash(content).to_hex().to_string(),
                extent: Extent {
                    offset: bytes.len() as u64,
                    length: content.len() as u64,
                },
                path: (*name).to_owned(),
            });
            bytes.extend(content);
        }
        let text = MediaManifest { pieces }.to_string();
        let manifest = Extent {
            offset: bytes.len() as u64,
            length: text.len() as u64,
        };
        bytes.extend(text.bytes());
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        Medium {
            name: "/dev/sr0".to_owned(),
            file,
            live: LiveMedium {
                id: MediumId::from_bytes([7; 16]),
                system: manifest,
                manifest,
                manifest_hash: blake3::hash(text.as_bytes()).to_hex().to_string(),
            },
            carrier: None,
            in_memory: false,
        }
    }

    #[test]
    fn damage_is_named() {
        let whole = medium();
        check(&whole).unwrap();
        whole.file.write_all_at(&[9], 3001).unwrap();
        expect!["the live medium /dev/sr0 is damaged: cairn/system.squashfs, bytes 3000 to 8000 of the medium, differs"]
            .assert_eq(&check(&whole).unwrap_err().to_string());
        whole
            .file
            .write_all_at(&[9], whole.live.manifest.offset)
            .unwrap();
        expect!["the live medium /dev/sr0 is damaged: its manifest differs"]
            .assert_eq(&check(&whole).unwrap_err().to_string());
        whole.file.set_len(100).unwrap();
        assert!(
            check(&whole)
                .unwrap_err()
                .to_string()
                .contains("cannot read the manifest")
        );
    }
}
