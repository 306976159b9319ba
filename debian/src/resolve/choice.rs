//! The packages chosen so far, why, and whether they get along.

use std::collections::BTreeMap;

use super::{Open, ResolveError};
use crate::archive::Candidate;
use crate::relation::{ParseRelationError, Relation, parse_relations};

/// A set of packages, one version of each.
#[derive(Clone, Default)]
pub(super) struct Choice<'a> {
    chosen: BTreeMap<&'a str, Chosen<'a>>,
    /// Virtual name -> who provides it, in which version.
    provided: BTreeMap<&'a str, Vec<(&'a str, Option<&'a str>)>>,
    /// Name that is declared as conflicting -> who declares it, and how.
    conflicts: BTreeMap<&'a str, Vec<(&'a str, Relation<'a>)>>,
}

#[derive(Clone)]
struct Chosen<'a> {
    candidate: Candidate<'a>,
    /// The package that depends on it, and the dependency's text; none if it was asked for.
    because: Option<(&'a str, String)>,
}

impl<'a> Choice<'a> {
    pub(super) fn get(&self, name: &str) -> Option<Candidate<'a>> {
        self.chosen.get(name).map(|chosen| chosen.candidate)
    }

    /// The packages, sorted by name.
    pub(super) fn packages(&self) -> impl Iterator<Item = Candidate<'a>> {
        self.chosen.values().map(|chosen| chosen.candidate)
    }

    /// The chosen package that satisfies a relation: the one so named, else a provider.
    pub(super) fn satisfying(&self, relation: &Relation<'_>) -> Option<Candidate<'a>> {
        let named = self
            .get(relation.name)
            .filter(|c| relation.admits(c.package.version()));
        named.or_else(|| {
            let providers = self.provided.get(relation.name)?;
            let provider = providers
                .iter()
                .filter(|(_, version)| relation.admits_provided(*version));
            // The least name, so that the order of choosing does not matter.
            self.get(provider.map(|(name, _)| *name).min()?)
        })
    }

    pub(super) fn add(
        &mut self,
        candidate: Candidate<'a>,
        because: Option<&Open<'a>>,
    ) -> Result<(), ParseRelationError> {
        let name = candidate.package.name();
        let because = because.map(|open| (open.of.package.name(), text(&open.group)));
        self.chosen.insert(name, Chosen { candidate, because });
        for relation in parse_relations(candidate.package.provides_field())?
            .into_iter()
            .flatten()
        {
            let version = relation.bound.map(|(_, version)| version);
            self.provided
                .entry(relation.name)
                .or_default()
                .push((name, version));
        }
        for field in candidate.package.conflict_fields() {
            for relation in parse_relations(field)?.into_iter().flatten() {
                self.conflicts
                    .entry(relation.name)
                    .or_default()
                    .push((name, relation));
            }
        }
        Ok(())
    }

    /// A conflict between `new`, which is chosen already, and another chosen package.
    pub(super) fn conflict_of(
        &self,
        new: Candidate<'a>,
    ) -> Result<Option<ResolveError>, ParseRelationError> {
        let name = new.package.name();
        for field in new.package.conflict_fields() {
            for relation in parse_relations(field)?.iter().flatten() {
                if let Some(other) = self.hit_by(name, relation) {
                    return Ok(Some(self.conflict(name, relation, other)));
                }
            }
        }
        let provided = parse_relations(new.package.provides_field())?;
        let names = provided
            .iter()
            .flatten()
            .map(|relation| relation.name)
            .chain([name]);
        for own in names {
            for (other, relation) in self.conflicts.get(own).into_iter().flatten() {
                if *other != name && self.hit_by(other, relation) == Some(name) {
                    return Ok(Some(self.conflict(other, relation, name)));
                }
            }
        }
        Ok(None)
    }

    /// Another package than `of` that its conflict `relation` is about. A package may conflict
    /// with a virtual name that it provides itself: then it wants to be the only provider.
    fn hit_by(&self, of: &str, relation: &Relation<'a>) -> Option<&'a str> {
        let named = self
            .get(relation.name)
            .filter(|c| relation.admits(c.package.version()));
        let named = named.map(|candidate| candidate.package.name());
        let providers = self.provided.get(relation.name).into_iter().flatten();
        let providers = providers.filter(|(_, version)| relation.admits_provided(*version));
        named
            .into_iter()
            .chain(providers.map(|(name, _)| *name))
            .find(|name| *name != of)
    }

    fn conflict(&self, left: &str, relation: &Relation<'a>, right: &str) -> ResolveError {
        let show = |name: &str| match self.get(name) {
            Some(candidate) => format!("{name} {}", candidate.package.version()),
            None => name.to_owned(),
        };
        let reason = |name: &str| match self.get(name).map(|candidate| self.chain(candidate)) {
            Some(chain) if chain != name => format!("{name} is there for {chain}"),
            _ => format!("{name} is asked for"),
        };
        ResolveError::Conflict {
            left: show(left),
            right: show(right),
            relation: format!("{left} conflicts with {relation}"),
            left_chain: reason(left),
            right_chain: reason(right),
        }
    }

    /// Why a package is chosen: `a, which depends on b (>= 2), which depends on c`.
    pub(super) fn chain(&self, candidate: Candidate<'a>) -> String {
        let mut links = Vec::new();
        let mut name = candidate.package.name();
        while let Some((parent, text)) = self.chosen.get(name).and_then(|c| c.because.as_ref()) {
            let via = text.split([' ', ':']).next() != Some(name);
            links.push(if via {
                format!("{text} (by {name})")
            } else {
                text.clone()
            });
            name = parent;
        }
        links.push(name.to_owned());
        links.reverse();
        links.join(", which depends on ")
    }
}

/// The last part of a chain: the dependency that is open.
pub(super) fn link(open: &Open<'_>) -> String {
    format!(", which depends on {}", text(&open.group))
}

fn text(group: &[Relation<'_>]) -> String {
    group
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(" | ")
}
