//! Debian archive to store paths: index, fetch, unpack, relocate.

#![forbid(unsafe_code)]

pub mod import;
