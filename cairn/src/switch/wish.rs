//! What the operator wants, from the words to the child that does it.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use cairn_bootloader::EntryId;
use cairn_store::Store;
use cairn_store_path::StorePath;

use super::action::Action;
use super::detached;
use super::lock::SwitchLock;
use super::machine::Machine;
use super::once;
use super::preview::Preview;
use super::target::{Existing, Target};
use crate::boot_loader::{self, BootLoaderFacts};
use crate::configuration::{AttributePath, Configuration, Wanted};
use crate::place::is_system;

/// The root of the machine that is changed.
const ROOT: &str = "/";

/// Where the system comes from.
#[derive(Debug)]
pub enum Source {
    /// It is built.
    Configuration(Box<Configuration>),
    /// It is there.
    Existing(Existing),
}

/// What is wanted of the machine.
#[derive(Debug)]
pub struct Wish {
    /// Where the system comes from.
    pub source: Source,
    /// A variant of it.
    pub specialisation: Option<String>,
    /// Whether GRUB itself is written to the disks.
    pub boot_loader: bool,
}

impl Wish {
    /// The newest generation before the current one that has not failed.
    #[must_use]
    pub fn rollback() -> Self {
        Self {
            source: Source::Existing(Existing::Previous),
            specialisation: None,
            boot_loader: false,
        }
    }

    /// Does it, in a child that outlives this process.
    ///
    /// # Errors
    /// Nothing was changed; the error says why. What failed later is the exit code, and was told.
    pub fn grant(&self, action: Action) -> Result<ExitCode> {
        ensure_system()?;
        let lock = SwitchLock::take(Path::new(ROOT), &format!("cairn {}", action.word()))?;
        // Open until the child has ended: the system is no generation yet, and must not be collected.
        let machine = Machine::at(Path::new(ROOT));
        let target = self.target(&machine)?;
        let status = detached::run(&lock, &target.words(action)?)?;
        Ok(match status.code() {
            Some(code) => ExitCode::from(u8::try_from(code).unwrap_or(1)),
            None => bail!("the change was cut off: {status}; see cairn log switch"),
        })
    }

    /// What doing it would do; builds the system, and changes nothing else.
    ///
    /// # Errors
    /// It cannot be built, or the machine cannot be read.
    pub fn preview(&self, action: Action) -> Result<Preview> {
        ensure_system()?;
        let machine = Machine::at(Path::new(ROOT));
        let target = self.target(&machine)?;
        Preview::new(&machine, action, &target)
    }

    /// The system, built and whole.
    fn target(&self, machine: &Machine) -> Result<Target> {
        let store = machine.store()?;
        let target = match &self.source {
            Source::Configuration(configuration) => build(configuration, store, self.boot_loader)?,
            Source::Existing(which) => Target::existing(machine, *which)?,
        };
        verify(store, &target)?;
        match &self.specialisation {
            Some(name) => target.specialised(store, name),
            None => Ok(target),
        }
    }
}

/// Makes `entry` what the next boot of this machine boots, and no other.
///
/// # Errors
/// See [`once::boot_once`].
pub fn boot_once(entry: &EntryId) -> Result<()> {
    ensure_system()?;
    once::boot_once(Path::new(ROOT), entry)
}

/// What the running system does not share with the new one is as it was registered: the next boot is
/// no time to find out.
fn verify(store: &Store, target: &Target) -> Result<()> {
    let running = Machine::running_at(Path::new(ROOT));
    let running = running.and_then(|path| path.to_str()?.parse::<StorePath>().ok());
    let trusted = match running {
        Some(path) if store.is_valid(&path)? => vec![path],
        _ => Vec::new(),
    };
    let damaged = store.verify_beyond(&target.toplevel, &trusted)?;
    if damaged.is_empty() {
        return Ok(());
    }
    let damaged: Vec<String> = damaged.iter().map(ToString::to_string).collect();
    bail!(
        "cannot use {}: the store is damaged: {}; restore it from a backup, or delete the \
         generations that need it, run cairn gc, and build again",
        target.toplevel,
        damaged.join("; ")
    )
}

fn build(configuration: &Configuration, store: &Store, boot_loader: bool) -> Result<Target> {
    let mut wanted = Wanted {
        derivations: vec![AttributePath::system()],
        facts: Vec::new(),
    };
    if boot_loader {
        wanted.facts.push(boot_loader::FACTS.parse()?);
    }
    let evaluated = configuration.evaluate(store, &wanted)?;
    configuration.realise(store, &evaluated)?;
    let boot_loader = if boot_loader {
        let facts: Option<BootLoaderFacts> = evaluated.fact(boot_loader::FACTS)?;
        Some(facts.context(
            "cannot write GRUB to the disks: the configuration has boot.loader.grub.enable = false",
        )?)
    } else {
        None
    };
    Ok(Target {
        toplevel: evaluated.toplevel()?.clone(),
        number: None,
        specialisation: None,
        boot_loader,
    })
}

fn ensure_system() -> Result<()> {
    ensure!(
        is_system(),
        "cannot change the generation of this machine: it runs no Cairn system; \
         cairn build and cairn image work anywhere"
    );
    ensure!(
        nix::unistd::geteuid().is_root(),
        "cannot change the generation of this machine: only root may"
    );
    Ok(())
}
