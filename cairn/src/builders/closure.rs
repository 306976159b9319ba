//! `builtin:closure`: which objects of the store others need, as `pkgs.closureInfo` has it.

use cairn_store::Job;

use super::{BuildResult, make_directory, write_file};

/// All that the inputs need, they among them, becomes `store-paths`: a path on each line, in order.
pub(super) fn build(job: &Job<'_>) -> BuildResult {
    make_directory(job.output())?;
    let lines = job.closure()?.into_iter().map(|path| format!("{path}\n"));
    write_file(&job.output().join("store-paths"), lines.collect::<String>())?;
    Ok(())
}
