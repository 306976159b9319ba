//! The store as an evaluation sees it: objects are named at once, and written in batches.
//!
//! Texts and derivations wait in memory until there are many, until one has to be read or built,
//! or until the evaluation ends: one wait for the disk serves hundreds. An evaluation that does
//! not write only names them; what it named can still be read back from memory.

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use cairn_evaluator::io::{Content, Fetch, IoFailure, IoResult, Source};
use cairn_store::{Store, Text, hash_source, nar};
use cairn_store_path::{Derivation, FixedOutput, Method, STORE_DIR, StorePath};

use super::child::allow_open_files;
use super::fetch::Downloads;

/// How many texts are written at once, at most: one wait for the disk serves them all. Each keeps
/// a lock file open meanwhile.
const BATCH: u64 = 4000;

/// Files that are left to everything else.
const OTHER_FILES: u64 = 256;

/// Whether an evaluation writes what it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writing {
    /// Everything becomes a store object.
    Everything,
    /// Only what was fetched; the rest is named, but not made.
    OnlyFetched,
}

/// Builds derivations that are in the store.
pub type Realise = dyn Fn(&Store, &[StorePath]) -> anyhow::Result<()> + Send;

/// Where a store lies.
#[derive(Debug, Clone)]
pub enum Place {
    /// Its objects lie in `<root>/nix/store`.
    Root(PathBuf),
    /// There is none; says why.
    Nowhere(String),
}

/// The store side of an evaluation.
pub struct Objects {
    place: Place,
    writing: Writing,
    realise: Box<Realise>,
    store: OnceCell<Store>,
    batch: OnceCell<usize>,
    downloads: Downloads,
    pending: RefCell<Pending>,
    sources: RefCell<HashMap<(PathBuf, String, Method), StorePath>>,
}

#[derive(Default)]
struct Pending {
    texts: HashMap<StorePath, Text>,
    /// Those that are to be written, in the order in which they refer to each other.
    queue: Vec<StorePath>,
}

impl Objects {
    /// The store at `place`; derivations that the evaluation has to read are built by `realise`.
    #[must_use]
    pub fn new(place: Place, writing: Writing, realise: Box<Realise>) -> Self {
        Self {
            place,
            writing,
            realise,
            store: OnceCell::new(),
            batch: OnceCell::new(),
            downloads: Downloads::default(),
            pending: RefCell::default(),
            sources: RefCell::default(),
        }
    }

    /// The store; opened, and made, when it is first needed.
    ///
    /// # Errors
    /// There is none, or it cannot be opened.
    pub fn store(&self) -> anyhow::Result<&Store> {
        if let Some(store) = self.store.get() {
            return Ok(store);
        }
        let root = match &self.place {
            Place::Root(root) => root,
            Place::Nowhere(why) => anyhow::bail!("cannot use the store: {why}"),
        };
        let store = Store::open(root)?;
        Ok(self.store.get_or_init(|| store))
    }

