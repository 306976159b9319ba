//! One file from a mirror into the cache: resumed, verified, and tried again where that may help.

use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cairn_store_path::Sha256;

use crate::cache::{Cache, CacheError, Part};
use crate::digest::of_reader;
use crate::progress::Progress;
use crate::transport::{Transport, TransportError};

/// Attempts without a single new byte before a download is given up.
const ATTEMPTS: u32 = 5;

/// The pause after the first failed attempt; it doubles each time.
const PAUSE: Duration = Duration::from_millis(400);

/// What to fetch.
pub(crate) struct Wanted<'a> {
    /// What to call it in messages.
    pub name: &'a str,
    /// Where it may be, best first.
    pub urls: Vec<String>,
    /// Its digest.
    pub sha256: Sha256,
    /// Its size in bytes.
    pub size: u64,
}

/// Why a file could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// The cache folder failed.
    #[error("cannot fetch {name}: {source}")]
    Cache {
        /// What was fetched.
        name: String,
        /// What happened.
        source: CacheError,
    },
    /// A mirror failed.
    #[error("cannot fetch {name} from {url}: {source}")]
    Mirror {
        /// What was fetched.
        name: String,
        /// From where.
        url: String,
        /// What happened.
        source: TransportError,
    },
    /// The connection broke, again and again.
    #[error("cannot fetch {name} from {url}: {cause} after {received} of {size} bytes")]
    Broken {
        /// What was fetched.
        name: String,
        /// From where.
        url: String,
        /// What happened.
        #[source]
        cause: io::Error,
        /// The bytes that came; they are kept.
        received: u64,
        /// The bytes expected.
        size: u64,
    },
    /// No mirror has it.
    #[error(
        "cannot fetch {name}: no mirror has it (404 at {url}); the package lock or index is older \
         than the mirror: resolve again to renew it"
    )]
    NotFound {
        /// What was fetched.
        name: String,
        /// Where it should have been.
        url: String,
    },
    /// What came is something else, twice.
    #[error(
        "cannot accept {name} from {url}: {cause}; the mirror or something on the way altered it; \
         it was removed"
    )]
    Wrong {
        /// What was fetched.
        name: String,
        /// From where.
        url: String,
        /// The difference.
        cause: String,
    },
    /// Another download failed, so this one was stopped.
    #[error("the download of {name} was stopped")]
    Stopped {
        /// What was fetched.
        name: String,
    },
}

/// How one attempt ended.
enum Failure {
    Cache(CacheError),
    Mirror(TransportError),
    Broken(io::Error),
    Wrong(String),
    Stopped,
}

impl From<CacheError> for Failure {
    fn from(error: CacheError) -> Self {
        Self::Cache(error)
    }
}

/// Fetches `wanted` into the cache, unless it is there; gives its path.
pub(crate) fn download(
    wanted: &Wanted<'_>,
    transport: &Transport,
    cache: &Cache,
    progress: &Progress,
    stop: &AtomicBool,
) -> Result<PathBuf, DownloadError> {
    let name = || wanted.name.to_owned();
    let cache_error = |source| DownloadError::Cache {
        name: name(),
        source,
    };
    if let Some(path) = cache
        .find(&wanted.sha256, wanted.size)
        .map_err(cache_error)?
    {
        progress.advance(wanted.size);
        return Ok(path);
    }
    let mut part = cache.part(&wanted.sha256).map_err(cache_error)?;
    // Another process may have fetched it while this one waited for the lock.
    if let Some(path) = cache
        .find(&wanted.sha256, wanted.size)
        .map_err(cache_error)?
    {
        std::fs::remove_file(&part.path)
            .map_err(|cause| cache_error(CacheError::new("remove", &part.path)(cause)))?;
        progress.advance(wanted.size);
        return Ok(path);
    }
    progress.advance(length(&part).map_err(cache_error)?.min(wanted.size));
    let mut urls = wanted.urls.iter().peekable();
    let (mut failures, mut wrong) = (0, false);
    while let Some(url) = urls.peek() {
        let before = length(&part).map_err(cache_error)?;
        let failure = match attempt(wanted, url, transport, &mut part, progress, stop) {
            Ok(()) => return cache.finish(&part, &wanted.sha256).map_err(cache_error),
            Err(failure) => failure,
        };
        let received = length(&part).map_err(cache_error)?;
        failures = if received > before { 0 } else { failures + 1 };
        let url = (*url).clone();
        let last = failures >= ATTEMPTS;
        match failure {
            Failure::Stopped => return Err(DownloadError::Stopped { name: name() }),
            Failure::Cache(source) => return Err(cache_error(source)),
            Failure::Mirror(TransportError::NotFound) => {
                urls.next();
                if urls.peek().is_none() {
                    return Err(DownloadError::NotFound { name: name(), url });
                }
                continue;
            }
            Failure::Wrong(cause) if wrong => {
                std::fs::remove_file(&part.path)
                    .map_err(|cause| cache_error(CacheError::new("remove", &part.path)(cause)))?;
                return Err(DownloadError::Wrong {
                    name: name(),
                    url,
                    cause,
                });
            }
            Failure::Wrong(cause) => {
                log::warn!(
                    "{} from {url}: {cause}; fetching it from the start",
                    wanted.name
                );
                wrong = true;
                continue;
            }
            Failure::Mirror(source) if last || !source.is_passing() => {
                return Err(DownloadError::Mirror {
                    name: name(),
                    url,
                    source,
                });
            }
            Failure::Broken(cause) if last => {
                let (name, size) = (name(), wanted.size);
                return Err(DownloadError::Broken {
                    name,
                    url,
                    cause,
                    received,
                    size,
                });
            }
            Failure::Mirror(cause) => log::info!("{url}: {cause}; trying again"),
            Failure::Broken(cause) => log::info!("{url}: {cause}; going on at byte {received}"),
        }
        std::thread::sleep(PAUSE * 2_u32.pow(failures.saturating_sub(1)));
    }
    Err(DownloadError::NotFound {
        name: name(),
        url: "no address".to_owned(),
    })
}

