//! Debian archive to store paths: index, fetch, unpack, relocate.
//!
//! The archive side: sources name mirrors, signed releases vouch for indices,
//! [`Request`]s are resolved against them into a [`Lock`], the lock's packages are fetched into a
//! cache by content, and [`groups`] says what is built together. The [`import`] side turns
//! fetched packages into store paths.

#![forbid(unsafe_code)]

mod digest;
mod group;
pub mod import;
mod lock;
mod request;
mod version;

pub use digest::{ParseSha256Error, Sha256};
pub use group::{Group, groups};
pub use lock::{
    Lock, LockMismatch, LockedPackage, LockedRelease, MultiArch, ParseLockError, is_safe_filename,
};
pub use request::{ParseWantedError, Request, Wanted, is_package_name};
pub use version::{ParseVersionError, Version, compare};
