//! The boot menu of a machine, from its profile: which files `/boot` needs, and the text of the menu.
//!
//! The order is files, menu, removals: nothing goes before its successor is on the disk. What is in
//! the menu is decided first, by [`MenuPlan::new`], which changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use cairn_bootloader::{
    BootFileKind, BootFiles, Generation, KernelFolders, Menu, Options, Slot, SlotFiles, Slots,
    entries, next_slot, write_slot,
};
use cairn_store::{Space, Store};
use cairn_store_path::StorePath;
use cairn_sys::checkpoint::checkpoint;
use cairn_system::{Bootspec, Memtest};

use super::boot_files::{Names, Wanted};
use super::boot_folder::BootFolder;
use super::kernels::{Kernels, Places, kernel_folders};
use crate::message;

/// The profile whose generations boot.
pub const PROFILE: &str = "system";

/// Bytes of a boot folder that stay free for menus, names and the file system's own.
const RESERVE: u64 = 2 << 20;

/// A menu that is to be written.
#[derive(Debug)]
pub struct MenuPlan {
    folder: BootFolder,
    folders: KernelFolders,
    slots: Slots,
    generations: Vec<Generation>,
    /// Why others have no entry.
    left_out: BTreeMap<u64, String>,
    options: Options,
    kernels: Kernels,
    names: Names,
    sources: BTreeSet<String>,
}

impl MenuPlan {
    /// The menu of the generations `numbers` of the profile, in `folder`. The files of `newcomer` are
    /// compared with their names, so that it does not rely on what was damaged.
    ///
    /// # Errors
    /// The profile, a kernel or `/boot` cannot be read, or `newcomer` can have no entry. Another generation
    /// whose `boot.json` is damaged is left out with a warning.
    pub fn new(
        store: &Store,
        folder: &BootFolder,
        numbers: &BTreeSet<u64>,
        newcomer: Option<u64>,
        options: &Options,
    ) -> Result<Self> {
        let (boot, grub) = (folder.boot.display(), folder.grub.display());
        ensure!(
            folder.grub.is_dir(),
            "cannot write a boot menu: there is no '{grub}'; mount '{boot}', if it is a file system of its own"
        );
        let folders = kernel_folders(&folder.boot)?;
        let slots = Slots::read(&folder.grub)?;
        let places = Places::of(&folder.boot, folders, &slots)?;
        let mut gathering = Gathering::new(store, folders, &places);
        let mut generations = Vec::new();
        let mut left_out = BTreeMap::new();
        let mut suspects = BTreeSet::new();
        let listed = store.generations(PROFILE)?;
        // The newcomer comes first: what is its own is known then.
        let (first, others): (Vec<_>, Vec<_>) = listed
            .into_iter()
            .filter(|generation| numbers.contains(&generation.number))
            .partition(|generation| Some(generation.number) == newcomer);
        for generation in first.into_iter().chain(others) {
            match gathering.generation(generation.number, &generation.path) {
                Ok(one) => {
                    generations.push(one);
                    if Some(generation.number) == newcomer {
                        suspects = gathering.files.keys().cloned().collect();
                    }
                }
                // It is about to become what boots.
                Err(error) if Some(generation.number) == newcomer => {
                    return Err(error.context(cannot_boot(generation.number)));
                }
                Err(error) => {
                    let (number, reason) = (generation.number, message(&error));
                    log::warn!("generation {number} is left out of the boot menu: {reason}");
                    left_out.insert(number, reason);
                }
            }
        }
        let options = Options {
            memtest: gathering.memtest(options.memtest.as_ref())?,
            ..options.clone()
        };
        let Gathering {
            names,
            files,
            sources,
            ..
        } = gathering;
        Ok(Self {
            folder: folder.clone(),
            folders,
            slots,
            generations,
            left_out,
            options,
            kernels: Kernels::plan(places, files, &suspects)?,
            names,
            sources,
        })
    }

    /// The files that [`MenuPlan::write`] copies from the store: where they will be, and their length
    /// in bytes.
    pub fn missing(&self) -> impl Iterator<Item = (PathBuf, u64)> {
        self.kernels.missing()
    }