fn length(part: &Part) -> Result<u64, CacheError> {
    part.file
        .metadata()
        .map(|data| data.len())
        .map_err(CacheError::new("read", &part.path))
}

/// Fetches what is missing, and verifies the whole. A wrong file is emptied.
fn attempt(
    wanted: &Wanted<'_>,
    url: &str,
    transport: &Transport,
    part: &mut Part,
    progress: &Progress,
    stop: &AtomicBool,
) -> Result<(), Failure> {
    let have = length(part)?;
    let verdict = match have.cmp(&wanted.size) {
        std::cmp::Ordering::Less => transfer(wanted, url, transport, part, have, progress, stop),
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Greater => Err(Failure::Wrong(too_long(wanted))),
    };
    let verdict = verdict.and_then(|()| verify(wanted, part));
    if matches!(
        verdict,
        Err(Failure::Wrong(_) | Failure::Mirror(TransportError::PastEnd))
    ) {
        progress.retreat(length(part)?.min(wanted.size));
        part.file
            .set_len(0)
            .map_err(CacheError::new("write", &part.path))?;
    }
    match verdict {
        Err(Failure::Mirror(TransportError::PastEnd)) => Err(Failure::Wrong(format!(
            "it has less than {} bytes",
            wanted.size
        ))),
        verdict => verdict,
    }
}

fn transfer(
    wanted: &Wanted<'_>,
    url: &str,
    transport: &Transport,
    part: &mut Part,
    have: u64,
    progress: &Progress,
    stop: &AtomicBool,
) -> Result<(), Failure> {
    let mut body = transport.get(url, have).map_err(Failure::Mirror)?;
    progress.retreat(have - body.offset);
    part.file
        .set_len(body.offset)
        .map_err(CacheError::new("write", &part.path))?;
    part.file
        .seek(SeekFrom::Start(body.offset))
        .map_err(CacheError::new("write", &part.path))?;
    let mut buffer = vec![0; 64 * 1024];
    let mut length = body.offset;
    loop {
        if stop.load(Ordering::Relaxed) {
            return Err(Failure::Stopped);
        }
        let count = match body.reader.read(&mut buffer) {
            Ok(0) if length < wanted.size => {
                let text = "the connection was closed early";
                return Err(Failure::Broken(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    text,
                )));
            }
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Failure::Broken(error)),
        };
        let left = usize::try_from(wanted.size - length).unwrap_or(usize::MAX);
        let chunk = buffer.get(..count.min(left)).unwrap_or_default();
        part.file
            .write_all(chunk)
            .map_err(CacheError::new("write", &part.path))?;
        length += chunk.len() as u64;
        progress.advance(chunk.len() as u64);
        if count > left {
            return Err(Failure::Wrong(too_long(wanted)));
        }
    }
}

fn too_long(wanted: &Wanted<'_>) -> String {
    format!("it has more than {} bytes", wanted.size)
}

fn verify(wanted: &Wanted<'_>, part: &mut Part) -> Result<(), Failure> {
    part.file
        .seek(SeekFrom::Start(0))
        .map_err(CacheError::new("read", &part.path))?;
    let (found, _) = of_reader(&part.file).map_err(CacheError::new("read", &part.path))?;
    if found == wanted.sha256 {
        return Ok(());
    }
    Err(Failure::Wrong(format!(
        "its SHA-256 is {}, not {}",
        found.to_base16(),
        wanted.sha256.to_base16()
    )))
}
