//! `cairn gc`: old generations, if asked for, then everything in the store that nobody needs.

use std::path::{Path, PathBuf};

use anyhow::Result;
use cairn_store::{Garbage, Removal, Store, free_reserve};
use indicatif::HumanBytes;
use serde::Serialize;

use super::deletion::Deletion;
use super::listing::Listing;
use super::selection::Selection;
use crate::progress::{Meter, Unit};
use crate::switch::Machine;
use crate::switch::lock::SwitchLock;
use crate::time_zone;

/// What is collected.
#[derive(Debug, Clone)]
pub struct Collection {
    /// Root of the store, and of the machine whose generations are in it.
    pub root: PathBuf,
    /// Generations that go first.
    pub generations: Option<Selection>,
    /// Bytes after which it is enough.
    pub limit: Option<u64>,
}

/// What was, or would be, removed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Collected {
    /// Whether nothing was removed.
    pub dry_run: bool,
    /// Of the generations.
    pub generations: Deletion,
    /// Of the store.
    pub paths: Vec<Removed>,
    /// Bytes on the disk.
    pub bytes: u64,
}

/// One thing of the store.
#[derive(Debug, Serialize)]
pub struct Removed {
    path: PathBuf,
    bytes: u64,
}

impl Collection {
    /// What would be removed. Changes nothing.
    ///
    /// # Errors
    /// The machine or its store cannot be read.
    pub fn plan(&self) -> Result<Collected> {
        let deletion = self.deletion()?;
        let store = Store::open(&self.root)?;
        let garbage = store.garbage(&deletion.links(store.root())?)?;
        Ok(Collected::new(true, deletion, &garbage))
    }

    /// Removes it.
    ///
    /// # Errors
    /// Somebody changes the machine's generation, or something cannot be removed. What was removed
    /// before stays removed.
    pub fn run(&self) -> Result<Collected> {
        // On a full disk, not even the database can be opened otherwise.
        free_reserve(&self.root)?;
        let deletion = self.generations.as_ref().map_or_else(
            || Ok(Deletion::default()),
            |selection| delete_as("cairn gc", &self.root, selection),
        )?;
        let progress = Progress::new();
        let store = Store::open(&self.root)?;
        let garbage = store.collect_garbage(self.limit, &|removal| progress.note(removal))?;
        Ok(Collected::new(false, deletion, &garbage))
    }

    fn deletion(&self) -> Result<Deletion> {
        match &self.generations {
            None => Ok(Deletion::default()),
            Some(selection) => {
                let listing = Listing::read(&self.root)?;
                Ok(Deletion::plan(&listing, selection, now())?)
            }
        }
    }
}

/// Removes generations from the machine at `root`, and nothing else.
///
/// # Errors
/// Somebody changes the machine's generation, a number is that of no generation, the boot menu cannot
/// be written, or a link cannot be removed.
pub fn delete(root: &Path, selection: &Selection, dry_run: bool) -> Result<Deletion> {
    if dry_run {
        return Deletion::plan(&Listing::read(root)?, selection, now());
    }
    delete_as("cairn delete-generations", root, selection)
}

fn delete_as(holder: &str, root: &Path, selection: &Selection) -> Result<Deletion> {
    // Where there is no machine, not even a lock is made.
    Listing::read(root)?;
    let _lock = SwitchLock::take(root, holder)?;
    let deletion = Deletion::plan(&Listing::read(root)?, selection, now())?;
    deletion.apply(&Machine::at(root))?;
    Ok(deletion)
}

fn now() -> i64 {
    i64::try_from(time_zone::since_epoch().as_secs()).unwrap_or(i64::MAX)
}

impl Collected {
    fn new(dry_run: bool, generations: Deletion, garbage: &Garbage) -> Self {
        let all = garbage.objects.iter().chain(&garbage.left_overs);
        let paths = all.map(|removal| Removed {
            path: removal.path.clone(),
            bytes: removal.bytes,
        });
        Self {
            dry_run,
            generations,
            paths: paths.collect(),
            bytes: garbage.bytes(),
        }
    }

    /// What is said of it: of a dry run each path, of another one the sum.
    #[must_use]
    pub fn tale(&self) -> String {
        let space = HumanBytes(self.bytes);
        let count = self.paths.len();
        let paths = if count == 1 { "path" } else { "paths" };
        let mut lines = vec![self.generations.tale(self.dry_run)];
        if self.dry_run {
            let each = self.paths.iter();
            lines.extend(
                each.map(|one| format!("{}  {}\n", one.path.display(), HumanBytes(one.bytes))),
            );
            lines.push(format!(
                "{count} {paths} would be removed, {space} would be free\n"
            ));
        } else {
            lines.push(format!("{count} {paths} removed, {space} are free\n"));
        }
        lines.concat()
    }
}

/// A line that counts.
struct Progress {
    meter: Meter,
    bytes: std::cell::Cell<u64>,
}

impl Progress {
    fn new() -> Self {
        let meter = Meter::new("removing", "{pos} {msg}", Unit::Things);
        meter.tick();
        Self {
            meter,
            bytes: std::cell::Cell::new(0),
        }
    }

    fn note(&self, removal: &Removal) {
        self.bytes.set(self.bytes.get() + removal.bytes);
        self.meter
            .set_message(format!("({})", HumanBytes(self.bytes.get())));
        self.meter.advance(1);
    }
}