    /// Bytes that [`MenuPlan::write`] copies.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.missing().map(|(_, size)| size).sum()
    }

    /// Bytes that the boot folder can still take.
    ///
    /// # Errors
    /// It is not there.
    pub fn room(&self) -> Result<u64> {
        Ok(Space::of(&self.folder.boot)?.bytes)
    }

    /// Whether [`MenuPlan::write`] would fill the boot folder.
    ///
    /// # Errors
    /// The folder is not there.
    pub fn lacks_room(&self) -> Result<bool> {
        Ok(self.size() > 0 && self.size().saturating_add(RESERVE) > self.room()?)
    }

    /// Fails if it was to have generation `number`, and cannot.
    ///
    /// # Errors
    /// It cannot: the reason.
    pub fn ensure_has(&self, number: u64) -> Result<()> {
        match self.left_out.get(&number) {
            Some(reason) => bail!("{}: {reason}", cannot_boot(number)),
            None => Ok(()),
        }
    }

    /// The folder that it is for.
    #[must_use]
    pub fn folder(&self) -> &BootFolder {
        &self.folder
    }

    /// Gives the menu its files and writes it, each on the disk as the boot loader reads it before the
    /// next; the menu that boots, and its files, are left alone. Nothing is written where it is this one.
    ///
    /// # Errors
    /// `/boot` cannot be written; the menu is then the one from before.
    pub fn write(&mut self) -> Result<()> {
        if self.is_there() {
            return Ok(());
        }
        let folder = &self.folder;
        self.kernels.place(self.names.file(&self.sources)?)?;
        written(&folder.boot)?;
        let (slot, sequence) = next_slot(&self.slots)?;
        write_slot(
            &folder.grub,
            &SlotFiles::new(slot, sequence, &self.menu(slot)),
        )?;
        written(&folder.grub)?;
        self.slots = Slots::read(&folder.grub)?;
        Ok(())
    }

    /// The text in `slot`, with the files that are there for it.
    fn menu(&self, slot: Slot) -> Menu {
        let folder = self.folders.of(slot);
        let generations = self.generations.iter().cloned();
        let generations: Vec<_> = generations
            .map(|generation| generation.with_files_in(folder))
            .collect();
        let mut options = self.options.clone();
        if let Some(Memtest { bios, uefi, .. }) = &mut options.memtest {
            for name in [bios, uefi] {
                *name = format!("/boot/{folder}/{name}");
            }
        }
        entries(&generations, &options)
    }

    /// Whether the menu that boots has this text, and its files are whole.
    fn is_there(&self) -> bool {
        let Some((slot, sequence)) = self.slots.newest() else {
            return false;
        };
        let files = SlotFiles::new(slot, sequence, &self.menu(slot));
        self.kernels.all_boot()
            && files.files().all(|(name, content)| {
                fs::read(self.folder.grub.join(name)).is_ok_and(|bytes| bytes == content.as_bytes())
            })
    }

    /// Writes the menu as [`MenuPlan::write`] does, and removes what it does not need then.
    ///
    /// # Errors
    /// `/boot` cannot be written.
    pub fn replace(&mut self) -> Result<()> {
        self.write()?;
        let places = Places::of(&self.folder.boot, self.folders, &self.slots)?;
        self.kernels.remove_unneeded(&places)
    }
}

/// Reads what generations need to boot.
struct Gathering<'a> {
    store: &'a Store,
    folders: KernelFolders,
    names: Names,
    files: BTreeMap<String, Wanted>,
    sources: BTreeSet<String>,
}

impl<'a> Gathering<'a> {
    /// Nothing yet; names are remembered in the folder of the menu that boots.
    fn new(store: &'a Store, folders: KernelFolders, places: &Places) -> Self {
        let known = places.booting.as_deref().map(Names::read);
        Self {
            store,
            folders,
            names: known.unwrap_or_default(),
            files: BTreeMap::new(),
            sources: BTreeSet::new(),
        }
    }

    fn generation(&mut self, number: u64, toplevel: &StorePath) -> Result<Generation> {
        let bootspec = read_bootspec(self.store, toplevel)?;
        let files = self.boot_files(&bootspec)?;
        let specialisations = bootspec
            .specialisations
            .iter()
            .map(|(name, other)| Ok((name.clone(), self.boot_files(other)?)))
            .collect::<Result<_>>()?;
        let release = kernel_release(&bootspec);
        let date = self.store.generation_time(PROFILE, number)?;
        Ok(Generation::new(
            number,
            date,
            release,
            &bootspec,
            files,
            &specialisations,
        )?)
    }

