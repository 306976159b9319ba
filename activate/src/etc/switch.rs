//! The one moment at which `/etc` becomes another generation's.
//!
//! Everything that takes time comes before it: files are copied and synced under temporary names.
//! Then there are only renames.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::plan::Failure;
use crate::root::{Durability, FILES_SYNCED_ONE_BY_ONE, Rights, Root, Touched};

use super::STATIC;
use super::present::is_own_link;

/// The renames, and what they need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EtcSwitch {
    /// Copies and direct links of earlier generations, unchanged, which go.
    pub removed: Vec<PathBuf>,
    /// What is put in place besides the links through `/etc/static`.
    pub placed: Vec<Placed>,
    /// What `/etc/static` points to from now on, if that changes.
    pub tree: Option<PathBuf>,
}

/// An entry that is no link through `/etc/static`, or takes the place of something that is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// Where.
    pub path: PathBuf,
    /// What.
    pub content: Content,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A copy of a file.
    Copy {
        /// The file copied.
        source: PathBuf,
        /// Mode and owner of the copy.
        rights: Rights,
    },
    /// A link.
    Link {
        /// What it says.
        target: PathBuf,
    },
}

impl EtcSwitch {
    pub(crate) fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.placed.is_empty() && self.tree.is_none()
    }
}

/// Whether files are made that belong to others than the superuser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Others {
    Allowed,
    /// Users and groups could not be written: a planned id might be somebody else's.
    Refused,
}

impl Placed {
    fn is_through_tree(&self) -> bool {
        matches!(&self.content, Content::Link { target } if is_own_link(target))
    }

    fn is_of_others(&self) -> bool {
        matches!(&self.content, Content::Copy { rights, .. } if !rights.is_root())
    }
}

impl fmt::Display for Placed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.content {
            Content::Copy { source, rights } => {
                write!(f, "copy {path} from {} {rights}", source.display())
            }
            Content::Link { target } => write!(f, "link {path} -> {}", target.display()),
        }
    }
}

impl fmt::Display for EtcSwitch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let removed = self
            .removed
            .iter()
            .map(|path| format!("remove {}", path.display()));
        let (links, others): (Vec<&Placed>, Vec<&Placed>) = self
            .placed
            .iter()
            .partition(|placed| placed.is_through_tree());
        let shown =
            |set: Vec<&Placed>| set.into_iter().map(ToString::to_string).collect::<Vec<_>>();
        let tree = self
            .tree
            .iter()
            .map(|tree| format!("link {STATIC} -> {}", tree.display()));
        let all: Vec<_> = removed
            .chain(shown(links))
            .chain(tree)
            .chain(shown(others))
            .collect();
        f.write_str(&all.join("\n"))
    }
}

/// Prepares, then renames. An entry that cannot be prepared is left as it was, and the rest goes on.
pub(crate) fn apply(
    root: &Root,
    switch: &EtcSwitch,
    others: Others,
    touched: &mut Touched,
) -> Result<(), Failure> {
    let mut failures = Vec::new();
    let ready = prepare(root, switch, others, touched, &mut failures);
    // The links made so far must not be lost once the new tree is what they show.
    let renamed = touched
        .sync()
        .map_err(Failure::from)
        .and_then(|()| rename_all(root, switch, &ready, touched, &mut failures));
    failures.extend(renamed.err());
    if failures.is_empty() {
        return Ok(());
    }
    let texts: Vec<_> = failures.iter().map(ToString::to_string).collect();
    Err(Failure::new(texts.join("; ")))
}

fn prepare<'a>(
    root: &Root,
    switch: &'a EtcSwitch,
    others: Others,
    touched: &mut Touched,
    failures: &mut Vec<Failure>,
) -> Vec<&'a Placed> {
    let durability = if switch.placed.len() > FILES_SYNCED_ONE_BY_ONE {
        Durability::Later
    } else {
        Durability::Now
    };
    let mut ready = Vec::new();
    for placed in &switch.placed {
        let prepared = if others == Others::Refused && placed.is_of_others() {
            Err(Failure::new("users and groups could not be written"))
        } else {
            prepare_one(root, placed, durability, touched)
        };
        match prepared {
            Ok(()) => ready.push(placed),
            Err(error) => failures.push(Failure::new(format!("cannot {placed}: {error}"))),
        }
    }
    if durability == Durability::Later
        && let Err(error) = root.sync_file_system(Path::new(super::ETC), touched)
    {
        // Not renamed: a file whose content is not on the disk may be empty after a power cut.
        failures.push(error.into());
        ready.clear();
    }
    ready
}

fn prepare_one(
    root: &Root,
    placed: &Placed,
    durability: Durability,
    touched: &mut Touched,
) -> Result<(), Failure> {
    match &placed.content {
        Content::Link { target } => root.prepare_link(&placed.path, target, touched)?,
        Content::Copy { source, rights } => {
            let mut from = root.open(source)?;
            root.prepare_file(&placed.path, *rights, durability, touched, |to| {
                std::io::copy(&mut from, to).map(|_| ())
            })?;
        }
    }
    Ok(())
}

fn rename_all(
    root: &Root,
    switch: &EtcSwitch,
    ready: &[&Placed],
    touched: &mut Touched,
    failures: &mut Vec<Failure>,
) -> Result<(), Failure> {
    // Before the tree changes: it is what tells an unchanged copy from a changed one, also for a
    // run that comes after an interrupted one.
    for path in &switch.removed {
        if let Err(error) = root.remove_file(path, touched) {
            failures.push(error.into());
        }
    }
    // The old tree has the copies' originals, the new one those of copies to come: what is read
    // through a link that takes a copy's place, or whose place a copy takes, is the same.
    let (links, others): (Vec<&Placed>, Vec<&Placed>) =
        ready.iter().partition(|placed| placed.is_through_tree());
    let mut publish = |set: &[&Placed], touched: &mut Touched| {
        for placed in set {
            if let Err(error) = root.publish(&placed.path, touched) {
                failures.push(error.into());
            }
        }
    };
    publish(&links, touched);
    if let Some(tree) = &switch.tree {
        root.link(Path::new(STATIC), tree, touched)?;
    }
    publish(&others, touched);
    Ok(())
}
