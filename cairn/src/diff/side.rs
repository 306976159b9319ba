//! One side of a comparison: a configuration, a generation or a built system.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use cairn_store::Store;
use cairn_store_path::StorePath;
use serde_json::Value;

use super::Packages;
use crate::configuration::{AttributePath, Configuration, Wanted};

/// The values of a configuration's options.
const VALUES: &str = "optionValues";

/// What is named on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Side {
    /// A file in the Nix language, or a folder with a `configuration.nix`.
    Configuration(PathBuf),
    /// The number of a generation of the system.
    Generation(u64),
    /// A path in the store, or a link to one.
    System(PathBuf),
}

/// A side, looked at.
#[derive(Debug)]
pub struct Seen {
    /// What is in its closure.
    pub packages: Packages,
    /// The values that are compared: of options, or of the system's description.
    pub values: Value,
    /// What those values are.
    pub kind: Kind,
}

/// What the values of a side are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// All options of a configuration.
    Options,
    /// `system.json` of a built system.
    Description,
}

impl Side {
    /// What `name` means.
    #[must_use]
    pub fn of(name: &str) -> Self {
        let path = Path::new(name);
        if let Ok(number) = name.parse() {
            Self::Generation(number)
        } else if path.extension().is_some_and(|extension| extension == "nix")
            || path.join("configuration.nix").exists()
        {
            Self::Configuration(path.to_owned())
        } else {
            Self::System(path.to_owned())
        }
    }

    /// Looks at it. A configuration is built: what is in its closure cannot be known before.
    ///
    /// # Errors
    /// It does not exist, cannot be evaluated or built.
    pub fn look(
        &self,
        store: &Store,
        configuration: impl FnOnce(&Path) -> Result<Configuration>,
        kind: Kind,
    ) -> Result<Seen> {
        match self {
            Self::Configuration(file) => look_at(store, &configuration(file)?, kind),
            Self::Generation(number) => {
                let generations = store.generations("system")?;
                let generation = generations.iter().find(|one| one.number == *number);
                let generation = generation.with_context(|| {
                    let known = generations.iter().map(|one| one.number.to_string());
                    let mut known = known.collect::<Vec<_>>().join(", ");
                    if known.is_empty() {
                        "none".clone_into(&mut known);
                    }
                    format!(
                        "there is no generation {number} in '{}'; there are: {known}",
                        store.root().display()
                    )
                })?;
                built(store, &generation.path)
            }
            Self::System(path) => built(store, &object(store, path)?),
        }
    }

    /// What is compared between this side and another.
    #[must_use]
    pub fn kind(&self, other: &Self) -> Kind {
        match (self, other) {
            (Self::Configuration(_), Self::Configuration(_)) => Kind::Options,
            _ => Kind::Description,
        }
    }
}

fn look_at(store: &Store, configuration: &Configuration, kind: Kind) -> Result<Seen> {
    let facts = match kind {
        Kind::Options => vec![VALUES.parse()?],
        Kind::Description => Vec::new(),
    };
    let wanted = Wanted {
        derivations: vec![AttributePath::system()],
        facts,
    };
    let evaluated = configuration.evaluate(store, &wanted)?;
    configuration.realise(store, &evaluated)?;
    let seen = built(store, evaluated.toplevel()?)?;
    Ok(match evaluated.facts.into_iter().next() {
        Some(values) => Seen {
            values,
            kind,
            ..seen
        },
        None => seen,
    })
}

fn built(store: &Store, toplevel: &StorePath) -> Result<Seen> {
    let infos = store.closure_infos(std::slice::from_ref(toplevel))?;
    let file = store.real_path(toplevel).join("system.json");
    let text = std::fs::read_to_string(&file).with_context(|| {
        format!(
            "cannot read '{}': is '{toplevel}' a system?",
            file.display()
        )
    })?;
    let values =
        serde_json::from_str(&text).with_context(|| format!("'{}' is damaged", file.display()))?;
    Ok(Seen {
        packages: Packages::of(&infos),
        values,
        kind: Kind::Description,
    })
}

/// The object of the store that `path` is, or leads to through links.
fn object(store: &Store, path: &Path) -> Result<StorePath> {
    let mut path = path.to_owned();
    for _ in 0..16 {
        let inside = path
            .strip_prefix(store.root())
            .map(|rest| Path::new("/").join(rest));
        let logical = inside.unwrap_or_else(|_| path.clone());
        if let Some(found) = logical.to_str().and_then(|text| text.parse().ok()) {
            return Ok(found);
        }
        match std::fs::read_link(&path) {
            Ok(target) => path = path.parent().unwrap_or(Path::new("/")).join(target),
            Err(error) => bail!(
                "'{}' is neither a configuration, nor a generation, nor a path of the store: {error}",
                path.display()
            ),
        }
    }
    bail!("'{}' leads through too many links", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(Side::of("12"), Side::Generation(12));
        assert_eq!(
            Side::of("a/configuration.nix"),
            Side::Configuration("a/configuration.nix".into())
        );
        assert_eq!(Side::of("result"), Side::System("result".into()));
        assert_eq!(Side::of("1").kind(&Side::of("x.nix")), Kind::Description);
        assert_eq!(Side::of("y.nix").kind(&Side::of("x.nix")), Kind::Options);
    }
}
