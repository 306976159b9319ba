//! The machine whose generation changes: its store, its boot folders, and what it says of itself.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Context, Result};
use cairn_bootloader::{BootState, EntryId, Options};
use cairn_store::{Generation, Store, profile};
use cairn_store_path::StorePath;
use cairn_system::Bootspec;

use crate::assessment::{Outcome, Verdict};
use crate::message;

use super::boot_folder::BootFolder;
use super::commit::{Standing, write_state};
use super::menu::{MenuPlan, PROFILE, bootspec_of, read_bootspec};

/// The link to the running generation, below the root.
const CURRENT: &str = "run/current-system";

/// The link to the generation that booted.
const BOOTED: &str = "run/booted-system";

/// Which generations a menu shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Showing {
    /// As many of the newest as the configuration says, and those that must not go.
    Newest,
    /// Those alone that must not go.
    Needed,
}

/// A machine, seen from the root of its file system.
#[derive(Debug)]
pub struct Machine {
    root: PathBuf,
    store: OnceLock<Store>,
    /// Mirrors of `/boot` that could not be written: nothing more is written to them.
    lost: RefCell<BTreeSet<PathBuf>>,
}

impl Machine {
    /// The machine whose file systems are at `root`.
    #[must_use]
    pub fn at(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            store: OnceLock::new(),
            lost: RefCell::default(),
        }
    }

    /// Where its file systems are.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Its store, opened when it is first asked for: what a boot is judged by is known without it.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn store(&self) -> Result<&Store> {
        if let Some(store) = self.store.get() {
            return Ok(store);
        }
        let store = Store::open(&self.root)?;
        Ok(self.store.get_or_init(|| store))
    }

    /// A path of it, as this process sees it.
    #[must_use]
    pub fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// Every folder that it boots from, the first one to be read.
    #[must_use]
    pub fn boot_folders(&self) -> Vec<BootFolder> {
        let bootspec = self.current_toplevel().and_then(|toplevel| {
            let store = self.store()?;
            bootspec_of(store, &toplevel)
        });
        let bootspec = bootspec.unwrap_or_else(|error| {
            // `/boot` is there on any machine.
            log::warn!("mirrors of /boot are not known: {error:#}");
            None
        });
        self.folders_of(bootspec.as_ref())
    }

    /// What the profile's current generation says of the boot menu.
    fn current_bootspec(&self) -> Result<Bootspec> {
        read_bootspec(self.store()?, &self.current_toplevel()?)
    }

    fn current_toplevel(&self) -> Result<StorePath> {
        let mut generations = self.generations()?.into_iter();
        let current = generations.find(|one| one.current);
        let current = current.context("the profile has no current generation")?;
        Ok(current.path)
    }

    /// As [`Machine::boot_folders`], as `bootspec` wants them. A mirror whose disk is not there, fails, or
    /// can only be read, is left out with a warning: the machine boots without it.
    fn folders_of(&self, bootspec: Option<&Bootspec>) -> Vec<BootFolder> {
        let menu = bootspec.and_then(|bootspec| bootspec.menu.as_ref());
        let mirrors = menu.map(|menu| menu.mirrors.as_slice()).unwrap_or_default();
        let mirrors = mirrors.iter().filter_map(|path| {
            let folder = BootFolder::mirror(&self.path(path.trim_start_matches('/')));
            if let Err(error) = &folder {
                log::warn!("the mirror '{path}' gets no boot entries: {error}");
            }
            folder.ok()
        });
        let lost = self.lost.borrow();
        std::iter::once(BootFolder::of(&self.root))
            .chain(mirrors.filter(|mirror| !lost.contains(&mirror.boot)))
            .collect()
    }

    /// What writing `folder` has given. That a mirror cannot be written is told, and no more is written to
    /// it: what it has stays, and boots as before. Whether the machine boots is decided by `/boot` alone.
    fn tolerate<T>(&self, folder: &BootFolder, written: Result<T>) -> Result<Option<T>> {
        match written {
            Ok(value) => Ok(Some(value)),
            Err(error) if *folder == BootFolder::of(&self.root) => Err(error),
            Err(error) => {
                log::warn!(
                    "the mirror '{}' is left as it is: {}",
                    folder.boot.display(),
                    message(&error)
                );
                self.lost.borrow_mut().insert(folder.boot.clone());
                Ok(None)
            }
        }
    }

    /// Does `step` with each menu.
    ///
    /// # Errors
    /// It fails for `/boot`; a mirror for which it fails is told, and left out from then on.
    pub fn write_menus(
        &self,
        menus: Vec<MenuPlan>,
        step: impl Fn(&mut MenuPlan) -> Result<()>,
    ) -> Result<()> {
        for mut menu in menus {
            let written = step(&mut menu);
            self.tolerate(menu.folder(), written)?;
        }
        Ok(())
    }

    /// Writes the boot state of each boot folder where it differs.
    ///
    /// # Errors
    /// That of `/boot` cannot be written; a mirror's is told, and left out from then on.
    pub fn write_state(&self, folders: &[BootFolder], state: &BootState) -> Result<()> {
        for folder in folders {
            self.tolerate(folder, write_state(folder, state))?;
        }
        Ok(())
    }

    /// Makes generation `number`, whose wishes are in `bootspec`, the profile's, and `state` the boot
    /// loader's.
    ///
    /// # Errors
    /// A folder cannot be written.
    pub fn commit(&self, bootspec: &Bootspec, number: u64, state: &BootState) -> Result<()> {
        self.set_profile(number)?;
        self.write_state(&self.folders_of(Some(bootspec)), state)
    }

    /// Makes generation `number` the profile's.
    ///
    /// # Errors
    /// It is not there, or the link cannot be written.
    pub fn set_profile(&self, number: u64) -> Result<()> {
        Ok(self.store()?.set_current(PROFILE, number)?)
    }

    /// The toplevel that runs; none where nothing was ever activated.
    #[must_use]
    pub fn running(&self) -> Option<PathBuf> {
        Self::running_at(&self.root)
    }

    /// The toplevel that runs on the machine at `root`.
    #[must_use]
    pub fn running_at(root: &Path) -> Option<PathBuf> {
        fs::read_link(root.join(CURRENT)).ok()
    }

    /// The generations of its profile, lowest first.
    ///
    /// # Errors
    /// The profile cannot be read.
    pub fn generations(&self) -> Result<Vec<Generation>> {
        Ok(profile::generations(&self.root, PROFILE)?)
    }

    /// Generation `number`.
    ///
    /// # Errors
    /// There is none, or the profile cannot be read.
    pub fn generation(&self, number: u64) -> Result<Generation> {
        let mut generations = self.generations()?.into_iter();
        let found = generations.find(|one| one.number == number);
        found.with_context(|| format!("there is no generation {number}; see cairn generations"))
    }

    /// The system that an entry boots: that of its generation, or of its variant.
    ///
    /// # Errors
    /// There is none.
    pub fn toplevel(&self, entry: &EntryId) -> Result<PathBuf> {
        let system = self.generation(entry.number())?.path.to_path_buf();
        let Some(name) = entry.specialisation() else {
            return Ok(system);
        };
        let inside = system.strip_prefix("/").unwrap_or(&system);
        let link = self.root.join(inside).join("specialisation").join(name);
        fs::read_link(&link).with_context(|| format!("cannot read '{}'", link.display()))
    }

    /// The number of the generation that booted, if it is one: of several with the same system the
    /// profile's current one, else the newest.
    ///
    /// # Errors
    /// The profile cannot be read.
    pub fn booted(&self) -> Result<Option<u64>> {
        let Ok(booted) = fs::read_link(self.path(BOOTED)) else {
            return Ok(None);
        };
        let generations = self.generations()?;
        let same = generations.iter().filter(|one| self.has(one, &booted));
        let best = same.max_by_key(|one| (one.current, one.number));
        Ok(best.map(|one| one.number))
    }

    /// Whether `toplevel` is the generation's, or that of one of its variants.
    fn has(&self, generation: &Generation, toplevel: &Path) -> bool {
        if generation.path.to_path_buf() == toplevel {
            return true;
        }
        let bootspec = self
            .store()
            .and_then(|store| read_bootspec(store, &generation.path));
        bootspec.is_ok_and(|bootspec| {
            let mut variants = bootspec.specialisations.values();
            variants.any(|variant| Path::new(&variant.v1.toplevel) == toplevel)
        })
    }

    /// What is known of an entry: whether this very system was found good when it booted as it.
    ///
    /// # Errors
    /// The profile cannot be read.
    pub fn standing(&self, entry: &EntryId) -> Result<Standing> {
        let toplevel = self.toplevel(entry)?;
        let verdict = Verdict::of(&self.root, &entry.to_string(), &toplevel);
        Ok(match verdict {
            Ok(Some(verdict)) if verdict.outcome == Outcome::Good => Standing::Good,
            Ok(_) => Standing::Unproven,
            Err(error) => {
                log::warn!("{error}; the entry has to prove itself again");
                Standing::Unproven
            }
        })
    }

    /// What the boot loader goes by. A damaged state says nothing: it is made anew when something is
    /// known.
    #[must_use]
    pub fn boot_state(&self) -> BootState {
        BootState::read(&BootFolder::of(&self.root).grub).unwrap_or_else(|error| {
            log::warn!("{error}; it is made anew");
            BootState::default()
        })
    }

    /// The same for a change of what boots: with nothing known to be good, that is what has booted.
    ///
    /// # Errors
    /// The profile cannot be read.
    pub fn boot_state_to_change(&self) -> Result<BootState> {
        let mut state = self.boot_state();
        if state.good.is_none() {
            state.good = self.booted()?.map(EntryId::generation);
        }
        Ok(state)
    }

    /// The menu of this machine, written with the wishes of `bootspec`, for each boot folder.
    /// `newcomer` is a generation that is not known to boot; of the others, those are shown that
    /// `showing` says.
    ///
    /// # Errors
    /// The profile or `/boot` cannot be read.
    pub fn menus(
        &self,
        bootspec: &Bootspec,
        newcomer: Option<u64>,
        showing: Showing,
    ) -> Result<Vec<MenuPlan>> {
        let limit = match showing {
            Showing::Newest => configuration_limit(bootspec),
            Showing::Needed => 0,
        };
        let state = self.boot_state_to_change()?;
        let numbers = self.shown(&state, newcomer, limit)?;
        self.menus_of(bootspec, &state, &numbers, newcomer)
    }

    /// Writes the menu without the generations `gone`, which may be removed from the profile then; the
    /// files that they alone need are removed. Generations that must not go are shown all the same.
    ///
    /// # Errors
    /// The profile cannot be read, or `/boot` or a mirror cannot be written: what a menu may name shall not go.
    pub fn write_menus_without(&self, gone: &BTreeSet<u64>) -> Result<()> {
        for mut menu in self.menus_without(gone)? {
            menu.replace()?;
        }
        Ok(())
    }

    /// As [`Machine::menus`] by the wishes of the profile's current generation, without those that are
    /// `gone`, unless they must not go.
    ///
    /// # Errors
    /// The profile or `/boot` cannot be read.
    pub fn menus_without(&self, gone: &BTreeSet<u64>) -> Result<Vec<MenuPlan>> {
        let bootspec = self.current_bootspec()?;
        let state = self.boot_state_to_change()?;
        let mut numbers = self.shown(&state, None, configuration_limit(&bootspec))?;
        let needed = self.shown(&state, None, 0)?;
        numbers.retain(|number| needed.contains(number) || !gone.contains(number));
        self.menus_of(&bootspec, &state, &numbers, None)
    }

    /// As [`Machine::menus`] by the wishes of the profile's current generation, with what `state` names.
    ///
    /// # Errors
    /// The profile or `/boot` cannot be read.
    pub fn menus_for(&self, state: &BootState) -> Result<Vec<MenuPlan>> {
        let bootspec = self.current_bootspec()?;
        let numbers = self.shown(state, None, configuration_limit(&bootspec))?;
        self.menus_of(&bootspec, state, &numbers, None)
    }

    fn menus_of(
        &self,
        bootspec: &Bootspec,
        state: &BootState,
        numbers: &BTreeSet<u64>,
        newcomer: Option<u64>,
    ) -> Result<Vec<MenuPlan>> {
        let options = menu_options(bootspec, state, newcomer);
        let folders = self.folders_of(Some(bootspec));
        let store = self.store()?;
        let mut plans = Vec::new();
        for folder in &folders {
            let plan = MenuPlan::new(store, folder, numbers, newcomer, &options);
            plans.extend(self.tolerate(folder, plan)?);
        }
        Ok(plans)
    }

    /// The generations that a menu shows: so many of the newest, and those that must not go.
    fn shown(
        &self,
        state: &BootState,
        newcomer: Option<u64>,
        limit: usize,
    ) -> Result<BTreeSet<u64>> {
        let generations = self.generations()?;
        let newest = generations.iter().rev().take(limit).map(|one| one.number);
        let current = generations.iter().filter(|one| one.current);
        let entries = [
            state.good.as_ref(),
            state.trial.as_ref().map(|trial| &trial.entry),
            state.once.as_ref(),
        ];
        Ok(newest
            .chain(current.map(|one| one.number))
            .chain(entries.into_iter().flatten().map(EntryId::number))
            .chain(self.booted()?)
            .chain(newcomer)
            .collect())
    }
}

fn configuration_limit(bootspec: &Bootspec) -> usize {
    let limit = bootspec.menu.as_ref().map(|menu| menu.configuration_limit);
    limit.map_or(usize::MAX, |limit| {
        usize::try_from(limit).unwrap_or(usize::MAX)
    })
}

/// What the menu does. The newcomer may be put on trial before the menu is written again.
fn menu_options(bootspec: &Bootspec, state: &BootState, newcomer: Option<u64>) -> Options {
    let menu = bootspec.menu.as_ref();
    let trial = state.trial.as_ref().map(|trial| trial.entry.clone());
    Options {
        good: state.good.clone(),
        trial: newcomer.map(EntryId::generation).or(trial),
        memtest: menu.and_then(|menu| menu.memtest.clone()),
        // Which generations are shown was decided already.
        configuration_limit: usize::MAX,
        ..menu.map(Options::of).unwrap_or_default()
    }
}
