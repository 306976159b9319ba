//! `builtin:fetch-deb`: a Debian package as a fixed output; its path depends on its digest alone,
//! so the mirror that it came from leaves no trace.

use std::fs;
use std::sync::Arc;

use cairn_debian::{Fetcher, Lock};
use cairn_store::{Build, Job};

use super::BuildResult;

/// Takes packages from the cache of downloads, and those that are not there from a mirror.
pub(super) struct FetchDeb {
    pub(super) fetcher: Arc<Fetcher>,
    pub(super) lock: Lock,
}

impl Build for FetchDeb {
    fn build(&self, job: &Job<'_>) -> BuildResult {
        let name = job.env("package")?;
        let package = self.lock.package(name).ok_or_else(|| {
            format!("package '{name}' is not in the lock file; resolve again to renew it")
        })?;
        let cached = self.fetcher.fetch_one(package)?;
        fs::copy(&cached, job.output()).map_err(|error| {
            let (from, to) = (cached.display(), job.output().display());
            format!("cannot copy '{from}' to '{to}': {error}")
        })?;
        Ok(())
    }
}
