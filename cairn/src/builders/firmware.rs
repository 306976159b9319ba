//! `builtin:firmware`: the firmware of several packages as one `lib/firmware`.

use cairn_store::Job;

use super::link_tree::{Source, merge_entries};
use super::{BuildResult, make_directory};

pub(super) fn build(job: &Job<'_>) -> BuildResult {
    let packages = Source::listed(job, "paths")?;
    let folders: Vec<_> = packages
        .iter()
        .filter_map(|package| package.directory("lib/firmware"))
        .collect();
    let target = job.output().join("lib/firmware");
    make_directory(&target)?;
    merge_entries(&folders, &target)?;
    Ok(())
}
