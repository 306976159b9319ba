//! What is switched to: a configuration's system, or a generation that is there.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use cairn_bootloader::EntryId;
use cairn_store::Store;
use cairn_store_path::StorePath;

use super::action::Action;
use super::menu::PROFILE;
use crate::boot_loader::BootLoaderFacts;

/// Which generation that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// The one before the profile's current one.
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
    /// A generation of the profile.
    ///
    /// # Errors
    /// There is no such generation.
    pub fn existing(store: &Store, which: Existing) -> Result<Self> {
        let generations = store.generations(PROFILE)?;
        let found = match which {
            Existing::Number(number) => {
                let found = generations.iter().find(|one| one.number == number);
                found.with_context(|| {
                    format!("there is no generation {number}; see cairn generations")
                })?
            }
            Existing::Previous => {
                let current = generations.iter().position(|one| one.current);
                let current = current.context("the profile has no current generation")?;
                let before = current.checked_sub(1).and_then(|at| generations.get(at));
                before.context(
                    "there is no generation before the current one; see cairn generations",
                )?
            }
        };
        Ok(Self {
            toplevel: found.path.clone(),
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
