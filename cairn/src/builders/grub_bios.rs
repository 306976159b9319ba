//! `builtin:grub-bios`: GRUB's boot sector and core image for a BIOS.
//!
//! The core image finds its root beside itself on the boot disk, so that one serves every disk.

use std::fs;

use cairn_bootloader::{CoreImage, Platform};
use cairn_store::Job;

use super::{BuildResult, at, make_directory, write_file};
use crate::grub::make_image;

pub(super) fn build(job: &Job<'_>) -> BuildResult {
    let modules = job.env("modules")?;
    let image = CoreImage {
        platform: Platform::Bios,
        early_config: job.env("earlyConfig")?.to_owned(),
    };
    let core = make_image(
        job.store(),
        job.env("tools")?,
        modules,
        &image,
        job.scratch(),
    )?;
    make_directory(job.output())?;
    write_file(&job.output().join("core.img"), core)?;
    let boot = job.real(&format!("{modules}/boot.img"))?;
    write_file(
        &job.output().join("boot.img"),
        fs::read(&boot).map_err(at(&boot))?,
    )?;
    Ok(())
}
