//! The name of one object in the store: `/nix/store/<32 digits>-<name>`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::nix32;

/// Where the store lies in every running Cairn system, and in every name that a build writes.
pub const STORE_DIR: &str = "/nix/store";

/// A store path: a 160-bit digest and a name of 1 to 211 characters out of `[0-9a-zA-Z+-._?=]`.
///
/// Ordered by its written form, as Nix sorts references.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StorePath {
    base_name: String,
}

/// Why a text is not a store path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseStorePathError {
    /// The text does not begin with `/nix/store/`.
    #[error("'{0}' is not in /nix/store")]
    NotInStore(String),
    /// The part before the first `-` is not 32 base-32 digits.
    #[error("'{0}' does not begin with a 32-digit store hash and '-'")]
    Hash(String),
    /// The name is empty, longer than 211 characters, or has a character that Nix refuses.
    #[error(
        "'{0}' has an invalid store path name; 1 to 211 of 0-9 a-z A-Z + - . _ ? = are allowed, not '.' or '..' first"
    )]
    Name(String),
}

impl StorePath {
    /// Makes a store path of a 20-byte digest and a name.
    ///
    /// # Errors
    /// The name breaks the rules of the type.
    pub fn new(digest: [u8; 20], name: &str) -> Result<Self, ParseStorePathError> {
        check_name(name)?;
        Ok(Self {
            base_name: format!("{}-{name}", nix32::encode(&digest)),
        })
    }

    /// Reads `<32 digits>-<name>`, without the store folder.
    ///
    /// # Errors
    /// The hash or the name breaks the rules of the type.
    pub fn from_base_name(base_name: &str) -> Result<Self, ParseStorePathError> {
        let (hash, name) = base_name
            .split_once('-')
            .filter(|(hash, _)| nix32::decode::<20>(hash).is_some())
            .ok_or_else(|| ParseStorePathError::Hash(base_name.to_owned()))?;
        debug_assert_eq!(hash.len(), 32, "20 bytes are 32 digits");
        check_name(name)?;
        Ok(Self {
            base_name: base_name.to_owned(),
        })
    }

    /// The store path that `path` lies in, and the rest below it (empty for the object itself):
    /// `/nix/store/<h>-bash/bin/sh` gives (`<h>-bash`, `bin/sh`).
    ///
    /// # Errors
    /// `path` does not lie in a well-named store object.
    pub fn containing(path: &str) -> Result<(Self, &str), ParseStorePathError> {
        let inner = path
            .strip_prefix(STORE_DIR)
            .and_then(|rest| rest.strip_prefix('/'))
            .ok_or_else(|| ParseStorePathError::NotInStore(path.to_owned()))?;
        let (base_name, rest) = inner.split_once('/').unwrap_or((inner, ""));
        Ok((Self::from_base_name(base_name)?, rest))
    }

    /// `<32 digits>-<name>`.
    #[must_use]
    pub fn base_name(&self) -> &str {
        &self.base_name
    }

    /// The 32 base-32 digits: what a reference scan looks for.
    #[must_use]
    pub fn hash_part(&self) -> &str {
        self.base_name.split_at(32).0
    }

    /// The name, behind the hash and `-`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.base_name.split_at(33).1
    }

    /// Whether it is that of a derivation's file, `<name>.drv`.
    #[must_use]
    pub fn is_derivation(&self) -> bool {
        self.name().as_bytes().ends_with(b".drv")
    }

    /// `/nix/store/<32 digits>-<name>` as a path.
    #[must_use]
    pub fn to_path_buf(&self) -> PathBuf {
        PathBuf::from(self.to_string())
    }
}

fn check_name(name: &str) -> Result<(), ParseStorePathError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"+-._?=".contains(&byte);
    let dots = name
        .split('-')
        .next()
        .is_some_and(|first| first == "." || first == "..");
    if name.is_empty() || name.len() > 211 || dots || !name.bytes().all(allowed) {
        return Err(ParseStorePathError::Name(name.to_owned()));
    }
    Ok(())
}

impl fmt::Display for StorePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{STORE_DIR}/{}", self.base_name)
    }
}

impl fmt::Debug for StorePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for StorePath {
    type Err = ParseStorePathError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match Self::containing(text)? {
            (path, "") => Ok(path),
            (_, _) => Err(ParseStorePathError::Name(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HASH: &str = "00000000000000000000000000000000";

    #[test]
    fn names_are_those_that_nix_allows() {
        let long = "x".repeat(211);
        for name in ["a", "-", "a.b", ".hidden", "..x", "+-._?=9Z", long.as_str()] {
            assert!(StorePath::new([0; 20], name).is_ok(), "{name}");
        }
        let longer = "x".repeat(212);
        for name in [
            "",
            ".",
            "..",
            ".-x",
            "..-x",
            "a/b",
            "a b",
            "ä",
            "a\0",
            longer.as_str(),
        ] {
            assert!(StorePath::new([0; 20], name).is_err(), "{name}");
        }
    }

    #[test]
    fn texts_that_are_not_store_paths_are_refused() {
        for text in [
            "",
            "/",
            "/nix/store",
            "/nix/store/",
            "/nix/storex/00000000000000000000000000000000-a",
            "/nix/store/00000000000000000000000000000000",
            "/nix/store/00000000000000000000000000000000-",
            "/nix/store/0000000000000000000000000000000-a",
            "/nix/store/e0000000000000000000000000000000-a",
            "/nix/store//00000000000000000000000000000000-a",
            "/nix/store/../store/00000000000000000000000000000000-a",
            "/nix/store/00000000000000000000000000000000-a/b",
        ] {
            assert!(text.parse::<StorePath>().is_err(), "{text}");
        }
    }

    #[test]
    fn paths_within_objects_are_split() {
        let text = format!("/nix/store/{HASH}-bash-5.2/bin/sh");
        let (path, rest) = StorePath::containing(&text).unwrap();
        assert_eq!(
            (path.name(), path.hash_part(), rest),
            ("bash-5.2", HASH, "bin/sh")
        );
    }

    proptest! {
        #[test]
        fn round_trip(digest: [u8; 20], name in "[0-9a-zA-Z+_?=][0-9a-zA-Z+._?=-]{0,60}") {
            let path = StorePath::new(digest, &name).unwrap();
            prop_assert_eq!(path.name(), name);
            prop_assert_eq!(path.to_string().parse::<StorePath>(), Ok(path));
        }

        #[test]
        fn parsing_never_panics(text in "(/nix/store/)?\\PC{0,50}") {
            if let Ok(path) = text.parse::<StorePath>() {
                prop_assert_eq!(path.to_string(), text);
            }
        }
    }
}
