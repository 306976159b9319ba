//! What a builder gets, and the builders by name.
//!
//! Builders are functions of this program, or programs of the store. A derivation names one of the
//! former as `builtin:<name>` in its `builder` field, and carries the version of the builder's output format in its environment, so
//! that changing what a builder makes changes the names of its outputs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use cairn_store_path::{Derivation, StorePath};

use crate::error::StoreError;
use crate::program::Limits;
use crate::store::Store;

/// What a builder fails with.
pub type BuildError = Box<dyn std::error::Error + Send + Sync>;

/// A builder: makes the outputs of a job out of its inputs and its derivation, and of nothing
/// else. It may leave any modes and times; they are made canonical afterwards.
pub trait Build: Send + Sync {
    /// Creates the job's outputs.
    ///
    /// # Errors
    /// Anything; it becomes the cause of the build's failure.
    fn build(&self, job: &Job<'_>) -> Result<(), BuildError>;
}

impl<F> Build for F
where
    F: Fn(&Job<'_>) -> Result<(), BuildError> + Send + Sync,
{
    fn build(&self, job: &Job<'_>) -> Result<(), BuildError> {
        self(job)
    }
}

/// The builders that this program has, by what derivations call them: `builtin:<name>`.
#[derive(Default)]
pub struct Builders {
    by_name: BTreeMap<String, Box<dyn Build>>,
    limits: Limits,
}

impl Builders {
    /// No builders.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a builder under the whole name, `builtin:<name>`; replaces one of the same name.
    pub fn insert(&mut self, name: &str, builder: impl Build + 'static) {
        self.by_name.insert(name.to_owned(), Box::new(builder));
    }

    /// Limits builders that are programs of the store.
    pub fn limit_programs(&mut self, limits: Limits) {
        self.limits = limits;
    }

    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// The builder called `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&dyn Build> {
        self.by_name.get(name).map(AsRef::as_ref)
    }

    /// The names of all builders, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }
}

/// Why a builder cannot have what it asks for.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The derivation's environment has no such variable.
    #[error("the derivation does not set '{0}'")]
    NoVariable(String),
    /// The variable is not text.
    #[error("the derivation's '{0}' is not UTF-8")]
    NotText(String),
    /// The path is not in an input.
    #[error("{0} is not an input of the derivation; add it to the inputs")]
    NotInput(String),
    /// The derivation has no output of this name.
    #[error("the derivation has no output '{0}'")]
    NoOutput(String),
    /// The store fails.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// One build: the derivation, its inputs, and places for its outputs.
pub struct Job<'a> {
    pub(crate) store: &'a Store,
    pub(crate) derivation: &'a Derivation,
    pub(crate) derivation_path: &'a StorePath,
    pub(crate) inputs: BTreeSet<StorePath>,
    pub(crate) outputs: BTreeMap<String, PathBuf>,
    pub(crate) scratch: PathBuf,
    pub(crate) closure: OnceLock<Vec<StorePath>>,
}

impl Job<'_> {
    /// The value of a variable of the derivation's environment.
    ///
    /// # Errors
    /// It is not set, or not text.
    pub fn env(&self, name: &str) -> Result<&str, JobError> {
        let value = self
            .derivation
            .env(name)
            .ok_or_else(|| JobError::NoVariable(name.to_owned()))?;
        std::str::from_utf8(value).map_err(|_| JobError::NotText(name.to_owned()))
    }

    /// The same for a variable that may be left out.
    ///
    /// # Errors
    /// It is not text.
    pub fn env_if_set(&self, name: &str) -> Result<Option<&str>, JobError> {
        match self.env(name) {
            Err(JobError::NoVariable(_)) => Ok(None),
            value => value.map(Some),
        }
    }

    /// The derivation.
    #[must_use]
    pub fn derivation(&self) -> &Derivation {
        self.derivation
    }

    /// The derivation's own store path.
    #[must_use]
    pub fn derivation_path(&self) -> &StorePath {
        self.derivation_path
    }

    /// Where the builder has to create the output `out` (or the first one, if none is called so).
    /// It does not exist yet; the folder above it does.
    #[must_use]
    pub fn output(&self) -> &Path {
        self.outputs
            .get("out")
            .or_else(|| self.outputs.values().next())
            .map_or(&self.scratch, PathBuf::as_path)
    }

    /// The final name of [`output`](Self::output), for what refers to itself.
    #[must_use]
    pub fn output_path(&self) -> &StorePath {
        self.derivation
            .output("out")
            .or_else(|| self.derivation.outputs.values().next().map(|out| &out.path))
            .unwrap_or(self.derivation_path)
    }

    /// Where the builder has to create the output `name`.
    ///
    /// # Errors
    /// The derivation has no such output.
    pub fn output_named(&self, name: &str) -> Result<&Path, JobError> {
        self.outputs
            .get(name)
            .map(PathBuf::as_path)
            .ok_or_else(|| JobError::NoOutput(name.to_owned()))
    }

    /// Where `/nix/store/<object>/<rest>` is: below an input, below something that an input
    /// refers to, or below one of the job's own outputs. Links on the way are not followed.
    ///
    /// # Errors
    /// The path is none of these.
    pub fn real(&self, logical: &str) -> Result<PathBuf, JobError> {
        let (object, rest) = StorePath::containing(logical).map_err(StoreError::from)?;
        for (name, output) in &self.derivation.outputs {
            if output.path == object {
                let base = self.output_named(name)?;
                return Ok(match rest {
                    "" => base.to_owned(),
                    rest => base.join(rest.trim_start_matches('/')),
                });
            }
        }
        if !self.inputs.contains(&object) && self.closure_ref()?.binary_search(&object).is_err() {
            return Err(JobError::NotInput(logical.to_owned()));
        }
        Ok(self.store.real_path_of(logical)?)
    }

    /// The direct inputs, in order: outputs of input derivations, and input sources.
    pub fn inputs(&self) -> impl Iterator<Item = &StorePath> {
        self.inputs.iter()
    }

    /// The inputs and everything that they refer to, in order.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn closure(&self) -> Result<Vec<StorePath>, JobError> {
        Ok(self.closure_ref()?.to_vec())
    }

    pub(crate) fn closure_ref(&self) -> Result<&[StorePath], StoreError> {
        if let Some(closure) = self.closure.get() {
            return Ok(closure);
        }
        let inputs: Vec<StorePath> = self.inputs.iter().cloned().collect();
        let closure = if inputs.is_empty() {
            Vec::new()
        } else {
            self.store.closure(&inputs)?
        };
        Ok(self.closure.get_or_init(|| closure))
    }

    /// An empty folder for the builder's own use; it is removed after the build.
    #[must_use]
    pub fn scratch(&self) -> &Path {
        &self.scratch
    }

    /// The store, to run imported tools in a [`Sandbox`](crate::Sandbox).
    #[must_use]
    pub fn store(&self) -> &Store {
        self.store
    }
}
