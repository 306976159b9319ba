//! Objects from one store into another, without a network: onto a disk that is being installed.
//!
//! An object is copied, and its archive compared with what the other store's database says of it, before
//! it is registered: what is damaged on the medium does not come along. References go before what refers
//! to them, so that a copy that is cut off leaves a store that is whole, and the next one goes on there.
//!
//! Objects are read one after the other, in the order in which a live medium has them: a disc would go
//! to and fro between two. While one is read, those before it are hashed by the other processors.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use cairn_store_path::StorePath;

use crate::database::Registration;
use crate::error::StoreError;
use crate::info::PathInfo;
use crate::lock::PathLock;
use crate::publish::Finished;
use crate::schedule::all_present;
use crate::store::Store;
use crate::{canonical, nar, tree};

/// Bytes of archives that are written to the disk together.
const BATCH_BYTES: u64 = 256 << 20;

/// Objects that are.
const BATCH_OBJECTS: usize = 512;

/// Is told how many bytes have come.
type Progress<'a> = dyn FnMut(u64) + Send + 'a;

/// What one store has that another one lacks.
#[derive(Debug, Clone, Default)]
pub struct Offer {
    /// The objects, what is referred to before what refers to it.
    infos: Vec<PathInfo>,
}

impl Offer {
    /// Bytes of their archives.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.infos.iter().map(|info| info.nar_size).sum()
    }

    /// How many they are.
    #[must_use]
    pub fn objects(&self) -> usize {
        self.infos.len()
    }
}

impl Store {
    /// What of the closures of `paths`, all valid here, `target` lacks. Without a target: all of it.
    ///
    /// # Errors
    /// A path is not valid, or a database cannot be read.
    pub fn offer(&self, paths: &[StorePath], target: Option<&Self>) -> Result<Offer, StoreError> {
        let mut infos = Vec::new();
        for info in self.closure_infos(paths)? {
            let lacks = match target {
                Some(target) => !target.is_present(&info.path)?,
                None => true,
            };
            if lacks {
                infos.push(info);
            }
        }
        Ok(Offer {
            infos: references_first(infos),
        })
    }

    /// Of all that building `derivations` takes, the outputs that are there: those of the derivations
    /// themselves, or of what they are built from, down to what is there.
    ///
    /// # Errors
    /// A derivation cannot be read, or the database cannot.
    pub fn usable_outputs(&self, derivations: &[StorePath]) -> Result<Vec<StorePath>, StoreError> {
        let mut seen: BTreeSet<StorePath> = BTreeSet::new();
        let mut found = BTreeSet::new();
        let mut queue = derivations.to_vec();
        while let Some(path) = queue.pop() {
            if !seen.insert(path.clone()) {
                continue;
            }
            let derivation = self.read_derivation(&path)?;
            if all_present(self, &derivation)? {
                found.extend(derivation.outputs.into_values().map(|output| output.path));
            } else {
                queue.extend(derivation.input_drvs.into_keys());
            }
        }
        Ok(found.into_iter().collect())
    }

    /// Copies what `from` offers into this store; `progress` is told how many bytes of archives have
    /// come.
    ///
    /// # Errors
    /// An object is damaged there, or this store cannot be written. What has come until then stays.
    pub fn take(
        &self,
        from: &Self,
        offer: &Offer,
        progress: &mut Progress<'_>,
    ) -> Result<(), StoreError> {
        let mut rest = offer.infos.as_slice();
        while !rest.is_empty() {
            let mut bytes = 0_u64;
            let fits = |info: &&PathInfo| {
                let before = bytes;
                bytes = bytes.saturating_add(info.nar_size);
                before == 0 || bytes <= BATCH_BYTES
            };
            let count = rest.iter().take(BATCH_OBJECTS).take_while(fits).count();
            let (batch, others) = rest.split_at_checked(count.max(1)).unwrap_or((rest, &[]));
            self.take_batch(from, batch, progress)?;
            rest = others;
        }
        Ok(())
    }

