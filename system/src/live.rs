//! A live medium: what its ISO 9660 descriptor says to stage 1, and the manifest that it is checked
//! by.
//!
//! A medium is told from every other by its id, never by its label: two sticks in one machine may
//! well have the same. The id, where the system lies, and where the manifest lies are text in the
//! part of the primary volume descriptor that ISO 9660 leaves to applications. So stage 1 reads
//! one sector, and mounts nothing to find out:
//!
//! ```text
//! cairn live medium 1
//! id 397e55e7-c7d8-8823-8749-8b304cacefdb
//! system 33554432 181403648
//! manifest 99328 1834 6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85
//! ```
//!
//! A system that comes over the network is a medium too: its initrd has the same text in a file, and
//! the system in another.
//!
//! Places are bytes from the medium's start, and lengths. The manifest has a line for each piece of
//! the medium: its BLAKE3 hash, place, length, and the file that it is of.
//!
//! Source: ECMA-119 (ISO 9660), section 8.4.32, "Application Use".

use std::fmt;

/// Names the medium to stage 1: `cairn.live=<id>`.
pub const LIVE_PARAMETER: &str = "cairn.live";
/// Has stage 1 compare the medium with its manifest before anything of it is used.
pub const CHECK_PARAMETER: &str = "cairn.check-media";
/// Has stage 1 copy the system into memory, so that the medium can be taken away.
pub const COPY_PARAMETER: &str = "copytoram";
/// The medium is this file, on any file system of the machine.
pub const FIND_ISO_PARAMETER: &str = "findiso";
/// Where the changes are kept, as `LABEL=…`; `off` keeps them in memory.
pub const PERSISTENCE_PARAMETER: &str = "cairn.persistence";

/// Where an initrd that has the system itself says so: the text of a [`LiveMedium`] whose places are
/// in [`INITRD_SYSTEM`].
pub const INITRD_MEDIUM: &str = "cairn/medium";
/// The system in such an initrd, and the manifest that it is checked by.
pub const INITRD_SYSTEM: &str = "cairn/system";

/// Where the primary volume descriptor lies on every medium, in bytes.
pub const DESCRIPTOR: u64 = 16 * 2048;
/// Bytes of a descriptor.
pub const DESCRIPTOR_SIZE: usize = 2048;
/// Where the application's part begins in a descriptor.
pub const APPLICATION_USE: usize = 883;
/// Bytes of that part.
pub const APPLICATION_USE_SIZE: usize = 512;

const FIRST_LINE: &str = "cairn live medium 1";

/// What tells a medium from every other: a UUID in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediumId(String);

/// A part of a medium, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// From the medium's start.
    pub offset: u64,
    /// Its length.
    pub length: u64,
}

/// What a medium's descriptor says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveMedium {
    /// Which medium it is.
    pub id: MediumId,
    /// The squashfs that has the system.
    pub system: Extent,
    /// The text of the [`MediaManifest`].
    pub manifest: Extent,
    /// BLAKE3 of that text, in lower-case hexadecimal.
    pub manifest_hash: String,
}

/// Every piece of a medium with its hash.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MediaManifest {
    /// In the order of their places.
    pub pieces: Vec<Piece>,
}

/// A part of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// BLAKE3, in lower-case hexadecimal.
    pub hash: String,
    /// Where it lies.
    pub extent: Extent,
    /// The file that it is of, by its path on the medium.
    pub path: String,
}

/// A text that is none of a live medium.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot read line {line} of the {document}: it is not {wanted}")]
pub struct LiveError {
    document: &'static str,
    line: usize,
    wanted: &'static str,
}

