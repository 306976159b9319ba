//! From a request to a closed, consistent set of packages.
//!
//! Source: Debian Policy 7. `Pre-Depends` and `Depends` are followed, `Recommends` and `Suggests`
//! are not. Rules, in this order: what is wanted by name is chosen first; then everything that
//! leaves no choice; then, one at a time, the dependencies with alternatives: one that is already
//! chosen or excluded will do, else the first that works out. Of a package the version of an
//! automatic release is taken, then the highest; another only if the bounds ask for it. Of several
//! providers of a virtual package the one with the highest priority is taken, then by name.
//!
//! If an alternative leads nowhere, the next one is tried (depth first, bounded); the message then
//! is about the preferred one. The qualifiers `:any`, `:native` and the own architecture mean the
//! same here, since only one architecture takes part.

mod choice;

use std::collections::BTreeMap;

use crate::archive::{Archive, Candidate};
use crate::lock::{Lock, LockedPackage, ParseLockError};
use crate::relation::{ParseRelationError, Relation, parse_relations};
use crate::request::{Request, Wanted};
use choice::Choice;

/// Alternatives that are tried before a request counts as too hard.
const BUDGET: usize = 20_000;

/// Why a request cannot be answered.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// A wanted package does not exist.
    #[error("cannot find package {name}: {hint}")]
    Unknown {
        /// Its name.
        name: String,
        /// What may have been meant.
        hint: String,
    },
    /// A package is wanted and excluded.
    #[error("cannot resolve {0}: it is wanted and excluded at the same time")]
    Excluded(String),
    /// The archive was read for another architecture.
    #[error("cannot resolve for {wanted}: the package index is that of {have}")]
    Architecture {
        /// The request's.
        wanted: String,
        /// The archive's.
        have: String,
    },
    /// A dependency cannot be satisfied.
    #[error("cannot satisfy {chain}, {cause}")]
    Unsatisfiable {
        /// From a wanted package to the dependency: `a depends on b (>= 2), which depends on c`.
        chain: String,
        /// Why the last part is not to be had.
        cause: String,
    },
    /// Two chosen packages exclude each other.
    #[error("cannot have both {left} and {right}: {relation}; {left_chain}; {right_chain}")]
    Conflict {
        /// The package that declares the conflict.
        left: String,
        /// The other one.
        right: String,
        /// What is declared.
        relation: String,
        /// Why the first was chosen.
        left_chain: String,
        /// Why the other was chosen.
        right_chain: String,
    },
    /// A relationship field cannot be read.
    #[error("cannot resolve {package}: {source}")]
    Relation {
        /// The package.
        package: String,
        /// What is wrong.
        source: ParseRelationError,
    },
    /// Too many alternatives were tried.
    #[error("cannot resolve the request within {BUDGET} attempts; the first obstacle: {0}")]
    TooHard(Box<ResolveError>),
    /// The result does not hold together; the archive's data is odd.
    #[error("cannot lock the result: {0}")]
    Lock(#[from] ParseLockError),
}

impl Archive {
    /// Chooses packages for `request`, and pins them. Nothing is fetched.
    ///
    /// # Errors
    /// [`ResolveError`].
    pub fn resolve(&self, request: &Request) -> Result<Lock, ResolveError> {
        self.resolve_keeping(request, None)
    }

    /// As [`resolve`](Self::resolve), but takes the versions of `known` where the archive still
    /// has them.
    ///
    /// # Errors
    /// [`ResolveError`].
    pub fn resolve_keeping(
        &self,
        request: &Request,
        known: Option<&Lock>,
    ) -> Result<Lock, ResolveError> {
        if request.architecture != self.architecture() {
            let (wanted, have) = (request.architecture.clone(), self.architecture().to_owned());
            return Err(ResolveError::Architecture { wanted, have });
        }
        let excluded = request
            .wanted
            .iter()
            .find(|w| request.excluded.contains(w.name()));
        if let Some(wanted) = excluded {
            return Err(ResolveError::Excluded(wanted.to_string()));
        }
        let solver = Solver::new(self, request, known);
        let choice = solver.solve()?;
        let packages = choice
            .packages()
            .map(|candidate| solver.lock_package(&choice, candidate));
        let packages = packages.collect::<Result<Vec<_>, _>>()?;
        Ok(Lock::new(request.clone(), self.releases(), packages)?)
    }
}