    /// Writes everything that waits. What was added before this returns is on the disk then.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn flush(&self) -> anyhow::Result<()> {
        let mut pending = self.pending.borrow_mut();
        while !pending.queue.is_empty() {
            let count = pending.queue.len().min(self.batch());
            let batch: Vec<Text> = pending
                .queue
                .iter()
                .take(count)
                .filter_map(|path| pending.texts.get(path).cloned())
                .collect();
            self.store()?
                .add_texts(batch)
                .context("cannot write what was evaluated into the store")?;
            for path in pending.queue.drain(..count).collect::<Vec<_>>() {
                pending.texts.remove(&path);
            }
        }
        Ok(())
    }

    /// How many texts are written at once.
    fn batch(&self) -> usize {
        *self.batch.get_or_init(|| {
            let files = allow_open_files(BATCH + OTHER_FILES);
            let batch = files.saturating_sub(OTHER_FILES).clamp(64, BATCH);
            usize::try_from(batch).unwrap_or(64)
        })
    }

    /// The store, if it is there already; an evaluation that does not write makes none.
    fn existing(&self) -> IoResult<Option<&Store>> {
        match &self.place {
            Place::Nowhere(_) => Ok(None),
            Place::Root(root) => {
                let writes = self.writing == Writing::Everything;
                if writes || self.store.get().is_some() || root.join("nix/var/nix/db").exists() {
                    self.store().map(Some).map_err(whole)
                } else {
                    Ok(None)
                }
            }
        }
    }

    pub(super) fn is_at_root(&self) -> bool {
        matches!(&self.place, Place::Root(root) if root == Path::new("/"))
    }

    /// Where the file behind a path in the store lies, if there is one.
    pub(super) fn real(&self, logical: &Path) -> Option<PathBuf> {
        let inner = logical.strip_prefix(STORE_DIR).ok()?;
        let Place::Root(root) = &self.place else {
            return None;
        };
        let real = root.join("nix/store").join(inner);
        real.symlink_metadata().is_ok().then_some(real)
    }

    /// A text that was added and may not be on the disk.
    pub(super) fn pending_text(&self, path: &Path) -> Option<Vec<u8>> {
        let path: StorePath = path.to_str()?.parse().ok()?;
        let pending = self.pending.borrow();
        Some(pending.texts.get(&path)?.bytes().to_vec())
    }

    pub(super) fn add_text(
        &self,
        name: &str,
        text: &[u8],
        references: &BTreeSet<StorePath>,
    ) -> IoResult<StorePath> {
        let text = Text::new(name, text.to_vec(), references.clone()).map_err(whole)?;
        let path = text.path().clone();
        self.add(text)?;
        Ok(path)
    }

    pub(super) fn add_derivation(&self, path: &StorePath, derivation: &Derivation) -> IoResult<()> {
        if self.pending.borrow().texts.contains_key(path) {
            return Ok(());
        }
        self.add(Text::derivation(derivation).map_err(whole)?)
    }

    fn add(&self, text: Text) -> IoResult<()> {
        let mut pending = self.pending.borrow_mut();
        let path = text.path().clone();
        if pending.texts.insert(path.clone(), text).is_some() {
            return Ok(());
        }
        if self.writing == Writing::OnlyFetched {
            return Ok(());
        }
        pending.queue.push(path);
        if pending.queue.len() < self.batch() {
            return Ok(());
        }
        drop(pending);
        self.flush().map_err(whole)
    }

    /// The object that `source` is expected to become, if it is there.
    pub(super) fn expected_source(&self, source: &Source<'_>) -> IoResult<Option<StorePath>> {
        let Some(hash) = source.expected else {
            return Ok(None);
        };
        let path = FixedOutput::sha256(source.method, hash)
            .store_path(source.name)
            .map_err(whole)?;
        Ok(self.is_valid(&path)?.then_some(path))
    }

    pub(super) fn known_source(&self, source: &Source<'_>) -> Option<StorePath> {
        self.sources.borrow().get(&key(source)).cloned()
    }

    pub(super) fn remember_source(&self, source: &Source<'_>, path: &StorePath) {
        self.sources.borrow_mut().insert(key(source), path.clone());
    }

    /// Adds the tree at `real`, or only names it.
    pub(super) fn add_source(
        &self,
        source: &Source<'_>,
        real: &Path,
        keep: &nar::Keep<'_>,
    ) -> IoResult<StorePath> {
        // What is expected is checked before anything is copied.
        if source.expected.is_some() || self.writing == Writing::OnlyFetched {
            let found = hash_source(real, source.method, keep).map_err(whole)?;
            if let Some(expected) = source.expected {
                check(&FixedOutput::sha256(source.method, expected), &found).map_err(|why| {
                    IoFailure::other(format!("'{}' {why}", source.path.display()))
                })?;
            }
            if self.writing == Writing::OnlyFetched {
                return found.store_path(source.name).map_err(whole);
            }
        }
        self.store()
            .map_err(whole)?
            .add_source(source.name, real, source.method, keep)
            .map_err(whole)
    }

    pub(super) fn read_derivation(&self, path: &StorePath) -> IoResult<Derivation> {
        if let Some(text) = self.pending.borrow().texts.get(path) {
            let name = path.name().trim_end_matches(".drv");
            return Derivation::parse(name, text.bytes())
                .map_err(|error| IoFailure::other(format!("{path} is damaged: {error}")));
        }
        let missing = || IoFailure::not_found(format!("{path} is not in the store"));
        let store = self.existing()?.ok_or_else(missing)?;
        if store.real_path(path).symlink_metadata().is_err() {
            return Err(missing());
        }
        store.read_derivation(path).map_err(whole)
    }

    pub(super) fn is_valid(&self, path: &StorePath) -> IoResult<bool> {
        if self.pending.borrow().texts.contains_key(path) {
            return Ok(true);
        }
        match self.existing()? {
            Some(store) => {
                store.keep([path]).map_err(whole)?;
                store.is_valid(path).map_err(whole)
            }
            None => Ok(false),
        }
    }

    pub(super) fn ensure(&self, path: &StorePath) -> IoResult<()> {
        if self.writing == Writing::OnlyFetched || self.is_valid(path)? {
            return Ok(());
        }
        Err(IoFailure::not_found(format!("{path} is not in the store")))
    }

    pub(super) fn closure(&self, path: &StorePath) -> IoResult<Vec<StorePath>> {
        let mut seen = BTreeSet::new();
        let mut open = vec![path.clone()];
        let mut written = Vec::new();
        while let Some(next) = open.pop() {
            if !seen.insert(next.clone()) {
                continue;
            }
            match self.pending.borrow().texts.get(&next) {
                Some(text) => open.extend(text.references().iter().cloned()),
                None => written.push(next),
            }
        }
        if let Some(store) = self.existing()? {
            // An evaluation that does not write may have named sources that are not there.
            let writes = self.writing == Writing::Everything;
            for path in written {
                if writes || store.is_valid(&path).map_err(whole)? {
                    seen.extend(store.closure(&[path]).map_err(whole)?);
                }
            }
        }
        Ok(seen.into_iter().collect())
    }

    pub(super) fn realise(&self, wanted: &[(StorePath, String)]) -> IoResult<()> {
        let mut missing = BTreeSet::new();
        for (drv, output) in wanted {
            let derivation = self.read_derivation(drv)?;
            let path = derivation.output(output).ok_or_else(|| {
                IoFailure::other(format!("cannot build {drv}: it has no output '{output}'"))
            })?;
            if !self.is_valid(path)? {
                missing.insert(drv.clone());
            }
        }
        let Some(first) = missing.first() else {
            return Ok(());
        };
        if self.writing == Writing::OnlyFetched {
            return Err(IoFailure::unsupported(format!(
                "cannot build {first}, which this evaluation has to read: \
                 it does not write to the store; use --read-write-mode"
            )));
        }
        self.flush().map_err(whole)?;
        let missing: Vec<StorePath> = missing.into_iter().collect();
        (self.realise)(self.store().map_err(whole)?, &missing).map_err(whole)
    }

    pub(super) fn fetch(&self, fetch: &Fetch<'_>) -> IoResult<StorePath> {
        let method = match fetch.content {
            Content::File => Method::Flat,
            Content::Tarball => Method::Recursive,
        };
        let Some(hash) = fetch.expected else {
            return Err(IoFailure::unsupported(format!(
                "cannot fetch '{}' without a hash: what an address gives may change; \
                 add sha256 = \"sha256-…\"",
                fetch.url
            )));
        };
        let expected = FixedOutput::sha256(method, hash);
        let path = expected.store_path(fetch.name).map_err(whole)?;
        if self.is_valid(&path)? {
            return Ok(path);
        }
        let store = self.store().map_err(whole)?;
        let folder = tempfile::tempdir()
            .context("cannot make a temporary folder")
            .map_err(whole)?;
        let fetched = self
            .downloads
            .fetch(fetch.url, fetch.content, folder.path())
            .map_err(whole)?;
        let found = hash_source(&fetched, method, &|_| true).map_err(whole)?;
        check(&expected, &found)
            .map_err(|why| IoFailure::other(format!("what came from '{}' {why}", fetch.url)))?;
        store
            .add_source(fetch.name, &fetched, method, &|_| true)
            .map_err(whole)
    }
}

fn key(source: &Source<'_>) -> (PathBuf, String, Method) {
    (
        source.path.to_owned(),
        source.name.to_owned(),
        source.method,
    )
}

fn check(expected: &FixedOutput, found: &FixedOutput) -> Result<(), String> {
    if expected == found {
        return Ok(());
    }
    Err(format!(
        "has another hash:\n  specified: sha256:{}\n  got:       sha256:{}",
        cairn_store_path::nix32::encode(expected.digest()),
        cairn_store_path::nix32::encode(found.digest())
    ))
}

/// An error with its causes in one line.
fn whole(error: impl Into<anyhow::Error>) -> IoFailure {
    IoFailure::other(one_line(&error.into()))
}

/// The error and its causes, each once: some errors say their cause themselves.
pub(super) fn one_line(error: &anyhow::Error) -> String {
    let mut line = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !line.contains(&cause) {
            line = format!("{line}: {cause}");
        }
    }
    line
}
