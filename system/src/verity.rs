//! A store that the kernel verifies as it reads it (dm-verity): what the command line says of it.
//!
//! ```text
//! block 0          the file system, read only
//! block n          veritysetup's superblock, for people's tools
//! block n + 1      the hash tree: SHA-256, blocks of 4096 bytes
//! ```
//!
//! All lies in one partition. `cairn.verity=<root hash>:<salt>:<n>` is everything that stage 1 has to know: it
//! finds the partition by its GUID, which is the first half of the root hash, and reads nothing of the disk
//! that is not verified already. The command line itself is in the program that the firmware has verified.
//!
//! Source: the kernel's `admin-guide/device-mapper/verity.rst`; the GUID as in the Discoverable Partitions
//! Specification.

use std::fmt;
use std::str::FromStr;

use crate::live::MediumId;

/// Has stage 1 verify the store: `cairn.verity=<root hash>:<salt>:<blocks>`.
pub const VERITY_PARAMETER: &str = "cairn.verity";
/// What `fileSystems."/nix/store".device` says of such a store.
pub const VERITY_STORE: &str = "verity-store";
/// Bytes of a block of data, and of one of hashes.
pub const BLOCK: u64 = 4096;

/// Digits of a SHA-256 hash.
const DIGITS: usize = 64;
const SECTORS_OF_BLOCK: u64 = BLOCK / 512;
/// A size in bytes must be a number.
const MOST_BLOCKS: u64 = u64::MAX / BLOCK / 2;

/// What the verification of a store begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verity {
    root_hash: String,
    salt: String,
    blocks: u64,
}

/// A text that is no [`Verity`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is not <root hash>:<salt>:<blocks>, with hashes of 64 lower-case hexadecimal digits")]
pub struct VerityParseError;

impl Verity {
    /// A store of `blocks` blocks, whose tree has this root and salt.
    ///
    /// # Errors
    /// They are not hashes in lower-case hexadecimal digits, or there are no blocks.
    pub fn new(root_hash: &str, salt: &str, blocks: u64) -> Result<Self, VerityParseError> {
        let is_hash = |text: &str| {
            let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            text.len() == DIGITS && text.bytes().all(digit)
        };
        if !is_hash(root_hash) || !is_hash(salt) || !(1..=MOST_BLOCKS).contains(&blocks) {
            return Err(VerityParseError);
        }
        Ok(Self {
            root_hash: root_hash.to_owned(),
            salt: salt.to_owned(),
            blocks,
        })
    }

    /// The hash that everything follows from.
    #[must_use]
    pub fn root_hash(&self) -> &str {
        &self.root_hash
    }

    /// The GUID of its partition, as `PARTUUID=` has it.
    #[must_use]
    pub fn partition(&self) -> String {
        let mut bytes = [0; 16];
        for (byte, digits) in bytes.iter_mut().zip(self.root_hash.as_bytes().chunks(2)) {
            let value = digits.iter().fold(0, |value, digit| {
                let digit = char::from(*digit).to_digit(16).unwrap_or_default();
                value * 16 + digit
            });
            *byte = u8::try_from(value).unwrap_or_default();
        }
        MediumId::from_bytes(bytes).as_str().to_owned()
    }

    /// The size of the file system in sectors of 512 bytes.
    #[must_use]
    pub fn sectors(&self) -> u64 {
        self.blocks * SECTORS_OF_BLOCK
    }

    /// What the device mapper's target `verity` is told, for the partition of this number, `254:6`.
    #[must_use]
    pub fn parameters(&self, partition: &str) -> String {
        let Self {
            root_hash,
            salt,
            blocks,
        } = self;
        let tree = blocks + 1;
        format!(
            "1 {partition} {partition} {BLOCK} {BLOCK} {blocks} {tree} sha256 {root_hash} {salt}"
        )
    }
}

impl fmt::Display for Verity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.root_hash, self.salt, self.blocks)
    }
}

impl FromStr for Verity {
    type Err = VerityParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split(':');
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(root_hash), Some(salt), Some(blocks), None) => {
                // A sign, or a zero in front, would be the same number by another name.
                let number: u64 = blocks.parse().map_err(|_| VerityParseError)?;
                if number.to_string() != blocks {
                    return Err(VerityParseError);
                }
                Self::new(root_hash, salt, number)
            }
            _ => Err(VerityParseError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use proptest::prelude::*;

    const ROOT: &str = "0123456789abcdef0123456789abcdefffffffffffffffffffffffffffffffff";

    #[test]
    fn what_the_kernel_is_told() {
        let verity = Verity::new(ROOT, &"5".repeat(64), 1000).unwrap();
        expect!["1 254:6 254:6 4096 4096 1000 1001 sha256 0123456789abcdef0123456789abcdefffffffffffffffffffffffffffffffff 5555555555555555555555555555555555555555555555555555555555555555"]
            .assert_eq(&verity.parameters("254:6"));
        expect!["01234567-89ab-cdef-0123-456789abcdef"].assert_eq(&verity.partition());
        assert_eq!(verity.sectors(), 8000);
    }

    #[test]
    fn what_is_none() {
        let salt = "5".repeat(64);
        let upper = ROOT.to_uppercase();
        for text in [
            String::new(),
            ROOT.to_owned(),
            format!("{ROOT}:{salt}"),
            format!("{ROOT}:{salt}:"),
            format!("{ROOT}:{salt}:0"),
            format!("{ROOT}:{salt}:+1"),
            format!("{ROOT}:{salt}:01"),
            format!("{ROOT}:{salt}:1:1"),
            format!("{ROOT}:{salt}:{}", u64::MAX),
            format!("{ROOT}:5:1"),
            format!("{upper}:{salt}:1"),
        ] {
            assert_eq!(text.parse::<Verity>(), Err(VerityParseError), "{text}");
        }
    }

    proptest! {
        #[test]
        fn it_comes_back(root in "[0-9a-f]{64}", salt in "[0-9a-f]{64}", blocks in 1..=MOST_BLOCKS) {
            let verity = Verity::new(&root, &salt, blocks).unwrap();
            prop_assert_eq!(verity.to_string().parse(), Ok(verity));
        }

        #[test]
        fn no_text_is_too_strange(text in any::<String>()) {
            if let Ok(verity) = text.parse::<Verity>() {
                prop_assert_eq!(verity.to_string(), text);
            }
        }
    }
}
