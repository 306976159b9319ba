//! `hashDerivationModulo`: the hash of a derivation, with fixed outputs named by what they contain
//! rather than by how they are fetched.
//!
//! A fixed-output derivation's hash is `sha256("fixed:out:[r:]<algo>:<hex>:<path>")`. Any other's
//! is the SHA-256 of its text, in which the input derivations' paths are replaced by *their*
//! hashes and sorted again; inputs with equal hashes merge. To name its outputs, a derivation is
//! hashed with its own output paths, and the environment variables called like them, left empty.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bstr::BStr;

use super::{Derivation, aterm};
use crate::hash::Sha256;
use crate::path::StorePath;

/// Hashes of derivations by path; each is computed once.
#[derive(Debug, Clone, Default)]
pub struct ModuloHashes {
    known: HashMap<StorePath, Sha256>,
}

/// Why a derivation could not be hashed. `E` is what the lookup of input derivations fails with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModuloError<E> {
    /// An input derivation could not be had.
    #[error("cannot read input derivation {path}")]
    Lookup {
        /// The input.
        path: StorePath,
        /// Why.
        source: E,
    },
    /// A derivation is, through others, an input of itself: some file lies about its name.
    #[error("derivation {0} depends on itself")]
    Cycle(StorePath),
}

/// An input derivation whose hash is not known yet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the hash of input derivation {0} is not known; instantiate inputs first")]
pub struct UnknownInput(pub StorePath);

impl ModuloHashes {
    /// No hashes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The hash of the derivation at `path`; `lookup` reads those that are not known yet.
    ///
    /// # Errors
    /// A lookup fails, or the derivations form a cycle.
    pub fn hash<E>(
        &mut self,
        path: &StorePath,
        mut lookup: impl FnMut(&StorePath) -> Result<Derivation, E>,
    ) -> Result<Sha256, ModuloError<E>> {
        // A stack of our own: chains of derivations can be deeper than a thread's stack.
        let mut open: Vec<(StorePath, Derivation)> = Vec::new();
        let mut on_stack: BTreeSet<StorePath> = BTreeSet::new();
        let mut next = Some(path.clone());
        loop {
            if let Some(path) = next.take()
                && !self.known.contains_key(&path)
            {
                if !on_stack.insert(path.clone()) {
                    return Err(ModuloError::Cycle(path));
                }
                match lookup(&path) {
                    Ok(derivation) => open.push((path, derivation)),
                    Err(source) => return Err(ModuloError::Lookup { path, source }),
                }
            }
            match open.pop() {
                None => break,
                Some((path, derivation)) => match self.hash_unmasked(&derivation) {
                    Ok(hash) => {
                        on_stack.remove(&path);
                        self.known.insert(path, hash);
                    }
                    Err(UnknownInput(input)) => {
                        open.push((path, derivation));
                        next = Some(input);
                    }
                },
            }
        }
        match self.known.get(path) {
            Some(hash) => Ok(*hash),
            None => Err(ModuloError::Cycle(path.clone())),
        }
    }

    /// Remembers the hash of `derivation`, which lies at `path`.
    ///
    /// # Errors
    /// An input's hash is not known.
    pub fn learn(&mut self, path: StorePath, derivation: &Derivation) -> Result<(), UnknownInput> {
        if !self.known.contains_key(&path) {
            let hash = self.hash_unmasked(derivation)?;
            self.known.insert(path, hash);
        }
        Ok(())
    }

    /// The hash that names the outputs of `derivation`, whose output paths need not be right yet.
    ///
    /// # Errors
    /// An input's hash is not known.
    pub fn hash_masked(&self, derivation: &Derivation) -> Result<Sha256, UnknownInput> {
        let outputs = derivation
            .outputs
            .keys()
            .map(|name| [name.clone(), String::new(), String::new(), String::new()]);
        let env = derivation.env.iter().map(|(key, value)| {
            let own =
                std::str::from_utf8(key).is_ok_and(|name| derivation.outputs.contains_key(name));
            let value: &BStr = if own { BStr::new("") } else { value.as_ref() };
            (key.as_ref(), value)
        });
        let inputs = self.inputs(derivation)?;
        let inputs = inputs.iter().map(|(hash, names)| (hash.clone(), names));
        Ok(Sha256::of(&aterm::print_parts(
            derivation, outputs, inputs, env,
        )))
    }

    fn hash_unmasked(&self, derivation: &Derivation) -> Result<Sha256, UnknownInput> {
        if let Some((path, fixed)) = derivation.fixed_output() {
            let text = format!(
                "fixed:out:{}:{}:{path}",
                fixed.method_algorithm(),
                fixed.base16()
            );
            return Ok(Sha256::of(text.as_bytes()));
        }
        let inputs = self.inputs(derivation)?;
        Ok(Sha256::of(&aterm::print_with_inputs(
            derivation,
            inputs.iter().map(|(hash, names)| (hash.clone(), names)),
        )))
    }

    fn inputs(
        &self,
        derivation: &Derivation,
    ) -> Result<BTreeMap<String, BTreeSet<String>>, UnknownInput> {
        let mut inputs: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (path, outputs) in &derivation.input_drvs {
            let hash = self
                .known
                .get(path)
                .ok_or_else(|| UnknownInput(path.clone()))?;
            inputs
                .entry(hash.to_base16())
                .or_default()
                .extend(outputs.iter().cloned());
        }
        Ok(inputs)
    }
}
