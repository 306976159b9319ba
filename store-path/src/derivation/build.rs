//! Making a derivation: what Nix's `derivationStrict` does once all values are strings.

use std::collections::{BTreeMap, BTreeSet};

use bstr::{BStr, BString, ByteSlice as _};

use super::aterm::is_output_name;
use super::modulo::UnknownInput;
use super::{Derivation, ModuloHashes, Output};
use crate::hash::Sha256;
use crate::make::{FixedOutput, Method, output_name};
use crate::path::{ParseStorePathError, StorePath};

/// A derivation and its own store path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instantiated {
    /// `/nix/store/<hash>-<name>.drv`.
    pub path: StorePath,
    /// What that file contains.
    pub derivation: Derivation,
}

/// Collects the parts of a derivation; [`build`](Self::build) names its outputs.
///
/// ```
/// use cairn_store_path::derivation::{DerivationBuilder, ModuloHashes};
/// let mut known = ModuloHashes::new();
/// let made = DerivationBuilder::new("hello", "x86_64-linux", "builtin:copy")
///     .env("format", "1")
///     .build(&mut known)?;
/// assert_eq!(made.path.name(), "hello.drv");
/// # Ok::<(), cairn_store_path::derivation::DerivationError>(())
/// ```
#[derive(Debug, Clone)]
pub struct DerivationBuilder {
    name: String,
    system: BString,
    builder: BString,
    args: Vec<BString>,
    env: BTreeMap<BString, BString>,
    outputs: Option<Vec<String>>,
    input_drvs: BTreeMap<StorePath, BTreeSet<String>>,
    input_srcs: BTreeSet<StorePath>,
    fixed: Option<FixedOutput>,
}

/// Why a derivation could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DerivationError {
    /// The name, or an output's name, cannot be part of a store path.
    #[error("cannot instantiate derivation '{name}': {source}")]
    Name {
        /// The derivation's name.
        name: String,
        /// What is wrong.
        source: ParseStorePathError,
    },
    /// The name ends with `.drv`.
    #[error("cannot instantiate derivation '{0}': names of derivations must not end with '.drv'")]
    DrvSuffix(String),
    /// The list of outputs is empty, names one twice, or names one that cannot be.
    #[error("cannot instantiate derivation '{name}': invalid or repeated output '{output}'")]
    Output {
        /// The derivation's name.
        name: String,
        /// The output's name.
        output: String,
    },
    /// A fixed output is not the only output `out`.
    #[error(
        "cannot instantiate derivation '{0}': a fixed output must be the only one, called 'out'"
    )]
    FixedOutput(String),
    /// The hash of an input is not known.
    #[error("cannot instantiate derivation '{name}': {source}")]
    Input {
        /// The derivation's name.
        name: String,
        /// Which input.
        source: UnknownInput,
    },
}

impl DerivationBuilder {
    /// A derivation with one output `out`, and `name`, `builder` and `system` in its environment.
    #[must_use]
    pub fn new(name: &str, system: &str, builder: &str) -> Self {
        let mut new = Self::bare(name, system.into(), builder.into());
        for (key, value) in [("name", name), ("builder", builder), ("system", system)] {
            new.env.insert(key.into(), value.into());
        }
        new
    }

    /// A derivation with an empty environment; outputs are filled into it all the same.
    #[must_use]
    pub fn bare(name: &str, system: BString, builder: BString) -> Self {
        Self {
            name: name.to_owned(),
            system,
            builder,
            args: Vec::new(),
            env: BTreeMap::new(),
            outputs: None,
            input_drvs: BTreeMap::new(),
            input_srcs: BTreeSet::new(),
            fixed: None,
        }
    }

    /// Appends an argument of the builder.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<BString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Sets a variable of the environment, also one that the constructor set.
    #[must_use]
    pub fn env(mut self, key: impl Into<BString>, value: impl Into<BString>) -> Self {
        self.env.insert(key.into(), value.into());
        self
    }

    /// Uses the output `output` of the derivation at `path`.
    #[must_use]
    pub fn input_drv(mut self, path: StorePath, output: &str) -> Self {
        self.input_drvs
            .entry(path)
            .or_default()
            .insert(output.to_owned());
        self
    }

    /// Uses a store object that is there already.
    #[must_use]
    pub fn input_src(mut self, path: StorePath) -> Self {
        self.input_srcs.insert(path);
        self
    }

