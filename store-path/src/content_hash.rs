//! Digests of any algorithm, in any of the ways in which expressions write them.
//!
//! `<digits>`, `<algorithm>:<digits>` with digits of base-16, Nix's base-32 or base-64, told apart
//! by their number; or SRI, `<algorithm>-<base-64>`. Source: the Nix manual, "Hash"; W3C,
//! "Subresource Integrity".

use std::io;

use sha2::Digest as _;

use crate::base64::{from_base64, to_base64};
use crate::hash::base16_decode_vec;
use crate::make::Algorithm;
use crate::nix32;

/// A digest and the algorithm that it is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentHash {
    algorithm: Algorithm,
    digest: Vec<u8>,
}

/// Why a text is no digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseContentHashError {
    /// There is no such algorithm.
    #[error("'{0}' is no hash algorithm; known are md5, sha1, sha256 and sha512")]
    Algorithm(String),
    /// The text names another algorithm than expected.
    #[error("hash '{text}' should be of the algorithm {}", expected.name())]
    Other {
        /// The whole text.
        text: String,
        /// The algorithm that was asked for.
        expected: Algorithm,
    },
    /// Neither the text nor its reader knows the algorithm.
    #[error("hash '{0}' does not say its algorithm; write it as <algorithm>-<base-64 digits>")]
    NoAlgorithm(String),
    /// The number of digits is not right, or one of them is none.
    #[error(
        "hash '{text}' is not one of {}: {} digits in base-16, {} in base-32 or {} in base-64 \
         are expected",
        algorithm.name(), algorithm.size() * 2, base32_length(*algorithm), base64_length(*algorithm)
    )]
    Digits {
        /// The whole text.
        text: String,
        /// The algorithm.
        algorithm: Algorithm,
    },
}

impl ContentHash {
    /// A digest that was computed elsewhere; `None` if it has the wrong length.
    #[must_use]
    pub fn new(algorithm: Algorithm, digest: Vec<u8>) -> Option<Self> {
        (digest.len() == algorithm.size()).then_some(Self { algorithm, digest })
    }

    /// The digest that stands for "not known yet": zeros.
    #[must_use]
    pub fn unknown(algorithm: Algorithm) -> Self {
        Self {
            algorithm,
            digest: vec![0; algorithm.size()],
        }
    }

    /// Reads any of the forms. With `algorithm`, the text need not name it, and must name no other.
    ///
    /// # Errors
    /// The text is in none of the forms, or of another algorithm.
    pub fn parse(text: &str, algorithm: Option<Algorithm>) -> Result<Self, ParseContentHashError> {
        let (named, digits, sri) = match (text.split_once(':'), text.split_once('-')) {
            (Some((name, digits)), _) => (Some(name), digits, false),
            (None, Some((name, digits))) => (Some(name), digits, true),
            (None, None) => (None, text, false),
        };
        let named = named.map(Algorithm::parse).transpose()?;
        let algorithm = match (named, algorithm) {
            (Some(named), Some(expected)) if named != expected => {
                return Err(ParseContentHashError::Other {
                    text: text.to_owned(),
                    expected,
                });
            }
            (Some(algorithm), _) | (None, Some(algorithm)) => algorithm,
            (None, None) => return Err(ParseContentHashError::NoAlgorithm(text.to_owned())),
        };
        let digest = match digits.len() {
            length if !sri && length == algorithm.size() * 2 => base16_decode_vec(digits),
            length if !sri && length == base32_length(algorithm) => {
                nix32::decode_vec(digits, algorithm.size())
            }
            length if length == base64_length(algorithm) => from_base64(digits),
            _ => None,
        };
        digest
            .and_then(|digest| Self::new(algorithm, digest))
            .ok_or_else(|| ParseContentHashError::Digits {
                text: text.to_owned(),
                algorithm,
            })
    }

    /// The algorithm.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The digest.
    #[must_use]
    pub fn digest(&self) -> &[u8] {
        &self.digest
    }

    /// The digest by itself.
    #[must_use]
    pub fn into_digest(self) -> Vec<u8> {
        self.digest
    }

    /// Lower-case base-16 digits, without the algorithm.
    #[must_use]
    pub fn to_base16(&self) -> String {
        crate::hash::base16(&self.digest)
    }

