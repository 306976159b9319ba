//! From wanted packages to a built machine: lock, instantiate, fetch, realise, image.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, UNIX_EPOCH};

use anyhow::{Context, Result};
use cairn_bootloader::{Options, Serial, Timeout};
use cairn_debian::{
    Archive, DEBIAN_KEYRING, FetchOptions, Fetcher, Lock, Request, Security, Source, UpdateOptions,
    host_codename, host_sources, mirror_sources, parse_date,
};
use cairn_store::Store;
use cairn_store_path::StorePath;

use crate::builders::builders;
use crate::grub::Grub;
use crate::image::{DiskImage, Placement, cached_disk_image};
use crate::machine::Machine;
use crate::packages::PackageSet;
use crate::place::Place;
use crate::progress::BuildProgress;

/// Packages that a Cairn system has something else for; nothing may pull them in.
const REPLACED: [&str; 19] = [
    "adduser",
    "base-files",
    "base-passwd",
    "dbus",
    "debconf",
    "debianutils",
    "dpkg",
    "init-system-helpers",
    "initramfs-tools",
    "libpam-runtime",
    "libpam-systemd",
    "linux-base",
    "lsb-base",
    "perl-base",
    "runit-helper",
    "systemd",
    "sysvinit-utils",
    "ucf",
    "udev",
];

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
    let lock = steps.time("resolve", || lock(options, plan))?;
    let store = Store::open(&options.place.store)?;
    let (packages, machine, toplevel) = steps.time("instantiate", || {
        let mut packages = PackageSet::new(&store, &lock)?;
        packages.add_programs(&options.programs, plan.programs)?;
        let machine = describe(&packages, &lock)?;
        let toplevel = machine.toplevel(&packages)?;
        anyhow::Ok((packages, machine, toplevel))
    })?;
    let grub = Grub::of(&packages)?;
    let wanted: Vec<_> = [&toplevel].into_iter().chain(grub.objects()).collect();
    let missing = wanted
        .iter()
        .any(|path| !store.is_valid(path).unwrap_or(false));
    steps.time("fetch", || {
        if missing {
            fetch(options, &lock)
        } else {
            Ok(())
        }
    })?;
    steps.time("realise", || {
        if !missing {
            return Ok(());
        }
        let derivations = wanted
            .iter()
            .map(|path| packages.derivation_of(path))
            .collect::<Result<Vec<_>>>()?;
        let builders = builders(fetcher(options)?, lock.clone());
        store.realise(&derivations, &builders, &BuildProgress::new())?;
        anyhow::Ok(())
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
        steps: steps.taken,
    })
}

#[derive(Default)]
struct Steps {
    taken: Vec<(&'static str, Duration)>,
}

impl Steps {
    fn time<T>(&mut self, name: &'static str, step: impl FnOnce() -> Result<T>) -> Result<T> {
        let start = Instant::now();
        let result = step();
        let duration = start.elapsed();
        log::info!("{name}: {duration:.2?}");
        self.taken.push((name, duration));
        result
    }
}

/// The lock file's content if it answers the request; else the packages are resolved, and the lock
/// file is written.
fn lock(options: &BuildOptions, plan: &Plan<'_>) -> Result<Lock> {
    let request = Request::parse(plan.packages.iter().copied())?.excluding(REPLACED);
    let file = &options.lock_file;
    if !options.update && file.exists() {
        let text = fs::read_to_string(file)
            .with_context(|| format!("cannot read the lock file '{}'", file.display()))?;
        let lock = Lock::parse(&text).with_context(|| {
            format!(
                "the lock file '{}' is damaged; remove it to resolve again",
                file.display()
            )
        })?;
        match lock.verify(&request) {
            Ok(()) => return Ok(lock),
            Err(mismatch) => log::info!("'{}': {mismatch}", file.display()),
        }
    }
    let cache = options.place.cache.join("debian");
    let archive = Archive::update(&sources(options)?, &cache, &UpdateOptions::of_host())?;
    let lock = archive.resolve(&request)?;
    write_atomically(file, lock.to_text().as_bytes())?;
    Ok(lock)
}

fn sources(options: &BuildOptions) -> Result<Vec<Source>> {
    Ok(match &options.mirror {
        Some(mirror) => {
            let codename = host_codename(Path::new("/"))?;
            mirror_sources(
                mirror,
                &Security::Beside,
                &codename,
                Path::new(DEBIAN_KEYRING),
            )
        }
        None => host_sources(Path::new("/"))?,
    })
}

fn fetcher(options: &BuildOptions) -> Result<Fetcher> {
    let cache = options.place.cache.join("debian");
    Ok(Fetcher::new(
        &sources(options)?,
        &cache,
        FetchOptions::of_host(),
    )?)
}

/// Fetches what the cache does not have, several files at a time, with a progress bar.
fn fetch(options: &BuildOptions, lock: &Lock) -> Result<()> {
    let packages: Vec<_> = lock.packages().iter().collect();
    fetcher(options)?.fetch(&packages)?;
    Ok(())
}

/// The newest release's date, in seconds since 1970: the one time that a lock knows.
fn epoch(lock: &Lock) -> Result<u32> {
    let dates = lock.releases().iter().map(|release| {
        parse_date(&release.date)
            .and_then(|date| date.duration_since(UNIX_EPOCH).ok())
            .and_then(|age| u32::try_from(age.as_secs()).ok())
            .with_context(|| format!("the lock file has no date but '{}'", release.date))
    });
    let dates = dates.collect::<Result<Vec<_>>>()?;
    dates
        .into_iter()
        .max()
        .context("the lock file names no release; resolve again")
}

/// Writes a file so that at any moment the old or the new content is there, and is durable.
fn write_atomically(file: &Path, content: &[u8]) -> Result<()> {
    let folder = file.parent().unwrap_or_else(|| Path::new("."));
    let written = fs::create_dir_all(folder).and_then(|()| {
        let mut temporary = tempfile::NamedTempFile::new_in(folder)?;
        std::io::Write::write_all(&mut temporary, content)?;
        temporary.as_file().sync_all()?;
        temporary.persist(file)?;
        fs::File::open(folder)?.sync_all()
    });
    written.with_context(|| format!("cannot write '{}'", file.display()))
}
