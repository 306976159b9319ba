//! `builtin:debian-import`: the packages of one group, unpacked and relocated.

use std::path::PathBuf;

use cairn_debian::import::{Documentation, Import, Input, Limits, import};
use cairn_store::Job;

use super::BuildResult;

pub(super) fn build(job: &Job<'_>) -> BuildResult {
    let debs = job
        .env("debs")?
        .split_whitespace()
        .map(|path| Ok(job.real(path)?))
        .collect::<Result<Vec<PathBuf>, Box<dyn std::error::Error + Send + Sync>>>()?;
    let inputs = job
        .env("inputs")?
        .split_whitespace()
        .map(|path| {
            Ok(Input {
                logical: path.parse()?,
                real: job.real(path)?,
            })
        })
        .collect::<Result<Vec<_>, Box<dyn std::error::Error + Send + Sync>>>()?;
    let report = import(&Import {
        debs: &debs,
        output: job.output_path(),
        destination: job.output(),
        inputs: &inputs,
        limits: Limits::default(),
        documentation: Documentation::Drop,
    })?;
    log::debug!("{}: {report}", job.output_path());
    Ok(())
}
