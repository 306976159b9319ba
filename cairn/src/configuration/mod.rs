//! A configuration file to what is built of it: lock, evaluate, lock what was missing, evaluate
//! again, realise.
//!
//! The evaluation asks for packages by their names. Those that are not in the lock file stand as
//! placeholders at first; once an evaluation has told all that it asks for, they are locked
//! together, and the configuration is evaluated anew. An unchanged configuration is evaluated once.

mod attribute_path;
mod evaluation;
mod listing;
mod memory;
mod round;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use cairn_debian::Lock;
use cairn_store::{Limits, Store};
use cairn_store_path::StorePath;

use crate::lock_file::{LockFile, write_atomically};
use crate::packages::{Index, Telling, packages_json};
use crate::place::Place;
use crate::realise::realise;
use crate::sources::Sources;
use crate::supply::Supply;

pub use attribute_path::{AttributePath, ParseAttributePathError};
pub use evaluation::Limited;
use evaluation::{Job, Outcome, evaluate};
use listing::Listing;
pub use memory::Remembered;
use round::{Demand, Round};

/// The file that is meant when none is named.
pub const DEFAULT_FILE: &str = "configuration.nix";

/// The lock file's name, beside the configuration.
pub const LOCK_FILE: &str = "cairn.lock";

/// Programs that a configuration may take in, from the folder of this one.
const PROGRAMS: [&str; 3] = ["cairn", "cairn-init", "cairn-core"];

/// Where the programs of a running Cairn system are.
const SYSTEM_PROGRAMS: &str = "/run/current-system/sw/bin";

/// How often packages are locked before it is taken that it never ends: each time, what was locked
/// made the configuration ask for more.
const ROUNDS: usize = 8;

/// Whether the lock file may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Locking {
    /// What is missing is added; the others stay as they are.
    #[default]
    Extend,
    /// Everything is taken anew, in its newest version.
    Update,
    /// It is an error if something is missing.
    Refuse,
}

/// A configuration, and where its parts come from.
#[derive(Debug, Clone)]
pub struct Configuration {
    /// The user's file.
    pub file: PathBuf,
    /// Further modules.
    pub modules: Vec<PathBuf>,
    /// Store and cache.
    pub place: Place,
    /// A mirror in place of the host's.
    pub mirror: Option<String>,
    /// The lock file; else [`LOCK_FILE`] beside the configuration.
    pub lock_file: Option<PathBuf>,
    /// Whether it may change.
    pub locking: Locking,
    /// Entries of the search path; `cairn=DIR` names the modules to be used instead of those in
    /// this program.
    pub search_path: Vec<std::ffi::OsString>,
    /// Folders of `cairn`, `cairn-init` and `cairn-core` for the machine; the first that has one counts.
    pub programs: Vec<PathBuf>,
    /// Limits of the evaluation, and what it shows.
    pub evaluation: Limited,
    /// Limits of builders that are programs.
    pub limits: Limits,
}

/// What is wanted of a configuration: attribute paths into what `modules/default.nix` gives.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// What is to be built.
    pub derivations: Vec<AttributePath>,
    /// Data.
    pub facts: Vec<AttributePath>,
}

/// A derivation of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its name.
    pub name: String,
    /// Its file in the store.
    pub derivation: StorePath,
    /// The output that is meant.
    pub output: String,
    /// All outputs.
    pub outputs: BTreeMap<String, StorePath>,
}

/// An evaluated configuration.
#[derive(Debug)]
pub struct Evaluated {
    /// What is to be built, in the order in which it was asked for.
    pub derivations: Vec<Found>,
    /// Data, likewise.
    pub facts: Vec<serde_json::Value>,
    /// Derivations that the data names.
    pub facts_need: BTreeSet<StorePath>,
    /// The lock that it was evaluated with.
    pub lock: Lock,
}

/// The evaluation failed; everything that there is to say was said on standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the configuration could not be evaluated")]
pub struct EvaluationFailed;

impl Found {
    /// The path of the output that is meant.
    ///
    /// # Errors
    /// There is no such output.
    pub fn path(&self) -> Result<&StorePath> {
        self.outputs
            .get(&self.output)
            .with_context(|| format!("'{}' has no output '{}'", self.name, self.output))
    }
}