    fn take_batch(
        &self,
        from: &Self,
        batch: &[PathInfo],
        progress: &mut Progress<'_>,
    ) -> Result<(), StoreError> {
        // Sorted, so that two processes take the locks in the same order.
        let mut batch: Vec<&PathInfo> = batch.iter().collect();
        batch.sort_by(|one, other| one.path.cmp(&other.path));
        self.keep(batch.iter().map(|info| &info.path))?;
        let mut locks = Vec::new();
        let mut copies = Vec::new();
        let mut finished = Vec::new();
        for info in batch {
            locks.push(PathLock::acquire(&self.writable_path(&info.path))?);
            if self.is_present(&info.path)? {
                continue;
            }
            let tree = self.workspace()?.fresh();
            copies.push(Copy {
                info,
                from: from.real_path(&info.path),
                to: tree.clone(),
                root: from.root(),
            });
            finished.push(Finished {
                tree,
                registration: Registration {
                    info: received(info),
                    outputs: outputs(from, &info.path)?,
                },
            });
        }
        let published = copy_all(copies, progress).and_then(|()| self.publish(&finished));
        for object in &finished {
            tree::remove(&object.tree)?;
        }
        published
    }
}

/// An object that is to be copied.
struct Copy<'a> {
    info: &'a PathInfo,
    from: PathBuf,
    to: PathBuf,
    /// The root of the store that it is from.
    root: &'a Path,
}

/// Makes all copies, with all processors. After one that fails no other begins.
fn copy_all(mut copies: Vec<Copy<'_>>, progress: &mut Progress<'_>) -> Result<(), StoreError> {
    copies.sort_by(|a, b| a.from.cmp(&b.from));
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let next = AtomicUsize::new(0);
    let reader = Mutex::new(());
    let told = Mutex::new((progress, Ok(())));
    let work = || {
        while let Some(copy) = copies.get(next.fetch_add(1, Ordering::Relaxed)) {
            let result = copy.read(&reader).and_then(|()| copy.verify());
            let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
            let (progress, outcome) = &mut *told;
            match result {
                Ok(()) => progress(copy.info.nar_size),
                Err(error) => {
                    next.store(copies.len(), Ordering::Relaxed);
                    *outcome = Err(error);
                }
            }
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (1..cores.min(copies.len()))
            .map_while(|_| thread::Builder::new().spawn_scoped(scope, work).ok())
            .collect();
        work();
        for worker in workers {
            if let Err(panic) = worker.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
    told.into_inner().unwrap_or_else(PoisonError::into_inner).1
}

impl Copy<'_> {
    /// Writes the copy, when it is this one's turn.
    fn read(&self, reader: &Mutex<()>) -> Result<(), StoreError> {
        let _turn = reader.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(tree::copy(&self.from, &self.to, &|_| true, 0)?)
    }

    /// Makes it canonical, and compares its archive with the one that `info` tells of.
    fn verify(&self) -> Result<(), StoreError> {
        canonical::canonicalise(&self.to)?;
        let (hash, size) = nar::hash(&self.to)?;
        if (hash, size) == (self.info.nar_hash, self.info.nar_size) {
            return Ok(());
        }
        Err(StoreError::DamagedObject {
            path: self.info.path.clone(),
            root: self.root.to_owned(),
        })
    }
}

/// What the new store says of an object: it was not built there.
fn received(info: &PathInfo) -> PathInfo {
    PathInfo {
        ultimate: false,
        ..info.clone()
    }
}

/// What a derivation makes, for the database; nothing for other objects.
fn outputs(from: &Store, path: &StorePath) -> Result<Vec<(String, StorePath)>, StoreError> {
    if !path.is_derivation() {
        return Ok(Vec::new());
    }
    let derivation = from.read_derivation(path)?;
    let outputs = derivation.outputs.into_iter();
    Ok(outputs.map(|(name, output)| (name, output.path)).collect())
}

/// Each object behind those that it refers to. Without recursion: a chain may be as long as it likes.
fn references_first(infos: Vec<PathInfo>) -> Vec<PathInfo> {
    let mut waiting: BTreeMap<StorePath, PathInfo> = infos
        .into_iter()
        .map(|info| (info.path.clone(), info))
        .collect();
    let mut ordered = Vec::with_capacity(waiting.len());
    while let Some((_, info)) = waiting.pop_first() {
        let mut stack = vec![(info.references.clone(), info)];
        while let Some((mut open, info)) = stack.pop() {
            let next = loop {
                match open.pop_first() {
                    None => break None,
                    Some(path) => {
                        if let Some(found) = waiting.remove(&path) {
                            break Some(found);
                        }
                    }
                }
            };
            match next {
                None => ordered.push(info),
                Some(found) => {
                    stack.push((open, info));
                    stack.push((found.references.clone(), found));
                }
            }
        }
    }
    ordered
}
