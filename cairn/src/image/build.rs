//! A configuration to an image in the cache.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use cairn_image_builder::squashfs::{Cache, Level};
use cairn_image_builder::{Conversion, DiskFormat, convert};
use cairn_store::Store;
use cairn_store_path::StorePath;

use super::cache::Cached;
use super::disk::DiskImage;
use super::facts::Facts;
use super::format::Format;
use super::iso::{IsoFacts, IsoImage};
use super::placement::Placement;
use crate::configuration::{AttributePath, Configuration, Wanted};
use crate::grub::Grub;
use crate::lock_file::epoch;
use crate::steps::Steps;

/// Where the configuration says what an image has to know.
const FACTS: &str = "config.system.build.imageFacts";
/// Where it says what a live medium has to know, and which system is on it.
const ISO_FACTS: &str = "config.system.build.images.iso.facts";
const ISO_TOPLEVEL: &str = "config.system.build.images.iso.toplevel";

/// Raised with each change that gives other bytes for the same disk.
const CONVERSION_VERSION: u32 = 1;

/// Bytes of compressed store objects that are kept: those of some live media.
const COMPRESSED_LIMIT: u64 = 4 << 30;

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
        Format::Disk => build_disk(configuration).map(|disk| disk.built),
        Format::Qcow2 => build_converted(configuration, format, DiskFormat::Qcow2),
        Format::Vmdk => build_converted(configuration, format, DiskFormat::Vmdk),
        Format::Vdi => build_converted(configuration, format, DiskFormat::Vdi),
        Format::Vhd => build_converted(configuration, format, DiskFormat::Vhd),
        Format::Ova => build_converted(configuration, format, DiskFormat::Ova),
        Format::Iso => build_iso(configuration),
    }
}

/// A raw disk, and what its other formats are told of it.
struct RawDisk {
    built: Built,
    key: blake3::Hash,
    host_name: String,
    epoch: u32,
}

/// The raw disk image in another format.
fn build_converted(
    configuration: &Configuration,
    format: Format,
    disk_format: DiskFormat,
) -> Result<Built> {
    let disk = build_disk(configuration)?;
    let mut steps = Steps::default();
    let key = blake3::Hasher::new_derive_key("cairn 2026-11 converted disk image")
        .update(disk.key.as_bytes())
        .update(&CONVERSION_VERSION.to_le_bytes())
        .finalize();
    let image = steps.time("convert", || {
        let cached = Cached {
            images: &configuration.place.cache.join("images"),
            name: &disk.host_name,
            format,
            key,
        };
        let conversion = Conversion {
            raw: &disk.built.image,
            format: disk_format,
            name: &disk.host_name,
            seed: disk.key.as_bytes(),
            epoch: disk.epoch,
        };
        cached.file(|output| Ok(convert(&conversion, output)?))
    })?;
    let mut built = disk.built;
    built.image = image;
    built.steps.extend(steps.taken());
    Ok(built)
}

/// The raw disk image, which the other formats of disks hold.
fn build_disk(configuration: &Configuration) -> Result<RawDisk> {
    let mut steps = Steps::default();
    let store = Store::open(&configuration.place.store)?;
    let wanted = Wanted {
        derivations: vec![AttributePath::system()],
        facts: vec![FACTS.parse()?],
    };
    let evaluated = steps.time("evaluate", || configuration.evaluate(&store, &wanted))?;
    let toplevel = evaluated.toplevel()?;
    let facts: Facts = evaluated.fact(FACTS)?;
    let grub = facts.grub.as_ref().context(
        "cannot make a disk that boots without a boot loader; set boot.loader.grub.enable",
    )?;
    let grub = Grub::of(grub)?;
    let placement = Placement::of(&facts)?;
    steps.time("realise", || configuration.realise(&store, &evaluated))?;
    let image = DiskImage {
        store: &store,
        toplevel,
        grub: &grub,
        placement: &placement,
        free_space: facts.free_space,
        epoch: epoch(&evaluated.lock)?,
    };
    let file = steps.time("image", || {
        let cached = Cached {
            images: &configuration.place.cache.join("images"),
            name: &facts.host_name,
            format: Format::Disk,
            key: image.key(),
        };
        cached.file(|output| image.write(output))
    })?;
    Ok(RawDisk {
        key: image.key(),
        epoch: image.epoch,
        built: Built {
            toplevel: toplevel.clone(),
            image: file,
            steps: steps.taken(),
        },
        host_name: facts.host_name,
    })
}

/// What remembers how store objects were compressed; an image is the same without it.
fn compressed_objects(cache: &Path) -> Option<Cache> {
    let folder = cache.join("squashfs");
    match Cache::open(&folder, COMPRESSED_LIMIT) {
        Ok(cache) => Some(cache),
        Err(error) => {
            log::warn!(
                "cannot use '{}', all is compressed anew: {error}",
                folder.display()
            );
            None
        }
    }
}

/// The live medium.
fn build_iso(configuration: &Configuration) -> Result<Built> {
    let mut steps = Steps::default();
    let store = Store::open(&configuration.place.store)?;
    let wanted = Wanted {
        derivations: vec![ISO_TOPLEVEL.parse()?],
        facts: vec![ISO_FACTS.parse()?],
    };
    let evaluated = steps.time("evaluate", || configuration.evaluate(&store, &wanted))?;
    let toplevel = evaluated.toplevel()?;
    let facts: IsoFacts = evaluated.fact(ISO_FACTS)?;
    let level = Level::new(facts.compression_level).with_context(|| {
        format!(
            "cannot compress at level {}; isoImage.squashfsCompression takes 1 to 22",
            facts.compression_level
        )
    })?;
    let contents: Vec<StorePath> = facts
        .contents
        .iter()
        .map(|path| path.parse())
        .collect::<Result<_, _>>()?;
    steps.time("realise", || configuration.realise(&store, &evaluated))?;
    let lock = configuration.lock_path();
    let lock = fs::read(&lock).with_context(|| format!("cannot read '{}'", lock.display()))?;
    let cache = compressed_objects(&configuration.place.cache);
    let image = steps.time("image", || {
        let image = IsoImage {
            store: &store,
            toplevel,
            contents: &contents,
            lock: &lock,
            facts: &facts,
            level,
            cache: cache.as_ref(),
            epoch: epoch(&evaluated.lock)?,
        };
        let cached = Cached {
            images: &configuration.place.cache.join("images"),
            name: &facts.host_name,
            format: Format::Iso,
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
