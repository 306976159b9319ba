//! Whether rules are what they should be, before a machine has them.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use cairn_devices::rules::Rules;
use cairn_devices::ruleset;

/// What is wrong with these files, and those in these folders, a line each.
///
/// # Errors
/// One cannot be read.
pub fn verify(paths: &[PathBuf]) -> Result<Vec<String>> {
    let (folders, files): (Vec<_>, Vec<_>) = paths.iter().cloned().partition(|path| path.is_dir());
    let texts = files.iter().map(|path| {
        let text = fs::read(path).with_context(|| path.display().to_string())?;
        Ok((
            path.display().to_string(),
            String::from_utf8_lossy(&text).into_owned(),
        ))
    });
    let texts: Vec<_> = texts.collect::<Result<_>>()?;
    let (_, problems) = ruleset::read(&folders)?;
    let (_, of_files) = Rules::parse(&texts);
    Ok(problems
        .iter()
        .chain(&of_files)
        .map(ToString::to_string)
        .collect())
}