impl Evaluated {
    /// The system, where one was asked for.
    ///
    /// # Errors
    /// Nothing was to be built.
    pub fn toplevel(&self) -> Result<&StorePath> {
        let found = self.derivations.first();
        found.context("the configuration gives no system")?.path()
    }

    /// The data that was asked for at `path`, the only one.
    ///
    /// # Errors
    /// It is not of the shape that this program knows.
    pub fn fact<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<T> {
        let value = self.facts.first().cloned().unwrap_or_default();
        serde_json::from_value(value).with_context(|| format!("cannot use {path} of these modules"))
    }

    /// Everything that has to be built.
    #[must_use]
    pub fn needed(&self) -> Vec<StorePath> {
        let wanted = self.derivations.iter().map(|found| &found.derivation);
        let all: BTreeSet<&StorePath> = wanted.chain(&self.facts_need).collect();
        all.into_iter().cloned().collect()
    }
}

impl Configuration {
    /// The configuration in `file`, or in [`DEFAULT_FILE`] of the folder `file`, with the user's
    /// store, the host's mirrors, and the programs beside this one.
    ///
    /// # Errors
    /// There is no such file, or the user's folders are not known.
    pub fn new(file: &Path, place: Place) -> Result<Self> {
        let file = std::path::absolute(file)
            .with_context(|| format!("cannot find '{}'", file.display()))?;
        let file = if file.is_dir() {
            file.join(DEFAULT_FILE)
        } else {
            file
        };
        if !file.exists() {
            bail!(
                "there is no configuration '{}'; name one with -c FILE",
                file.display()
            );
        }
        let own = std::env::current_exe().context("cannot find this program's own file")?;
        let programs = own.parent().context("this program has no folder")?;
        Ok(Self {
            file,
            modules: Vec::new(),
            place,
            mirror: None,
            lock_file: None,
            locking: Locking::default(),
            search_path: Vec::new(),
            // On a Cairn system each program is an object of its own.
            programs: vec![programs.to_owned(), SYSTEM_PROGRAMS.into()],
            evaluation: Limited::default(),
            limits: Limits::default(),
        })
    }

    /// Where the lock file is.
    #[must_use]
    pub fn lock_path(&self) -> PathBuf {
        match &self.lock_file {
            Some(file) => file.clone(),
            None => self.file.with_file_name(LOCK_FILE),
        }
    }

    /// Where packages come from.
    #[must_use]
    pub fn supply(&self) -> Supply {
        Supply::new(&self.place, self.mirror.clone())
    }

