//! Writes the `packages.json` of a lock file to standard output: what `modules/packages` takes.

#![forbid(unsafe_code)]

use anyhow::{Context, Result};
use cairn::packages::{Telling, packages_json};
use cairn_debian::Lock;

fn main() -> Result<()> {
    let file = std::env::args_os().nth(1).context("which lock file?")?;
    let text = std::fs::read_to_string(&file)
        .with_context(|| format!("cannot read '{}'", file.display()))?;
    println!(
        "{}",
        packages_json(&Lock::parse(&text)?, None, Telling::Nothing)
    );
    Ok(())
}
