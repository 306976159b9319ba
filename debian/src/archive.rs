//! The archive as a whole: from sources, by signed releases, to package indices in memory.
//!
//! Invariant: every byte of an index is vouched for by a release file with a valid signature.

mod error;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime};

use cairn_store_path::Sha256;

use crate::cache::{Cache, CacheError};
use crate::download::{Wanted, download};
use crate::fetch::file_url;
use crate::index::{Index, Package};
use crate::lock::LockedRelease;
use crate::progress::Progress;
use crate::proxy::Proxies;
use crate::release::{Release, ReleaseFile};
use crate::signature::verified_text;
use crate::source::Source;
use crate::transport::Transport;

pub use error::UpdateError;

/// The largest release file that is read: 16 MiB; Debian's have 0.2.
const RELEASE_LIMIT: u64 = 16 << 20;

/// Changed letters up to which a long name counts as near to another.
const NEAR: usize = 2;

/// Names that are suggested at most.
const SUGGESTIONS: usize = 5;

/// How to update.
#[derive(Debug, Clone)]
pub struct UpdateOptions {
    /// Debian's name of the architecture.
    pub architecture: String,
    /// Whose releases take part, by their field `Origin`.
    pub origin: String,
    /// Whether releases past their `Valid-Until` are accepted.
    pub accept_expired: bool,
    /// Whether the network is used at all; without it, what was fetched last time serves.
    pub offline: bool,
    /// Digests of release files to take from the cache, whatever the mirrors have by now: those
    /// that a lock pins. A source that none of them is of is updated as ever.
    pub pins: Vec<Sha256>,
    /// The time to compare dates with.
    pub now: SystemTime,
    /// The way to the mirrors.
    pub proxies: Proxies,
}

impl UpdateOptions {
    /// Debian's packages for amd64, now, through the host's proxies. Runs `apt-config`.
    #[must_use]
    pub fn of_host() -> Self {
        Self {
            architecture: "amd64".to_owned(),
            origin: "Debian".to_owned(),
            accept_expired: false,
            offline: false,
            pins: Vec::new(),
            now: SystemTime::now(),
            proxies: Proxies::of_host(),
        }
    }
}

/// The packages of all sources.
#[derive(Debug)]
pub struct Archive {
    architecture: String,
    suites: Vec<Suite>,
}

#[derive(Debug)]
struct Suite {
    identity: LockedRelease,
    not_automatic: bool,
    index: Index,
}

impl Archive {
    /// Fetches and verifies the release file of each source, then the package indices that are
    /// not in the folder `cache` yet, and reads them. Sources of another origin are left out,
    /// with a warning.
    ///
    /// # Errors
    /// [`UpdateError`]. A source that is not [`Source::required`] is left out, with a warning.
    pub fn update(
        sources: &[Source],
        cache: &Path,
        options: &UpdateOptions,
    ) -> Result<Self, UpdateError> {
        let cache = Cache::open(cache)?;
        let transport = Transport::new(options.proxies.clone());
        let update = Update {
            cache: &cache,
            transport: &transport,
            options,
        };
        let architecture = options.architecture.clone();
        let sources: Vec<&Source> = sources.iter().filter(|s| s.serves(&architecture)).collect();
        let results: Vec<_> = std::thread::scope(|scope| {
            let update = &update;
            let spawn = |source| scope.spawn(move || update.source(source));
            let threads: Vec<_> = sources.iter().copied().map(spawn).collect();
            threads
                .into_iter()
                .map(std::thread::ScopedJoinHandle::join)
                .collect()
        });
        let (mut suites, mut failure) = (Vec::new(), None);
        for (source, result) in sources.into_iter().zip(results) {
            match result.map_err(|_| UpdateError::Thread)? {
                Ok(found) => suites.extend(found),
                Err(error) if !source.required => {
                    log::warn!(
                        "package source {} {} is left out: {error}",
                        source.uri,
                        source.suite
                    );
                    failure.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        if suites.is_empty() {
            let nothing = UpdateError::Nothing {
                architecture,
                origin: options.origin.clone(),
            };
            return Err(failure.unwrap_or(nothing));
        }
        Ok(Self {
            architecture,
            suites,
        })
    }

    /// The number of packages, all versions counted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.suites.iter().map(|suite| suite.index.len()).sum()
    }

    /// Whether there are no packages.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The architecture that the archive was read for.
    #[must_use]
    pub fn architecture(&self) -> &str {
        &self.architecture
    }

    /// The packages, each once, sorted by name: what is there to be asked for.
    #[must_use]
    pub fn listing(&self) -> Vec<Listed<'_>> {
        let all = self.suites.iter().flat_map(|suite| {
            suite
                .index
                .packages()
                .map(move |package| Candidate { package, suite })
        });
        let mut best: BTreeMap<&str, Candidate<'_>> = BTreeMap::new();
        for candidate in all {
            let better = |other: &Candidate<'_>| {
                let automatic = other
                    .suite
                    .not_automatic
                    .cmp(&candidate.suite.not_automatic);
                let version = || {
                    crate::version::compare(candidate.package.version(), other.package.version())
                };
                automatic.then_with(version).is_gt()
            };
            let name = candidate.package.name();
            if best.get(name).is_none_or(better) {
                best.insert(name, candidate);
            }
        }
        best.into_values()
            .map(|candidate| candidate.package.listed())
            .collect()
    }