impl MediumId {
    /// `text` if it is a UUID in lower case.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let right = |(at, byte): (usize, u8)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => is_hexadecimal(byte),
        };
        (text.len() == 36 && text.bytes().enumerate().all(right)).then(|| Self(text.to_owned()))
    }

    /// The UUID of these bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        const HEXADECIMAL: [char; 16] = [
            '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
        ];
        let mut text = String::with_capacity(36);
        for (at, byte) in bytes.into_iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                text.push('-');
            }
            let digits = [byte >> 4, byte & 15].map(usize::from);
            text.extend(digits.iter().filter_map(|digit| HEXADECIMAL.get(*digit)));
        }
        Self(text)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The file that marks the medium for GRUB, from the medium's root.
    #[must_use]
    pub fn marker(&self) -> String {
        format!("cairn/{}", self.0)
    }
}

impl fmt::Display for MediumId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl LiveMedium {
    /// What the primary volume descriptor `sector` says; `None` if it is no descriptor, or not one
    /// of a live medium.
    ///
    /// # Errors
    /// It begins as one of a live medium, and goes on otherwise.
    pub fn from_descriptor(sector: &[u8]) -> Result<Option<Self>, LiveError> {
        let text = sector.get(APPLICATION_USE..APPLICATION_USE + APPLICATION_USE_SIZE);
        let text = text.and_then(|bytes| std::str::from_utf8(bytes).ok());
        match text {
            Some(text) if sector.starts_with(b"\x01CD001") && text.starts_with(FIRST_LINE) => {
                Self::parse(text.trim_end_matches([' ', '\0'])).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Reads the text.
    ///
    /// # Errors
    /// It is no text of a live medium.
    pub fn parse(text: &str) -> Result<Self, LiveError> {
        let mut lines = text.lines().zip(1..);
        let mut words = |key: &str, wanted: &'static str| {
            let (text, line) = lines.next().unwrap_or(("", 0));
            let error = LiveError {
                document: "descriptor of a live medium",
                line,
                wanted,
            };
            let mut words = text.split(' ').map(str::to_owned);
            if words.next().as_deref() == Some(key) {
                Ok((words.collect::<Vec<_>>(), error))
            } else {
                Err(error)
            }
        };
        words("cairn", "the first line of version 1")?;
        let (id, error) = words("id", "an id")?;
        let id = id.first().and_then(|id| MediumId::new(id)).ok_or(error)?;
        let (system, error) = words("system", "the place of the system")?;
        let system = extent(&system).ok_or(error)?;
        let (manifest, error) = words("manifest", "the place and hash of the manifest")?;
        let hash = manifest.get(2).filter(|hash| is_hash(hash)).cloned();
        let (Some(manifest), Some(manifest_hash)) = (extent(&manifest), hash) else {
            return Err(error);
        };
        Ok(Self {
            id,
            system,
            manifest,
            manifest_hash,
        })
    }
}

impl fmt::Display for LiveMedium {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{FIRST_LINE}\nid {}", self.id)?;
        let Extent { offset, length } = self.system;
        writeln!(f, "system {offset} {length}")?;
        let Extent { offset, length } = self.manifest;
        writeln!(f, "manifest {offset} {length} {}", self.manifest_hash)
    }
}

impl MediaManifest {
    /// Reads the text.
    ///
    /// # Errors
    /// It is none of a manifest.
    pub fn parse(text: &str) -> Result<Self, LiveError> {
        // A path may end with a carriage return, which is a line's end to others.
        let lines = text.split_terminator('\n');
        let pieces = lines.zip(1..).map(|(text, line)| {
            piece(text).ok_or(LiveError {
                document: "manifest of the medium",
                line,
                wanted: "a hash, an offset, a length and a path",
            })
        });
        Ok(Self {
            pieces: pieces.collect::<Result<_, _>>()?,
        })
    }
}

impl fmt::Display for MediaManifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Piece { hash, extent, path } in &self.pieces {
            writeln!(f, "{hash} {} {} {path}", extent.offset, extent.length)?;
        }
        Ok(())
    }
}

fn piece(line: &str) -> Option<Piece> {
    let mut words = line.splitn(4, ' ');
    let hash = words.next().filter(|hash| is_hash(hash))?.to_owned();
    let extent = Extent {
        offset: words.next()?.parse().ok()?,
        length: words.next()?.parse().ok()?,
    };
    extent.offset.checked_add(extent.length)?;
    let path = words.next().filter(|path| !path.is_empty())?.to_owned();
    Some(Piece { hash, extent, path })
}

