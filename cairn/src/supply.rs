//! Where packages come from: the mirrors, and the cache of what they gave.

use std::path::{Path, PathBuf};

use anyhow::Result;
use cairn_debian::{
    Archive, DEBIAN_KEYRING, FetchOptions, Fetcher, Lock, LockedPackage, Security, Source,
    UpdateError, UpdateOptions, host_codename, host_sources, mirror_sources,
};

use crate::place::Place;

/// The mirrors of one user, and the cache.
#[derive(Debug, Clone)]
pub struct Supply {
    cache: PathBuf,
    mirror: Option<String>,
}

impl Supply {
    /// The host's mirrors, or `mirror` in their place; what comes is kept in the place's cache.
    #[must_use]
    pub fn new(place: &Place, mirror: Option<String>) -> Self {
        Self {
            cache: place.cache.join("debian"),
            mirror,
        }
    }

    fn sources(&self) -> Result<Vec<Source>> {
        Ok(match &self.mirror {
            Some(mirror) => {
                let codename = host_codename(Path::new("/"))?;
                let keyring = Path::new(DEBIAN_KEYRING);
                mirror_sources(mirror, &Security::Beside, &codename, keyring)
            }
            None => host_sources(Path::new("/"))?,
        })
    }

    /// Fetches single packages and files.
    ///
    /// # Errors
    /// The host's sources cannot be read, or the cache cannot be made.
    pub fn fetcher(&self) -> Result<Fetcher> {
        Ok(Fetcher::new(
            &self.sources()?,
            &self.cache,
            FetchOptions::of_host(),
        )?)
    }

    /// A fetcher for builds that fetch nothing: it knows no mirrors.
    ///
    /// # Errors
    /// The cache cannot be made.
    pub fn idle_fetcher(&self) -> Result<Fetcher> {
        Ok(Fetcher::new(&[], &self.cache, FetchOptions::of_host())?)
    }

    /// Fetches what the cache does not have of `packages`, several at a time, with a progress bar.
    ///
    /// # Errors
    /// One of them is not to be had.
    pub fn fetch(&self, packages: &[&LockedPackage]) -> Result<()> {
        self.fetcher()?.fetch(packages)?;
        Ok(())
    }

    /// The archive as it is now.
    ///
    /// # Errors
    /// The network fails, or what it gives cannot be trusted.
    pub fn newest(&self) -> Result<Archive> {
        let options = UpdateOptions::of_host();
        Ok(Archive::update(&self.sources()?, &self.cache, &options)?)
    }

    /// The archive as it was when `lock` was made; `None` if that is not to be had any more.
    ///
    /// # Errors
    /// The network fails, or what it gives cannot be trusted.
    pub fn as_locked(&self, lock: &Lock) -> Result<Option<Archive>> {
        if lock.releases().is_empty() {
            return Ok(None);
        }
        let options = UpdateOptions {
            pins: lock
                .releases()
                .iter()
                .map(|release| release.sha256)
                .collect(),
            ..UpdateOptions::of_host()
        };
        match Archive::update(&self.sources()?, &self.cache, &options) {
            Ok(archive) if archive.releases() == lock.releases() => Ok(Some(archive)),
            // The release file is still there, but its package index is gone from the mirrors.
            Ok(_) | Err(UpdateError::Download(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