    /// The names that are most like `name`, the nearest first: what may have been meant.
    #[must_use]
    pub fn nearest(&self, name: &str) -> Vec<&str> {
        let limit = (name.len() / 4).clamp(1, NEAR);
        let mut near: Vec<(usize, &str)> = self
            .suites
            .iter()
            .flat_map(|suite| suite.index.packages())
            .map(|package| package.name())
            .filter(|other| other.len().abs_diff(name.len()) <= limit)
            .map(|other| (strsim::damerau_levenshtein(name, other), other))
            .filter(|(distance, _)| *distance <= limit)
            .collect();
        near.sort_unstable();
        near.dedup();
        let best = near.first().map_or(0, |(distance, _)| *distance);
        let names = near
            .into_iter()
            .filter(|(distance, _)| *distance <= best + 1);
        names.map(|(_, name)| name).take(SUGGESTIONS).collect()
    }

    /// The identities of the releases that take part, sorted.
    #[must_use]
    pub fn releases(&self) -> Vec<LockedRelease> {
        let mut releases: Vec<_> = self
            .suites
            .iter()
            .map(|suite| suite.identity.clone())
            .collect();
        releases.sort();
        releases.dedup();
        releases
    }

    /// All versions of a package, best first: those of automatic releases, then the highest.
    pub(crate) fn named(&self, name: &str) -> Vec<Candidate<'_>> {
        let packages = self.suites.iter().flat_map(|suite| {
            suite
                .index
                .named(name)
                .map(move |package| Candidate { package, suite })
        });
        sorted(packages.collect())
    }

    /// The packages that provide a name, with the provided version.
    pub(crate) fn providers(&self, name: &str) -> Vec<(Candidate<'_>, Option<&str>)> {
        let providers = self.suites.iter().flat_map(|suite| {
            let providers = suite.index.providers(name);
            providers.map(move |(package, version)| (Candidate { package, suite }, version))
        });
        providers.collect()
    }

    /// The names of the essential packages.
    pub(crate) fn essential(&self) -> Vec<&str> {
        let all = self.suites.iter().flat_map(|suite| suite.index.packages());
        let mut names: Vec<&str> = all
            .filter(Package::essential)
            .map(|package| package.name())
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    #[cfg(test)]
    pub(crate) fn of_texts(texts: &[&str]) -> Self {
        let suite = |(number, text): (usize, &&str)| Suite {
            identity: LockedRelease {
                codename: format!("suite{number}"),
                suite: format!("suite{number}"),
                date: "Sat, 11 Jul 2026 10:16:37 UTC".to_owned(),
                sha256: Sha256::of(text.as_bytes()),
            },
            not_automatic: false,
            index: Index::parse(text.as_bytes(), "amd64").unwrap(),
        };
        let suites = texts.iter().enumerate().map(suite).collect();
        Self {
            architecture: "amd64".to_owned(),
            suites,
        }
    }
}

