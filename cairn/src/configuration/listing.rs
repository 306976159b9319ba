//! The names of all packages of the archive, for evaluations: computed once for each state of it.
//!
//! ```text
//! <cache>/index/<key>.names.json         { name: version }
//! <cache>/index/<key>.descriptions.json  { name: one line }
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;
use cairn_debian::{Archive, LockedRelease};

use crate::lock_file::write_atomically;
use crate::packages::plain_version;

/// The two files.
#[derive(Debug, Clone)]
pub(super) struct Listing {
    pub(super) names: PathBuf,
    pub(super) descriptions: PathBuf,
}

impl Listing {
    fn of(cache: &Path, releases: &[LockedRelease]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("cairn 2026-11 listing of packages");
        for release in releases {
            hasher.update(release.sha256.as_bytes());
        }
        let key = hasher.finalize().to_hex();
        Self {
            names: cache.join(format!("{key}.names.json")),
            descriptions: cache.join(format!("{key}.descriptions.json")),
        }
    }

    /// The listing for `releases`, if it was made.
    pub(super) fn find(cache: &Path, releases: &[LockedRelease]) -> Option<Self> {
        let listing = Self::of(cache, releases);
        (listing.names.exists() && listing.descriptions.exists()).then_some(listing)
    }

    /// Writes what `archive` has as the listing for `releases`.
    pub(super) fn write(
        cache: &Path,
        releases: &[LockedRelease],
        archive: &Archive,
    ) -> Result<Self> {
        let listing = Self::of(cache, releases);
        let packages = archive.listing();
        let names: BTreeMap<&str, String> = packages
            .iter()
            .map(|package| (package.name, plain_version(package.version)))
            .collect();
        let descriptions: BTreeMap<&str, &str> = packages
            .iter()
            .filter_map(|package| Some((package.name, package.description?)))
            .collect();
        write_atomically(&listing.descriptions, &serde_json::to_vec(&descriptions)?)?;
        write_atomically(&listing.names, &serde_json::to_vec(&names)?)?;
        Ok(listing)
    }
}
