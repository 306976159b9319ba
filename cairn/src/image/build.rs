//! A configuration to an image in the cache.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cairn_image_builder::squashfs::{Cache, Level};
use cairn_image_builder::{
    Conversion, DiskFormat, Manifest, Omitted, SectorSize, TarCompression, convert, write_folder,
    write_tarball,
};
use cairn_store::Store;
use cairn_store_path::StorePath;
use serde::de::DeserializeOwned;

use super::cache::{Cached, Held};
use super::disk::{DiskImage, machine_root};
use super::facts::{Facts, TreeFacts};
use super::format::Format;
use super::iso::{IsoFacts, IsoImage};
use super::netboot::{NetbootFacts, NetbootImage};
use super::output::{copy_image, resolve};
use super::placement::Placement;
use super::root::container_root;
use super::shape::{Sizes, Starts, sizes, starts};
use super::verified::{VerifiedImage, VerityFacts};
use crate::configuration::{Configuration, Evaluated, Wanted};
use crate::grub::Grub;
use crate::lock_file::epoch;
use crate::steps::Steps;

/// Raised with each change that gives other bytes for the same disk.
const CONVERSION_VERSION: u32 = 1;
/// Raised with each change that gives another archive of the same system.
const TARBALL_VERSION: u32 = 2;

/// Bytes of compressed store objects that are kept: those of some live media.
const COMPRESSED_LIMIT: u64 = 4 << 30;

/// A finished image, and how long its steps took.
#[derive(Debug, Clone)]
pub struct Built {
    /// The system's toplevel.
    pub toplevel: StorePath,
    /// The image, a file or a folder.
    pub image: PathBuf,
    /// Each step in its order.
    pub steps: Vec<(&'static str, Duration)>,
    /// The image stays in the cache as long as somebody has this.
    held: Option<Held>,
}

/// Builds the system of `configuration`, and an image of it, which is copied to `output` if that is
/// named. Nothing is done twice: an image that was made of the same system is taken as it is.
///
/// # Errors
/// Whatever step fails; what earlier steps have made stays, and serves the next try.
pub fn build(
    configuration: &Configuration,
    format: Format,
    output: Option<&Path>,
) -> Result<Built> {
    let place = output.map(|output| resolve(format.shape(), output));
    let place = place.transpose()?;
    let mut built = match format {
        Format::Disk | Format::Ami => build_disk(configuration, format).map(|disk| disk.built),
        Format::Qcow2 => build_converted(configuration, format, DiskFormat::Qcow2),
        Format::Vmdk => build_converted(configuration, format, DiskFormat::Vmdk),
        Format::Vdi => build_converted(configuration, format, DiskFormat::Vdi),
        Format::Vhd => build_converted(configuration, format, DiskFormat::Vhd),
        Format::Ova => build_converted(configuration, format, DiskFormat::Ova),
        Format::Iso => build_iso(configuration),
        Format::Netboot => build_netboot(configuration),
        Format::Tarball => build_tarball(configuration),
        Format::Directory => build_directory(configuration, place.as_deref()),
    }?;
    if let (Some(output), Some(place)) = (output, &place) {
        if format != Format::Directory {
            copy_image(&built.image, place)?;
        }
        output.clone_into(&mut built.image);
    }
    Ok(built)
}

/// Where a configuration has the system of an image, and what the image's writer reads.
struct Source {
    toplevel: String,
    facts: String,
}

impl Source {
    /// The machine itself.
    fn machine() -> Self {
        Self {
            toplevel: "system".to_owned(),
            facts: "config.system.build.imageFacts".to_owned(),
        }
    }

    /// The machine as it is in images of this kind.
    fn image(kind: &str) -> Self {
        let image = format!("config.system.build.images.{kind}");
        Self {
            toplevel: format!("{image}.toplevel"),
            facts: format!("{image}.facts"),
        }
    }
}

/// An image whose system is known.
struct Begun<'a, F> {
    configuration: &'a Configuration,
    store: Store,
    evaluated: Evaluated,
    toplevel: StorePath,
    facts: F,
    steps: Steps,
}