/// A package as a list of packages shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed<'a> {
    /// Its name.
    pub name: &'a str,
    /// The version that would be chosen.
    pub version: &'a str,
    /// One line about it, if the index has one.
    pub description: Option<&'a str>,
}

/// A package together with the release that lists it.
#[derive(Clone, Copy)]
pub(crate) struct Candidate<'a> {
    pub(crate) package: Package<'a>,
    suite: &'a Suite,
}

impl<'a> Candidate<'a> {
    pub(crate) fn release(&self) -> &'a str {
        &self.suite.identity.codename
    }
}

fn sorted(mut candidates: Vec<Candidate<'_>>) -> Vec<Candidate<'_>> {
    // Stable: among equals the first source wins.
    candidates.sort_by(|left, right| {
        let automatic = left.suite.not_automatic.cmp(&right.suite.not_automatic);
        automatic
            .then_with(|| crate::version::compare(right.package.version(), left.package.version()))
    });
    candidates
}

impl Source {
    fn serves(&self, architecture: &str) -> bool {
        let serves = self.architectures.is_empty()
            || self.architectures.iter().any(|own| own == architecture);
        if !serves {
            log::info!(
                "package source {} {} is not for {architecture}",
                self.uri,
                self.suite
            );
        }
        serves
    }
}

struct Update<'a> {
    cache: &'a Cache,
    transport: &'a Transport,
    options: &'a UpdateOptions,
}

