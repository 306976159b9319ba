//! A machine in images of other kinds than a raw disk: each starts where it is meant to. What takes long
//! is ignored, and run by `cargo xtask torture media`.

mod cloud;
mod container;
mod disks;
mod network;
mod secure;

use std::path::Path;
use std::time::Duration;

use cairn_qemu_tests::images::{self, Built};
use cairn_qemu_tests::{Blueprint, Boot, Bus, Disk, Machine, Writes, live, reproducible};

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

/// The image is the same, wherever it is built.
fn is_reproducible(format: &str, files: &[&str]) -> anyhow::Result<()> {
    reproducible::check(format, "formats", &image(format)?, files)
}
