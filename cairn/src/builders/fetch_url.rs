//! `builtin:fetchurl`: a file of the network as a fixed output. It is what Nix calls so too: the
//! first of `urls` (or `url`) that has the file; with `executable`, the file is a program.
//!
//! Nothing is trusted: the store holds what came against the promised hash.

use std::sync::Arc;

use cairn_debian::Fetcher;
use cairn_store::{Build, Job};

use super::{BuildResult, make_executable};

/// Asks the network through the host's proxies.
pub(super) struct FetchUrl {
    pub(super) fetcher: Arc<Fetcher>,
}

impl Build for FetchUrl {
    fn build(&self, job: &Job<'_>) -> BuildResult {
        if job.env("unpack").is_ok_and(|unpack| unpack == "1") {
            return Err(
                "fetchurl does not unpack; use mkDerivation to unpack what it fetched".into(),
            );
        }
        let urls: Vec<String> = job
            .env("urls")
            .or_else(|_| job.env("url"))?
            .split_whitespace()
            .map(str::to_owned)
            .collect();
        self.fetcher.fetch_url(&urls, job.output())?;
        if job
            .env("executable")
            .is_ok_and(|executable| executable == "1")
        {
            make_executable(job.output())?;
        }
        Ok(())
    }
}
