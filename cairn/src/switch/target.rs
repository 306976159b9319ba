//! What is switched to: a configuration's system, or a generation that is there.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use cairn_bootloader::EntryId;
use cairn_store::{Generation, Store};
use cairn_store_path::StorePath;

use super::action::Action;
use super::machine::Machine;
use crate::assessment::{Outcome, Verdict};
use crate::boot_loader::BootLoaderFacts;

/// Which generation that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// The newest before the profile's current one that is not known to fail.
    Previous,
    /// The one with this number.
    Number(u64),
}

/// A system that can be switched to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The generation's toplevel.
    pub toplevel: StorePath,
    /// Its number, if it has one already.
    pub number: Option<u64>,
    /// A variant of it.
    pub specialisation: Option<String>,
    /// Where GRUB itself is written, if it is.
    pub boot_loader: Option<BootLoaderFacts>,
}

impl Target {
    /// A generation of the machine's profile.
    ///
    /// # Errors
    /// There is no such generation.
    pub fn existing(machine: &Machine, which: Existing) -> Result<Self> {
        let found = match which {
            Existing::Number(number) => machine.generation(number)?,
            Existing::Previous => previous(machine)?,
        };
        Ok(Self {
            toplevel: found.path,
            number: Some(found.number),
            specialisation: None,
            boot_loader: None,
        })
    }

    /// The variant called `name` of it.
    ///
    /// # Errors
    /// It has no such variant.
    pub fn specialised(mut self, store: &Store, name: &str) -> Result<Self> {
        let bootspec = super::menu::read_bootspec(store, &self.toplevel)?;
        if !bootspec.specialisations.contains_key(name) {
            let known: Vec<&str> = bootspec
                .specialisations
                .keys()
                .map(String::as_str)
                .collect();
            let known = if known.is_empty() {
                "it has none".to_owned()
            } else {
                format!("it has {}", known.join(", "))
            };
            bail!(
                "there is no specialisation '{name}' of {}; {known}",
                self.toplevel
            );
        }
        self.specialisation = Some(name.to_owned());
        Ok(self)
    }

    /// The toplevel that is activated, as the running system sees it.
    ///
    /// # Errors
    /// The variant's `boot.json` is damaged.
    pub fn live(&self, store: &Store) -> Result<PathBuf> {
        let Some(name) = &self.specialisation else {
            return Ok(self.toplevel.to_path_buf());
        };
        let bootspec = super::menu::read_bootspec(store, &self.toplevel)?;
        let special = bootspec.specialisations.get(name);
        let special = special.with_context(|| format!("there is no specialisation '{name}'"))?;
        Ok(PathBuf::from(&special.v1.toplevel))
    }

    /// The boot entry that `action` makes what boots, of the generation `number`, which this is. A
    /// variant that is switched to runs now; what boots is the generation itself, unless nothing but
    /// booting was asked for.
    ///
    /// # Errors
    /// The variant's name is too long for a boot entry.
    pub fn boot_entry(&self, action: Action, number: u64) -> Result<EntryId> {
        let variant = match action {
            Action::Boot => self.specialisation.as_deref(),
            Action::Switch | Action::Test => None,
        };
        Ok(EntryId::new(number, variant)?)
    }

    /// The arguments by which a child is told of it.
    ///
    /// # Errors
    /// None: all of it is text.
    pub fn words(&self, action: Action) -> Result<Vec<String>> {
        let mut words = vec![
            format!("--action={}", action.word()),
            format!("--toplevel={}", self.toplevel),
        ];
        words.extend(self.number.map(|number| format!("--number={number}")));
        let variant = self.specialisation.as_ref();
        words.extend(variant.map(|name| format!("--specialisation={name}")));
        if let Some(facts) = &self.boot_loader {
            words.push(format!("--boot-loader={}", serde_json::to_string(facts)?));
        }
        Ok(words)
    }
}

/// The newest generation before the current one that has not failed when it was last booted. Those that are
/// passed over are told.
fn previous(machine: &Machine) -> Result<Generation> {
    let generations = machine.generations()?;
    let current = generations.iter().position(|one| one.current);
    let current = current.context("the profile has no current generation")?;
    let before = generations.into_iter().take(current).rev();
    let mut passed_over = Vec::new();
    for generation in before {
        let Some(reason) = failure(machine, &generation) else {
            return Ok(generation);
        };
        let number = generation.number;
        log::warn!("generation {number} is passed over, it failed when it was booted: {reason}");
        passed_over.push(number);
    }
    match passed_over.first() {
        None => bail!("there is no generation before the current one; see cairn generations"),
        Some(newest) => bail!(
            "every generation before the current one failed when it was booted; see cairn generations, \
             and name one all the same: cairn switch --to {newest}"
        ),
    }
}

/// Why a generation is known to fail; what cannot be read says nothing against it.
fn failure(machine: &Machine, generation: &Generation) -> Option<String> {
    let number = generation.number;
    let toplevel = generation.path.to_path_buf();
    match Verdict::of(machine.root(), &number.to_string(), &toplevel) {
        Ok(verdict) => verdict
            .filter(|verdict| verdict.outcome == Outcome::Failed)
            .map(|verdict| verdict.reason),
        Err(error) => {
            log::warn!("{error}");
            None
        }
    }
}