impl Update<'_> {
    /// The suites of a source, one per component; none if it is of another origin.
    fn source(&self, source: &Source) -> Result<Vec<Suite>, UpdateError> {
        let url = format!("{}/dists/{}/InRelease", source.uri, source.suite);
        let Some((release, sha256)) = self.release(source, &url)? else {
            return Ok(Vec::new());
        };
        let identity = LockedRelease {
            codename: release.codename.clone(),
            suite: release.suite.clone(),
            date: release.date.clone(),
            sha256,
        };
        let mut suites = Vec::new();
        for component in &source.components {
            let mut architectures = vec![self.options.architecture.as_str()];
            architectures.extend(release.index_for_all.then_some("all"));
            for architecture in architectures {
                let Some((path, file)) = release.package_index(component, architecture) else {
                    log::warn!("{url} has no packages of {component} for {architecture}");
                    continue;
                };
                let index = self.index(source, &url, &release, &path, file)?;
                let (identity, not_automatic) = (identity.clone(), release.not_automatic);
                suites.push(Suite {
                    identity,
                    not_automatic,
                    index,
                });
            }
        }
        Ok(suites)
    }

    /// The release of a source; `None` if it is of another origin.
    fn release(
        &self,
        source: &Source,
        url: &str,
    ) -> Result<Option<(Release, Sha256)>, UpdateError> {
        if let Some(pinned) = self.pinned(source, url)? {
            return Ok(Some(pinned));
        }
        let list = self.cache.list_path(&source.uri, &source.suite);
        let known = match std::fs::read(&list) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(cause) => return Err(CacheError::new("read", &list)(cause).into()),
        };
        let fresh = if self.options.offline {
            None
        } else {
            Some(self.fetch_release(url)?)
        };
        let message = match (&fresh, &known) {
            (Some(fresh), _) => fresh,
            (None, Some(known)) => known,
            (None, None) => {
                return Err(UpdateError::Offline {
                    url: url.to_owned(),
                });
            }
        };
        let mut message = message;
        let mut release = Self::verify(message, source, url)?;
        if release.origin != self.options.origin {
            let (own, wanted) = (&release.origin, &self.options.origin);
            log::warn!(
                "package source {} {} is left out: its origin is {own:?}, not {wanted:?}",
                source.uri,
                source.suite
            );
            return Ok(None);
        }
        if let (Some(fresh), Some(known)) = (&fresh, &known)
            && fresh != known
        {
            match Self::verify(known, source, url) {
                // An old signed release, replayed, would bring back old holes.
                Ok(newer) if newer.signed > release.signed => {
                    log::warn!("{url} is older than what was seen before; that one is kept");
                    (message, release) = (known, newer);
                }
                Ok(_) => {}
                Err(error) => log::info!("{} is replaced: {error}", list.display()),
            }
        }
        let accept_expired = self.options.accept_expired || !source.check_valid_until;
        let checked = release.check(&source.suite, self.options.now, accept_expired);
        checked.map_err(|source| UpdateError::Release {
            url: url.to_owned(),
            source,
        })?;
        if known.as_ref() != Some(message) {
            self.cache.write_list(&list, message)?;
        }
        Ok(Some((release, self.cache.keep(message)?)))
    }

    /// The release of a source among those that are pinned, if it was seen before.
    fn pinned(&self, source: &Source, url: &str) -> Result<Option<(Release, Sha256)>, UpdateError> {
        let list = self.cache.list_path(&source.uri, &source.suite);
        for pin in &self.options.pins {
            let kept = match self.cache.kept(pin)? {
                Some(kept) => Some(kept),
                None => std::fs::read(&list)
                    .ok()
                    .filter(|bytes| Sha256::of(bytes) == *pin),
            };
            let Some(message) = kept else { continue };
            // It may be another source's, which has other keys.
            let Ok(release) = Self::verify(&message, source, url) else {
                continue;
            };
            let is_of_source = release.origin == self.options.origin
                && release.check(&source.suite, self.options.now, true).is_ok();
            if is_of_source {
                return Ok(Some((release, *pin)));
            }
        }
        Ok(None)
    }

    fn verify(message: &[u8], source: &Source, url: &str) -> Result<Release, UpdateError> {
        let text =
            verified_text(message, &source.keys).map_err(|source| UpdateError::Signature {
                url: url.to_owned(),
                source,
            })?;
        Release::parse(&String::from_utf8_lossy(&text)).map_err(|source| UpdateError::Release {
            url: url.to_owned(),
            source,
        })
    }

    fn fetch_release(&self, url: &str) -> Result<Vec<u8>, UpdateError> {
        let mut pause = Duration::from_millis(400);
        for attempt in 1.. {
            let result = self.transport.get(url, 0);
            let error = match result {
                Ok(body) => {
                    let mut bytes = Vec::new();
                    match body.reader.take(RELEASE_LIMIT).read_to_end(&mut bytes) {
                        Ok(_) => return Ok(bytes),
                        Err(cause) => UpdateError::Read {
                            url: url.to_owned(),
                            cause,
                        },
                    }
                }
                Err(source) if source.is_passing() => UpdateError::Fetch {
                    url: url.to_owned(),
                    source,
                },
                Err(source) => {
                    return Err(UpdateError::Fetch {
                        url: url.to_owned(),
                        source,
                    });
                }
            };
            if attempt == 4 {
                return Err(error);
            }
            log::info!("{error}; trying again");
            std::thread::sleep(pause);
            pause *= 2;
        }
        Err(UpdateError::Thread)
    }

    fn index(
        &self,
        source: &Source,
        url: &str,
        release: &Release,
        path: &str,
        file: ReleaseFile,
    ) -> Result<Index, UpdateError> {
        let folder = format!("{}/dists/{}", source.uri, source.suite);
        let mut urls = vec![file_url(&folder, path)];
        if let Some((parent, _)) = path.rsplit_once('/').filter(|_| release.by_hash) {
            urls.insert(
                0,
                format!(
                    "{folder}/{parent}/by-hash/SHA256/{}",
                    file.sha256.to_base16()
                ),
            );
        }
        let name = format!("{} {path}", source.suite);
        let wanted = Wanted {
            name: &name,
            urls,
            sha256: file.sha256,
            size: file.size,
        };
        let stop = AtomicBool::new(false);
        let local = download(
            &wanted,
            self.transport,
            self.cache,
            &Progress::hidden(),
            &stop,
        )?;
        let compressed = File::open(&local).map_err(CacheError::new("open", &local))?;
        let reader: Box<dyn Read> = match path.rsplit_once('.') {
            Some((_, "gz")) => Box::new(flate2::read::MultiGzDecoder::new(compressed)),
            _ => Box::new(liblzma::read::XzDecoder::new_multi_decoder(compressed)),
        };
        let reader = BufReader::with_capacity(256 * 1024, reader);
        Index::parse(reader, &self.options.architecture).map_err(|source| UpdateError::Index {
            url: url.to_owned(),
            path: path.to_owned(),
            source,
        })
    }
}
