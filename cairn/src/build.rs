//! From wanted packages to a built machine: lock, instantiate, fetch, realise, image.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use bstr::ByteSlice as _;
use cairn_bootloader::{Options, Serial, Timeout};
use cairn_debian::{Lock, Request};
use cairn_store::{Limits, Store};
use cairn_store_path::StorePath;

use crate::builders::builders;
use crate::grub::Grub;
use crate::image::{DiskImage, Placement, cached_disk_image};
use crate::lock_file::{LockFile, REPLACED, epoch};
use crate::machine::Machine;
use crate::packages::PackageSet;
use crate::place::Place;
use crate::progress::BuildProgress;
use crate::sources::Sources;
use crate::steps::Steps;
use crate::supply::Supply;

/// The builder of packages' files.
const FETCH_DEB: &str = "builtin:fetch-deb";

/// What is built.
#[derive(Debug, Clone, Copy)]
pub struct Plan<'a> {
    /// The name of the image in the cache.
    pub name: &'a str,
    /// Debian packages to resolve, each perhaps with `=version`.
    pub packages: &'a [&'a str],
    /// Our own programs that the machine takes in.
    pub programs: &'a [&'a str],
}

/// Where a build takes things from and puts them.
#[derive(Debug, Clone)]
pub struct BuildOptions {
    /// Store and cache.
    pub place: Place,
    /// The lock file: read if it answers the request, else written.
    pub lock_file: PathBuf,
    /// A mirror in place of the host's.
    pub mirror: Option<String>,
    /// Resolve again although there is a lock.
    pub update: bool,
    /// The folder of `cairn`, `cairn-init` and what else the machine takes in.
    pub programs: PathBuf,
}

/// A finished build, and how long its steps took.
#[derive(Debug, Clone)]
pub struct Built {
    /// The system's toplevel.
    pub toplevel: StorePath,
    /// The disk image.
    pub image: PathBuf,
    /// Each step in its order.
    pub steps: Vec<(&'static str, Duration)>,
}

/// Builds the machine that `describe` describes, and its disk image.
///
/// # Errors
/// Whatever step fails; what earlier steps have made stays, and serves the next try.
pub fn build_disk(
    options: &BuildOptions,
    plan: &Plan<'_>,
    describe: impl FnOnce(&PackageSet<'_>, &Lock) -> Result<Machine>,
) -> Result<Built> {
    let mut steps = Steps::default();
    let supply = Supply::new(&options.place, options.mirror.clone());
    let lock = steps.time("resolve", || lock(options, plan, &supply))?;
    let store = Store::open(&options.place.store)?;
    let (packages, machine, toplevel) = steps.time("instantiate", || {
        let mut packages = PackageSet::new(&store, &lock)?;
        let sources = Sources::new(&store, &options.place.cache);
        packages.add_programs(&sources, &options.programs, plan.programs)?;
        let machine = describe(&packages, &lock)?;
        let toplevel = machine.toplevel(&packages)?;
        anyhow::Ok((packages, machine, toplevel))
    })?;
    let grub = Grub::of_packages(&packages)?;
    let wanted: Vec<_> = [&toplevel].into_iter().chain(grub.objects()).collect();
    let missing = wanted
        .iter()
        .any(|path| !store.is_valid(path).unwrap_or(false));
    steps.time("realise", || {
        if !missing {
            return Ok(());
        }
        let derivations = wanted
            .iter()
            .map(|path| packages.derivation_of(path))
            .collect::<Result<Vec<_>>>()?;
        realise(&store, &supply, &lock, &derivations, Limits::default())
    })?;
    let image = steps.time("image", || {
        let image = DiskImage {
            store: &store,
            toplevel: &toplevel,
            grub: &grub,
            placement: &Placement {
                root_label: machine.root_label()?.to_owned(),
                ..Placement::default()
            },
            menu: &Options {
                timeout: Timeout::Seconds(1),
                serial: Some(Serial::COM1),
                ..Options::default()
            },
            free_space: 1024,
            epoch: epoch(&lock)?,
        };
        cached_disk_image(&image, &options.place.cache.join("images"), plan.name)
    })?;
    Ok(Built {
        toplevel,
        image,
        steps: steps.taken(),
    })
}

/// The lock file's content if it answers the request; else the packages are resolved, and the lock
/// file is written.
fn lock(options: &BuildOptions, plan: &Plan<'_>, supply: &Supply) -> Result<Lock> {
    let request = Request::parse(plan.packages.iter().copied())?.excluding(REPLACED);
    let mut file = LockFile::read(&options.lock_file)?;
    if !options.update && file.exists() {
        match file.lock().verify(&request) {
            Ok(()) => return Ok(file.into_lock()),
            Err(mismatch) => log::info!("'{}': {mismatch}", options.lock_file.display()),
        }
    }
    file.write(supply.newest()?.resolve(&request)?)?;
    Ok(file.into_lock())
}

/// Builds what is missing of `derivations`, which are in the store; packages of the lock that are
/// needed for that are fetched first, several at a time.
///
/// # Errors
/// A package is not to be had, or a build fails. What was built stays.
pub fn realise(
    store: &Store,
    supply: &Supply,
    lock: &Lock,
    derivations: &[StorePath],
    limits: Limits,
) -> Result<()> {
    let missing = store.missing(derivations)?;
    if missing.is_empty() {
        return Ok(());
    }
    let debs: Vec<_> = missing
        .iter()
        .filter(|(_, derivation)| derivation.builder == FETCH_DEB)
        .filter_map(|(_, derivation)| lock.package(derivation.env("package")?.to_str().ok()?))
        .collect();
    if !debs.is_empty() {
        supply.fetch(&debs)?;
    }
    let mut builders = builders(supply.fetcher()?, lock.clone());
    builders.limit_programs(limits);
    store.realise(derivations, &builders, &BuildProgress::new())?;
    Ok(())
}