    /// With the paths of slot A: those of the other one are as long.
    fn boot_files(&mut self, bootspec: &Bootspec) -> Result<BootFiles> {
        let folder = self.folders.of(Slot::A);
        let mut path = |source: &String, kind| -> Result<String> {
            Ok(format!("/boot/{folder}/{}", self.file(source, kind)?))
        };
        let kernel = path(&bootspec.v1.kernel, BootFileKind::Kernel)?;
        let initrd = bootspec.v1.initrd.as_ref();
        let initrd = initrd.map(|initrd| path(initrd, BootFileKind::Initrd));
        Ok(BootFiles {
            kernel,
            initrd: initrd.transpose()?,
        })
    }

    /// The memory test, from the store's paths to names of files.
    fn memtest(&mut self, memtest: Option<&Memtest>) -> Result<Option<Memtest>> {
        let Some(Memtest { bios, uefi, params }) = memtest else {
            return Ok(None);
        };
        Ok(Some(Memtest {
            bios: self.file(bios, BootFileKind::Program)?,
            uefi: self.file(uefi, BootFileKind::Program)?,
            params: params.clone(),
        }))
    }

    /// The name of a file.
    fn file(&mut self, source: &str, kind: BootFileKind) -> Result<String> {
        let real = self.store.real_path_of(source)?;
        let file = self.names.of(source, &real, kind)?;
        self.sources.insert(source.to_owned());
        let name = file.name.clone();
        let wanted = Wanted {
            source: real,
            size: file.size,
        };
        self.files.insert(file.name, wanted);
        Ok(name)
    }
}

/// The files that `folder` lacks for `bootspec` to boot: where they would be, and their length in bytes.
///
/// # Errors
/// They cannot be read.
pub fn missing_files(
    store: &Store,
    folder: &BootFolder,
    bootspec: &Bootspec,
) -> Result<Vec<(PathBuf, u64)>> {
    let folders = kernel_folders(&folder.boot)?;
    let places = Places::of(&folder.boot, folders, &Slots::read(&folder.grub)?)?;
    let mut gathering = Gathering::new(store, folders, &places);
    for one in std::iter::once(bootspec).chain(bootspec.specialisations.values()) {
        gathering.boot_files(one)?;
    }
    let suspects = gathering.files.keys().cloned().collect();
    let kernels = Kernels::plan(places, gathering.files, &suspects)?;
    Ok(kernels.missing().collect())
}

fn cannot_boot(number: u64) -> String {
    format!("cannot boot generation {number}")
}

/// Puts what was written where the boot loader reads it.
fn written(folder: &Path) -> Result<()> {
    checkpoint(folder).with_context(|| format!("cannot write '{}' to the disk", folder.display()))
}

/// The release of a system's kernel; of a system that does not say it, as the file's name does.
#[must_use]
pub fn kernel_release(bootspec: &Bootspec) -> &str {
    let by_name = || bootspec.v1.kernel.rsplit("vmlinuz-").next().unwrap_or("?");
    match &bootspec.menu {
        Some(menu) => &menu.kernel_release,
        None => by_name(),
    }
}

/// The `boot.json` of a toplevel.
///
/// # Errors
/// It is not there or damaged.
pub fn read_bootspec(store: &Store, toplevel: &StorePath) -> Result<Bootspec> {
    let path = store.real_path(toplevel).join("boot.json");
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read '{}'", path.display()))?;
    Ok(Bootspec::parse(&text)?)
}

/// The `boot.json` of a toplevel; none of a container's, which has no kernel.
///
/// # Errors
/// It is damaged, or missing beside a kernel.
pub fn bootspec_of(store: &Store, toplevel: &StorePath) -> Result<Option<Bootspec>> {
    if is_container(&store.real_path(toplevel)) {
        return Ok(None);
    }
    read_bootspec(store, toplevel).map(Some)
}

/// Whether the toplevel in this folder is a container's.
pub(crate) fn is_container(toplevel: &Path) -> bool {
    let is_there = |name| toplevel.join(name).symlink_metadata().is_ok();
    is_there("system") && !is_there("kernel") && !is_there("boot.json")
}
