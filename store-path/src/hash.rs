//! SHA-256 digests, and the three ways in which Nix writes them.
//!
//! Base-16 stands in derivations and in the database (`sha256:<64 digits>`), Nix's base-32 in
//! narinfo files and on command lines (`sha256:<52 digits>`), SRI (`sha256-<base-64>`) in newer
//! expressions. Source: the Nix manual, "Hash"; W3C, "Subresource Integrity".

use std::fmt;
use std::io;
use std::str::FromStr;

use sha2::Digest as _;

use crate::base64::{from_base64, to_base64};
use crate::nix32;

/// A SHA-256 digest. `Display` writes `sha256:` and 64 base-16 digits, as the database has it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256([u8; 32]);

/// Why a text is not a SHA-256 digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseHashError {
    /// The text names another algorithm.
    #[error("'{0}' is not a SHA-256 hash")]
    Algorithm(String),
    /// The digits are neither 64 of base-16, 52 of Nix's base-32 nor 44 of base-64.
    #[error("'{0}' is not a SHA-256 hash in base-16 (64 digits), Nix base-32 (52) or base-64 (44)")]
    Digits(String),
}

impl Sha256 {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(sha2::Sha256::digest(bytes).into())
    }

    /// Takes a digest that was computed elsewhere.
    #[must_use]
    pub const fn from_bytes(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// The 32 bytes of the digest.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// 64 lower-case base-16 digits, without the algorithm's name.
    #[must_use]
    pub fn to_base16(self) -> String {
        base16(&self.0)
    }

    /// 52 digits of Nix's base-32, without the algorithm's name.
    #[must_use]
    pub fn to_nix32(self) -> String {
        nix32::encode(&self.0)
    }

    /// `sha256-` and 44 base-64 digits.
    #[must_use]
    pub fn to_sri(self) -> String {
        format!("sha256-{}", to_base64(&self.0))
    }
}

impl FromStr for Sha256 {
    type Err = ParseHashError;

    /// Reads any of the three forms, with `sha256:` or `sha256-` before it or alone.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (digits, sri) = match (text.split_once(':'), text.split_once('-')) {
            (Some(("sha256", digits)), _) => (digits, false),
            (_, Some(("sha256", digits))) => (digits, true),
            (None, None) => (text, false),
            _ => return Err(ParseHashError::Algorithm(text.to_owned())),
        };
        let digest = match digits.len() {
            64 if !sri => base16_decode::<32>(digits),
            52 if !sri => nix32::decode::<32>(digits),
            44 => from_base64(digits).and_then(|bytes| bytes.try_into().ok()),
            _ => None,
        };
        digest
            .map(Self)
            .ok_or_else(|| ParseHashError::Digits(text.to_owned()))
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.to_base16())
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Hashes and counts what is written to it; never fails.
#[derive(Clone, Default)]
pub struct Sha256Writer {
    state: sha2::Sha256,
    length: u64,
}

impl Sha256Writer {
    /// A writer that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `bytes`.
    pub fn update(&mut self, bytes: &[u8]) {
        self.state.update(bytes);
        self.length += bytes.len() as u64;
    }

    /// The digest of everything written, and its length in bytes.
    #[must_use]
    pub fn finish(self) -> (Sha256, u64) {
        (Sha256(self.state.finalize().into()), self.length)
    }
}

impl io::Write for Sha256Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Folds a digest to the 20 bytes of a store path: byte `i` is combined by exclusive or into
/// byte `i mod 20`.
#[must_use]
pub fn compress(digest: &[u8; 32]) -> [u8; 20] {
    let mut folded = [0; 20];
    for chunk in digest.chunks(20) {
        for (target, byte) in folded.iter_mut().zip(chunk) {
            *target ^= byte;
        }
    }
    folded
}

/// Lower-case base-16.
#[must_use]
pub fn base16(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0');
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

/// Reads exactly `2 * N` base-16 digits of either case.
#[must_use]
pub fn base16_decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    base16_decode_vec(text)?.try_into().ok()
}

pub(crate) fn base16_decode_vec(text: &str) -> Option<Vec<u8>> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
        return None;
    };
    let value = |digit: u8| u8::try_from(char::from(digit).to_digit(16)?).ok();
    pairs
        .iter()
        .map(|&[high, low]| Some(value(high)? << 4 | value(low)?))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use proptest::prelude::*;

    #[test]
    fn known_digest_in_all_forms() {
        let hash = Sha256::of(b"hello\n");
        expect![[r#"
            sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03
            00xyyr3fi8l6hb839bv3f7yb86yjv7xi1cgh1xnhipym4asvb4aq
            sha256-WJG1tSLV3whtD/CxEPvZ0hu0/HFjrzTQgoai6Eb2vgM=
        "#]]
        .assert_eq(&format!("{hash}\n{}\n{}\n", hash.to_nix32(), hash.to_sri()));
    }

    #[test]
    fn hostile_texts_are_refused() {
        for text in [
            "",
            "sha256:",
            "md5:abc",
            "sha512-AAAA",
            "sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be0",
            "sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be0g",
            "sha256:e0xyyr3fi8l6hb839bv3f7yb86yjv7xi1cgh1xnhipym4asvb4aq",
            "sha256-WJG1tSLV3whtD/CxEPvZ0hu0/HFjrzTQgoai6Eb2vgN=",
            "sha256-WJG1tSLV3whtD/CxEPvZ0hu0/HFjrzTQgoai6Eb2v===",
            "sha256-====tSLV3whtD/CxEPvZ0hu0/HFjrzTQgoai6Eb2vgM=",
        ] {
            assert!(text.parse::<Sha256>().is_err(), "{text}");
        }
    }

    #[test]
    fn compress_folds_by_exclusive_or() {
        let mut digest = [0; 32];
        digest[0] = 0b11;
        digest[20] = 0b01;
        digest[31] = 7;
        digest[11] = 7;
        let mut folded = [0; 20];
        folded[0] = 0b10;
        assert_eq!(compress(&digest), folded);
    }

    proptest! {
        #[test]
        fn every_form_reads_back(digest: [u8; 32]) {
            let hash = Sha256::from_bytes(digest);
            let forms = [
                hash.to_string(),
                hash.to_base16(),
                hash.to_nix32(),
                format!("sha256:{}", hash.to_nix32()),
                hash.to_sri(),
                format!("sha256:{}", to_base64(&digest)),
            ];
            for form in forms {
                prop_assert_eq!(form.parse::<Sha256>(), Ok(hash));
            }
        }

        #[test]
        fn parsing_never_panics(text in "\\PC{0,70}") {
            let parsed = text.parse::<Sha256>();
            prop_assert!(parsed.is_err() || text.len() >= 44);
        }
    }
}
