//! The order of a change: nothing that boots or runs goes before its successor is on the disk.
//!
//! ```text
//! profile link -> kernel and initrd -> boot entries -> services and activation -> what boots next
//!                                                            | failure
//!                                                            v
//!                                              the old generation again; what boots stays
//! ```
//!
//! GRUB itself, where it was asked for, is written last: it finds whole boot entries, and mirrors that
//! activation has mounted.
//!
//! Invariant: until the last step the machine boots what it booted before, whatever happens.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};
use cairn_bootloader::EntryId;
use cairn_system::{Bootspec, ServiceAction, ServiceChanges};
use indicatif::HumanBytes;

use super::action::Action;
use super::commit::next_state;
use super::live::{LiveError, go_live};
use super::machine::{Machine, Showing};
use super::menu::{MenuPlan, PROFILE, bootspec_of, read_bootspec};
use super::preview;
use super::tale::Tale;
use super::target::Target;
use crate::boot_loader;
use crate::factory_reset;
use crate::message;

/// Where the log of the last change is: `cairn log switch` shows it.
const LOG: &str = "var/log/cairn/switch.log";

/// Boots that an entry has to prove itself, if its system does not say so itself.
const TRIES: u8 = 2;

/// Changes the system at `root`; what happens is told on standard error and in the log.
///
/// # Errors
/// The change was not begun, or was cut off by an error of the machine. A change that failed and was
/// taken back is an exit code.
pub fn apply(root: &Path, action: Action, target: &Target) -> Result<ExitCode> {
    let mut tale = Tale::new(&root.join(LOG));
    let changed = Change {
        machine: &Machine::at(root),
        tale: &mut tale,
        action,
        target,
        showing: Showing::Newest,
    }
    .run();
    if let Err(error) = &changed {
        tale.note(&format!("cairn: {}", message(error)));
    }
    changed
}

struct Change<'a> {
    machine: &'a Machine,
    tale: &'a mut Tale,
    action: Action,
    target: &'a Target,
    showing: Showing,
}

