//! Which generations go, which stay and why, and the order in which they go.
//!
//! ```text
//! boot menu without them, on the disk -> kernels and initrds that no entry needs -> profile links
//!                                                                                -> verdicts
//! ```
//!
//! Invariants: the generation that booted, the one that runs, the one that boots by default or once,
//! the one on trial and the last known good one stay. No entry of the boot menu ever names something
//! that is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use cairn_bootloader::EntryId;
use cairn_store::profile::generation_link;
use serde::Serialize;

use super::listing::{Listed, Listing, Mark};
use super::selection::{Candidate, Selection};
use crate::assessment::FOLDER;
use crate::switch::Machine;
use crate::switch::menu::PROFILE;

/// Generations that go, and those that were meant and stay.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Deletion {
    /// These go.
    pub removed: BTreeSet<u64>,
    /// These stay, each for a reason.
    pub kept: BTreeMap<u64, String>,
}

impl Deletion {
    /// What deleting `selection` does at the time `now`, in seconds since 1970. Changes nothing.
    ///
    /// # Errors
    /// A number is that of no generation, or it is not known what boots.
    pub fn plan(listing: &Listing, selection: &Selection, now: i64) -> Result<Self> {
        if let Some(doubt) = &listing.doubt {
            bail!("cannot tell which generations must stay: {doubt}; cairn boot writes it anew");
        }
        let candidates: Vec<Candidate> = listing
            .generations
            .iter()
            .map(|one| Candidate {
                number: one.generation,
                time: one.time,
                wanted: one.wanted,
            })
            .collect();
        let meant = selection.of(&candidates, now)?;
        let mut deletion = Self::default();
        for one in &listing.generations {
            if !meant.contains(&one.generation) {
                continue;
            }
            match reason_to_stay(one) {
                Some(reason) => {
                    deletion.kept.insert(one.generation, reason);
                }
                None => {
                    deletion.removed.insert(one.generation);
                }
            }
        }
        Ok(deletion)
    }

    /// The profile's links of what goes, in the store at `root`.
    ///
    /// # Errors
    /// None: the profile's name is a good one.
    pub fn links(&self, root: &Path) -> Result<BTreeSet<PathBuf>> {
        let numbers = self.removed.iter();
        let links = numbers.map(|&number| generation_link(root, PROFILE, number));
        Ok(links.collect::<Result<_, _>>()?)
    }

    /// Removes what goes from `machine`. The caller has its lock, and read the listing with it.
    ///
    /// # Errors
    /// The boot menu cannot be written: then nothing was removed. Or something cannot be removed; it
    /// is no longer in the boot menu then.
    pub fn apply(&self, machine: &Machine) -> Result<()> {
        if self.removed.is_empty() {
            return Ok(());
        }
        self.leave_menu(machine)?;
        let numbers: Vec<u64> = self.removed.iter().copied().collect();
        machine.store()?.remove_generations(PROFILE, &numbers)?;
        self.remove_verdicts(&machine.path(FOLDER))
    }

    fn leave_menu(&self, machine: &Machine) -> Result<()> {
        let has_current = machine.generations()?.iter().any(|one| one.current);
        let boot_folders = machine.boot_folders();
        if has_current && boot_folders.iter().any(|folder| folder.grub.exists()) {
            machine.write_menus_without(&self.removed)
        } else {
            // A container, or a profile that was never made what boots.
            Ok(())
        }
    }

    /// A number that comes again shall not inherit what is said of the one that went.
    fn remove_verdicts(&self, folder: &Path) -> Result<()> {
        let reading = || format!("cannot read '{}'", folder.display());
        let entries = match fs::read_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other.with_context(reading)?,
        };
        for entry in entries {
            let path = entry.with_context(reading)?.path();
            let id = path.file_stem().and_then(|stem| stem.to_str());
            let id: Option<EntryId> = id.and_then(|stem| stem.parse().ok());
            if id.is_some_and(|id| self.removed.contains(&id.number())) {
                fs::remove_file(&path)
                    .with_context(|| format!("cannot remove '{}'", path.display()))?;
            }
        }
        Ok(())
    }

    /// What is said of it, a line for each generation.
    #[must_use]
    pub fn tale(&self, is_dry: bool) -> String {
        let goes = if is_dry {
            "would be removed"
        } else {
            "is removed"
        };
        let mut lines = BTreeMap::new();
        for number in &self.removed {
            lines.insert(number, format!("generation {number} {goes}\n"));
        }
        for (number, reason) in &self.kept {
            lines.insert(number, format!("generation {number} stays: {reason}\n"));
        }
        lines.into_values().collect()
    }
}

/// Why a generation must not go; none if it may.
fn reason_to_stay(one: &Listed) -> Option<String> {
    let entries = std::iter::once(&one.entry).chain(&one.specialisations);
    let marks: BTreeSet<Mark> = entries.flat_map(|entry| entry.marks.clone()).collect();
    let reasons = marks.into_iter().filter_map(|mark| match mark {
        Mark::Booted => Some("it booted"),
        Mark::Current => Some("it runs"),
        Mark::Default => Some("it boots by default"),
        Mark::Once => Some("it boots next"),
        Mark::Chosen => Some("it was chosen last in the boot menu"),
        Mark::Trial => Some("it is on trial"),
        Mark::LastGood => Some("it is the last known good one"),
        Mark::Good | Mark::Failed => None,
    });
    let mut reasons: Vec<&str> = reasons.collect();
    if one.wanted && reasons.is_empty() {
        reasons.push("the profile points to it");
    }
    (!reasons.is_empty()).then(|| reasons.join(", "))
}