/// What stays the same while alternatives are tried.
struct Solver<'a> {
    archive: &'a Archive,
    request: &'a Request,
    /// The only acceptable versions, by package name.
    pins: BTreeMap<&'a str, &'a str>,
    /// Versions to be preferred.
    known: Option<&'a Lock>,
    /// What excluded packages provide: virtual name and version.
    provided: Vec<(&'a str, Option<&'a str>)>,
}

/// A dependency that is still open: whose, and the alternatives.
#[derive(Clone)]
struct Open<'a> {
    of: Candidate<'a>,
    group: Vec<Relation<'a>>,
}

impl<'a> Solver<'a> {
    fn new(archive: &'a Archive, request: &'a Request, known: Option<&'a Lock>) -> Self {
        let pin = |wanted: &'a Wanted| Some((wanted.name(), wanted.version()?.as_str()));
        let excluded = request
            .excluded
            .iter()
            .filter_map(|name| archive.named(name).into_iter().next());
        let provided = excluded.flat_map(|candidate| {
            // An unreadable field was refused when the index was read.
            let relations = parse_relations(candidate.package.provides_field()).unwrap_or_default();
            let provision =
                |relation: Relation<'a>| (relation.name, relation.bound.map(|bound| bound.1));
            relations
                .into_iter()
                .flatten()
                .map(provision)
                .collect::<Vec<_>>()
        });
        Self {
            archive,
            request,
            pins: request.wanted.iter().filter_map(pin).collect(),
            known,
            provided: provided.collect(),
        }
    }

