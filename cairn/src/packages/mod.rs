//! The package set: names to store paths, and new derivations that refer to what is in it.
//!
//! An output's path is known as soon as its derivation is written; nothing needs to be built to
//! describe a machine. What a derivation depends on is found in its variables: each store path in
//! them that the set knows becomes an input, as string contexts do it in the Nix language.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result};
use cairn_debian::{Group, Lock, LockedPackage, groups};
use cairn_store::Store;
use cairn_store_path::derivation::{DerivationBuilder, Instantiated, ModuloHashes};
use cairn_store_path::{Derivation, Method, STORE_DIR, StorePath};

use crate::builders;
use crate::sources::Sources;

mod json;

pub use json::{Index, Telling, packages_json};

/// Platform of all derivations.
const SYSTEM: &str = "x86_64-linux";

/// Length of the hash in a store path.
const HASH_DIGITS: usize = 32;

/// Packages by name, and everything derived from them.
pub struct PackageSet<'store> {
    store: &'store Store,
    packages: BTreeMap<String, StorePath>,
    programs: BTreeMap<String, StorePath>,
    state: RefCell<State>,
}

/// What grows with each derivation.
#[derive(Default)]
struct State {
    /// By the path's hash: that is what a text is searched for.
    origins: BTreeMap<String, (StorePath, Origin)>,
    hashes: ModuloHashes,
    /// Derivations that are not in the store yet.
    unwritten: Vec<Derivation>,
}

/// Where an object of the set comes from.
#[derive(Debug, Clone)]
enum Origin {
    /// Output `out` of this derivation.
    Derivation(StorePath),
    /// Copied into the store as it was.
    Source,
}

impl State {
    fn add(&mut self, path: StorePath, origin: Origin) {
        self.origins
            .insert(path.hash_part().to_owned(), (path, origin));
    }
}

impl<'store> PackageSet<'store> {
    /// Instantiates every group of packages of the lock.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn new(store: &'store Store, lock: &Lock) -> Result<Self> {
        let mut set = Self {
            store,
            packages: BTreeMap::new(),
            programs: BTreeMap::new(),
            state: RefCell::default(),
        };
        let groups = groups(lock);
        let mut outputs: Vec<StorePath> = Vec::with_capacity(groups.len());
        for (index, group) in groups.iter().enumerate() {
            let output = set.import(lock, group, &inputs(&groups, index, &outputs))?;
            for package in &group.packages {
                set.packages.insert(package.clone(), output.clone());
            }
            outputs.push(output);
        }
        Ok(set)
    }

    fn import(&self, lock: &Lock, group: &Group, inputs: &[&StorePath]) -> Result<StorePath> {
        let debs = group
            .packages
            .iter()
            .filter_map(|name| lock.package(name))
            .map(|package| self.fetch(package))
            .collect::<Result<Vec<_>>>()?;
        self.derive(
            &object_name(group),
            "builtin:debian-import",
            &[
                ("debs", join(debs.iter())),
                ("inputs", join(inputs.iter().copied())),
            ],
        )
    }

    fn fetch(&self, package: &LockedPackage) -> Result<StorePath> {
        let builder = DerivationBuilder::new(&deb_name(package), SYSTEM, "builtin:fetch-deb")
            .env("package", package.name.as_str())
            .fixed_sha256(Method::Flat, package.sha256);
        self.instantiate(builder)
    }

    /// Makes the programs of the folder `programs`, built along with this one, known by their
    /// names.
    ///
    /// # Errors
    /// One of them is missing there, or the store cannot be written.
    pub fn add_programs(
        &mut self,
        sources: &Sources<'_>,
        programs: &Path,
        names: &[&str],
    ) -> Result<()> {
        for name in names {
            let object = sources.program(programs, name)?;
            self.programs.insert((*name).to_owned(), object.clone());
            self.state.borrow_mut().add(object, Origin::Source);
        }
        Ok(())
    }

    /// The store object that has the Debian package `name`.
    ///
    /// # Errors
    /// The lock does not have it.
    pub fn package(&self, name: &str) -> Result<&StorePath> {
        self.packages.get(name).with_context(|| {
            format!("package '{name}' is not in the package set; add it to what is resolved")
        })
    }

    /// The path of a file of a package: `path("bash", "bin/bash")`.
    ///
    /// # Errors
    /// The lock does not have the package. Whether it has the file shows when it is built.
    pub fn path(&self, package: &str, file: &str) -> Result<String> {
        Ok(format!("{}/{file}", self.package(package)?))
    }

    /// The object of a program that [`PackageSet::add_programs`] has added.
    ///
    /// # Errors
    /// It has not.
    pub fn object_of_ours(&self, name: &str) -> Result<StorePath> {
        self.programs
            .get(name)
            .cloned()
            .with_context(|| format!("the program '{name}' was not added to the package set"))
    }

    /// The path of a program that [`PackageSet::add_programs`] has added.
    ///
    /// # Errors
    /// It has not.
    pub fn program_of_ours(&self, name: &str) -> Result<String> {
        Ok(format!("{}/bin/{name}", self.object_of_ours(name)?))
    }

    /// The package's only dependency whose name begins with `prefix`: a metapackage's meaning.
    ///
    /// # Errors
    /// There is none.
    pub fn dependency_of(lock: &Lock, package: &str, prefix: &str) -> Result<String> {
        lock.package(package)
            .and_then(|package| {
                package
                    .dependencies
                    .iter()
                    .find(|name| name.starts_with(prefix))
            })
            .cloned()
            .with_context(|| format!("package '{package}' depends on no '{prefix}…' package"))
    }

    /// A file with the given text.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn text(&self, name: &str, text: &str) -> Result<String> {
        Ok(self
            .derive(name, "builtin:text", &[("text", text.to_owned())])?
            .to_string())
    }

    /// Instantiates a derivation of one of the [`builders`], with what its variables refer to as
    /// its inputs, and returns its output path.
    ///
    /// # Errors
    /// There is no such builder, the name is not one of a store path, or the store cannot be
    /// written.
    pub fn derive(
        &self,
        name: &str,
        builder: &str,
        variables: &[(&str, String)],
    ) -> Result<StorePath> {
        let version = builders::format_version(builder)
            .with_context(|| format!("there is no builder '{builder}'"))?;
        let mut derivation =
            DerivationBuilder::new(name, SYSTEM, builder).env("formatVersion", version.to_string());
        for (key, value) in variables {
            derivation = derivation.env(*key, value.as_str());
            for (path, origin) in self.references(value) {
                derivation = match origin {
                    Origin::Derivation(drv) => derivation.input_drv(drv, "out"),
                    Origin::Source => derivation.input_src(path),
                };
            }
        }
        self.instantiate(derivation)
    }

    fn instantiate(&self, derivation: DerivationBuilder) -> Result<StorePath> {
        let mut state = self.state.borrow_mut();
        let Instantiated { path, derivation } = derivation.build(&mut state.hashes)?;
        let output = derivation
            .output("out")
            .context("a derivation without 'out'")?
            .clone();
        state.add(output.clone(), Origin::Derivation(path));
        state.unwritten.push(derivation);
        Ok(output)
    }

    /// Writes all derivations into the store, and returns the one whose output `path` is.
    ///
    /// # Errors
    /// The set does not know it, it is a source, or the store cannot be written.
    pub fn derivation_of(&self, path: &StorePath) -> Result<StorePath> {
        let unwritten = std::mem::take(&mut self.state.borrow_mut().unwritten);
        self.store.write_derivations(&unwritten)?;
        match self.state.borrow().origins.get(path.hash_part()) {
            Some((_, Origin::Derivation(drv))) => Ok(drv.clone()),
            _ => anyhow::bail!("'{path}' is no output of a derivation of this package set"),
        }
    }

    fn references(&self, text: &str) -> BTreeMap<StorePath, Origin> {
        let state = self.state.borrow();
        text.match_indices(STORE_DIR)
            .filter_map(|(start, _)| {
                let hash_start = start + STORE_DIR.len() + 1;
                state
                    .origins
                    .get(text.get(hash_start..hash_start + HASH_DIGITS)?)
                    .cloned()
            })
            .collect()
    }
}

