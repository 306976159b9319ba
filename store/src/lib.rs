//! The content-addressed store: names, archive format, database, builds, roots.

#![forbid(unsafe_code)]
