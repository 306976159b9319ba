//! `/etc`: links through `/etc/static` into the store, and copies where rights are asked for.
//!
//! ```text
//! /etc/static      -> <toplevel>/etc            replaced in one rename: the switch of generations
//! /etc/ssh/config  -> /etc/static/ssh/config    made once, and then stable over generations
//! /etc/sudoers        a copy, mode 0440         rewritten when content or rights differ
//! /etc/.clean         names of the copies, one a line
//! ```
//! The file names are NixOS's.
//!
//! What is whose: a link to `/etc/static/…` and a file named in `.clean` are Cairn's, and replaced
//! or removed at will; anything else is kept as `<name>.before-cairn` if it stands in the way. A
//! copy that its generation no longer has is removed only if it is still what it was copied from.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use cairn_system::{EtcEntry, SystemDescription};

use crate::accounts::Accounts;
use crate::base::aside;
use crate::plan::{Failure, Gathered, absolute, ids};
use crate::root::{Kind, Rights, Root};
use crate::step::Step;

const ETC: &str = "/etc";
const STATIC: &str = "/etc/static";
const RECORD: &str = "/etc/.clean";

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

/// Folders below `/etc` that no entry reaches into and no stale link is looked for in.
const FOREIGN: &[&str] = &["/etc/nixos"];

/// How deep stale links are looked for.
const MAX_DEPTH: usize = 32;

pub(crate) fn plan(
    root: &Root,
    toplevel: &Path,
    description: &SystemDescription,
    accounts: &Accounts,
    gathered: &mut Gathered,
) {
    let record = match root.read_if_there(Path::new(RECORD)) {
        Ok(bytes) => parse_record(&String::from_utf8_lossy(&bytes.unwrap_or_default())),
        Err(error) => {
            gathered.problems.push(error.into());
            return;
        }
    };
    let mut planning = Planning {
        root,
        entries: &description.etc,
        accounts,
        record,
        removed: BTreeSet::new(),
        made: BTreeSet::new(),
    };
    // Stale copies are compared with what they were copied from through the old `/etc/static`,
    // so they go before it is switched.
    planning.remove_stale_copies(gathered);
    gathered.take(planning.switch(toplevel));
    planning.remove_stale_links(Path::new(ETC), MAX_DEPTH, gathered);
    for entry in &description.etc {
        let steps = planning.entry(entry).map_err(|failure| {
            Failure::new(format!("cannot make /etc/{}: {failure}", entry.target))
        });
        gathered.take(steps);
    }
    gathered.take(planning.write_record());
}

fn parse_record(text: &str) -> BTreeSet<String> {
    text.lines()
        .filter(|line| check_target(line).is_ok())
        .map(str::to_owned)
        .collect()
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
    if RESERVED.contains(&target) {
        return Err(Failure::new("activation itself makes this file"));
    }
    Ok(())
}

struct Planning<'a> {
    root: &'a Root,
    entries: &'a [EtcEntry],
    accounts: &'a Accounts,
    /// Copies that earlier generations made and that are still ours.
    record: BTreeSet<String>,
    /// What steps planned so far remove.
    removed: BTreeSet<PathBuf>,
    /// Directories that steps planned so far make.
    made: BTreeSet<PathBuf>,
}

