//! Building what is missing: packages are fetched first, several at a time.

use anyhow::Result;
use bstr::ByteSlice as _;
use cairn_debian::Lock;
use cairn_store::{Limits, Store};
use cairn_store_path::StorePath;

use crate::builders::builders;
use crate::progress::BuildProgress;
use crate::supply::Supply;

/// The builder of packages' files.
const FETCH_DEB: &str = "builtin:fetch-deb";

/// Builders that fetch.
const FETCHING: [&str; 2] = [FETCH_DEB, "builtin:fetchurl"];

/// Builds what is missing of `derivations`, which are in the store; packages of the lock that are
/// needed for that are fetched first, several at a time.
///
/// # Errors
/// A package is not to be had, or a build fails. What was built stays.
pub fn realise(
    store: &Store,
    supply: &Supply,
    lock: &Lock,
    derivations: &[StorePath],
    limits: Limits,
) -> Result<()> {
    let missing = store.missing(derivations)?;
    if missing.is_empty() {
        return Ok(());
    }
    let debs: Vec<_> = missing
        .iter()
        .filter(|(_, derivation)| derivation.builder == FETCH_DEB)
        .filter_map(|(_, derivation)| lock.package(derivation.env("package")?.to_str().ok()?))
        .collect();
    if !debs.is_empty() {
        supply.fetch(&debs)?;
    }
    // A machine without sources of packages builds what needs none.
    let downloads = missing
        .iter()
        .any(|(_, derivation)| FETCHING.iter().any(|name| derivation.builder == *name));
    let fetcher = if downloads {
        supply.fetcher()?
    } else {
        supply.idle_fetcher()?
    };
    let mut builders = builders(fetcher, lock.clone());
    builders.limit_programs(limits);
    store.realise(derivations, &builders, &BuildProgress::new())?;
    Ok(())
}
