//! `builtin:grub-bios`: GRUB's boot sector and core image for a BIOS.
//!
//! The core image finds its root beside itself on the boot disk, so that one serves every disk.
//!
//! | variable | |
//! |---|---|
//! | `tools` | the object with `bin/grub-mkimage` |
//! | `modules` | GRUB's folder of modules for a BIOS |
//! | `serial` | `1` if the first serial port shows the menu too |

use std::fs;

use cairn_bootloader::{CoreImage, Platform, Root, Serial, early_config};
use cairn_image_builder::ROOT_PARTITION;
use cairn_store::Job;

use super::{BuildResult, at, make_directory, write_file};
use crate::grub::make_image;

pub(super) fn build(job: &Job<'_>) -> BuildResult {
    let modules = job.env("modules")?;
    let root = Root::OnBootDisk {
        partition: ROOT_PARTITION,
    };
    let serial = (job.env("serial")? == "1").then_some(Serial::COM1);
    let image = CoreImage {
        platform: Platform::Bios,
        early_config: early_config(root, serial),
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