    /// Names the outputs; the environment gets them as `outputs`, in this order.
    #[must_use]
    pub fn outputs<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        self.env.insert("outputs".into(), names.join(" ").into());
        self.bare_outputs(names)
    }

    /// Names the outputs; the environment's `outputs` is left as it is.
    #[must_use]
    pub fn bare_outputs(mut self, names: Vec<String>) -> Self {
        self.outputs = Some(names);
        self
    }

    /// Fixes the content of `out`; the environment is left as it is.
    #[must_use]
    pub fn fixed(mut self, fixed: FixedOutput) -> Self {
        self.fixed = Some(fixed);
        self
    }

    /// Fixes the content of `out`, and says so in `outputHash`, `outputHashAlgo` and
    /// `outputHashMode` of the environment, as expressions do.
    #[must_use]
    pub fn fixed_sha256(self, method: Method, hash: Sha256) -> Self {
        let mode = match method {
            Method::Flat => "flat",
            Method::Recursive => "recursive",
        };
        self.env("outputHash", hash.to_base16())
            .env("outputHashAlgo", "sha256")
            .env("outputHashMode", mode)
            .fixed(FixedOutput::sha256(method, hash))
    }

    /// Names the outputs, fills them into the environment, and learns the derivation's hash for
    /// those that use it.
    ///
    /// # Errors
    /// A name cannot be, the outputs contradict each other, or `known` misses an input derivation.
    pub fn build(self, known: &mut ModuloHashes) -> Result<Instantiated, DerivationError> {
        let (name, fixed) = (self.name.clone(), self.fixed.clone());
        let named = |source| DerivationError::Name {
            name: name.clone(),
            source,
        };
        let unknown = |source| DerivationError::Input {
            name: name.clone(),
            source,
        };
        let mut derivation = self.unnamed()?;
        let hash = match fixed {
            Some(_) => None,
            None => Some(known.hash_masked(&derivation).map_err(unknown)?),
        };
        for (output, value) in &mut derivation.outputs {
            value.path = match (&value.fixed, hash) {
                (None, Some(hash)) => StorePath::output(&name, output, hash),
                (Some(fixed), _) => fixed.store_path(&name),
                (None, None) => continue,
            }
            .map_err(named)?;
            let path = value.path.to_string();
            derivation.env.insert(output.as_str().into(), path.into());
        }
        let path = derivation.store_path().map_err(named)?;
        known.learn(path.clone(), &derivation).map_err(unknown)?;
        Ok(Instantiated { path, derivation })
    }

    /// The derivation with meaningless output paths, and its outputs empty in the environment.
    fn unnamed(self) -> Result<Derivation, DerivationError> {
        if self.name.strip_suffix(".drv").is_some() {
            return Err(DerivationError::DrvSuffix(self.name));
        }
        let names = self.outputs.unwrap_or_else(|| vec!["out".to_owned()]);
        if self.fixed.is_some() && names != ["out"] {
            return Err(DerivationError::FixedOutput(self.name));
        }
        let mut outputs = BTreeMap::new();
        let mut env = self.env;
        for output in &names {
            let placeholder =
                StorePath::new([0; 20], &output_name(&self.name, output)).map_err(|source| {
                    DerivationError::Name {
                        name: self.name.clone(),
                        source,
                    }
                })?;
            let value = Output {
                path: placeholder,
                fixed: self.fixed.clone(),
            };
            let repeated = outputs.insert(output.clone(), value).is_some();
            // Nix keeps `drv` for itself: `<name>.drv` and an output `drv` would be confused.
            if repeated || output == "drv" || !is_output_name(output) {
                return Err(DerivationError::Output {
                    name: self.name,
                    output: output.clone(),
                });
            }
            env.insert(output.as_str().into(), BString::default());
        }
        if outputs.is_empty() {
            return Err(DerivationError::Output {
                name: self.name,
                output: String::new(),
            });
        }
        Ok(Derivation {
            name: self.name,
            outputs,
            input_drvs: self.input_drvs,
            input_srcs: self.input_srcs,
            system: self.system,
            builder: self.builder,
            args: self.args,
            env,
        })
    }
}

impl Derivation {
    /// The value of an environment variable.
    #[must_use]
    pub fn env(&self, name: &str) -> Option<&BStr> {
        self.env.get(name.as_bytes().as_bstr()).map(AsRef::as_ref)
    }
}