    /// Digits of Nix's base-32, without the algorithm.
    #[must_use]
    pub fn to_nix32(&self) -> String {
        nix32::encode(&self.digest)
    }

    /// Base-64 digits, without the algorithm.
    #[must_use]
    pub fn to_base64(&self) -> String {
        to_base64(&self.digest)
    }

    /// `<algorithm>-<base-64>`.
    #[must_use]
    pub fn to_sri(&self) -> String {
        format!("{}-{}", self.algorithm.name(), self.to_base64())
    }
}

/// Hashes what is written to it; never fails.
pub struct ContentHasher(State);

enum State {
    Sha256(sha2::Sha256),
    Sha512(sha2::Sha512),
}

impl ContentHasher {
    /// A hasher that has seen nothing; `None` for algorithms that are too weak to be relied on.
    #[must_use]
    pub fn new(algorithm: Algorithm) -> Option<Self> {
        match algorithm {
            Algorithm::Sha256 => Some(Self(State::Sha256(sha2::Sha256::default()))),
            Algorithm::Sha512 => Some(Self(State::Sha512(sha2::Sha512::default()))),
            Algorithm::Md5 | Algorithm::Sha1 => None,
        }
    }

    /// The digest of everything written.
    #[must_use]
    pub fn finish(self) -> ContentHash {
        let (algorithm, digest) = match self.0 {
            State::Sha256(state) => (Algorithm::Sha256, state.finalize().to_vec()),
            State::Sha512(state) => (Algorithm::Sha512, state.finalize().to_vec()),
        };
        ContentHash { algorithm, digest }
    }
}

impl io::Write for ContentHasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            State::Sha256(state) => state.update(bytes),
            State::Sha512(state) => state.update(bytes),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Algorithm {
    /// The algorithm of this name.
    ///
    /// # Errors
    /// There is none.
    pub fn parse(name: &str) -> Result<Self, ParseContentHashError> {
        Self::from_name(name).ok_or_else(|| ParseContentHashError::Algorithm(name.to_owned()))
    }
}

const fn base32_length(algorithm: Algorithm) -> usize {
    (algorithm.size() * 8).div_ceil(5)
}

const fn base64_length(algorithm: Algorithm) -> usize {
    algorithm.size().div_ceil(3) * 4
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALGORITHMS: [Algorithm; 4] = [
        Algorithm::Md5,
        Algorithm::Sha1,
        Algorithm::Sha256,
        Algorithm::Sha512,
    ];

    #[test]
    fn every_form_of_every_algorithm_reads_back() {
        for algorithm in ALGORITHMS {
            let digest = (0_u8..).take(algorithm.size()).collect();
            let hash = ContentHash::new(algorithm, digest).unwrap();
            let bare = [hash.to_base16(), hash.to_nix32(), hash.to_base64()];
            for text in &bare {
                let prefixed = format!("{}:{text}", algorithm.name());
                assert_eq!(
                    ContentHash::parse(text, Some(algorithm)).as_ref(),
                    Ok(&hash)
                );
                assert_eq!(ContentHash::parse(&prefixed, None).as_ref(), Ok(&hash));
                assert!(ContentHash::parse(text, None).is_err());
            }
            assert_eq!(ContentHash::parse(&hash.to_sri(), None), Ok(hash));
        }
    }

    #[test]
    fn errors_say_what_is_expected() {
        let error =
            |text: &str, algorithm| ContentHash::parse(text, algorithm).unwrap_err().to_string();
        assert_eq!(
            error("sha256:00", None),
            "hash 'sha256:00' is not one of sha256: 64 digits in base-16, 52 in base-32 or 44 in \
             base-64 are expected"
        );
        assert_eq!(
            error("sha3-00", None),
            "'sha3' is no hash algorithm; known are md5, sha1, sha256 and sha512"
        );
        assert_eq!(
            error("md5:00", Some(Algorithm::Sha1)),
            "hash 'md5:00' should be of the algorithm sha1"
        );
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in "((md5|sha1|sha256|sha512)[:-])?\\PC{0,130}") {
            if let Ok(hash) = ContentHash::parse(&text, None) {
                prop_assert_eq!(hash.digest().len(), hash.algorithm().size());
            }
        }
    }
}
