//! Build groups: which packages become one store path together, and in which order.
//!
//! The packages of one source package that need each other belong together: their files refer to each
//! other by relative links and by fixed names. What needs no other of its source and is needed by none
//! stands apart; so do libraries, so that a program does not pull in the tools that come with a library;
//! kernels, their modules and firmware, each of which is whole by itself; and packages for developers. So
//! what a system has stays as it is when something joins the lock. Dependency cycles (libc6 and libgcc-s1)
//! are merged, since store paths cannot refer to each other in circles.
//!
//! Debian's packages use `Essential` ones without declaring it; so those are an input of every
//! group that they do not need themselves, but for kernels and firmware. Whoever makes the lock may have
//! something else for some of them: they are inputs of those that declare it.

use std::collections::{BTreeMap, BTreeSet};

use crate::lock::{Lock, LockedPackage};
use crate::version::Version;

/// Packages that are built into one store path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The only package's name, or the source package's; merged groups: the names joined by `+`. No
    /// two groups of a lock have the same name.
    pub name: String,
    /// The only package's version, or the source package's.
    pub version: Version,
    /// The names of the packages, sorted.
    pub packages: Vec<String>,
    /// The groups that this one depends on directly, as indices into the list of groups; each
    /// index is below this group's own, sorted.
    pub inputs: Vec<usize>,
    /// Whether an essential package is among the packages, and not a replaced one.
    pub essential: bool,
}

/// The groups of `lock`: inputs come before what uses them; the same lock gives the same list.
/// `replaced` are packages that nothing uses unsaid, whether or not they are essential.
#[must_use]
pub fn groups(lock: &Lock, replaced: &[&str]) -> Vec<Group> {
    let units = units(lock);
    let unit_of: BTreeMap<&str, usize> = units
        .iter()
        .enumerate()
        .flat_map(|(at, unit)| {
            unit.packages
                .iter()
                .map(move |package| (package.name.as_str(), at))
        })
        .collect();
    let edges: Vec<BTreeSet<usize>> = units
        .iter()
        .map(|unit| {
            let names = unit
                .packages
                .iter()
                .flat_map(|package| &package.dependencies);
            names
                .filter_map(|name| unit_of.get(name.as_str()).copied())
                .collect()
        })
        .collect();
    let mut groups = merge(&units, &edges, replaced);
    add_essential_inputs(&mut groups, lock);
    let mut groups = sort(&groups);
    name_apart(&mut groups);
    groups
}

/// What stands together before cycles are merged.
struct Unit<'a> {
    name: String,
    version: &'a Version,
    packages: Vec<&'a LockedPackage>,
}

/// What keeps packages of one source apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// Programs and data.
    Ordinary,
    /// Compilers, headers, libraries to link with.
    Development,
    /// Libraries, kernels, firmware.
    Alone,
}

impl Kind {
    fn of(package: &LockedPackage) -> Self {
        match section(package) {
            "libs" | "oldlibs" | "kernel" => Self::Alone,
            "devel" | "libdevel" => Self::Development,
            _ => Self::Ordinary,
        }
    }
}

/// The section without the archive area: `kernel` of `non-free-firmware/kernel`.
fn section(package: &LockedPackage) -> &str {
    package.section.rsplit('/').next().unwrap_or_default()
}

fn units(lock: &Lock) -> Vec<Unit<'_>> {
    let mut siblings: BTreeMap<(&str, Kind), Vec<&LockedPackage>> = BTreeMap::new();
    for package in lock.packages() {
        let kind = Kind::of(package);
        let name = match kind {
            Kind::Alone => &package.name,
            Kind::Ordinary | Kind::Development => &package.source,
        };
        siblings.entry((name, kind)).or_default().push(package);
    }
    let connected = siblings
        .into_iter()
        .flat_map(|((_, kind), packages)| connected(&packages).into_iter().map(move |c| (kind, c)));
    connected
        .filter_map(|(kind, packages)| unit(kind, packages))
        .collect()
}

