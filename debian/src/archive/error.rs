//! Why the package indices could not be brought up to date.

use std::io;

use crate::cache::CacheError;
use crate::download::DownloadError;
use crate::index::ParseIndexError;
use crate::release::ReleaseError;
use crate::signature::SignatureError;
use crate::transport::TransportError;

/// Why the archive's state is not known.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError {
    /// The cache folder failed.
    #[error("cannot update the package index: {0}")]
    Cache(#[from] CacheError),
    /// A release file could not be fetched.
    #[error(
        "cannot fetch the release file {url}: {source}; check the source, or use another mirror"
    )]
    Fetch {
        /// Its address.
        url: String,
        /// What happened.
        source: TransportError,
    },
    /// A release file could not be read to its end.
    #[error("cannot fetch the release file {url}: {cause}")]
    Read {
        /// Its address.
        url: String,
        /// What happened.
        #[source]
        cause: io::Error,
    },
    /// There is no release file from an earlier update.
    #[error("cannot work offline: the release file {url} was never fetched; update once online")]
    Offline {
        /// Its address.
        url: String,
    },
    /// The signature does not hold.
    #[error("cannot trust the release file {url}: {source}")]
    Signature {
        /// Its address.
        url: String,
        /// What is wrong with it.
        source: SignatureError,
    },
    /// The release is not acceptable.
    #[error("cannot use the release file {url}: {source}")]
    Release {
        /// Its address.
        url: String,
        /// What is wrong with it.
        source: ReleaseError,
    },
    /// A package index could not be fetched.
    #[error(transparent)]
    Download(#[from] DownloadError),
    /// A package index could not be read.
    #[error("cannot read the package index {path} of {url}: {source}")]
    Index {
        /// The release file's address.
        url: String,
        /// The index file.
        path: String,
        /// What is wrong with it.
        source: ParseIndexError,
    },
    /// No source was left.
    #[error("cannot find packages: no source for {architecture} has a release of origin {origin}")]
    Nothing {
        /// The architecture.
        architecture: String,
        /// The origin.
        origin: String,
    },
    /// A thread ended in an unexpected way.
    #[error("cannot update the package index: a thread of this program failed")]
    Thread,
}
