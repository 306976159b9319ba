//! Garbage collection: what nobody needs, and its removal.
//!
//! A collection first finds all roots ([`roots`]) and what they need ([`liveness`]). The rest goes in
//! batches, referrers first:
//!
//! ```text
//! look at what has arrived -> out of the database, on the disk -> files removed, one by one
//! ^------- nobody who wants a path gets an answer -------^       ^- each with its path's lock -^
//! ```
//!
//! - A kill or a power cut anywhere leaves objects that are whole and registered, and files that are
//!   not registered. The next collection, or the next build of the path, removes these.
//! - A path that another process keeps before it looks whether it is valid is never lost: either the
//!   collector sees it and leaves it, or the process sees that it is gone.
//! - Files are removed only with the lock of their path: a build that puts the path in place again
//!   waits.
//!
//! Locks, socket and files of roots are those of Nix: either side can collect while the other builds.

mod liveness;
mod processes;
mod roots;
mod size;
mod socket;

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use cairn_store_path::StorePath;

use crate::error::{IoError, StoreError, io_error};
use crate::lock::PathLock;
use crate::publish::UNFINISHED;
use crate::reserve::{free_reserve, reserve};
use crate::store::Store;
use crate::{temp_roots, tree};

pub(crate) use liveness::Liveness;
use roots::{Places, Roots};
use size::{SHARED, Sizes};
use socket::{Arrivals, Ear};

/// How many objects leave the database at once: one wait for the disk for all of them.
const BATCH: usize = 64;

/// Where the kernel shows its processes.
const PROC: &str = "/proc";

/// What a collection would remove.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Garbage {
    /// Objects that nobody needs, each after all that refer to it.
    pub objects: Vec<Removal>,
    /// Files in the folder of objects that are no objects: what killed processes left.
    pub left_overs: Vec<Removal>,
}

/// Something that is removed, or would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// Its name: `/nix/store/…`.
    pub path: PathBuf,
    /// The space that is free afterwards and was not before, in bytes on the disk. A file with more
    /// names counts with the last of them.
    pub bytes: u64,
}

impl Garbage {
    /// The sum of all.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let all = self.objects.iter().chain(&self.left_overs);
        all.map(|removal| removal.bytes).sum()
    }
}

impl Store {
    /// What a garbage collection would remove if the links `ignored` were not there. Changes nothing.
    ///
    /// # Errors
    /// Something that may be a root, the database, or a tree cannot be read.
    pub fn garbage(&self, ignored: &BTreeSet<PathBuf>) -> Result<Garbage, StoreError> {
        let (roots, liveness) = self.look(ignored)?;
        let mut sizes = Sizes::new(&self.store_dir())?;
        let mut measured = |name: &str| -> Result<Removal, StoreError> {
            Ok(Removal {
                path: Path::new(cairn_store_path::STORE_DIR).join(name),
                bytes: sizes.add(&self.store_dir().join(name))?,
            })
        };
        let left_overs = self.left_overs(&liveness, &roots)?;
        Ok(Garbage {
            objects: liveness
                .dead()
                .iter()
                .map(|path| measured(path.base_name()))
                .collect::<Result<_, _>>()?,
            left_overs: left_overs
                .iter()
                .map(|name| measured(name))
                .collect::<Result<_, _>>()?,
        })
    }

    /// Removes what nobody needs, and, when `limit` bytes are free that were not before, stops.
    /// Waits for the end of another collection. `observe` is told of each removal.
    ///
    /// # Errors
    /// Something that may be a root cannot be read (then nothing is removed), or something cannot be
    /// removed. What was removed until then stays so.
    pub fn collect_garbage(
        &self,
        limit: Option<u64>,
        observe: &dyn Fn(&Removal),
    ) -> Result<Garbage, StoreError> {
        let state = self.state_dir();
        free_reserve(self.root())?;
        let _alone = self.collect_alone()?;
        let ear = Ear::open(&state)?;
        let (roots, liveness) = self.look(&BTreeSet::new())?;
        roots::tidy(&roots)?;
        let (stop, stopping) = io::pipe().map_err(io_error("make a pipe for", &state))?;
        let arrivals = Arrivals::default();
        let collected = std::thread::scope(|scope| {
            let listening = std::thread::Builder::new()
                .name("roots".to_owned())
                .spawn_scoped(scope, || ear.listen(stop.as_fd(), &arrivals));
            listening.map_err(io_error("start a thread for", &state))?;
            let mut sweep = Sweep {
                store: self,
                sizes: Sizes::new(&self.store_dir())?,
                limit: limit.unwrap_or(u64::MAX),
                freed: 0,
                observe,
                removed: Garbage::default(),
            };
            let swept = sweep.run(&roots, liveness, &arrivals);
            // The thread ends when nobody can write to its pipe any more.
            drop(stopping);
            swept.map(|()| sweep.removed)
        });
        reserve(self.root());
        collected
    }