/// The name of the object that the packages of a group become: without the version's epoch.
fn object_name(group: &Group) -> String {
    format!(
        "{}-{}",
        plain(&group.name),
        plain_version(group.version.as_str())
    )
}

/// A version as names have it: without its epoch.
pub(crate) fn plain_version(version: &str) -> String {
    plain(
        version
            .split_once(':')
            .map_or(version, |(_epoch, rest)| rest),
    )
}

/// The name of the store object that a package's file becomes.
fn deb_name(package: &LockedPackage) -> String {
    plain(package.filename.rsplit('/').next().unwrap_or(&package.name))
}

fn is_path_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || "+-._?=".contains(c)
}

/// What `outputs` has for each group below `index`, the nearest first, what every package may use
/// unsaid last.
fn inputs<'a, T>(groups: &[Group], index: usize, outputs: &'a [T]) -> Vec<&'a T> {
    let mut seen = BTreeSet::new();
    let mut order = Vec::new();
    let mut level = vec![index];
    while !level.is_empty() {
        let next: Vec<usize> = level
            .iter()
            .filter_map(|&group| groups.get(group))
            .flat_map(|group| group.inputs.iter().copied())
            .filter(|&input| seen.insert(input))
            .collect();
        order.extend(&next);
        level = next;
    }
    let essential = |&group: &usize| groups.get(group).is_some_and(|group| group.essential);
    let (unsaid, said): (Vec<usize>, Vec<usize>) = order.into_iter().partition(essential);
    said.into_iter()
        .chain(unsaid)
        .filter_map(|group| outputs.get(group))
        .collect()
}

fn join<'a>(paths: impl Iterator<Item = &'a StorePath>) -> String {
    paths.map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// A version or file name with what store path names refuse (`~`, `%`) as `_`.
fn plain(name: &str) -> String {
    name.chars()
        .map(|c| if is_path_character(c) { c } else { '_' })
        .collect()
}
