//! `builtin:firmware`: the firmware of several packages as one `lib/firmware`.

use std::path::Path;

use cairn_store::Job;

use super::link_tree::{Source, merge_entries};
use super::{BuildResult, make_directory};

pub(super) fn build(job: &Job<'_>) -> BuildResult {
    let mut folders = Vec::new();
    for package in Source::listed(job, "paths")? {
        folders.extend(package.below(job, Path::new("lib/firmware"))?);
    }
    let target = job.output().join("lib/firmware");
    make_directory(&target)?;
    merge_entries(job, &folders, &target)?;
    Ok(())
}
