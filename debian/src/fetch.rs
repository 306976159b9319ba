//! Packages of a lock into the cache: several at a time, from whichever mirror has them.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;

use crate::cache::{Cache, CacheError};
use crate::download::{DownloadError, Wanted, download};
use crate::lock::LockedPackage;
use crate::progress::{Progress, Show};
use crate::proxy::Proxies;
use crate::source::Source;
use crate::transport::Transport;

/// How to fetch.
#[derive(Debug, Clone)]
pub struct FetchOptions {
    /// What is shown on standard error.
    pub show: Show,
    /// Downloads at the same time; at least 1.
    pub threads: usize,
    /// The way to the mirrors.
    pub proxies: Proxies,
}

impl FetchOptions {
    /// Progress, eight threads, the host's proxies. Runs `apt-config`.
    #[must_use]
    pub fn of_host() -> Self {
        Self {
            show: Show::Progress,
            threads: 8,
            proxies: Proxies::of_host(),
        }
    }
}

/// Fetches packages.
pub struct Fetcher {
    /// Address and suite of each source.
    bases: Vec<(String, String)>,
    cache: Cache,
    transport: Transport,
    show: Show,
    threads: usize,
}

impl Fetcher {
    /// A fetcher that asks the mirrors of `sources`, and keeps files in the folder `cache`. A file
    /// that is in the cache costs no request.
    ///
    /// # Errors
    /// The cache folder cannot be made.
    pub fn new(
        sources: &[Source],
        cache: &Path,
        options: FetchOptions,
    ) -> Result<Self, CacheError> {
        let base = |source: &Source| (source.uri.clone(), source.suite.clone());
        Ok(Self {
            bases: sources.iter().map(base).collect(),
            cache: Cache::open(cache)?,
            transport: Transport::new(options.proxies),
            show: options.show,
            threads: options.threads.max(1),
        })
    }

    /// The base addresses of the sources, in their order.
    pub(crate) fn addresses_of_sources(&self) -> impl Iterator<Item = &str> {
        self.bases.iter().map(|(uri, _)| uri.as_str())
    }

    pub(crate) fn transport(&self) -> &Transport {
        &self.transport
    }

    /// Fetches one package; gives its path in the cache.
    ///
    /// # Errors
    /// [`DownloadError`].
    pub fn fetch_one(&self, package: &LockedPackage) -> Result<PathBuf, DownloadError> {
        let mut paths = self.fetch(&[package])?;
        let missing = || DownloadError::Stopped {
            name: package.name.clone(),
        };
        paths.pop().ok_or_else(missing)
    }

    /// Fetches packages; gives their paths in the cache, in the order of `packages`. What has
    /// been fetched stays, also after an error; a partial file is gone on with next time.
    ///
    /// # Errors
    /// The first [`DownloadError`]; the other downloads are stopped then.
    pub fn fetch(&self, packages: &[&LockedPackage]) -> Result<Vec<PathBuf>, DownloadError> {
        let total = packages.iter().map(|package| package.size).sum();
        let progress = Progress::new(format!("{} packages", packages.len()), total, self.show);
        let (stop, next) = (AtomicBool::new(false), AtomicUsize::new(0));
        let (sender, receiver) = mpsc::channel();
        std::thread::scope(|scope| {
            for _ in 0..self.threads.min(packages.len()) {
                let (sender, progress, stop, next) = (sender.clone(), &progress, &stop, &next);
                scope.spawn(move || {
                    while let Some((at, package)) = Self::take(packages, next, stop) {
                        let wanted = self.wanted(package);
                        let result =
                            download(&wanted, &self.transport, &self.cache, progress, stop);
                        if result.is_err() {
                            stop.store(true, Ordering::Relaxed);
                        }
                        if sender.send((at, result)).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        drop(sender);
        progress.finish();
        let mut results: Vec<_> = receiver.into_iter().collect();
        results.sort_by_key(|(at, _)| *at);
        // What was stopped says nothing; the error that stopped it does.
        let is_cause = |error: &DownloadError| !matches!(error, DownloadError::Stopped { .. });
        let cause = results
            .iter()
            .position(|(_, result)| result.as_ref().is_err_and(is_cause));
        if let Some(at) = cause {
            results.swap(0, at);
        }
        results.into_iter().map(|(_, result)| result).collect()
    }

    fn take<'a>(
        packages: &[&'a LockedPackage],
        next: &AtomicUsize,
        stop: &AtomicBool,
    ) -> Option<(usize, &'a LockedPackage)> {
        if stop.load(Ordering::Relaxed) {
            return None;
        }
        let at = next.fetch_add(1, Ordering::Relaxed);
        packages.get(at).map(|package| (at, *package))
    }

    fn wanted<'a>(&self, package: &'a LockedPackage) -> Wanted<'a> {
        let mut bases: Vec<&(String, String)> = self.bases.iter().collect();
        bases.sort_by_key(|(_, suite)| distance(suite, &package.release));
        let mut urls: Vec<String> = Vec::new();
        for (uri, _) in bases {
            let url = file_url(uri, &package.filename);
            if !urls.contains(&url) {
                urls.push(url);
            }
        }
        Wanted {
            name: &package.name,
            urls,
            sha256: package.sha256,
            size: package.size,
        }
    }
}

/// The address of a file below a base address.
pub(crate) fn file_url(uri: &str, path: &str) -> String {
    format!("{uri}/{}", path.replace('%', "%25"))
}

/// How unlikely it is that `suite` is the one called `codename`: a source may be configured as
/// `stable-security`, the release then says `bookworm-security`.
fn distance(suite: &str, codename: &str) -> usize {
    let pocket = |name: &str| name.split_once('-').map(|(_, pocket)| pocket.to_owned());
    match () {
        () if suite == codename => 0,
        () if pocket(suite) == pocket(codename) => 1,
        () => 2,
    }
}
