//! `builtin:text`: one file of the given text, which may name other objects.

use cairn_store::Job;

use super::{BuildResult, write_file};

pub(super) fn build(job: &Job<'_>) -> BuildResult {
    write_file(job.output(), job.env("text")?)?;
    Ok(())
}
