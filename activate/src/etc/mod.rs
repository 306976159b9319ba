//! `/etc`: links through `/etc/static` into the store, and copies where rights are asked for.
//!
//! ```text
//! /etc/static      -> <toplevel>/etc            replaced in one rename: the switch of generations
//! /etc/ssh/config  -> /etc/static/ssh/config    made once, and then stable over generations
//! /etc/sudoers        a copy, mode 0440         rewritten when content or rights differ
//! /etc/zoneinfo    -> /nix/store/…              a direct link
//! /etc/.clean         names of copies and direct links, one a line
//! ```
//! The file names are NixOS's.
//!
//! What is whose: a link to `/etc/static/…` and what is named in `.clean` are Cairn's, and replaced
//! or removed at will; anything else is never touched, and reported if it stands in the way. A copy
//! that its generation no longer has is removed only if it is still what it was copied from.
//!
//! # In which order, and what a power cut leaves
//!
//! | step | cut after it |
//! |---|---|
//! | what an interrupted run left is removed | the old generation |
//! | the record names old and new copies | the old generation; the next run knows what is whose |
//! | new folders; links of new entries | the old generation, with links that lead nowhere yet |
//! | copies under temporary names, synced | the same; the next run removes or renames them |
//! | stale copies are removed | the old generation without them; its own next run puts them back |
//! | copies and direct links that become links do so | the old generation: its tree has the same |
//! | `/etc/static` is renamed | the new generation, copies aside |
//! | copies get their names | the new generation, with links that lead nowhere any more |
//! | stale links are removed; folders become links, and links folders | the new generation |
//! | the record names the new copies alone | nothing is left to do |
//!
//! Each boot activates before a service starts, so that what a cut leaves is never what a service
//! finds. Activating either generation again leads to exactly that generation from every row.

mod present;
mod protection;
mod record;
mod switch;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use cairn_system::ordered;
use cairn_system::{EtcEntry, SystemDescription};

use crate::accounts::Accounts;
use crate::base::{aside, remove_leftover};
use crate::plan::{Failure, Gathered, ids};
use crate::root::{Kind, Listed, Rights, Root, is_temporary};
use crate::step::Step;

use present::{Present, is_own_link};
use record::Record;

pub use protection::{open_etc, protect_etc};
pub use switch::{Content, EtcSwitch, Placed};
pub(crate) use switch::{Others, apply};

const ETC: &str = "/etc";
const STATIC: &str = "/etc/static";

/// Names in `/etc` that belong to activation itself.
const RESERVED: &[&str] = &[
    "static",
    ".clean",
    ".pwd.lock",
    "passwd",
    "group",
    "shadow",
    "gshadow",
];

/// Folders below `/etc` that no stale link is looked for in.
const FOREIGN: &[&str] = &["nixos"];

pub(crate) fn plan(
    root: &Root,
    toplevel: &Path,
    description: &SystemDescription,
    accounts: &Accounts,
    gathered: &mut Gathered,
) {
    let old_record = match record::read(root) {
        Ok(record) => record,
        Err(problem) => return gathered.problems.push(problem),
    };
    let mut unread = Vec::new();
    let present = Present::read(root, &mut unread);
    gathered
        .problems
        .extend(unread.into_iter().map(Failure::from));
    let mut planning = Planning {
        root,
        accounts,
        entries: entries(description, &mut gathered.problems),
        present: &present,
        stale: BTreeSet::new(),
        folders: BTreeMap::new(),
        record: Record::new(),
        early: Making::default(),
        switch: EtcSwitch {
            removed: Vec::new(),
            placed: Vec::new(),
            tree: None,
        },
        late: Making::default(),
    };
    planning.remove_stale(&old_record, &mut gathered.problems);
    planning.make_entries(&old_record, &mut gathered.problems);
    let leftovers = present.leftovers().iter();
    gathered
        .steps
        .extend(leftovers.map(|(path, found)| remove_leftover(Path::new(ETC).join(path), found)));
    planning.switch.tree = switch_tree(root, toplevel, gathered);
    planning.into_steps(&old_record, gathered);
}

