//! A machine in images of other kinds than a raw disk: each starts where it is meant to. What takes long
//! is ignored, and run by `cargo xtask torture media`.

mod cloud;
mod container;
mod disks;
mod network;
mod secure;

use std::path::Path;
use std::time::Duration;

use anyhow::ensure;
use cairn_image_builder::remove_tree;
use cairn_qemu_tests::images::{self, Built};
use cairn_qemu_tests::reproducible::{self, Source};
use cairn_qemu_tests::{Blueprint, Boot, Bus, Disk, Machine, Writes, artefacts, live};

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
        live::runs(machine.agent(), &built.toplevel)
    })
}

/// The formats of the machine, but for the directory, which no cache keeps.
const FORMATS: [&str; 9] = [
    "disk", "qcow2", "vmdk", "vdi", "vhd", "ova", "ami", "netboot", "tarball",
];

#[test]
#[ignore = "long: cargo xtask torture media"]
fn every_format_is_the_same_from_packages() -> anyhow::Result<()> {
    // A package that is locked for one format may belong to others that all have.
    for format in FORMATS {
        image(format)?;
    }
    let folder = artefacts::folder("formats-directory")?;
    let mut images = vec![("directory", directory(&folder.join("tree"))?)];
    for format in FORMATS {
        images.push((format, image(format)?));
    }
    let images: Vec<_> = images.iter().map(|(name, built)| (*name, built)).collect();
    let checked = reproducible::check("formats", Source::Packages, &images);
    remove_tree(&folder)?;
    checked
}

/// The machine's root file system, made in `output`.
fn directory(output: &Path) -> anyhow::Result<Built> {
    let file = images::with_agent("formats")?;
    images::build_to("directory", "formats", &file, &images::options()?, output)
}

/// Waits until the root has grown to its disk of `size` bytes: to `tenths` of them at the least.
fn has_grown(machine: &Machine, size: u64, tenths: u64) -> anyhow::Result<()> {
    let agent = machine.agent();
    let grown = "until cairn status grow-file-systems | grep -q 'state: *up'; do sleep 0.5; done";
    agent.run_within(grown, Duration::from_mins(4))?;
    let root = agent.succeed("df --output=size -B1M / | tail -n 1")?;
    let root: u64 = root.trim().parse()?;
    let log = agent.succeed("cairn log grow-file-systems; cat /proc/partitions")?;
    ensure!(root > (size >> 20) * tenths / 10, "/ has {root} MiB: {log}");
    Ok(())
}
