//! Debian archive to store paths: index, fetch, unpack, relocate.
//!
//! The archive side: sources name mirrors, signed releases vouch for indices,
//! [`Request`]s are resolved against them into a [`Lock`], the lock's packages are fetched into a
//! cache by content, and [`groups`] says what is built together. The [`import`] side turns
//! fetched packages into store paths.

#![forbid(unsafe_code)]

mod archive;
mod cache;
mod control;
mod date;
mod digest;
mod download;
mod fetch;
mod fetch_url;
mod group;
mod http_proxy;
pub mod import;
mod index;
mod keys;
mod lock;
mod progress;
mod proxy;
mod relation;
mod release;
mod request;
mod resolve;
mod signature;
mod source;
mod terminal;
mod transport;
mod version;

pub use archive::{Archive, Listed, UpdateError, UpdateOptions};
pub use cache::{Cache, CacheError};
pub use control::ParseControlError;
pub use date::parse_date;

pub use download::DownloadError;
pub use fetch::{FetchOptions, Fetcher};
pub use fetch_url::FetchUrlError;
pub use group::{Group, groups};
pub use index::ParseIndexError;
pub use keys::Keys;
pub use lock::{
    Lock, LockMismatch, LockedPackage, LockedRelease, MultiArch, ParseLockError, is_safe_filename,
};
pub use progress::Show;
pub use proxy::Proxies;
pub use relation::ParseRelationError;
pub use release::ReleaseError;
pub use request::{ParseWantedError, Request, Wanted, is_package_name};
pub use resolve::ResolveError;
pub use signature::SignatureError;
pub use source::{
    DEBIAN_KEYRING, Security, Source, SourceError, host_codename, host_sources, mirror_sources,
};
pub use terminal::Terminal;
pub use transport::{Body, Transport, TransportError};
pub use version::{ParseVersionError, Version, compare};
