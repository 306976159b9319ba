//! Which modules are needed for some: their dependencies, soft ones too.

use std::collections::BTreeSet;

use super::pattern::{is_pattern, matches, underscores};
use super::{Module, ModuleError, ModuleTree};

/// Modules that are asked for, by name or by alias (`fs-ext4`, `pci:v00001AF4d…`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Each of these must be there, or be compiled into the kernel.
    pub required: Vec<String>,
    /// Those of these that are there.
    pub optional: Vec<String>,
}

impl Wanted {
    /// A preset and names that must be there.
    #[must_use]
    pub fn new(preset: &[&str], required: &[String]) -> Self {
        Self {
            required: required.to_vec(),
            optional: preset.iter().map(|name| (*name).to_owned()).collect(),
        }
    }
}

/// A set of modules that contains all that its members need.
#[derive(Debug, Clone)]
pub struct Closure<'a> {
    tree: &'a ModuleTree,
    indices: BTreeSet<usize>,
}

impl ModuleTree {
    /// The wanted modules with all that they need. What is compiled into the kernel needs nothing.
    /// A soft dependency is an alias: every module that it matches is taken, and none is no error.
    ///
    /// # Errors
    /// A required module is unknown.
    pub fn closure(&self, wanted: &Wanted) -> Result<Closure<'_>, ModuleError> {
        let mut indices = BTreeSet::new();
        let mut pending = Vec::new();
        for name in &wanted.required {
            match self.resolve(name) {
                Resolved::Modules(found) => pending.extend(found),
                Resolved::Builtin => {}
                Resolved::Nothing => return Err(self.unknown(name)),
            }
        }
        for name in &wanted.optional {
            if let Resolved::Modules(found) = self.resolve(name) {
                pending.extend(found);
            }
        }
        while let Some(index) = pending.pop() {
            if !indices.insert(index) {
                continue;
            }
            pending.extend(self.dependencies.get(index).into_iter().flatten());
            pending.extend(self.soft_dependencies(index));
        }
        Ok(Closure {
            tree: self,
            indices,
        })
    }

    fn soft_dependencies(&self, index: usize) -> Vec<usize> {
        let soft = self.modules.get(index).into_iter().flat_map(|module| {
            module
                .soft_dependencies
                .iter()
                .flat_map(|line| line.split_whitespace())
        });
        soft.filter(|word| !matches!(*word, "pre:" | "post:"))
            .flat_map(|alias| match self.resolve(alias) {
                Resolved::Modules(found) => found,
                Resolved::Builtin | Resolved::Nothing => Vec::new(),
            })
            .collect()
    }

    fn resolve(&self, name: &str) -> Resolved {
        if let Some(index) = self.index(name) {
            return Resolved::Modules(vec![index]);
        }
        if self.is_builtin(name) {
            return Resolved::Builtin;
        }
        let Some(alias) = underscores(name) else {
            return Resolved::Nothing;
        };
        let by_pattern = self
            .alias_patterns
            .iter()
            .filter(|(pattern, _)| matches(pattern, &alias))
            .map(|(_, index)| *index);
        let literal = self.literal_aliases.get(&alias).into_iter().flatten();
        let found: BTreeSet<usize> = by_pattern.chain(literal.copied()).collect();
        let is_builtin = || {
            self.builtin
                .aliases
                .iter()
                .any(|(_, have)| fits(have, &alias))
        };
        if !found.is_empty() {
            Resolved::Modules(found.into_iter().collect())
        } else if is_builtin() {
            Resolved::Builtin
        } else {
            Resolved::Nothing
        }
    }

    pub(super) fn unknown(&self, name: &str) -> ModuleError {
        let wanted = name.replace('-', "_");
        let nearest = self
            .modules
            .iter()
            .map(|module| (distance(&wanted, &module.name), &module.name))
            .min();
        let hint = nearest
            .filter(|(distance, _)| *distance <= wanted.len().div_ceil(3))
            .map(|(_, name)| format!("; did you mean '{name}'?"))
            .unwrap_or_default();
        ModuleError::Unknown {
            name: name.to_owned(),
            release: self.release.clone(),
            hint,
        }
    }
}

enum Resolved {
    Modules(Vec<usize>),
    Builtin,
    Nothing,
}

/// Whether an alias, a pattern perhaps, fits one that is asked for, with `_` in place of `-`.
fn fits(pattern: &str, alias: &str) -> bool {
    let Some(pattern) = underscores(pattern) else {
        return false;
    };
    if is_pattern(&pattern) {
        matches(&pattern, alias)
    } else {
        pattern == alias
    }
}

impl<'a> Closure<'a> {
    /// The modules, in the tree's order.
    pub fn modules(&self) -> impl Iterator<Item = &'a Module> + '_ {
        self.indices
            .iter()
            .filter_map(|index| self.tree.modules.get(*index))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.indices.len()
    }

    /// Whether everything wanted is compiled into the kernel.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.indices.is_empty()
    }

    /// The tree that they are of.
    #[must_use]
    pub fn tree(&self) -> &'a ModuleTree {
        self.tree
    }

    /// Name and content of the text indices about these modules alone: `modules.dep`, `.alias`,
    /// `.softdep` and `.builtin`. Module files are named without a suffix of compression.
    #[must_use]
    pub fn texts(&self) -> Vec<(&'static str, String)> {
        self.tree.texts_of(&self.indices)
    }
}

/// How many letters must be put in, left out or changed (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, letter) in one.chars().enumerate() {
        let mut diagonal = line;
        let mut left = line + 1;
        let mut next = vec![left];
        for (present, above) in other.iter().zip(row.iter().skip(1)) {
            let changed = diagonal + usize::from(*present != letter);
            diagonal = *above;
            left = changed.min(*above + 1).min(left + 1);
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::distance;

    #[test]
    fn distances() {
        for (one, other, expected) in [
            ("", "", 0),
            ("ext4", "ext4", 0),
            ("virtio_blok", "virtio_blk", 1),
            ("kitten", "sitting", 3),
            ("", "abc", 3),
        ] {
            assert_eq!(distance(one, other), expected, "{one} {other}");
        }
    }
}
