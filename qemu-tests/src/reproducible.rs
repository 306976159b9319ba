//! Whether images are the same wherever they are built.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};
use cairn_image_builder::remove_tree;

use crate::artefacts;
use crate::difference::difference;
use crate::images::{self, BuildOptions, Built};

/// Where what the image is made of comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// From the store that the image itself was made of.
    SameStore,
    /// From Debian's packages, which are all that is taken over.
    Packages,
}

/// Runs a command for each of `$FORMATS`, as another user of another machine. The file system in memory
/// lists a folder in another order than the disk does.
const ELSEWHERE: &str = r#"
set -eu
mount -t tmpfs -o mode=0755 elsewhere "$1"
shift
hostname elsewhere
umask 077
exec unshare --user --map-user=4711 --map-group=4711 sh -c '
  set -eu
  test "$(id -u) $(hostname)" = "4711 elsewhere"
  for format in $FORMATS; do
    "$@" --output "$OUTPUT/$format" "$format"
  done' sh "$@"
"#;

/// Builds each of `images`, which are of the configuration `name`, again by their format's name, with
/// nothing in common but the inputs: another folder, temporary folder, time, time zone, locale, user, mask, host
/// name, number of processors and order of files, and nothing remembered.
///
/// # Errors
/// One is not the same, and where it first differs; or it cannot be built.
pub fn check(name: &str, source: Source, images: &[(&str, &Built)]) -> anyhow::Result<()> {
    let formats: Vec<&str> = images.iter().map(|(format, _)| *format).collect();
    let folder = artefacts::folder(&format!("{name}-elsewhere-{}", formats.join("-")))?;
    let again = build_elsewhere(name, source, &formats, &folder)?;
    let mut differ = Vec::new();
    for ((format, built), again) in images.iter().zip(&again) {
        let scratch = folder.join("difference");
        fs::create_dir(&scratch).with_context(|| format!("cannot make {}", scratch.display()))?;
        if let Some(place) = difference(format, &built.image, again, &scratch)? {
            differ.push(format!("{format}: {place}"));
        }
        remove(&scratch)?;
    }
    remove(&folder)?;
    ensure!(
        differ.is_empty(),
        "built elsewhere, these are not the same: {}",
        differ.join("; ")
    );
    Ok(())
}

/// The images, built elsewhere.
fn build_elsewhere(
    name: &str,
    source: Source,
    formats: &[&str],
    folder: &Path,
) -> anyhow::Result<Vec<PathBuf>> {
    let mut options = images::options()?;
    let (memory, output) = (folder.join("memory"), folder.join("output"));
    for folder in [&memory, &output] {
        fs::create_dir(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let cache = folder.join("cache");
    if source == Source::Packages {
        take_packages(&options, &cache)?;
        options.place.store = memory.join("store");
    }
    options.place.cache = cache;
    let file = images::with_agent(name)?;
    let command = images::command(&["image", "--json"], name, &file, &options);
    let mut elsewhere = Command::new("taskset");
    elsewhere
        .args(["--cpu-list", "0", "unshare", "--user", "--map-root-user"])
        .args(["--mount", "--uts", "sh", "-c", ELSEWHERE, "sh"])
        .arg(&memory)
        .arg(command.get_program())
        .args(command.get_args())
        .current_dir("/")
        .env("FORMATS", formats.join(" "))
        .env("OUTPUT", &output)
        .env("HOME", folder)
        .env("TMPDIR", &memory)
        .env("TZ", "Asia/Tokyo")
        .env("LC_ALL", "tr_TR.UTF-8");
    let ended = elsewhere.output().context("cannot run taskset")?;
    if !ended.status.success() {
        bail!(
            "cannot build {name} elsewhere: {}: {}",
            ended.status,
            String::from_utf8_lossy(&ended.stderr)
        );
    }
    Ok(formats.iter().map(|format| output.join(format)).collect())
}

/// Copies what was downloaded to another cache.
fn take_packages(options: &BuildOptions, cache: &Path) -> anyhow::Result<()> {
    fs::create_dir(cache).with_context(|| format!("cannot make {}", cache.display()))?;
    for name in ["debian", "sha256", "sources", "lists", "index"] {
        let from = options.place.cache.join(name);
        if from.exists() {
            let status = Command::new("cp")
                .args(["-R", "--reflink=auto", "--"])
                .args([&from, cache])
                .status()
                .context("cannot run cp")?;
            ensure!(status.success(), "cannot copy {}", from.display());
        }
    }
    Ok(())
}

fn remove(folder: &Path) -> anyhow::Result<()> {
    remove_tree(folder).with_context(|| format!("cannot remove {}", folder.display()))
}
