//! How store paths get their digests.
//!
//! Every digest is `compress(sha256("<type>:sha256:<inner base-16>:/nix/store:<name>"))`. The type
//! is `text:<refs>` for text files and derivations, `source:<refs>` for trees that are named by
//! their archive hash, `output:<id>` for everything else.
//! Source: the Nix manual, "Complete Store Path Calculation".

use std::collections::BTreeSet;

use crate::content_hash::ContentHash;
use crate::hash::{Sha256, compress};
use crate::path::{ParseStorePathError, STORE_DIR, StorePath};

/// How the content of a fixed output is hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// The bytes of one regular file that is not executable.
    Flat,
    /// The Nix archive of a file or tree.
    Recursive,
}

impl Method {
    /// What stands before the algorithm's name: nothing, or `r:`.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Flat => "",
            Self::Recursive => "r:",
        }
    }
}

/// The algorithm of a fixed output's hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// 16 bytes; only to read old derivations.
    Md5,
    /// 20 bytes; only to read old derivations.
    Sha1,
    /// 32 bytes.
    Sha256,
    /// 64 bytes.
    Sha512,
}

impl Algorithm {
    /// The name that derivations use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// The length of a digest in bytes.
    #[must_use]
    pub const fn size(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::Md5, Self::Sha1, Self::Sha256, Self::Sha512]
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
    }
}

/// What a fixed output must contain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FixedOutput {
    method: Method,
    algorithm: Algorithm,
    digest: Vec<u8>,
}

impl FixedOutput {
    /// An output with the SHA-256 digest `hash` under `method`.
    #[must_use]
    pub fn sha256(method: Method, hash: Sha256) -> Self {
        Self {
            method,
            algorithm: Algorithm::Sha256,
            digest: hash.as_bytes().to_vec(),
        }
    }

    /// An output with a digest of any algorithm; `None` if `digest` has the wrong length for it.
    #[must_use]
    pub fn new(method: Method, algorithm: Algorithm, digest: Vec<u8>) -> Option<Self> {
        (digest.len() == algorithm.size()).then_some(Self {
            method,
            algorithm,
            digest,
        })
    }

    /// An output with this hash under `method`.
    #[must_use]
    pub fn of(method: Method, hash: ContentHash) -> Self {
        Self {
            method,
            algorithm: hash.algorithm(),
            digest: hash.into_digest(),
        }
    }

    /// How the content is hashed.
    #[must_use]
    pub const fn method(&self) -> Method {
        self.method
    }

    /// The hash's algorithm.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The expected digest.
    #[must_use]
    pub fn digest(&self) -> &[u8] {
        &self.digest
    }

    /// `r:sha256`: the third field of an output in a derivation.
    #[must_use]
    pub fn method_algorithm(&self) -> String {
        format!("{}{}", self.method.prefix(), self.algorithm.name())
    }

    /// The digest in base-16: the fourth field of an output in a derivation.
    #[must_use]
    pub fn base16(&self) -> String {
        crate::hash::base16(&self.digest)
    }

    /// `fixed:r:sha256:<Nix base-32>`: the database's content address of the output.
    #[must_use]
    pub fn content_address(&self) -> String {
        format!(
            "fixed:{}:{}",
            self.method_algorithm(),
            crate::nix32::encode(&self.digest)
        )
    }

    /// The store path of an output called `name` without references.
    ///
    /// # Errors
    /// `name` breaks the rules of store path names.
    pub fn store_path(&self, name: &str) -> Result<StorePath, ParseStorePathError> {
        if let (Method::Recursive, Algorithm::Sha256, Ok(digest)) =
            (self.method, self.algorithm, self.digest.clone().try_into())
        {
            let hash = Sha256::from_bytes(digest);
            return StorePath::source(name, hash, &BTreeSet::new(), false);
        }
        let inner = format!("fixed:out:{}:{}:", self.method_algorithm(), self.base16());
        make("output:out", Sha256::of(inner.as_bytes()), name)
    }
}

impl StorePath {
    /// The path of a text file (derivations too) with the content hash `hash`.
    ///
    /// # Errors
    /// `name` breaks the rules of store path names.
    pub fn text(
        name: &str,
        hash: Sha256,
        references: &BTreeSet<StorePath>,
    ) -> Result<Self, ParseStorePathError> {
        make(&with_references("text", references, false), hash, name)
    }

    /// The path of a tree with the archive hash `nar_hash`.
    ///
    /// # Errors
    /// `name` breaks the rules of store path names.
    pub fn source(
        name: &str,
        nar_hash: Sha256,
        references: &BTreeSet<StorePath>,
        refers_to_itself: bool,
    ) -> Result<Self, ParseStorePathError> {
        let kind = with_references("source", references, refers_to_itself);
        make(&kind, nar_hash, name)
    }

    /// The path of output `output` of the derivation `name`, whose masked hash is `hash`.
    ///
    /// # Errors
    /// The resulting name breaks the rules of store path names.
    pub fn output(name: &str, output: &str, hash: Sha256) -> Result<Self, ParseStorePathError> {
        make(
            &format!("output:{output}"),
            hash,
            &output_name(name, output),
        )
    }
}

/// The name of an output's store path: the derivation's, and `-<output>` unless it is `out`.
#[must_use]
pub fn output_name(name: &str, output: &str) -> String {
    match output {
        "out" => name.to_owned(),
        other => format!("{name}-{other}"),
    }
}

/// What stands in a derivation for its own output `output`, until the path is known to the
/// builder: `/<base-32 SHA-256 of "nix-output:<output>">`.
#[must_use]
pub fn placeholder(output: &str) -> String {
    let hash = Sha256::of(format!("nix-output:{output}").as_bytes());
    format!("/{}", hash.to_nix32())
}

fn with_references(kind: &str, references: &BTreeSet<StorePath>, itself: bool) -> String {
    let mut text = kind.to_owned();
    for reference in references {
        text.push(':');
        text.push_str(&reference.to_string());
    }
    if itself {
        text.push_str(":self");
    }
    text
}

fn make(kind: &str, hash: Sha256, name: &str) -> Result<StorePath, ParseStorePathError> {
    let fingerprint = format!("{kind}:{hash}:{STORE_DIR}:{name}");
    let digest = Sha256::of(fingerprint.as_bytes());
    StorePath::new(compress(digest.as_bytes()), name)
}
