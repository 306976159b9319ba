//! Whether objects still are what was registered: their archives are hashed again, on all cores.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fmt;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};

use cairn_store_path::{Sha256, StorePath};

use crate::error::StoreError;
use crate::info::PathInfo;
use crate::nar;
use crate::store::Store;

/// An object that is not what was registered.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Damage {
    /// The object.
    pub path: StorePath,
    /// What is wrong with it.
    pub kind: DamageKind,
}

/// What can be wrong with an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum DamageKind {
    /// Its files are gone.
    Missing,
    /// It has another content.
    Changed {
        /// The hash that was registered.
        expected: Sha256,
        /// The hash of what is there.
        found: Sha256,
    },
    /// A file cannot be read.
    Unreadable(String),
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.path)?;
        match &self.kind {
            DamageKind::Missing => f.write_str("is registered, but its files are gone"),
            DamageKind::Changed { expected, found } => write!(
                f,
                "was changed: its hash is sha256:{}, registered is sha256:{}",
                found.to_nix32(),
                expected.to_nix32()
            ),
            DamageKind::Unreadable(why) => write!(f, "cannot be read: {why}"),
        }
    }
}

impl Store {
    /// Reads all of `path` and of what it refers to, and compares it with what was registered.
    /// Returns what is damaged, in order.
    ///
    /// # Errors
    /// A path is not valid, or the database cannot be read.
    pub fn verify_closure(&self, path: &StorePath) -> Result<Vec<Damage>, StoreError> {
        self.verify_beyond(path, &[])
    }

    /// As [`Store::verify_closure`], without what the objects `trusted` refer to, or they themselves.
    ///
    /// # Errors
    /// A path is not valid, or the database cannot be read.
    pub fn verify_beyond(
        &self,
        path: &StorePath,
        trusted: &[StorePath],
    ) -> Result<Vec<Damage>, StoreError> {
        self.keep([path])?;
        if trusted.contains(path) {
            return Ok(Vec::new());
        }
        let mut paths = self.closure(std::slice::from_ref(path))?;
        if !trusted.is_empty() {
            let trusted: BTreeSet<StorePath> = self.closure(trusted)?.into_iter().collect();
            paths.retain(|path| !trusted.contains(path));
        }
        let infos = paths.iter().map(|path| self.info(path));
        let mut infos = infos.collect::<Result<Vec<_>, _>>()?;
        // The big ones first, so that no core is left with one at the end.
        infos.sort_by_key(|info| Reverse(info.nar_size));
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        let next = AtomicUsize::new(0);
        let work = || {
            let mut damaged = Vec::new();
            while let Some(info) = infos.get(next.fetch_add(1, Ordering::Relaxed)) {
                damaged.extend(self.damage(info));
            }
            damaged
        };
        let mut damaged = std::thread::scope(|scope| {
            let workers: Vec<_> = (1..cores.min(infos.len()))
                .map_while(|_| std::thread::Builder::new().spawn_scoped(scope, work).ok())
                .collect();
            let mut damaged = work();
            for worker in workers {
                match worker.join() {
                    Ok(found) => damaged.extend(found),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            damaged
        });
        damaged.sort();
        Ok(damaged)
    }

    fn damage(&self, info: &PathInfo) -> Option<Damage> {
        let real = self.real_path(&info.path);
        let kind = match nar::hash(&real) {
            Ok((found, _)) if found == info.nar_hash => return None,
            Ok((found, _)) => DamageKind::Changed {
                expected: info.nar_hash,
                found,
            },
            Err(_) if real.symlink_metadata().is_err() => DamageKind::Missing,
            Err(error) => DamageKind::Unreadable(error.to_string()),
        };
        Some(Damage {
            path: info.path.clone(),
            kind,
        })
    }
}