impl Change<'_> {
    fn run(mut self) -> Result<ExitCode> {
        let prepared = if self.action.is_kept() {
            Some(self.prepare()?)
        } else {
            None
        };
        if self.action.is_live() {
            let live = self.target.live(self.machine.store()?)?;
            if let Err(error) = self.change_live(&live) {
                if prepared.is_some()
                    && let Err(other) = self.leave_trial()
                {
                    self.tale.say(&format!("cairn: {}", message(&other)));
                }
                self.tale.say(&match prepared {
                    Some((number, _)) => format!(
                        "cairn: generation {number} stays in the boot menu, and does not boot by itself"
                    ),
                    None => "cairn: what boots is as before".to_owned(),
                });
                return Ok(ExitCode::from(error.exit_status()));
            }
        }
        if let Some((number, entry)) = prepared {
            self.commit(number, &entry)?;
            self.install_boot_loader()?;
            self.say_what_is_forgone();
        }
        Ok(ExitCode::SUCCESS)
    }

    /// The generation's link, and all that it needs to boot; nothing boots it by itself yet.
    fn prepare(&mut self) -> Result<(u64, EntryId)> {
        let machine = self.machine;
        let toplevel = &self.target.toplevel;
        let number = match self.target.number {
            Some(number) => number,
            None => machine.store()?.add_generation(PROFILE, toplevel)?.number,
        };
        let entry = self.target.boot_entry(self.action, number)?;
        let Some(bootspec) = bootspec_of(machine.store()?, toplevel)? else {
            return Ok((number, entry));
        };
        let menus = self.menus_with_room(&bootspec, number)?;
        for (path, size) in menus.iter().flat_map(MenuPlan::missing) {
            let path = path.display();
            self.tale.say(&format!("{path}: {}", HumanBytes(size)));
        }
        machine.write_menus(menus, MenuPlan::write)?;
        Ok((number, entry))
    }

    /// The menus with the newcomer, each with room for its files. If they need it, space is freed: first of
    /// files that no generation in the menu needs, then of generations that are neither booted, current,
    /// good nor on trial; these lose their place in the menu, and can still be switched to. A menu without
    /// them is on the disk before a file goes.
    fn menus_with_room(&mut self, bootspec: &Bootspec, newcomer: u64) -> Result<Vec<MenuPlan>> {
        let machine = self.machine;
        let newest = machine.menus(bootspec, Some(newcomer), Showing::Newest)?;
        if lacking(&newest)?.is_none() {
            return Ok(newest);
        }
        let without = BTreeSet::from([newcomer]);
        let has_current = machine.generations()?.iter().any(|one| one.current);
        if has_current {
            let others = machine.menus_without(&without)?;
            if lacking(&others)?.is_none() {
                machine.write_menus(others, MenuPlan::replace)?;
            }
        }
        let newest = machine.menus(bootspec, Some(newcomer), Showing::Newest)?;
        if lacking(&newest)?.is_none() {
            return Ok(newest);
        }
        self.tale
            .say("/boot is full: old generations leave the boot menu");
        self.showing = Showing::Needed;
        let few = machine.menus(bootspec, None, Showing::Needed)?;
        machine.write_menus(few, MenuPlan::replace)?;
        let needed = machine.menus(bootspec, Some(newcomer), Showing::Needed)?;
        if let Some(menu) = lacking(&needed)? {
            bail!(
                "cannot boot generation {newcomer}: its kernel and initrd need {} in '{}', which has \
                 {} free; make room there",
                HumanBytes(menu.size()),
                menu.folder().boot.display(),
                HumanBytes(menu.room()?)
            );
        }
        Ok(needed)
    }

    /// A menu has one entry on trial: if there was one before this change, it is that one again.
    fn leave_trial(&mut self) -> Result<()> {
        let machine = self.machine;
        if machine.boot_state().trial.is_none() {
            return Ok(());
        }
        let bootspec = read_bootspec(machine.store()?, &self.target.toplevel)?;
        let menus = machine.menus(&bootspec, None, self.showing)?;
        machine.write_menus(menus, MenuPlan::write)
    }

    /// Makes `new` the running system, or the old one again.
    fn change_live(&mut self, new: &Path) -> Result<(), LiveError> {
        let old = self.machine.running();
        let changes = preview::service_changes(self.machine, new).unwrap_or_else(|error| {
            // The supervisor computes the same in a moment, or the change fails.
            log::debug!("what becomes of services is not known: {error:#}");
            ServiceChanges::default()
        });
        let (kept, others): (Vec<_>, Vec<_>) = changes
            .iter()
            .partition(|change| change.action == ServiceAction::Keep);
        for change in others {
            self.tale.say(&change.to_string());
        }
        let Err(error) = go_live(new, self.tale) else {
            // What somebody still has to do stands where it is seen.
            for change in kept {
                self.tale.say(&change.to_string());
            }
            return Ok(());
        };
        self.tale.say(&format!("cairn: {error}"));
        if matches!(error, LiveError::NotBegun(_)) {
            return Err(error);
        }
        match old.filter(|old| old != new) {
            None => self
                .tale
                .say("cairn: there is no other system to go back to"),
            Some(old) => {
                self.tale.say(&format!("going back to {}", old.display()));
                if let Err(second) = go_live(&old, self.tale) {
                    self.tale.say(&format!(
                        "cairn: going back failed too: {second}; restart the machine: it boots the \
                         old system"
                    ));
                }
            }
        }
        Err(error)
    }

    /// GRUB itself, if it was asked for.
    fn install_boot_loader(&mut self) -> Result<()> {
        let machine = self.machine;
        let Some(facts) = &self.target.boot_loader else {
            return Ok(());
        };
        for written in boot_loader::install(machine.root(), machine.store()?, facts)? {
            self.tale.say(&written);
        }
        Ok(())
    }

    /// The change is made: what is not known now is no reason to take it back.
    fn say_what_is_forgone(&mut self) {
        match factory_reset::forgone(self.machine.root()) {
            Ok(Some(what)) => self.tale.say(&format!("cairn: {what}")),
            Ok(None) => {}
            Err(error) => log::warn!("cannot see whether a factory reset is waiting: {error:#}"),
        }
    }

    /// Makes the entry what boots; a container has none, and its host starts what the profile points to.
    fn commit(&mut self, number: u64, entry: &EntryId) -> Result<()> {
        let machine = self.machine;
        let Some(bootspec) = bootspec_of(machine.store()?, &self.target.toplevel)? else {
            machine.set_profile(number)?;
            self.tale
                .say(&format!("generation {number} is what starts next"));
            return Ok(());
        };
        let before = machine.boot_state_to_change()?;
        let standing = machine.standing(entry)?;
        let tries = bootspec
            .menu
            .as_ref()
            .map_or(TRIES, |menu| menu.trial.tries);
        let state = next_state(&before, entry, standing, tries);
        machine.commit(&bootspec, number, &state)?;
        self.tale.say(&match &state.trial {
            Some(trial) if trial.entry == *entry => format!(
                "generation {entry} boots next, on trial: it has {} tries to come up",
                trial.tries
            ),
            _ => format!("generation {entry} boots"),
        });
        let menus = machine.menus(&bootspec, None, self.showing)?;
        machine.write_menus(menus, MenuPlan::replace)
    }
}

/// The first of `menus` whose files have no room.
fn lacking(menus: &[MenuPlan]) -> Result<Option<&MenuPlan>> {
    for menu in menus {
        if menu.lacks_room()? {
            return Ok(Some(menu));
        }
    }
    Ok(None)
}