    fn solve(&self) -> Result<Choice<'a>, ResolveError> {
        let mut start = State {
            choice: Choice::default(),
            open: Vec::new(),
        };
        for wanted in self.request.wanted.iter().map(Wanted::name) {
            let candidate = self.wanted(wanted)?;
            Self::add(&mut start, candidate, None)?;
        }
        if self.request.essential {
            for name in self.archive.essential() {
                let best = self.versions(name).into_iter().next();
                let best = best.filter(|candidate| candidate.package.essential());
                if let Some(candidate) = best.filter(|_| !self.request.excluded.contains(name)) {
                    Self::add(&mut start, candidate, None)?;
                }
            }
        }
        self.search(start)
    }

    /// Depth-first search. The first error is the one about the preferred alternatives.
    fn search(&self, start: State<'a>) -> Result<Choice<'a>, ResolveError> {
        let mut stack: Vec<Branch<'a>> = Vec::new();
        let mut state = start;
        let mut first: Option<ResolveError> = None;
        for _ in 0..BUDGET {
            let failure = match self.propagate(&mut state) {
                Ok(None) => return Ok(state.choice),
                Ok(Some((open, options))) => {
                    stack.push(Branch {
                        state: state.clone(),
                        open,
                        options: options.into_iter(),
                    });
                    None
                }
                Err(error) => Some(error),
            };
            if first.is_none() {
                first = failure;
            }
            // The next option of the newest branch that has one.
            state = loop {
                let Some(branch) = stack.last_mut() else {
                    return Err(first.unwrap_or_else(|| ResolveError::Unknown {
                        name: String::new(),
                        hint: "nothing was asked for".to_owned(),
                    }));
                };
                let Some(option) = branch.options.next() else {
                    stack.pop();
                    continue;
                };
                let mut next = branch.state.clone();
                match Self::add(&mut next, option, Some(&branch.open)) {
                    Ok(()) => break next,
                    Err(error) => {
                        first.get_or_insert(error);
                    }
                }
            };
        }
        let nothing = || ResolveError::Excluded(String::new());
        Err(ResolveError::TooHard(Box::new(
            first.unwrap_or_else(nothing),
        )))
    }

    /// Chooses what leaves no choice. Gives the first dependency that does, if any is left.
    fn propagate(
        &self,
        state: &mut State<'a>,
    ) -> Result<Option<(Open<'a>, Vec<Candidate<'a>>)>, ResolveError> {
        loop {
            let mut forced = false;
            let mut undecided: Option<(Open<'a>, Vec<Candidate<'a>>)> = None;
            let mut rest = Vec::new();
            for open in std::mem::take(&mut state.open) {
                if self.is_satisfied(&state.choice, &open.group) {
                    continue;
                }
                let options = self.options(&state.choice, &open.group);
                match options.as_slice() {
                    [] => return Err(self.unsatisfiable(&state.choice, &open)),
                    [only] => {
                        Self::add(state, *only, Some(&open))?;
                        forced = true;
                    }
                    _ => {
                        undecided.get_or_insert_with(|| (open.clone(), options));
                        rest.push(open);
                    }
                }
            }
            rest.append(&mut state.open);
            state.open = rest;
            if !forced {
                return Ok(undecided);
            }
        }
    }

    fn add(
        state: &mut State<'a>,
        candidate: Candidate<'a>,
        because: Option<&Open<'a>>,
    ) -> Result<(), ResolveError> {
        let name = candidate.package.name();
        if state.choice.get(name).is_some() {
            return Ok(());
        }
        let relation_error = |source| ResolveError::Relation {
            package: name.to_owned(),
            source,
        };
        state
            .choice
            .add(candidate, because)
            .map_err(relation_error)?;
        if let Some(conflict) = state
            .choice
            .conflict_of(candidate)
            .map_err(relation_error)?
        {
            return Err(conflict);
        }
        for field in candidate.package.dependency_fields() {
            let groups = parse_relations(field).map_err(relation_error)?;
            state.open.extend(groups.into_iter().map(|group| Open {
                of: candidate,
                group,
            }));
        }
        Ok(())
    }

    /// The versions of a package that may be chosen, best first.
    fn versions(&self, name: &str) -> Vec<Candidate<'a>> {
        let mut versions = self.archive.named(name);
        if let Some(pin) = self.pins.get(name) {
            versions.retain(|candidate| {
                crate::version::compare(candidate.package.version(), pin).is_eq()
            });
        }
        let known = self.known.and_then(|lock| lock.package(name));
        if let Some(known) = known {
            // Stable: the others stay in their order.
            versions.sort_by_key(|candidate| candidate.package.version() != known.version.as_str());
        }
        versions
    }

    fn wanted(&self, name: &str) -> Result<Candidate<'a>, ResolveError> {
        if let Some(candidate) = self.versions(name).first() {
            return Ok(*candidate);
        }
        let unknown = |hint| ResolveError::Unknown {
            name: name.to_owned(),
            hint,
        };
        let known: Vec<String> = self
            .archive
            .named(name)
            .iter()
            .map(|c| c.package.version().to_owned())
            .collect();
        if !known.is_empty() {
            let pin = self.pins.get(name).unwrap_or(&"");
            return Err(unknown(format!(
                "no version {pin}; there is {}",
                known.join(", ")
            )));
        }
        let mut providers: Vec<&str> = self
            .archive
            .providers(name)
            .iter()
            .map(|(c, _)| c.package.name())
            .collect();
        providers.sort_unstable();
        providers.dedup();
        match providers.as_slice() {
            [] => Err(unknown(match self.archive.nearest(name).as_slice() {
                [] => "the archive has none of this name; check the spelling".to_owned(),
                near => format!(
                    "the archive has none of this name; near are {}",
                    near.join(", ")
                ),
            })),
            [only] => self.wanted(only),
            _ => Err(unknown(format!(
                "it is virtual; name one of {}",
                providers.join(", ")
            ))),
        }
    }

    fn admits_architecture(&self, relation: &Relation<'_>) -> bool {
        let own = self.request.architecture.as_str();
        relation
            .qualifier
            .is_none_or(|name| name == "any" || name == "native" || name == own)
    }

    fn is_satisfied(&self, choice: &Choice<'a>, group: &[Relation<'a>]) -> bool {
        let excluded = |relation: &Relation<'a>| {
            self.request.excluded.contains(relation.name)
                || self.provided.iter().any(|(name, version)| {
                    *name == relation.name && relation.admits_provided(*version)
                })
        };
        group
            .iter()
            .filter(|relation| self.admits_architecture(relation))
            .any(|relation| excluded(relation) || choice.satisfying(relation).is_some())
    }

    /// The packages that would satisfy one of the alternatives, best first. What is chosen in
    /// another version, or excluded, is none.
    fn options(&self, choice: &Choice<'a>, group: &[Relation<'a>]) -> Vec<Candidate<'a>> {
        let mut options: Vec<Candidate<'a>> = Vec::new();
        let free = |candidate: &Candidate<'a>| {
            let name = candidate.package.name();
            choice.get(name).is_none() && !self.request.excluded.contains(name)
        };
        for relation in group
            .iter()
            .filter(|relation| self.admits_architecture(relation))
        {
            let named = self.versions(relation.name).into_iter();
            let named = named
                .filter(|c| relation.admits(c.package.version()) && free(c))
                .take(1);
            let mut found: Vec<Candidate<'a>> = named.collect();
            let mut providers: Vec<Candidate<'a>> = self
                .archive
                .providers(relation.name)
                .into_iter()
                .filter(|(c, version)| relation.admits_provided(*version) && free(c))
                .filter(|(c, _)| {
                    self.versions(c.package.name())
                        .first()
                        .is_some_and(|best| best.package == c.package)
                })
                .map(|(candidate, _)| candidate)
                .collect();
            providers.sort_by_key(|c| (c.package.priority(), c.package.name()));
            found.append(&mut providers);
            for candidate in found {
                if !options
                    .iter()
                    .any(|other| other.package.name() == candidate.package.name())
                {
                    options.push(candidate);
                }
            }
        }
        options
    }

    fn unsatisfiable(&self, choice: &Choice<'a>, open: &Open<'a>) -> ResolveError {
        let chain = format!("{}{}", choice.chain(open.of), choice::link(open));
        let mut causes = Vec::new();
        for relation in &open.group {
            let name = relation.name;
            let chosen = choice.get(name).map(|c| c.package.version());
            let known: Vec<&str> = self
                .archive
                .named(name)
                .iter()
                .map(|c| c.package.version())
                .collect();
            causes.push(if let Some(version) = chosen {
                format!("{name} {version} is chosen")
            } else if !self.admits_architecture(relation) {
                format!("{relation} is of another architecture")
            } else if let (Some(pin), false) = (self.pins.get(name), known.is_empty()) {
                format!("{name} {pin} is asked for")
            } else if known.is_empty() {
                format!("{name} is not in the archive")
            } else {
                format!("the archive has {name} {}", known.join(", "))
            });
        }
        ResolveError::Unsatisfiable {
            chain,
            cause: format!("but {}", causes.join(", and ")),
        }
    }

    fn lock_package(
        &self,
        choice: &Choice<'a>,
        candidate: Candidate<'a>,
    ) -> Result<LockedPackage, ResolveError> {
        let package = candidate.package;
        let error = |source| ResolveError::Relation {
            package: package.name().to_owned(),
            source,
        };
        let version = |text: &str| {
            text.parse().map_err(|source| {
                let text = format!("package {}: {source}", package.name());
                ResolveError::Lock(ParseLockError::Content(text))
            })
        };
        let mut dependencies = std::collections::BTreeSet::new();
        for field in package.dependency_fields() {
            for group in parse_relations(field).map_err(error)? {
                let group = group
                    .iter()
                    .filter(|relation| self.admits_architecture(relation));
                let names = group.filter_map(|relation| choice.satisfying(relation));
                dependencies.extend(names.take(1).map(|c| c.package.name().to_owned()));
            }
        }
        dependencies.remove(package.name());
        let mut provides = BTreeMap::new();
        let provisions = parse_relations(package.provides_field()).map_err(error)?;
        for relation in provisions.iter().flatten() {
            let bound = relation.bound.map(|(_, text)| version(text)).transpose()?;
            provides.insert(relation.name.to_owned(), bound);
        }
        let (source, source_version) = package.source();
        Ok(LockedPackage {
            name: package.name().to_owned(),
            version: version(package.version())?,
            architecture: package.architecture().to_owned(),
            source: source.to_owned(),
            source_version: version(source_version)?,
            section: package.section().to_owned(),
            description: package.description().map(str::to_owned),
            homepage: package.homepage().map(str::to_owned),
            essential: package.essential(),
            multi_arch: package.multi_arch(),
            release: candidate.release().to_owned(),
            filename: package.filename().to_owned(),
            size: package.size(),
            sha256: package.sha256(),
            dependencies,
            provides,
        })
    }
}

#[derive(Clone)]
struct State<'a> {
    choice: Choice<'a>,
    open: Vec<Open<'a>>,
}

struct Branch<'a> {
    state: State<'a>,
    open: Open<'a>,
    options: std::vec::IntoIter<Candidate<'a>>,
}

#[cfg(test)]
mod tests;
