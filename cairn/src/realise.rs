//! Building what is missing: packages are fetched first, several at a time.

use anyhow::{Context as _, Result, ensure};
use bstr::ByteSlice as _;
use cairn_debian::Lock;
use cairn_store::{Limits, Need, Space, Store};
use cairn_store_path::StorePath;
use indicatif::HumanBytes;

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
        let sizes = debs.iter().map(|package| package.size);
        check_room(&packages_need(sizes), store.space()?)
            .with_context(|| format!("cannot build in {}", store.store_dir().display()))?;
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

/// The least that packages with files of these sizes take: the file is one object, and what comes out
/// of it is another, which is hardly ever smaller. How much larger it is, nobody knows before.
fn packages_need(sizes: impl Iterator<Item = u64>) -> Need {
    Need::of(sizes.flat_map(|size| [Some(size), Some(size), None]))
}

/// It is better to end before hours of work than in the middle of them.
fn check_room(need: &Need, space: Space) -> Result<()> {
    ensure!(
        need.bytes <= space.bytes,
        "the packages alone need at least {}, and {} are free; cairn gc removes what nobody needs",
        HumanBytes(need.bytes),
        HumanBytes(space.bytes)
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_fit_is_not_begun() {
        let need = packages_need([10 << 20, 30 << 20].into_iter());
        assert_eq!((need.bytes, need.unknown), (80 << 20, 2));
        let space = |mib: u64| Space {
            bytes: mib << 20,
            files: None,
        };
        check_room(&need, space(80)).unwrap();
        assert_eq!(
            check_room(&need, space(79)).unwrap_err().to_string(),
            "the packages alone need at least 80.00 MiB, and 79.00 MiB are free; cairn gc removes what \
             nobody needs"
        );
    }
}
