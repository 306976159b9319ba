//! What a lock means for the store: which packages become one object, under which name, and against
//! what they are built. `modules/packages` makes the derivations of it.

use std::collections::BTreeSet;

use cairn_debian::{Group, LockedPackage};

mod json;

pub use json::{Index, Telling, packages_json};

/// Platform of all derivations.
const SYSTEM: &str = "x86_64-linux";

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
/// unsaid last. The order follows from these groups alone, whatever else is in the lock.
fn inputs<'a, T>(groups: &[Group], index: usize, outputs: &'a [T]) -> Vec<&'a T> {
    let mut seen = BTreeSet::new();
    let mut order = Vec::new();
    let mut level = vec![index];
    while !level.is_empty() {
        let mut next: Vec<usize> = level
            .iter()
            .filter_map(|&group| groups.get(group))
            .flat_map(|group| group.inputs.iter().copied())
            .filter(|&input| seen.insert(input))
            .collect();
        next.sort_by_key(|&group| groups.get(group).map(|group| &group.packages));
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

/// A version or file name with what store path names refuse (`~`, `%`) as `_`.
fn plain(name: &str) -> String {
    name.chars()
        .map(|c| if is_path_character(c) { c } else { '_' })
        .collect()
}
