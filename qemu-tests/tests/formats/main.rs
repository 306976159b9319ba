//! A machine in images of other kinds than a raw disk: each starts where it is meant to. What takes long
//! is ignored, and run by `cargo xtask torture media`.

mod cloud;
mod container;
mod disks;
mod network;
mod secure;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};
use cairn_qemu_tests::images::{self, Built};
use cairn_qemu_tests::{Blueprint, Boot, Bus, Disk, Machine, Writes, artefacts};

/// The image of one kind; the cache has it from the second time on.
fn image(format: &str) -> anyhow::Result<Built> {
    let file = images::with_agent("formats")?;
    images::build_image(format, "formats", &file, &images::options()?)
}

/// A machine with `image` as its first disk.
fn machine(name: &str, boot: Boot, bus: Bus, image: &Path) -> Blueprint {
    Blueprint::new(name, boot)
        .any_disk(Disk {
            image: image.to_owned(),
            writes: Writes::Discarded,
            bus,
        })
        .memory_mib(768)
        .deadline(Duration::from_mins(12))
}

/// The agent answers from the image's system.
fn runs(machine: &Machine, built: &Built) -> anyhow::Result<()> {
    machine.check("system", |machine| {
        let agent = machine.agent();
        agent.ready()?;
        let system = agent.succeed("readlink -f /run/current-system")?;
        ensure!(system.trim() == built.toplevel, "{system} runs");
        Ok(())
    })
}

/// Builds the image of one kind again, with nothing in common but its inputs: another cache, folder, time
/// zone, locale, mask, and one processor.
fn image_elsewhere(format: &str) -> anyhow::Result<(Built, std::path::PathBuf)> {
    let folder = artefacts::folder(&format!("formats-{format}-elsewhere"))?;
    let mut options = images::options()?;
    options.place.cache = folder.join("cache");
    let file = images::with_agent("formats")?;
    let command = images::command(&["image", format, "--json"], "formats", &file, &options);
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
        .env("TMPDIR", &folder)
        .env("TZ", "Asia/Tokyo")
        .env("LC_ALL", "C");
    let output = elsewhere.output().context("cannot run taskset")?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{complaint}");
    Ok((serde_json::from_slice(&output.stdout)?, folder))
}

fn hash(file: &Path) -> anyhow::Result<blake3::Hash> {
    let mut hasher = blake3::Hasher::new();
    let opened = fs::File::open(file).with_context(|| format!("cannot open {}", file.display()))?;
    hasher.update_reader(opened)?;
    Ok(hasher.finalize())
}

/// The image is the same, wherever it is built.
fn is_reproducible(format: &str, files: &[&str]) -> anyhow::Result<()> {
    let built = image(format)?;
    let (again, folder) = image_elsewhere(format)?;
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
