//! A machine in images of other kinds than a raw disk: each starts where it is meant to. What takes long
//! is ignored, and run by `cargo xtask torture media`.

mod cloud;
mod container;
mod disks;
mod network;
mod secure;

use std::path::Path;
use std::time::Duration;

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