    /// Evaluates the configuration and writes its derivations into the store; the lock file follows
    /// as [`Configuration::locking`] says.
    ///
    /// # Errors
    /// [`EvaluationFailed`]; packages that cannot be had together; a lock that must not change.
    pub fn evaluate(&self, store: &Store, wanted: &Wanted) -> Result<Evaluated> {
        // Another process writes the derivations; this one can keep them when it knows their names.
        let _held = store.hold_collections()?;
        let mut locking = Round::new(LockFile::read(&self.lock_path())?, self.supply());
        let sources = Sources::new(store, &self.place.cache);
        let mut programs = BTreeMap::new();
        for name in PROGRAMS {
            let files = self.programs.iter().map(|folder| folder.join(name));
            let Some(file) = files.into_iter().find(|file| file.exists()) else {
                log::info!("there is no '{name}' beside this program");
                continue;
            };
            let object = sources.program(&file, name)?;
            programs.insert(name.to_owned(), object.to_string());
        }
        let mut job = Job {
            configuration: self.file.clone(),
            modules: self.modules.clone(),
            programs,
            packages: PathBuf::new(),
            derivations: wanted.derivations.clone(),
            facts: wanted.facts.clone(),
        };
        let cairn = match self.other_modules() {
            Some(folder) => std::path::absolute(&folder)
                .with_context(|| format!("cannot find '{}'", folder.display()))?,
            None => sources.modules()?.to_path_buf(),
        };
        // The first evaluation of a new configuration names placeholders only.
        let mut update = self.locking == Locking::Update;
        // What is locked is enough, more often than not: the archive is asked when it is not.
        let mut frugal = self.locking == Locking::Extend && locking.file.is_locked();
        // What was wrong by what is locked alone: where there is no archive to ask, that is all there is to say.
        let mut failed = None;
        for _ in 0..ROUNDS {
            let listing = match (self.listing(&mut locking, frugal), failed.take()) {
                (Err(error), Some(outcome)) => {
                    log::warn!("only packages that are locked are known: {error:#}");
                    Outcome::show_messages(&outcome);
                    return Err(EvaluationFailed.into());
                }
                (listing, _) => listing?,
            };
            job.packages = self.write_packages(locking.file.lock(), listing.as_ref())?;
            let outcome = evaluate(self, store, &cairn, &job)?;
            let missing = locking.file.missing(&outcome.asked);
            if let (true, Some(evaluated)) = (missing.is_empty() && !update, &outcome.evaluated) {
                outcome.show_messages();
                let evaluated = evaluated.read(locking.file.into_lock())?;
                store.keep(&evaluated.needed())?;
                return Ok(evaluated);
            }
            if missing.is_empty() && frugal && listing.is_none() && outcome.evaluated.is_none() {
                frugal = false;
                failed = Some(outcome);
                continue;
            }
            if missing.is_empty() && outcome.evaluated.is_none() {
                outcome.show_messages();
                return Err(EvaluationFailed.into());
            }
            if self.locking == Locking::Refuse {
                bail!(
                    "'{}' asks for packages that '{}' does not have: {}; build once without --locked",
                    self.file.display(),
                    locking.file.path().display(),
                    missing.join(", ")
                );
            }
            let is_whole = wanted.derivations.iter().any(AttributePath::is_system)
                && outcome.evaluated.is_some();
            let demand = Demand {
                asked: &outcome.asked,
                is_whole,
                update,
            };
            locking.renew(&demand).with_context(|| {
                format!("cannot lock the packages of '{}'", self.file.display())
            })?;
            update = false;
            frugal = false;
        }
        bail!(
            "the packages of '{}' cannot be locked: each time, it asks for others",
            self.file.display()
        );
    }

    /// Builds what is missing of an evaluated configuration.
    ///
    /// # Errors
    /// A package is not to be had, or a build fails.
    pub fn realise(&self, store: &Store, evaluated: &Evaluated) -> Result<()> {
        let needed = evaluated.needed();
        realise(store, &self.supply(), &evaluated.lock, &needed, self.limits)
    }

    /// What `-I cairn=DIR` names.
    fn other_modules(&self) -> Option<PathBuf> {
        let entry = |entry: &std::ffi::OsString| {
            let folder = entry.to_str()?.strip_prefix("cairn=")?;
            Some(PathBuf::from(folder))
        };
        self.search_path.iter().find_map(entry)
    }

    /// All packages that there are; asks the mirrors only if nobody knows. To a `frugal` evaluation,
    /// and without the right to change the lock, those that are locked are enough.
    fn listing(&self, round: &mut Round, frugal: bool) -> Result<Option<Listing>> {
        let cache = self.place.cache.join("index");
        let releases = round.file.lock().releases();
        if !releases.is_empty()
            && let Some(listing) = Listing::find(&cache, releases)
        {
            return Ok(Some(listing));
        }
        if frugal || self.locking == Locking::Refuse {
            return Ok(None);
        }
        let releases = releases.to_vec();
        let archive = round.archive(self.locking == Locking::Update)?;
        let releases = match releases.as_slice() {
            [] => archive.releases(),
            locked => locked.to_vec(),
        };
        Listing::write(&cache, &releases, archive).map(Some)
    }

    fn write_packages(&self, lock: &Lock, listing: Option<&Listing>) -> Result<PathBuf> {
        let index = listing.map(|listing| Index {
            names: &listing.names,
            descriptions: &listing.descriptions,
        });
        let text = packages_json(lock, index.as_ref(), Telling::Asked);
        let name = format!("{}.json", blake3::hash(text.as_bytes()).to_hex());
        let file = self.place.cache.join("packages").join(name);
        if !file.exists() {
            write_atomically(&file, text.as_bytes())?;
        }
        Ok(file)
    }
}
