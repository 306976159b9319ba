//! Store path names, hashes and derivations: the leaf types of the store.
//!
//! Everything here is pure: no I/O, no clock. The formats are those of Nix (store path names,
//! base-32, ATerm derivations), so that real `nix` reads what Cairn writes.
//!
//! Invariant: this crate uses no other crate of the workspace, so that init and the evaluator can
//! name store paths without linking the store.

#![forbid(unsafe_code)]

pub mod base64;
mod content_hash;
pub mod derivation;
pub mod hash;
mod make;
pub mod nix32;
mod path;

pub use content_hash::{ContentHash, ContentHasher, ParseContentHashError};
pub use derivation::Derivation;
pub use hash::{Sha256, Sha256Writer, compress};
pub use make::{Algorithm, FixedOutput, Method, output_name, placeholder};
pub use path::{ParseStorePathError, STORE_DIR, StorePath};