impl<'a, F: DeserializeOwned> Begun<'a, F> {
    fn new(configuration: &'a Configuration, source: &Source) -> Result<Self> {
        let mut steps = Steps::default();
        let store = Store::open(&configuration.place.store)?;
        let wanted = Wanted {
            derivations: vec![source.toplevel.parse()?],
            facts: vec![source.facts.parse()?],
        };
        let evaluated = steps.time("evaluate", || configuration.evaluate(&store, &wanted))?;
        Ok(Self {
            configuration,
            store,
            toplevel: evaluated.toplevel()?.clone(),
            facts: evaluated.fact(&source.facts)?,
            evaluated,
            steps,
        })
    }

    /// Makes its system, and everything that its writer needs.
    fn realise(&mut self) -> Result<()> {
        let Self {
            configuration,
            store,
            evaluated,
            ..
        } = self;
        self.steps
            .time("realise", || configuration.realise(store, evaluated))
    }

    /// The time that it bears.
    fn epoch(&self) -> Result<u32> {
        epoch(&self.evaluated.lock)
    }

    /// The image with this key, from the cache or made by `write`.
    fn image(
        mut self,
        name: &str,
        extension: &str,
        key: blake3::Hash,
        write: impl FnOnce(&Self, &Path) -> Result<()>,
    ) -> Result<Built> {
        let mut steps = std::mem::take(&mut self.steps);
        let cached = Cached {
            images: &self.configuration.place.cache.join("images"),
            name,
            extension,
            key,
        };
        let held = steps.time("image", || cached.image(|output| write(&self, output)))?;
        Ok(Built {
            toplevel: self.toplevel,
            image: held.path().to_owned(),
            steps: steps.taken(),
            held: Some(held),
        })
    }
}

/// A raw disk, and what its other formats are told of it.
struct RawDisk {
    built: Built,
    sector_size: SectorSize,
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
    let disk = build_disk(configuration, Format::Disk)?;
    ensure!(
        disk.sector_size == SectorSize::Bytes512 || disk_format == DiskFormat::Qcow2,
        "cannot make a disk with sectors of {} bytes for a hypervisor that shows sectors of 512: \
         set image.sectorSize to 512, or make it as `disk` or `qcow2`",
        disk.sector_size.bytes()
    );
    let mut steps = Steps::default();
    let key = blake3::Hasher::new_derive_key("cairn 2026-11 converted disk image")
        .update(disk.key.as_bytes())
        .update(&CONVERSION_VERSION.to_le_bytes())
        .finalize();
    let held = steps.time("convert", || {
        let cached = Cached {
            images: &configuration.place.cache.join("images"),
            name: &disk.host_name,
            extension: format.extension(),
            key,
        };
        let conversion = Conversion {
            raw: &disk.built.image,
            format: disk_format,
            name: &disk.host_name,
            seed: disk.key.as_bytes(),
            epoch: disk.epoch,
        };
        cached.image(|output| Ok(convert(&conversion, output)?))
    })?;
    let mut built = disk.built;
    // The raw disk was held until here.
    held.path().clone_into(&mut built.image);
    built.held = Some(held);
    built.steps.extend(steps.taken());
    Ok(built)
}