/// The entries by path below `/etc`.
fn entries<'a>(
    description: &'a SystemDescription,
    problems: &mut Vec<Failure>,
) -> BTreeMap<PathBuf, &'a EtcEntry> {
    let mut entries = BTreeMap::new();
    for entry in &description.etc {
        match check_target(&entry.target) {
            Ok(()) => {
                entries.insert(PathBuf::from(&entry.target), entry);
            }
            Err(reason) => problems.push(cannot_make(&entry.target, &reason)),
        }
    }
    entries
}

fn cannot_make(target: &str, reason: &Failure) -> Failure {
    Failure::new(format!("cannot make /etc/{target}: {reason}"))
}

/// An entry's target is a plain relative path outside of what activation itself owns.
fn check_target(target: &str) -> Result<(), Failure> {
    let plain = !target.is_empty()
        && !target.contains(['\n', '\0'])
        && target
            .split('/')
            .all(|part| !matches!(part, "" | "." | ".."));
    if !plain {
        return Err(Failure::new("not a plain path relative to /etc"));
    }
    let path = Path::new(target);
    if RESERVED.contains(&target) || path.file_name().is_some_and(is_temporary) {
        return Err(Failure::new("activation itself makes this file"));
    }
    Ok(())
}

/// What `/etc/static` shall say, if it says something else.
fn switch_tree(root: &Root, toplevel: &Path, gathered: &mut Gathered) -> Option<PathBuf> {
    let (path, target) = (PathBuf::from(STATIC), toplevel.join("etc"));
    match root.kind(&path) {
        Ok(Kind::Link(present)) if present == target => return None,
        Ok(Kind::Link(_) | Kind::Absent) => {}
        Ok(_) => match aside(root, &path) {
            Ok(to) => gathered.steps.push(Step::MoveAside { path, to }),
            Err(problem) => {
                gathered.problems.push(problem);
                return None;
            }
        },
        Err(error) => {
            gathered.problems.push(error.into());
            return None;
        }
    }
    Some(target)
}

/// What is made before or after the switch.
#[derive(Debug, Default)]
struct Making {
    folders: Vec<Step>,
    /// By folder, absolute.
    links: BTreeMap<PathBuf, Vec<(OsString, PathBuf)>>,
    others: Vec<Step>,
}

impl Making {
    fn link(&mut self, path: &Path, target: PathBuf) {
        if let (Some(folder), Some(name)) = (path.parent(), path.file_name()) {
            let links = self.links.entry(folder.to_owned()).or_default();
            links.push((name.to_owned(), target));
        }
    }

    fn into_steps(self) -> impl Iterator<Item = Step> {
        let links = self
            .links
            .into_iter()
            .map(|(folder, links)| Step::MakeLinks { folder, links });
        self.folders.into_iter().chain(links).chain(self.others)
    }
}

/// When what lies in a folder can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    /// Before the switch.
    Early,
    /// After it: until then, the old generation has a link in the folder's place.
    Late,
}

struct Planning<'a> {
    root: &'a Root,
    accounts: &'a Accounts,
    entries: BTreeMap<PathBuf, &'a EtcEntry>,
    present: &'a Present,
    /// Of earlier generations, and removed in any case.
    stale: BTreeSet<PathBuf>,
    /// What is known of folders of entries.
    folders: BTreeMap<PathBuf, Result<When, Failure>>,
    record: Record,
    early: Making,
    switch: EtcSwitch,
    late: Making,
}

