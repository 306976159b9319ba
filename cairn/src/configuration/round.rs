//! The lock of a configuration on its way to what the evaluation asks for.

use std::collections::BTreeSet;
use std::fmt;

use anyhow::{Context, Result};
use cairn_debian::Archive;

use crate::lock_file::{Changes, LockFile};
use crate::supply::Supply;

/// The lock on its way, and the archive as soon as it is needed.
pub(super) struct Round {
    pub(super) file: LockFile,
    supply: Supply,
    archive: Option<Archive>,
}

/// What an evaluation wants to be locked.
pub(super) struct Demand<'a> {
    /// The packages that it has asked for.
    pub(super) asked: &'a BTreeSet<String>,
    /// It was that of a whole system, and came to its end: it asks for all that it needs.
    pub(super) is_whole: bool,
    /// Everything is taken in its newest version.
    pub(super) update: bool,
}

impl Demand<'_> {
    /// What is to be locked, `before` being what is wanted so far; the second, if there is one, if the
    /// first does not go together.
    ///
    /// A whole system asks for what one command needs: `cairn image` needs a boot loader, `cairn build`
    /// does not. So what is locked stays, unless all is taken anew, or it is in the way.
    fn candidates(&self, before: &BTreeSet<String>) -> Vec<BTreeSet<String>> {
        let all: BTreeSet<String> = self.asked.union(before).cloned().collect();
        match (self.is_whole, self.update) {
            (false, _) => vec![all],
            (true, true) => vec![self.asked.clone()],
            (true, false) if all == *self.asked => vec![all],
            (true, false) => vec![all, self.asked.clone()],
        }
    }
}

impl Round {
    pub(super) fn new(file: LockFile, supply: Supply) -> Self {
        Self {
            file,
            supply,
            archive: None,
        }
    }

    /// Locks what is demanded.
    pub(super) fn renew(&mut self, demand: &Demand<'_>) -> Result<()> {
        self.archive(demand.update)?;
        let archive = self.archive.as_ref().context("the archive is not known")?;
        let before = self.file.lock().request().wanted.iter();
        let before = before.map(|wanted| wanted.name().to_owned()).collect();
        let mut failed = None;
        for candidate in demand.candidates(&before) {
            match self.file.renew(archive, &candidate, !demand.update) {
                Ok(changes) => {
                    report(&self.file, &changes);
                    return Ok(());
                }
                Err(error) => {
                    log::info!("cannot lock {} packages: {error:#}", candidate.len());
                    failed = Some(error);
                }
            }
        }
        Err(failed.context("there is nothing to lock")?)
    }

    /// The archive as it was when the lock was made, if it is to be had and not `newest` is wanted.
    pub(super) fn archive(&mut self, newest: bool) -> Result<&Archive> {
        let archive = match self.archive.take() {
            Some(archive) => archive,
            None if newest => self.supply.newest()?,
            None => self.locked_or_newest()?,
        };
        Ok(self.archive.insert(archive))
    }

    fn locked_or_newest(&self) -> Result<Archive> {
        if let Some(archive) = self.supply.as_locked(self.file.lock())? {
            return Ok(archive);
        }
        let archive = self.supply.newest()?;
        if !self.file.lock().releases().is_empty() {
            log::warn!("{}", Moved(&self.file, &archive));
        }
        Ok(archive)
    }
}

/// The archive is not what it was.
struct Moved<'a>(&'a LockFile, &'a Archive);

impl fmt::Display for Moved<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(file, archive) = self;
        write!(
            f,
            "the archive has moved on since '{}' was written:",
            file.path().display()
        )?;
        for (locked, now) in file.lock().releases().iter().zip(archive.releases()) {
            write!(
                f,
                " {} was of {}, now {};",
                locked.codename, locked.date, now.date
            )?;
        }
        f.write_str(" locked versions that it does not have any more are replaced by newer ones")
    }
}

fn report(file: &LockFile, changes: &Changes) {
    let path = file.path().display();
    match changes.0.as_slice() {
        [] => {}
        [only] => eprintln!("cairn: {path}: {only}"),
        many => eprintln!("cairn: {path}: {} packages changed", many.len()),
    }
    for change in &changes.0 {
        log::info!("{path}: {change}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &str) -> BTreeSet<String> {
        names.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn what_another_command_has_asked_for_stays() {
        for (is_whole, update, candidates) in [
            (true, false, vec!["bash grub htop", "bash htop"]),
            (true, true, vec!["bash htop"]),
            (false, false, vec!["bash grub htop"]),
            (false, true, vec!["bash grub htop"]),
        ] {
            let demand = Demand {
                asked: &set("bash htop"),
                is_whole,
                update,
            };
            let candidates: Vec<_> = candidates.into_iter().map(set).collect();
            assert_eq!(demand.candidates(&set("bash grub")), candidates);
        }
        let demand = Demand {
            asked: &set("bash htop"),
            is_whole: true,
            update: false,
        };
        assert_eq!(demand.candidates(&set("bash")), [set("bash htop")]);
    }
}