/// The raw disk image, of the machine itself or as it is in a cloud; other formats of disks hold it.
fn build_disk(configuration: &Configuration, format: Format) -> Result<RawDisk> {
    let source = match format {
        Format::Ami => Source::image("ami"),
        _ => Source::machine(),
    };
    let mut begun: Begun<'_, Facts> = Begun::new(configuration, &source)?;
    if let Some(verity) = begun.facts.verity_store.clone() {
        return build_verified(begun, format, &verity);
    }
    let grub = begun.facts.grub.as_ref().context(
        "cannot make a disk that boots without a boot loader; set boot.loader.grub.enable",
    )?;
    let grub = Grub::of(grub)?.remembering(core_images(configuration));
    let placement = Placement::of(&begun.facts)?;
    let sizes = sizes(&begun.facts)?;
    let starts = starts(&begun.facts, sizes.sector)?;
    begun.realise()?;
    let parts = DiskParts {
        grub: &grub,
        placement: &placement,
        sizes,
        starts,
        epoch: begun.epoch()?,
    };
    let key = parts.of(&begun).key();
    let host_name = begun.facts.host_name.clone();
    let built = begun.image(&host_name, format.extension(), key, |begun, output| {
        parts.of(begun).write(output)
    })?;
    Ok(RawDisk {
        built,
        sector_size: sizes.sector,
        key,
        host_name,
        epoch: parts.epoch,
    })
}

/// A disk with a verified store.
fn build_verified(
    mut begun: Begun<'_, Facts>,
    format: Format,
    facts: &VerityFacts,
) -> Result<RawDisk> {
    let state = Placement::of_state(&begun.facts)?;
    let sizes = sizes(&begun.facts)?;
    let option = "image.verityStore.squashfsCompression";
    let level = level(option, facts.compression_level)?;
    begun.realise()?;
    let (cache, epoch) = (compressed_objects(begun.configuration), begun.epoch()?);
    let key = VerifiedImage::key(&begun.toplevel, facts, &sizes, state.as_ref(), epoch)?;
    let host_name = begun.facts.host_name.clone();
    if facts.signer.is_none() {
        log::warn!(
            "nobody signs the program that starts this disk: no firmware with Secure Boot starts it, and \
             without, anybody can change it; see boot.secureBoot.privateKeyFile"
        );
    }
    let built = begun.image(&host_name, format.extension(), key, |begun, output| {
        let image = VerifiedImage {
            store: &begun.store,
            toplevel: &begun.toplevel,
            facts,
            level,
            cache: cache.as_ref(),
            sizes,
            state: state.as_ref(),
            epoch,
        };
        image.write(&key, output)
    })?;
    Ok(RawDisk {
        built,
        sector_size: sizes.sector,
        key,
        host_name,
        epoch,
    })
}

/// What a disk has beside its system.
#[derive(Clone, Copy)]
struct DiskParts<'a> {
    grub: &'a Grub,
    placement: &'a Placement,
    sizes: Sizes,
    starts: Starts,
    epoch: u32,
}

impl<'a> DiskParts<'a> {
    /// The disk of a system.
    fn of(self, begun: &'a Begun<'_, Facts>) -> DiskImage<'a> {
        DiskImage {
            store: &begun.store,
            toplevel: &begun.toplevel,
            grub: self.grub,
            placement: self.placement,
            sizes: self.sizes,
            starts: self.starts,
            epoch: self.epoch,
        }
    }
}

