//! Whether an image is the same wherever it is built.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::artefacts;
use crate::images::{self, Built};

/// Builds the image `built` of the kind `format`, of the configuration `name`, again, with nothing in common
/// but its inputs: another folder, temporary folder, time zone, locale and mask, one processor, and nothing
/// remembered. Its `files`, or itself where one has no name, must be the same.
///
/// # Errors
/// They are not; or it cannot be built.
pub fn check(format: &str, name: &str, built: &Built, files: &[&str]) -> anyhow::Result<()> {
    let folder = artefacts::folder(&format!("{name}-{format}-elsewhere"))?;
    let again = build_elsewhere(format, name, &folder)?;
    let compared = files.iter().try_for_each(|name| {
        let place = |image: &Path| match *name {
            "" => image.to_owned(),
            name => image.join(name),
        };
        let (one, other) = (place(&built.image), place(&again.image));
        ensure!(
            hash(&one)? == hash(&other)?,
            "{} and {} differ",
            one.display(),
            other.display()
        );
        Ok(())
    });
    fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    compared
}

fn build_elsewhere(format: &str, name: &str, folder: &Path) -> anyhow::Result<Built> {
    let mut options = images::options()?;
    options.place.cache = folder.join("cache");
    let file = images::with_agent(name)?;
    let command = images::command(&["image", format, "--json"], name, &file, &options);
    let mut elsewhere = Command::new("taskset");
    elsewhere
        .args([
            "--cpu-list",
            "0",
            "sh",
            "-c",
            "umask 077; exec \"$@\"",
            "sh",
        ])
        .arg(command.get_program())
        .args(command.get_args())
        .current_dir("/")
        .env("TMPDIR", folder)
        .env("TZ", "Asia/Tokyo")
        .env("LC_ALL", "C");
    let output = elsewhere.output().context("cannot run taskset")?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{complaint}");
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn hash(file: &Path) -> anyhow::Result<blake3::Hash> {
    let mut hasher = blake3::Hasher::new();
    let opened = File::open(file).with_context(|| format!("cannot open {}", file.display()))?;
    hasher.update_reader(opened)?;
    Ok(hasher.finalize())
}