/// The packages in parts that do not need each other: each part has what its packages need of `packages`, and
/// what needs them.
fn connected<'a>(packages: &[&'a LockedPackage]) -> Vec<Vec<&'a LockedPackage>> {
    let place = |name: &String| packages.iter().position(|package| package.name == *name);
    let mut edges = vec![BTreeSet::new(); packages.len()];
    for (from, package) in packages.iter().enumerate() {
        for to in package.dependencies.iter().filter_map(place) {
            for (one, other) in [(from, to), (to, from)] {
                if let Some(others) = edges.get_mut(one) {
                    others.insert(other);
                }
            }
        }
    }
    let parts = components(&edges).into_iter().map(|part| {
        let members = part.into_iter().filter_map(|at| packages.get(at).copied());
        members.collect()
    });
    parts.collect()
}

/// Packages that stand together. Name and version follow from themselves alone.
fn unit(kind: Kind, packages: Vec<&LockedPackage>) -> Option<Unit<'_>> {
    let first = *packages.first()?;
    if packages.len() == 1 {
        return Some(Unit {
            name: first.name.clone(),
            version: &first.version,
            packages,
        });
    }
    let mut name = first.source.clone();
    if kind == Kind::Development && packages.iter().all(|package| package.name != name) {
        name.push_str("-dev");
    }
    Some(Unit {
        name,
        version: packages.iter().map(|p| &p.source_version).max()?,
        packages,
    })
}