fn extent(words: &[String]) -> Option<Extent> {
    let number = |at: usize| words.get(at)?.parse().ok();
    let (offset, length): (u64, u64) = (number(0)?, number(1)?);
    offset.checked_add(length)?;
    Some(Extent { offset, length })
}

fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(is_hexadecimal)
}

fn is_hexadecimal(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use proptest::prelude::*;

    fn medium() -> LiveMedium {
        LiveMedium {
            id: MediumId::new("397e55e7-c7d8-8823-8749-8b304cacefdb").unwrap(),
            system: Extent {
                offset: 33_554_432,
                length: 181_403_648,
            },
            manifest: Extent {
                offset: 99_328,
                length: 1834,
            },
            manifest_hash: "64".repeat(32),
        }
    }

    fn descriptor(text: &str) -> Vec<u8> {
        let mut sector = vec![0; DESCRIPTOR_SIZE];
        sector[..6].copy_from_slice(b"\x01CD001");
        sector[APPLICATION_USE..][..text.len()].copy_from_slice(text.as_bytes());
        sector
    }

    #[test]
    fn a_medium_comes_back_from_its_descriptor() {
        let text = medium().to_string();
        expect![[r#"
            cairn live medium 1
            id 397e55e7-c7d8-8823-8749-8b304cacefdb
            system 33554432 181403648
            manifest 99328 1834 6464646464646464646464646464646464646464646464646464646464646464
        "#]]
        .assert_eq(&text);
        let sector = descriptor(&text);
        assert_eq!(LiveMedium::from_descriptor(&sector), Ok(Some(medium())));
        assert_eq!(LiveMedium::from_descriptor(&sector[..900]), Ok(None));
        assert_eq!(LiveMedium::from_descriptor(&descriptor("")), Ok(None));
        assert_eq!(
            medium().id.marker(),
            "cairn/397e55e7-c7d8-8823-8749-8b304cacefdb"
        );
    }

    #[test]
    fn a_damaged_descriptor_is_named() {
        let text = medium().to_string().replace("system 3", "system x");
        let error = LiveMedium::from_descriptor(&descriptor(&text)).unwrap_err();
        expect!["cannot read line 3 of the descriptor of a live medium: it is not the place of the system"]
            .assert_eq(&error.to_string());
        let text = medium()
            .to_string()
            .replace(" 181403648", " 18446744073709551615");
        assert!(LiveMedium::parse(&text).is_err());
    }

    #[test]
    fn a_manifest_comes_back() {
        let text = format!(
            "{} 2048 5 boot/a b\n{} 4096 7 c\n",
            "ab".repeat(32),
            "cd".repeat(32)
        );
        let manifest = MediaManifest::parse(&text).unwrap();
        assert_eq!(manifest.pieces[0].path, "boot/a b");
        assert_eq!(manifest.to_string(), text);
        let text = format!("{} 0 6 a\r\r\n", "c6".repeat(32));
        assert_eq!(MediaManifest::parse(&text).unwrap().to_string(), text);
        let error = MediaManifest::parse("x 1 2 y\n").unwrap_err();
        expect!["cannot read line 1 of the manifest of the medium: it is not a hash, an offset, a length and a path"]
            .assert_eq(&error.to_string());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let mut sector = descriptor("cairn live medium 1\n");
            for (to, from) in sector.iter_mut().skip(APPLICATION_USE + 20).zip(&bytes) {
                *to = *from;
            }
            let medium = LiveMedium::from_descriptor(&sector);
            prop_assert!(!matches!(medium, Ok(None)) || std::str::from_utf8(&bytes).is_err() || bytes.len() > 490);
            let text = String::from_utf8_lossy(&bytes);
            if let Ok(manifest) = MediaManifest::parse(&text) {
                prop_assert_eq!(MediaManifest::parse(&manifest.to_string()), Ok(manifest));
            }
        }
    }
}
