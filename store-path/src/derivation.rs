//! Derivations: how one or more store objects are made of others.
//!
//! A derivation is itself a store object, `<name>.drv`, in the ATerm form
//! `Derive([outputs],[inputDrvs],[inputSrcs],"system","builder",[args],[env])`.
//! The paths of its outputs follow from its text ([`ModuloHashes`]), so that a change anywhere
//! below an output changes the output's name.
//! Source: the Nix manual, "Derivation ATerm" and "Input-addressing derivation outputs".

mod aterm;
mod build;
mod modulo;

use std::collections::{BTreeMap, BTreeSet};

use bstr::BString;

pub use aterm::ParseDerivationError;
pub use build::{DerivationBuilder, DerivationError, Instantiated};
pub use modulo::{ModuloError, ModuloHashes, UnknownInput};

use crate::hash::Sha256;
use crate::make::FixedOutput;
use crate::path::{ParseStorePathError, StorePath};

/// A derivation. Strings are bytes, as in Nix; names of outputs are store path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Derivation {
    /// The name without `.drv`; it is not in the text but in the store path.
    pub name: String,
    /// The outputs by name, usually only `out`.
    pub outputs: BTreeMap<String, Output>,
    /// The derivations that must be built first, and which outputs of them are used.
    pub input_drvs: BTreeMap<StorePath, BTreeSet<String>>,
    /// The store objects that must be there first.
    pub input_srcs: BTreeSet<StorePath>,
    /// The platform that can build it, `x86_64-linux`; `builtin` for any.
    pub system: BString,
    /// The program that builds it; `builtin:<name>` for one inside the program.
    pub builder: BString,
    /// The builder's arguments.
    pub args: Vec<BString>,
    /// The builder's environment.
    pub env: BTreeMap<BString, BString>,
}

/// One output of a derivation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Where it goes.
    pub path: StorePath,
    /// What it must contain, if that is known beforehand.
    pub fixed: Option<FixedOutput>,
}

impl Derivation {
    /// Reads the ATerm text of the derivation called `name` (without `.drv`). The text is not
    /// trusted: any bytes give a derivation or an error.
    ///
    /// # Errors
    /// The text is not in the form of the module's description; the error has the offset.
    pub fn parse(name: &str, text: &[u8]) -> Result<Self, ParseDerivationError> {
        aterm::parse(name, text)
    }

    /// The ATerm text, without a final newline.
    #[must_use]
    pub fn to_aterm(&self) -> Vec<u8> {
        aterm::print(self)
    }

    /// Everything that the `.drv` file refers to: input derivations and input sources.
    #[must_use]
    pub fn references(&self) -> BTreeSet<StorePath> {
        self.input_drvs
            .keys()
            .chain(&self.input_srcs)
            .cloned()
            .collect()
    }

    /// The derivation's own store path, `/nix/store/<hash>-<name>.drv`.
    ///
    /// # Errors
    /// The name breaks the rules of store path names.
    pub fn store_path(&self) -> Result<StorePath, ParseStorePathError> {
        let hash = Sha256::of(&self.to_aterm());
        StorePath::text(&format!("{}.drv", self.name), hash, &self.references())
    }

    /// The path of the output `name`, if there is one.
    #[must_use]
    pub fn output(&self, name: &str) -> Option<&StorePath> {
        self.outputs.get(name).map(|output| &output.path)
    }

    /// What `out` must contain, if the derivation's only output is a fixed one.
    #[must_use]
    pub fn fixed_output(&self) -> Option<(&StorePath, &FixedOutput)> {
        match self.outputs.get("out") {
            Some(Output {
                path,
                fixed: Some(fixed),
            }) if self.outputs.len() == 1 => Some((path, fixed)),
            _ => None,
        }
    }
}