/// What remembers how store objects were compressed; an image is the same without it.
fn compressed_objects(configuration: &Configuration) -> Option<Cache> {
    let folder = configuration.place.cache.join("squashfs");
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

/// Where GRUB's images are remembered.
fn core_images(configuration: &Configuration) -> PathBuf {
    configuration.place.cache.join("grub")
}

/// The level of compression in an option.
fn level(option: &str, level: i32) -> Result<Level> {
    Level::new(level)
        .with_context(|| format!("cannot compress at level {level}; {option} takes 1 to 22"))
}

fn store_paths(texts: &[String]) -> Result<Vec<StorePath>> {
    let paths = texts.iter().map(|text| text.parse());
    Ok(paths.collect::<Result<_, _>>()?)
}

/// The live medium.
fn build_iso(configuration: &Configuration) -> Result<Built> {
    let mut begun: Begun<'_, IsoFacts> = Begun::new(configuration, &Source::image("iso"))?;
    let facts = begun.facts.clone();
    let level = level("isoImage.squashfsCompression", facts.compression_level)?;
    let contents = store_paths(&facts.contents)?;
    begun.realise()?;
    let lock = configuration.lock_path();
    let lock = fs::read(&lock).with_context(|| format!("cannot read '{}'", lock.display()))?;
    let (cache, epoch) = (compressed_objects(configuration), begun.epoch()?);
    let key = IsoImage::key(&begun.toplevel, &facts, &lock, epoch);
    let grub = Grub::of(&facts.grub)?.remembering(core_images(configuration));
    let extension = Format::Iso.extension();
    begun.image(&facts.host_name, extension, key, |begun, output| {
        let image = IsoImage {
            store: &begun.store,
            toplevel: &begun.toplevel,
            contents: &contents,
            lock: &lock,
            facts: &facts,
            level,
            cache: cache.as_ref(),
            grub: &grub,
            epoch,
        };
        image.write(&key, output)
    })
}

/// The live system for the network.
fn build_netboot(configuration: &Configuration) -> Result<Built> {
    let mut begun: Begun<'_, NetbootFacts> = Begun::new(configuration, &Source::image("netboot"))?;
    let facts = begun.facts.clone();
    let level = level("netboot.squashfsCompression", facts.compression_level)?;
    let contents = store_paths(&facts.contents)?;
    begun.realise()?;
    let (cache, epoch) = (compressed_objects(configuration), begun.epoch()?);
    let key = NetbootImage::key(&begun.toplevel, &facts, epoch);
    let extension = Format::Netboot.extension();
    begun.image(&facts.host_name, extension, key, |begun, output| {
        let image = NetbootImage {
            store: &begun.store,
            toplevel: &begun.toplevel,
            contents: &contents,
            level,
            cache: cache.as_ref(),
            epoch,
        };
        image.write(&key, output)
    })
}

/// The file system of a container.
fn build_tarball(configuration: &Configuration) -> Result<Built> {
    let mut begun: Begun<'_, TreeFacts> = Begun::new(configuration, &Source::image("tarball"))?;
    begun.realise()?;
    let host_name = begun.facts.host_name.clone();
    let compression = TarCompression::from(begun.facts.compression);
    let epoch = begun.epoch()?;
    let key = blake3::Hasher::new_derive_key("cairn 2026-11 tarball")
        .update(begun.toplevel.base_name().as_bytes())
        .update(&epoch.to_le_bytes())
        .update(&TARBALL_VERSION.to_le_bytes())
        .finalize();
    begun.image(&host_name, compression.extension(), key, |begun, output| {
        let root = tree(&begun.store, &begun.toplevel, epoch)?;
        Ok(write_tarball(&root, compression, output)?)
    })
}

/// The root file system in a folder, which is not kept: whoever has it may change it.
fn build_directory(configuration: &Configuration, output: Option<&Path>) -> Result<Built> {
    let output = output.context("cannot make a folder without its name; say it with --output")?;
    let mut begun: Begun<'_, serde::de::IgnoredAny> =
        Begun::new(configuration, &Source::machine())?;
    begun.realise()?;
    let epoch = begun.epoch()?;
    let mut steps = std::mem::take(&mut begun.steps);
    let omitted = steps.time("image", || {
        let root = tree(&begun.store, &begun.toplevel, epoch)?;
        Ok(write_folder(&root, output)?)
    })?;
    if omitted != Omitted::default() {
        log::warn!(
            "'{}' belongs to you, {} devices and {} attributes are left out; made by root it is whole",
            output.display(),
            omitted.devices,
            omitted.attributes
        );
    }
    Ok(Built {
        toplevel: begun.toplevel,
        image: output.to_owned(),
        steps: steps.taken(),
        held: None,
    })
}

/// The root file system of a machine, or of a container if the system is for one.
fn tree(store: &Store, toplevel: &StorePath, epoch: u32) -> Result<Manifest> {
    if store.real_path(toplevel).join("kernel").is_symlink() {
        machine_root(store, toplevel, epoch)
    } else {
        container_root(store, toplevel)
    }
}