    fn collect_alone(&self) -> Result<File, StoreError> {
        let state = self.state_dir();
        let lock = temp_roots::open_gc_lock(&state)?;
        let path = state.join(temp_roots::GC_LOCK);
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(fs::TryLockError::WouldBlock) => {}
            Err(fs::TryLockError::Error(error)) => return Err(io_error("lock", path)(error).into()),
        }
        log::warn!("waiting for another garbage collection, or an evaluation, to end");
        lock.lock().map_err(io_error("lock", path))?;
        Ok(lock)
    }

    /// All roots, and what they keep. What is registered after the graph was read is not in it, and
    /// the database lets nothing go that such an object refers to.
    fn look(&self, ignored: &BTreeSet<PathBuf>) -> Result<(Roots, Liveness), StoreError> {
        let mut liveness = self.database.liveness()?;
        let roots = roots::find(Places {
            root: self.root(),
            proc: Path::new(PROC),
            ignored,
        })?;
        for root in &roots.paths {
            liveness.mark(root);
        }
        Ok((roots, liveness))
    }

    /// Names in the folder of objects that are neither objects nor about to become some.
    fn left_overs(&self, liveness: &Liveness, roots: &Roots) -> Result<Vec<String>, StoreError> {
        let wanted: HashSet<&str> = roots.temporary.iter().map(StorePath::hash_part).collect();
        let folder = self.store_dir();
        let mut names = Vec::new();
        for entry in fs::read_dir(&folder).map_err(io_error("list", &folder))? {
            let name = entry.map_err(io_error("list", &folder))?.file_name();
            // Nobody here or in Nix makes such names: what it is, is not known.
            let Some(name) = name.to_str() else { continue };
            let object = StorePath::from_base_name(name.strip_prefix(UNFINISHED).unwrap_or(name));
            let is_left_over = name != SHARED
                && match &object {
                    Ok(path) => {
                        let is_object = !name.starts_with(UNFINISHED)
                            && (liveness.is_object(path) || self.is_valid(path)?);
                        !is_object && !wanted.contains(path.hash_part())
                    }
                    Err(_) => true,
                };
            if is_left_over {
                names.push(name.to_owned());
            }
        }
        names.sort();
        Ok(names)
    }
}

/// A collection that is under way.
struct Sweep<'a> {
    store: &'a Store,
    sizes: Sizes,
    limit: u64,
    freed: u64,
    observe: &'a dyn Fn(&Removal),
    removed: Garbage,
}

