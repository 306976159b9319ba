//! `packages.json`: what `modules/packages` knows of the lock file.
//!
//! The groups of packages and what each may refer to are computed here, so that the package set
//! written in the Nix language has nothing to do but to name derivations, and only those that are
//! asked for.
//!
//! ```text
//! format    1
//! system    platform of all derivations
//! codename  Debian's release that the lock is of, or null
//! formats   format version of each builder, by its whole name
//! groups    [ { name, debs = [ package ], inputs = [ place in this list ] } ]
//! packages  by name: { version, group, file, sha256, dependencies, description, homepage }
//! names     file with the names and versions of all packages of the archive, or null
//! descriptions  file with a line about each of them, or null
//! record    whether the evaluation tells which packages it asks for
//! ```

use std::collections::BTreeMap;
use std::path::Path;

use cairn_debian::{Lock, LockedPackage, groups};
use serde_json::{Value, json};

use super::{SYSTEM, deb_name, inputs, object_name, plain_version};
use crate::builders;
use crate::lock_file::REPLACED;

/// The format that this program writes and `modules/packages` reads.
const FORMAT: u32 = 1;

/// Whether an evaluation tells which packages it asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Telling {
    /// It says nothing.
    Nothing,
    /// A line of `builtins.trace` for each.
    Asked,
}

/// Where the packages of the archive are listed, and what an evaluation tells.
#[derive(Debug, Clone, Copy)]
pub struct Index<'a> {
    /// A JSON object: name of each package to its version.
    pub names: &'a Path,
    /// A JSON object: name to one line about it.
    pub descriptions: &'a Path,
}

/// The text of `packages.json` for `lock`; the same arguments always give the same text. With an
/// `index`, packages that are not locked can be asked for, too.
#[must_use]
pub fn packages_json(lock: &Lock, index: Option<&Index<'_>>, telling: Telling) -> String {
    let groups = groups(lock, &REPLACED);
    let places: Vec<usize> = (0..groups.len()).collect();
    let listed: Vec<Value> = groups
        .iter()
        .enumerate()
        .map(|(place, group)| {
            json!({
                "name": object_name(group),
                "debs": group.packages,
                "inputs": inputs(&groups, place, &places),
            })
        })
        .collect();
    let packages: BTreeMap<&str, Value> = groups
        .iter()
        .enumerate()
        .flat_map(|(place, group)| group.packages.iter().map(move |name| (place, name)))
        .filter_map(|(place, name)| Some((place, lock.package(name)?)))
        .map(|(place, package)| (package.name.as_str(), package_facts(place, package)))
        .collect();
    json!({
        "format": FORMAT,
        "system": SYSTEM,
        "codename": lock.releases().first().map(|release| &release.codename),
        "formats": builders::format_versions().collect::<BTreeMap<_, _>>(),
        "groups": listed,
        "packages": packages,
        "names": index.map(|index| index.names),
        "descriptions": index.map(|index| index.descriptions),
        "record": telling == Telling::Asked,
    })
    .to_string()
}

fn package_facts(group: usize, package: &LockedPackage) -> Value {
    json!({
        "version": plain_version(package.version.as_str()),
        "group": group,
        "file": deb_name(package),
        "sha256": package.sha256.to_base16(),
        "dependencies": package.dependencies,
        "description": package.description,
        "homepage": package.homepage,
    })
}