/// One group per strongly connected component of the units; inputs are not sorted yet.
fn merge(units: &[Unit<'_>], edges: &[BTreeSet<usize>], replaced: &[&str]) -> Vec<Group> {
    let components = components(edges);
    let component_of: BTreeMap<usize, usize> = components
        .iter()
        .enumerate()
        .flat_map(|(at, members)| members.iter().map(move |member| (*member, at)))
        .collect();
    let group = |(at, members): (usize, &BTreeSet<usize>)| {
        let members: Vec<&Unit<'_>> = members.iter().filter_map(|m| units.get(*m)).collect();
        let inputs = components
            .get(at)
            .into_iter()
            .flatten()
            .filter_map(|m| edges.get(*m));
        let inputs = inputs
            .flatten()
            .filter_map(|target| component_of.get(target).copied());
        let inputs: BTreeSet<usize> = inputs.filter(|input| *input != at).collect();
        let packages = || members.iter().flat_map(|unit| &unit.packages);
        let names: BTreeSet<&str> = members.iter().map(|unit| unit.name.as_str()).collect();
        let version = members.first().map(|unit| unit.version.clone())?;
        Some(Group {
            name: join_names(&names),
            version,
            packages: packages()
                .map(|p| p.name.clone())
                .collect::<BTreeSet<_>>()
                .into_iter()
                .collect(),
            inputs: inputs.into_iter().collect(),
            essential: packages()
                .any(|package| package.essential && !replaced.contains(&package.name.as_str())),
        })
    };
    components.iter().enumerate().filter_map(group).collect()
}

/// Strongly connected components (Kosaraju); each a set of nodes.
fn components(edges: &[BTreeSet<usize>]) -> Vec<BTreeSet<usize>> {
    let mut reversed = vec![BTreeSet::new(); edges.len()];
    for (from, targets) in edges.iter().enumerate() {
        for target in targets {
            if let Some(sources) = reversed.get_mut(*target) {
                sources.insert(from);
            }
        }
    }
    let mut seen = BTreeSet::new();
    let mut components = Vec::new();
    for root in postorder(edges).into_iter().rev() {
        if seen.contains(&root) {
            continue;
        }
        let component = reachable(&reversed, [root], &seen);
        seen.extend(&component);
        components.push(component);
    }
    components
}

/// All nodes, each after the nodes that it points to, as far as there are no cycles.
fn postorder(edges: &[BTreeSet<usize>]) -> Vec<usize> {
    let targets = |node: usize| edges.get(node).into_iter().flatten();
    let mut seen = BTreeSet::new();
    let mut order = Vec::with_capacity(edges.len());
    for root in 0..edges.len() {
        let mut stack = Vec::new();
        if seen.insert(root) {
            stack.push((root, targets(root)));
        }
        while let Some((node, rest)) = stack.last_mut() {
            if let Some(next) = rest.find(|target| seen.insert(**target)) {
                stack.push((*next, targets(*next)));
            } else {
                order.push(*node);
                stack.pop();
            }
        }
    }
    order
}

/// What can be reached from `roots`, themselves included, without entering `closed`.
fn reachable(
    edges: &[BTreeSet<usize>],
    roots: impl IntoIterator<Item = usize>,
    closed: &BTreeSet<usize>,
) -> BTreeSet<usize> {
    let mut reached: BTreeSet<usize> = roots.into_iter().collect();
    let mut open: Vec<usize> = reached.iter().copied().collect();
    while let Some(node) = open.pop() {
        let targets = edges.get(node).into_iter().flatten();
        let fresh = targets.filter(|target| !closed.contains(target));
        open.extend(
            fresh
                .filter(|target| reached.insert(**target))
                .copied()
                .collect::<Vec<_>>(),
        );
    }
    reached
}

fn add_essential_inputs(groups: &mut [Group], lock: &Lock) {
    let essential: BTreeSet<usize> = groups
        .iter()
        .enumerate()
        .filter(|(_, group)| group.essential)
        .map(|(at, _)| at)
        .collect();
    let edges: Vec<BTreeSet<usize>> = groups
        .iter()
        .map(|group| group.inputs.iter().copied().collect())
        .collect();
    let closure = reachable(&edges, essential.iter().copied(), &BTreeSet::new());
    for (at, group) in groups.iter_mut().enumerate() {
        if !closure.contains(&at) && runs_programs(group, lock) {
            let inputs: BTreeSet<usize> = group.inputs.iter().chain(&essential).copied().collect();
            group.inputs = inputs.into_iter().collect();
        }
    }
}

/// Kernels, their modules and firmware run on no other package: without the essential ones as
/// inputs they are built first, and again only for themselves.
fn runs_programs(group: &Group, lock: &Lock) -> bool {
    let mut packages = group.packages.iter().filter_map(|name| lock.package(name));
    packages.any(|package| section(package) != "kernel")
}

/// Inputs first; then indices are those of the new order.
fn sort(groups: &[Group]) -> Vec<Group> {
    let mut by_name: Vec<Group> = groups.to_vec();
    by_name.sort_by(|left, right| left.packages.cmp(&right.packages));
    let place = |group: &Group| {
        by_name
            .iter()
            .position(|other| other.packages == group.packages)
    };
    let places: Vec<usize> = groups.iter().filter_map(place).collect();
    let renumber = |inputs: &[usize], places: &[usize]| -> BTreeSet<usize> {
        inputs
            .iter()
            .filter_map(|input| places.get(*input).copied())
            .collect()
    };
    let edges: Vec<BTreeSet<usize>> = by_name
        .iter()
        .map(|group| renumber(&group.inputs, &places))
        .collect();
    let order = postorder(&edges);
    let mut ranks = vec![0; order.len()];
    for (rank, node) in order.iter().enumerate() {
        if let Some(place) = ranks.get_mut(*node) {
            *place = rank;
        }
    }
    let sorted = order
        .iter()
        .filter_map(|node| Some((by_name.get(*node)?, edges.get(*node)?)));
    sorted
        .map(|(group, inputs)| {
            let inputs: Vec<usize> = inputs.iter().copied().collect();
            let inputs = renumber(&inputs, &ranks).into_iter().collect();
            Group {
                inputs,
                ..group.clone()
            }
        })
        .collect()
}

/// Joined names stay far below the 211 characters of a store path's name.
const NAME_LIMIT: usize = 80;

fn join_names(names: &BTreeSet<&str>) -> String {
    let joined = names.iter().copied().collect::<Vec<_>>().join("+");
    match names.first() {
        Some(first) if joined.len() > NAME_LIMIT => format!("{first}+{}", names.len() - 1),
        _ => joined,
    }
}

/// Two groups may have a source package's name, and a source package may be called as one of its
/// libraries: then a group takes the name of its first package.
fn name_apart(groups: &mut [Group]) {
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let is_own = |group: &Group| group.packages.contains(&group.name);
    taken.extend(
        groups
            .iter()
            .filter(|group| is_own(group))
            .map(|group| group.name.clone()),
    );
    for group in groups.iter_mut().filter(|group| !is_own(group)) {
        if !taken.insert(group.name.clone()) {
            let first = group.packages.first().cloned().unwrap_or_default();
            let numbered = (2..).map(|number| format!("{first}+{number}"));
            let free = std::iter::once(first.clone())
                .chain(numbered)
                .find(|n| !taken.contains(n));
            group.name = free.unwrap_or(first);
            taken.insert(group.name.clone());
        }
    }
}

#[cfg(test)]
mod tests;
