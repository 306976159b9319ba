//! The boot menu of a machine, from its profile: which files `/boot` needs, and the text of the menu.
//!
//! The order is files, menu, removals: nothing goes before its successor is on the disk. What is in
//! the menu is decided first, by [`MenuPlan::new`], which changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use cairn_bootloader::{
    BootFileKind, BootFiles, Generation, Menu, Options, SlotFiles, Slots, entries, next_slot,
    plan_boot_files, write_slot,
};
use cairn_store::{Space, Store};
use cairn_store_path::StorePath;
use cairn_sys::checkpoint::checkpoint;
use cairn_system::{Bootspec, Memtest};

use super::boot_files::{self, Names, Wanted};
use super::boot_folder::BootFolder;

/// The profile whose generations boot.
pub const PROFILE: &str = "system";

/// Bytes of a boot folder that stay free for menus, names and the file system's own.
const RESERVE: u64 = 2 << 20;

/// A menu that is to be written.
#[derive(Debug)]
pub struct MenuPlan {
    folder: BootFolder,
    menu: Menu,
    /// Files that are missing in `/boot`, or damaged there.
    pub missing: BTreeMap<String, Wanted>,
    /// Files that nothing will need.
    pub unneeded: BTreeSet<String>,
    names: Names,
    sources: BTreeSet<String>,
}

impl MenuPlan {
    /// The menu of the generations `numbers` of the profile, in `folder`. The files of `newcomer` are
    /// compared with their names, so that it does not rely on what was damaged.
    ///
    /// # Errors
    /// The profile, a kernel or `/boot` cannot be read. A generation whose `boot.json` is damaged is
    /// left out with a warning.
    pub fn new(
        store: &Store,
        folder: &BootFolder,
        numbers: &BTreeSet<u64>,
        newcomer: Option<u64>,
        options: &Options,
    ) -> Result<Self> {
        let mut gathering = Gathering {
            store,
            names: Names::read(&folder.boot),
            files: BTreeMap::new(),
            sources: BTreeSet::new(),
        };
        let mut generations = Vec::new();
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
                Err(error) => log::warn!(
                    "generation {} is left out of the boot menu: {error:#}",
                    generation.number
                ),
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
        let missing = boot_files::missing(&folder.boot, &files, &suspects)?;
        let plan = plan_boot_files(files, &boot_files::present(&folder.boot)?);
        Ok(Self {
            folder: folder.clone(),
            menu: entries(&generations, &options),
            missing,
            unneeded: plan.remove,
            names,
            sources,
        })
    }

    /// Bytes that [`MenuPlan::write`] copies.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.missing.values().map(|file| file.size).sum()
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
        Ok(!self.missing.is_empty() && self.size().saturating_add(RESERVE) > self.room()?)
    }

    /// The folder that it is for.
    #[must_use]
    pub fn folder(&self) -> &BootFolder {
        &self.folder
    }

    /// Copies what is missing and writes the menu, each on the disk as the boot loader reads it before
    /// the next. Nothing is removed. A menu that is there already is not written again.
    ///
    /// # Errors
    /// `/boot` cannot be written; the menu is then the one from before.
    pub fn write(&mut self) -> Result<()> {
        let folder = &self.folder;
        if !self.missing.is_empty() {
            boot_files::copy(&folder.boot, &self.missing)?;
            written(&folder.boot)?;
        }
        self.names.write(&folder.boot, &self.sources)?;
        let slots = Slots::read(&folder.grub)?;
        if self.is_there(&slots) {
            return Ok(());
        }
        let (slot, sequence) = next_slot(&slots)?;
        write_slot(&folder.grub, &SlotFiles::new(slot, sequence, &self.menu))?;
        written(&folder.grub)
    }

    /// Whether the menu that boots has this text.
    fn is_there(&self, slots: &Slots) -> bool {
        let Some((slot, sequence)) = slots.newest() else {
            return false;
        };
        let files = SlotFiles::new(slot, sequence, &self.menu);
        files.files().into_iter().all(|(name, content)| {
            fs::read(self.folder.grub.join(name)).is_ok_and(|bytes| bytes == content.as_bytes())
        })
    }

    /// Writes the menu as [`MenuPlan::write`] does, and removes what it does not need then.
    ///
    /// # Errors
    /// `/boot` cannot be written.
    pub fn replace(&mut self) -> Result<()> {
        self.write()?;
        self.remove_unneeded()
    }

    /// Removes the files that no entry of the menu needs. The menu must be on the disk.
    ///
    /// # Errors
    /// One cannot be removed.
    pub fn remove_unneeded(&self) -> Result<()> {
        for name in &self.unneeded {
            let path = self.folder.boot.join(name);
            fs::remove_file(&path)
                .with_context(|| format!("cannot remove '{}'", path.display()))?;
        }
        Ok(())
    }
}

/// Reads what generations need to boot.
struct Gathering<'a> {
    store: &'a Store,
    names: Names,
    files: BTreeMap<String, Wanted>,
    sources: BTreeSet<String>,
}

impl Gathering<'_> {
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

    fn boot_files(&mut self, bootspec: &Bootspec) -> Result<BootFiles> {
        let kernel = self.file(&bootspec.v1.kernel, BootFileKind::Kernel)?;
        let initrd = match &bootspec.v1.initrd {
            Some(initrd) => Some(self.file(initrd, BootFileKind::Initrd)?),
            None => None,
        };
        Ok(BootFiles { kernel, initrd })
    }

    /// The memory test, from the store's paths to those at which GRUB sees it.
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

    fn file(&mut self, source: &str, kind: BootFileKind) -> Result<String> {
        let real = self.store.real_path_of(source)?;
        let file = self.names.of(source, &real, kind)?;
        self.sources.insert(source.to_owned());
        let path = format!("/boot/{}", file.name);
        let wanted = Wanted {
            source: real,
            size: file.size,
        };
        self.files.insert(file.name, wanted);
        Ok(path)
    }
}

/// Names and sizes of the files that `folder` lacks for `bootspec` to boot.
///
/// # Errors
/// They cannot be read.
pub fn missing_files(
    store: &Store,
    folder: &BootFolder,
    bootspec: &Bootspec,
) -> Result<Vec<(String, u64)>> {
    let mut gathering = Gathering {
        store,
        names: Names::read(&folder.boot),
        files: BTreeMap::new(),
        sources: BTreeSet::new(),
    };
    for one in std::iter::once(bootspec).chain(bootspec.specialisations.values()) {
        gathering.boot_files(one)?;
    }
    let suspects = gathering.files.keys().cloned().collect();
    let missing = boot_files::missing(&folder.boot, &gathering.files, &suspects)?;
    Ok(missing
        .into_iter()
        .map(|(name, file)| (name, file.size))
        .collect())
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
