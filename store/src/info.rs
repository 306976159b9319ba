//! What the database knows of one object.

use std::collections::BTreeSet;

use cairn_store_path::{Sha256, StorePath};

/// A registered object. The references may contain the object itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathInfo {
    /// The object.
    pub path: StorePath,
    /// The SHA-256 of its Nix archive.
    pub nar_hash: Sha256,
    /// The length of its Nix archive in bytes.
    pub nar_size: u64,
    /// The objects whose hashes occur in it.
    pub references: BTreeSet<StorePath>,
    /// The derivation that made it.
    pub deriver: Option<StorePath>,
    /// When it was registered, in seconds since 1970; 1 in images.
    pub registration_time: i64,
    /// Whether it was built here rather than fetched.
    pub ultimate: bool,
    /// Signatures, `<key name>:<base-64>`.
    pub signatures: Vec<String>,
    /// Why the name proves the content: `text:sha256:…`, `fixed:r:sha256:…`.
    pub content_address: Option<String>,
}