impl Sweep<'_> {
    fn run(
        &mut self,
        roots: &Roots,
        mut liveness: Liveness,
        arrivals: &Arrivals,
    ) -> Result<(), StoreError> {
        // These need no space in the database, which a full disk may not have.
        for name in self.store.left_overs(&liveness, roots)? {
            if self.freed >= self.limit {
                break;
            }
            self.remove_left_over(&name)?;
        }
        let mut dead = VecDeque::from(liveness.dead());
        while !dead.is_empty() && self.freed < self.limit {
            let batch = self.next_batch(&mut dead)?;
            let going = self.unregister(&batch, &mut liveness, arrivals)?;
            for removal in batch {
                if let Some(path) = going.iter().find(|path| path.to_path_buf() == removal.path)
                    && self.remove_files(path.base_name())?
                {
                    self.note(removal, |removed| &mut removed.objects);
                }
            }
            self.sizes.forget();
        }
        self.remove_shared()
    }

    /// The next objects, not more than are needed for the limit.
    fn next_batch(&mut self, dead: &mut VecDeque<StorePath>) -> Result<Vec<Removal>, StoreError> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        while batch.len() < BATCH && bytes < self.limit - self.freed {
            let Some(path) = dead.pop_front() else { break };
            let removal = Removal {
                bytes: self.sizes.add(&self.store.real_path(&path))?,
                path: path.to_path_buf(),
            };
            bytes += removal.bytes;
            batch.push(removal);
        }
        Ok(batch)
    }

    /// Takes those of `batch` out of the database that are still not needed, and returns them.
    fn unregister(
        &self,
        batch: &[Removal],
        liveness: &mut Liveness,
        arrivals: &Arrivals,
    ) -> Result<BTreeSet<StorePath>, StoreError> {
        let mut arrived = arrivals.lock();
        for path in arrived.drain(..) {
            liveness.mark(&path);
        }
        let mut going = BTreeSet::new();
        for removal in batch {
            let path: StorePath = removal.path.to_string_lossy().parse()?;
            if !liveness.is_alive(&path) {
                going.insert(path);
            }
        }
        // Whoever sent a path while this is done gets the answer, and looks, afterwards.
        let unregistered = self.store.database.unregister(going);
        drop(arrived);
        unregistered
    }

    fn remove_left_over(&mut self, name: &str) -> Result<(), StoreError> {
        let removal = Removal {
            path: Path::new(cairn_store_path::STORE_DIR).join(name),
            bytes: self.sizes.add(&self.store.store_dir().join(name))?,
        };
        self.sizes.forget();
        let removed = match name.strip_suffix(".lock") {
            // Letting go of a lock removes its file.
            Some(object) => {
                PathLock::try_acquire(&self.store.writable_dir().join(object))?.is_some()
            }
            None => self.remove_files(name)?,
        };
        if removed {
            self.note(removal, |removed| &mut removed.left_overs);
        }
        Ok(())
    }

    /// Removes what is called `name`, unless somebody makes it, or has made it valid again.
    fn remove_files(&self, name: &str) -> Result<bool, StoreError> {
        let path = self.store.writable_dir().join(name);
        let object = name.strip_prefix(UNFINISHED).unwrap_or(name);
        let Ok(object) = StorePath::from_base_name(object) else {
            return Ok(is_free(&path)? && tree::remove(&path).map(|()| true)?);
        };
        let Some(_lock) = PathLock::try_acquire(&self.store.writable_path(&object))? else {
            return Ok(false);
        };
        if !name.starts_with(UNFINISHED) && self.store.is_valid(&object)? {
            return Ok(false);
        }
        tree::remove(&path)?;
        Ok(true)
    }

    /// Removes files of which only the shared name is left. Their space is counted already.
    fn remove_shared(&self) -> Result<(), StoreError> {
        let folder = self.store.writable_dir().join(SHARED);
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other.map_err(io_error("list", &folder))?,
        };
        for entry in entries {
            let path = entry.map_err(io_error("list", &folder))?.path();
            let metadata = fs::symlink_metadata(&path).map_err(io_error("read", &path))?;
            if metadata.nlink() == 1 {
                fs::remove_file(&path).map_err(io_error("remove", &path))?;
            }
        }
        Ok(())
    }

    fn note(&mut self, removal: Removal, list: fn(&mut Garbage) -> &mut Vec<Removal>) {
        self.freed = self.freed.saturating_add(removal.bytes);
        (self.observe)(&removal);
        list(&mut self.removed).push(removal);
    }
}

/// Whether nobody holds a lock on the folder at `path`, as Nix does on its own temporary ones.
fn is_free(path: &Path) -> Result<bool, IoError> {
    let metadata = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        other => other.map_err(io_error("read", path))?,
    };
    if !metadata.is_dir() {
        return Ok(true);
    }
    let folder = File::open(path).map_err(io_error("open", path))?;
    match folder.try_lock() {
        Ok(()) => Ok(true),
        Err(fs::TryLockError::WouldBlock) => Ok(false),
        Err(fs::TryLockError::Error(error)) => Err(io_error("lock", path)(error)),
    }
}