impl Planning<'_> {
    fn entry_of(&self, path: &Path) -> Option<&EtcEntry> {
        let target = path.strip_prefix(ETC).ok()?;
        self.entries
            .iter()
            .find(|entry| Path::new(&entry.target) == target)
    }

    fn is_copy(&self, target: &str) -> bool {
        self.entries
            .iter()
            .any(|entry| entry.target == target && entry.copy.is_some())
    }

    fn remove_stale_copies(&mut self, gathered: &mut Gathered) {
        let stale: Vec<String> = self
            .record
            .iter()
            .filter(|target| !self.is_copy(target))
            .cloned()
            .collect();
        for target in stale {
            let path = absolute("etc").join(&target);
            match self.is_unchanged_copy(&path, &target) {
                Ok(true) => {
                    self.removed.insert(path.clone());
                    gathered.steps.push(Step::RemoveFile { path });
                }
                Ok(false) => log::warn!(
                    "keeping '{}', which is no longer described: it has been changed or removed",
                    path.display()
                ),
                Err(failure) => gathered.problems.push(failure),
            }
            self.record.remove(&target);
        }
    }

    fn is_unchanged_copy(&self, path: &Path, target: &str) -> Result<bool, Failure> {
        Ok(matches!(self.root.kind(path)?, Kind::File(_))
            && self
                .root
                .same_content(path, &Path::new(STATIC).join(target))?)
    }

    fn switch(&self, toplevel: &Path) -> Result<Vec<Step>, Failure> {
        let (path, target) = (PathBuf::from(STATIC), toplevel.join("etc"));
        match self.root.kind(&path)? {
            Kind::Link(present) if present == target => Ok(Vec::new()),
            Kind::Link(_) | Kind::Absent => Ok(vec![Step::Link { path, target }]),
            _ => {
                let to = aside(self.root, &path)?;
                let aside = Step::MoveAside {
                    path: path.clone(),
                    to,
                };
                Ok(vec![aside, Step::Link { path, target }])
            }
        }
    }

    /// Removes links to `/etc/static/…` that no entry asks for, in `folder` and below.
    fn remove_stale_links(&mut self, folder: &Path, depth: usize, gathered: &mut Gathered) {
        let is_foreign = FOREIGN.iter().any(|path| Path::new(path) == folder);
        if depth == 0 || is_foreign {
            return;
        }
        let names = match self.root.names(folder) {
            Ok(names) => names,
            Err(error) => {
                gathered.problems.push(error.into());
                return;
            }
        };
        for name in names {
            let path = folder.join(name);
            match self.root.kind(&path) {
                Ok(Kind::Directory(_)) => self.remove_stale_links(&path, depth - 1, gathered),
                Ok(Kind::Link(target)) if is_own_link(&target) && !self.is_wanted_link(&path) => {
                    self.removed.insert(path.clone());
                    gathered.steps.push(Step::RemoveFile { path });
                }
                Ok(_) => {}
                Err(error) => gathered.problems.push(error.into()),
            }
        }
    }

    /// Whether an entry puts something at `path`, which then replaces what is there.
    fn is_wanted_link(&self, path: &Path) -> bool {
        self.entry_of(path).is_some()
    }

    fn entry(&mut self, entry: &EtcEntry) -> Result<Vec<Step>, Failure> {
        check_target(&entry.target)?;
        let path = absolute("etc").join(&entry.target);
        let mut steps = self.parents(&path)?;
        match &entry.copy {
            None => steps.extend(self.link(path, &entry.target)?),
            Some(copy) => {
                let (uid, gid) = ids(self.accounts, copy.user.as_str(), copy.group.as_str())?;
                let rights = Rights {
                    mode: copy.mode,
                    uid,
                    gid,
                };
                steps.extend(self.copy(path, Path::new(&entry.source), rights)?);
                self.record.insert(entry.target.clone());
            }
        }
        Ok(steps)
    }

    /// The directories above an entry; a link of ours in their place makes way.
    fn parents(&mut self, path: &Path) -> Result<Vec<Step>, Failure> {
        let mut steps = Vec::new();
        let parents: Vec<&Path> = path
            .ancestors()
            .skip(1)
            .take_while(|parent| *parent != Path::new(ETC))
            .collect();
        for parent in parents.into_iter().rev() {
            if self.entry_of(parent).is_some() {
                return Err(Failure::new(format!(
                    "'{}' is an entry itself, and cannot hold others",
                    parent.display()
                )));
            }
            if self.made.contains(parent) {
                continue;
            }
            let make = Step::MakeDirectory {
                path: parent.to_owned(),
                rights: Rights::root(0o755),
            };
            match self.root.kind(parent)? {
                Kind::Directory(_) => continue,
                Kind::Absent => steps.push(make),
                _ if self.removed.contains(parent) => steps.push(make),
                _ => {
                    let to = aside(self.root, parent)?;
                    let path = parent.to_owned();
                    steps.extend([Step::MoveAside { path, to }, make]);
                }
            }
            self.made.insert(parent.to_owned());
        }
        Ok(steps)
    }

    /// Whether `path` lies below a directory that does not exist yet.
    fn is_below_made(&self, path: &Path) -> bool {
        path.ancestors()
            .skip(1)
            .any(|parent| self.made.contains(parent))
    }

    fn link(&self, path: PathBuf, name: &str) -> Result<Vec<Step>, Failure> {
        let target = Path::new(STATIC).join(name);
        match self.found(&path)? {
            Kind::Link(present) if present == target => Ok(Vec::new()),
            found => self.replace(&found, Step::Link { path, target }),
        }
    }

    fn copy(&self, path: PathBuf, source: &Path, rights: Rights) -> Result<Vec<Step>, Failure> {
        let source_place = self.root.open(source)?;
        if !source_place
            .metadata()
            .is_ok_and(|metadata| metadata.is_file())
        {
            return Err(Failure::new(format!(
                "'{}' is no file, and only files can be copied",
                source.display()
            )));
        }
        match self.found(&path)? {
            Kind::File(found)
                if self.root.same_rights(found, rights)
                    && self.root.same_content(&path, source)? =>
            {
                Ok(Vec::new())
            }
            found => {
                let source = source.to_owned();
                self.replace(
                    &found,
                    Step::Copy {
                        path,
                        source,
                        rights,
                    },
                )
            }
        }
    }

    /// What will be at `path` after the steps planned so far.
    fn found(&self, path: &Path) -> Result<Kind, Failure> {
        if self.removed.contains(path) || self.is_below_made(path) {
            Ok(Kind::Absent)
        } else {
            Ok(self.root.kind(path)?)
        }
    }

    /// The step that makes an entry, and before it what brings the present one out of the way.
    fn replace(&self, found: &Kind, make: Step) -> Result<Vec<Step>, Failure> {
        let (Step::Link { path, .. } | Step::Copy { path, .. }) = &make else {
            return Ok(vec![make]);
        };
        let path = path.clone();
        let is_ours = match found {
            Kind::Absent => true,
            Kind::Link(target) => is_own_link(target),
            Kind::File(_) => path
                .strip_prefix(ETC)
                .ok()
                .and_then(Path::to_str)
                .is_some_and(|target| self.record.contains(target)),
            Kind::Directory(_) => {
                if let Some(mut steps) = self.emptied(&path)? {
                    steps.push(make);
                    return Ok(steps);
                }
                false
            }
            Kind::Other => false,
        };
        if is_ours {
            return Ok(vec![make]);
        }
        let to = aside(self.root, &path)?;
        Ok(vec![Step::MoveAside { path, to }, make])
    }

    /// The steps that remove a directory of which nothing but removed entries is left, if so.
    fn emptied(&self, folder: &Path) -> Result<Option<Vec<Step>>, Failure> {
        let mut steps = Vec::new();
        for name in self.root.names(folder)? {
            let path = folder.join(name);
            if self.removed.contains(&path) {
                continue;
            }
            match self.root.kind(&path)? {
                Kind::Directory(_) => match self.emptied(&path)? {
                    Some(inner) => steps.extend(inner),
                    None => return Ok(None),
                },
                _ => return Ok(None),
            }
        }
        steps.push(Step::RemoveDirectory {
            path: folder.to_owned(),
        });
        Ok(Some(steps))
    }

    fn write_record(&self) -> Result<Vec<Step>, Failure> {
        let path = PathBuf::from(RECORD);
        let content: Vec<u8> = self
            .record
            .iter()
            .flat_map(|target| target.bytes().chain([b'\n']))
            .collect();
        let present = self.root.read_if_there(&path)?;
        if present.unwrap_or_default() == content {
            return Ok(Vec::new());
        }
        Ok(vec![Step::Write {
            path,
            content,
            rights: Rights::root(0o644),
        }])
    }
}

/// Whether a link's target says that activation made it.
fn is_own_link(target: &Path) -> bool {
    target != Path::new(STATIC)
        && target.starts_with(STATIC)
        && target
            .components()
            .all(|part| part.as_os_str() != OsStr::new(".."))
}
