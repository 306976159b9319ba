//! A configuration to an image in the cache.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};
use cairn_store::Store;
use cairn_store_path::StorePath;

use super::cache::Cached;
use super::disk::DiskImage;
use super::facts::Facts;
use super::format::Format;
use super::placement::Placement;
use crate::configuration::{AttributePath, Configuration, Wanted};
use crate::grub::Grub;
use crate::lock_file::epoch;
use crate::steps::Steps;

/// Where the configuration says what an image has to know.
const FACTS: &str = "config.system.build.imageFacts";

/// A finished image, and how long its steps took.
#[derive(Debug, Clone)]
pub struct Built {
    /// The system's toplevel.
    pub toplevel: StorePath,
    /// The image.
    pub image: PathBuf,
    /// Each step in its order.
    pub steps: Vec<(&'static str, Duration)>,
}

/// Builds the system of `configuration`, and an image that boots it. Nothing is done twice: an
/// image that was made of the same system is taken as it is.
///
/// # Errors
/// Whatever step fails; what earlier steps have made stays, and serves the next try.
pub fn build(configuration: &Configuration, format: Format) -> Result<Built> {
    match format {
        Format::Disk => build_disk(configuration),
    }
}

/// The raw disk image, which the other formats of disks hold.
fn build_disk(configuration: &Configuration) -> Result<Built> {
    let mut steps = Steps::default();
    let store = Store::open(&configuration.place.store)?;
    let wanted = Wanted {
        derivations: vec![AttributePath::system()],
        facts: vec![FACTS.parse()?],
    };
    let evaluated = steps.time("evaluate", || configuration.evaluate(&store, &wanted))?;
    let toplevel = evaluated.toplevel()?;
    let facts: Facts = evaluated.fact(FACTS)?;
    ensure!(
        facts.boot_loader.enable,
        "cannot make a disk that boots without a boot loader; set boot.loader.grub.enable"
    );
    let placement = Placement::of(&facts)?;
    let grub = Grub::of(&facts.boot_loader)?;
    steps.time("realise", || configuration.realise(&store, &evaluated))?;
    let image = steps.time("image", || {
        let image = DiskImage {
            store: &store,
            toplevel,
            grub: &grub,
            placement: &placement,
            serial: facts.boot_loader.serial(),
            free_space: facts.free_space,
            epoch: epoch(&evaluated.lock)?,
        };
        let cached = Cached {
            images: &configuration.place.cache.join("images"),
            name: &facts.host_name,
            format: Format::Disk,
            key: image.key(),
        };
        cached.file(|output| image.write(output))
    })?;
    Ok(Built {
        toplevel: toplevel.clone(),
        image,
        steps: steps.taken(),
    })
}