impl Planning<'_> {
    fn is_placed(&self, target: &str) -> bool {
        self.entries
            .get(Path::new(target))
            .is_some_and(|entry| entry.copy.is_some() || entry.direct)
    }

    /// Notes what earlier generations had and this one has not.
    fn remove_stale(&mut self, old_record: &Record, problems: &mut Vec<Failure>) {
        for target in old_record {
            let path = Path::new(target);
            if self.is_placed(target) || self.present.get(path).is_none() {
                continue;
            }
            match self.is_unchanged(target) {
                Ok(true) => {
                    self.stale.insert(path.to_owned());
                    if !self.entries.contains_key(path) {
                        self.switch.removed.push(Path::new(ETC).join(path));
                    }
                }
                Ok(false) => log::warn!(
                    "keeping '/etc/{target}', which is no longer described: it has been changed"
                ),
                Err(failure) => problems.push(failure),
            }
        }
        let links = self.present.own_links();
        self.stale.extend(
            links
                .filter(|path| !self.entries.contains_key(*path))
                .map(Path::to_owned),
        );
    }

    /// Whether what is on record is as the generation that `/etc/static` shows has it.
    fn is_unchanged(&self, target: &str) -> Result<bool, Failure> {
        let original = Path::new(STATIC).join(target);
        Ok(match self.present.get(Path::new(target)) {
            Some(Listed::File) => {
                let path = Path::new(ETC).join(target);
                self.root.same_content(&path, &original)?
            }
            Some(Listed::Link(present)) => {
                matches!(self.root.kind(&original)?, Kind::Link(original) if original == *present)
            }
            _ => false,
        })
    }

    fn make_entries(&mut self, old_record: &Record, problems: &mut Vec<Failure>) {
        let entries: Vec<_> = self
            .entries
            .iter()
            .map(|(path, entry)| (path.clone(), *entry))
            .collect();
        for (path, entry) in entries {
            let made = self.make(&path, entry, old_record);
            let is_on_record = match &made {
                Ok(()) => entry.copy.is_some() || entry.direct,
                Err(_) => old_record.contains(&entry.target),
            };
            if is_on_record {
                self.record.insert(entry.target.clone());
            }
            problems.extend(made.err().map(|reason| cannot_make(&entry.target, &reason)));
        }
    }

    fn make(&mut self, path: &Path, entry: &EtcEntry, old_record: &Record) -> Result<(), Failure> {
        let content = self.content(entry)?;
        let when = self.folder(path.parent().unwrap_or(Path::new("")))?;
        let place = Path::new(ETC).join(path);
        match self.present.get(path) {
            Some(found) if self.is_same(found, &place, &content)? => {}
            None => self.make_new(place, content, when),
            Some(found) if self.is_ours(path, entry, found, old_record) => {
                self.switch.placed.push(Placed {
                    path: place,
                    content,
                });
            }
            Some(Listed::Directory) if self.holds_only_stale(path) => {
                self.late.others.extend(self.remove_folder(path));
                self.late.others.push(as_step(place, content));
            }
            Some(_) => return Err(in_the_way(&place)),
        }
        Ok(())
    }

    fn content(&self, entry: &EtcEntry) -> Result<Content, Failure> {
        let source = PathBuf::from(&entry.source);
        let Some(copy) = &entry.copy else {
            let target = if entry.direct {
                source
            } else {
                Path::new(STATIC).join(&entry.target)
            };
            return Ok(Content::Link { target });
        };
        let (uid, gid) = ids(self.accounts, copy.user.as_str(), copy.group.as_str())?;
        let file = self.root.open(&source)?;
        if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
            return Err(Failure::new(format!(
                "'{}' is no file, and only files can be copied",
                source.display()
            )));
        }
        let rights = Rights {
            mode: copy.mode,
            uid,
            gid,
        };
        Ok(Content::Copy { source, rights })
    }

    fn is_same(&self, found: &Listed, place: &Path, content: &Content) -> Result<bool, Failure> {
        Ok(match (found, content) {
            (Listed::Link(present), Content::Link { target }) => present == target,
            (Listed::File, Content::Copy { source, rights }) => {
                matches!(self.root.kind(place)?,
                    Kind::File(found) if self.root.same_rights(found, *rights))
                    && self.root.same_content(place, source)?
            }
            _ => false,
        })
    }

    fn is_ours(&self, path: &Path, entry: &EtcEntry, found: &Listed, old_record: &Record) -> bool {
        let on_record = || self.is_placed(&entry.target) && old_record.contains(&entry.target);
        match found {
            Listed::Link(target) if is_own_link(target) => true,
            Listed::Link(_) | Listed::File => self.stale.contains(path) || on_record(),
            Listed::Directory | Listed::Other => false,
        }
    }

    fn make_new(&mut self, place: PathBuf, content: Content, when: When) {
        match (content, when) {
            (Content::Link { target }, When::Late) => self.late.link(&place, target),
            (Content::Link { target }, When::Early) if is_own_link(&target) => {
                self.early.link(&place, target);
            }
            (content, When::Early) => self.switch.placed.push(Placed {
                path: place,
                content,
            }),
            (content, When::Late) => self.late.others.push(as_step(place, content)),
        }
    }

    /// Sees to it that there is a folder for an entry.
    fn folder(&mut self, folder: &Path) -> Result<When, Failure> {
        let Some(above) = folder.parent() else {
            return Ok(When::Early);
        };
        if let Some(known) = self.folders.get(folder) {
            return known.clone();
        }
        let when = self
            .folder(above)
            .and_then(|above| self.folder_in(above, folder));
        self.folders.insert(folder.to_owned(), when.clone());
        when
    }

    fn folder_in(&mut self, above: When, folder: &Path) -> Result<When, Failure> {
        let path = Path::new(ETC).join(folder);
        if self.entries.contains_key(folder) {
            return Err(Failure::new(format!(
                "'{}' is an entry itself, and cannot hold others",
                path.display()
            )));
        }
        let make = |path| Step::MakeDirectory {
            path,
            rights: Rights::root(0o755),
        };
        match self.present.get(folder) {
            Some(Listed::Directory) => Ok(When::Early),
            None if above == When::Early => {
                self.early.folders.push(make(path));
                Ok(When::Early)
            }
            Some(_) if !self.stale.contains(folder) => Err(in_the_way(&path)),
            None | Some(_) => {
                self.late.folders.push(make(path));
                Ok(When::Late)
            }
        }
    }

    fn holds_only_stale(&self, folder: &Path) -> bool {
        self.present
            .below(folder)
            .all(|(path, found)| *found == Listed::Directory || self.stale.contains(path))
    }

    fn remove_folder(&self, folder: &Path) -> Vec<Step> {
        let below = self.present.below(folder);
        let folders = below.filter(|(_, found)| **found == Listed::Directory);
        let mut steps: Vec<_> = [folder]
            .into_iter()
            .chain(folders.map(|(path, _)| path))
            .map(|path| Step::RemoveDirectory {
                path: Path::new(ETC).join(path),
            })
            .collect();
        steps.reverse();
        steps
    }

    /// Links of earlier generations, by folder.
    fn stale_links(&self) -> BTreeMap<PathBuf, Vec<OsString>> {
        let mut links = BTreeMap::<_, Vec<_>>::new();
        for path in self.present.own_links() {
            if let (true, Some(folder), Some(name)) =
                (self.stale.contains(path), path.parent(), path.file_name())
            {
                let folder = Path::new(ETC).join(folder);
                links.entry(folder).or_default().push(name.to_owned());
            }
        }
        links
    }

    fn into_steps(self, old_record: &Record, gathered: &mut Gathered) {
        let all: Record = ordered::set(self.record.union(old_record).cloned());
        let steps = &mut gathered.steps;
        steps.extend(record::write(old_record, &all));
        let stale_links = self.stale_links();
        steps.extend(self.early.into_steps());
        if !self.switch.is_empty() {
            steps.push(Step::SwitchEtc(self.switch));
        }
        steps.extend(
            stale_links
                .into_iter()
                .map(|(folder, names)| Step::RemoveLinks { folder, names }),
        );
        steps.extend(self.late.into_steps());
        steps.extend(record::write(&all, &self.record));
    }
}

fn as_step(path: PathBuf, content: Content) -> Step {
    match content {
        Content::Link { target } => Step::Link { path, target },
        Content::Copy { source, rights } => Step::Copy {
            path,
            source,
            rights,
        },
    }
}

fn in_the_way(path: &Path) -> Failure {
    Failure::new(format!(
        "'{}' is in the way and not Cairn's; move it away, and activate again",
        path.display()
    ))
}
