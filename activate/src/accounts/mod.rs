//! Users and groups: `/etc/{passwd,group,shadow,gshadow}` and the memory of ids in
//! `/var/lib/nixos`.
//!
//! [`plan`] reads the files and computes new ones; [`apply`] takes the lock that useradd and its
//! kin take, checks that the files are still those that were read, and replaces what differs. The
//! maps come first: an id that is written anywhere is never given to a second name.
//!
//! Source: passwd(5) and its kin; `update-users-groups.pl` of NixOS for the rules and the names of
//! the state files.

mod choose;
mod damage;
mod database;
mod group;
mod groups;
mod gshadow;
mod id_map;
mod lock;
mod passwd;
mod password_file;
mod passwords;
mod shadow;
mod subordinate;
mod text;
mod update;
mod users;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use cairn_system::SystemDescription;
use cairn_system::ordered;

use crate::base::{directory_with_parents, is_described};
use crate::plan::{Failure, Gathered};
use crate::root::{FileError, Kind, Rights, Root, Touched, bytes};
use crate::step::Step;

use database::{Database, Record};
use update::State;

/// Why the user database cannot be changed.
#[derive(Debug, thiserror::Error)]
pub enum AccountsError {
    /// Another program holds the lock for too long, or it cannot be taken.
    #[error("cannot lock '{path}': {source}; is another program changing users?")]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A file has changed between planning and writing.
    #[error("cannot write users and groups: '{path}' has just been changed; activate again")]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
}

/// A change of the user database: what it starts from, and the files to write.
#[derive(Clone, PartialEq, Eq)]
pub struct AccountsUpdate {
    changes: Vec<String>,
    base: BTreeMap<PathBuf, Option<Vec<u8>>>,
    files: Vec<NewFile>,
}

#[derive(Clone, PartialEq, Eq)]
struct NewFile {
    path: PathBuf,
    content: Vec<u8>,
    rights: Rights,
}

impl fmt::Display for AccountsUpdate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("write")?;
        for file in &self.files {
            write!(f, " {}", file.path.display())?;
        }
        if !self.changes.is_empty() {
            write!(f, ": {}", self.changes.join(", "))?;
        }
        Ok(())
    }
}

impl fmt::Debug for AccountsUpdate {
    // Never the contents: they hold password hashes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccountsUpdate({self})")
    }
}

/// The ids after the update, for the owners of other files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Accounts {
    uids: BTreeMap<String, u32>,
    gids: BTreeMap<String, u32>,
}

impl Accounts {
    pub(crate) fn uid(&self, user: &str) -> Option<u32> {
        self.uids.get(user).copied()
    }

    pub(crate) fn gid(&self, group: &str) -> Option<u32> {
        self.gids.get(group).copied()
    }
}

const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";
const SHADOW: &str = "/etc/shadow";
const GSHADOW: &str = "/etc/gshadow";
const UID_MAP: &str = "/var/lib/nixos/uid-map";
const GID_MAP: &str = "/var/lib/nixos/gid-map";
const SUB_MAP: &str = "/var/lib/nixos/auto-subuid-map";
const SUBUID: &str = "/etc/subuid";
const SUBGID: &str = "/etc/subgid";
const DECLARED_USERS: &str = "/var/lib/nixos/declarative-users";
const DECLARED_GROUPS: &str = "/var/lib/nixos/declarative-groups";

/// Every file of the database, in the order in which they are written.
const FILES: [&str; 11] = [
    UID_MAP,
    GID_MAP,
    SUB_MAP,
    GROUP,
    GSHADOW,
    PASSWD,
    SHADOW,
    SUBUID,
    SUBGID,
    DECLARED_GROUPS,
    DECLARED_USERS,
];

/// Plans the database and the homes, and gives the ids that result. A database that cannot be read
/// is left alone; then only the superuser is known.
pub(crate) fn plan(
    root: &Root,
    description: &SystemDescription,
    gathered: &mut Gathered,
) -> Accounts {
    match plan_all(root, description, gathered) {
        Ok(accounts) => accounts,
        Err(problem) => {
            gathered.problems.push(Failure::new(format!(
                "users and groups are left as they are: {problem}"
            )));
            let superuser = BTreeMap::from([("root".to_owned(), 0)]);
            Accounts {
                uids: superuser.clone(),
                gids: superuser,
            }
        }
    }
}

fn plan_all(
    root: &Root,
    description: &SystemDescription,
    gathered: &mut Gathered,
) -> Result<Accounts, Failure> {
    let mut base = BTreeMap::new();
    for path in FILES {
        base.insert(PathBuf::from(path), root.read_if_there(Path::new(path))?);
    }
    damage::keep(root, &base, gathered)?;
    let old = State {
        passwd: read(&base, PASSWD),
        group: read(&base, GROUP),
        shadow: read(&base, SHADOW),
        gshadow: read(&base, GSHADOW),
        uid_map: read_map(root, &base, UID_MAP, gathered)?,
        gid_map: read_map(root, &base, GID_MAP, gathered)?,
        sub_uids: subordinate::parse(&text::decode(content(&base, SUBUID))),
        sub_gids: subordinate::parse(&text::decode(content(&base, SUBGID))),
        sub_map: read_map(root, &base, SUB_MAP, gathered)?,
        declared_users: read_names(&base, DECLARED_USERS),
        declared_groups: read_names(&base, DECLARED_GROUPS),
    };
    let description = &password_file::read_all(root, description, gathered);
    let updated = update::update(&old, description);
    gathered
        .problems
        .extend(updated.problems.iter().map(Failure::new));
    let new = &updated.state;
    let files = differing(root, &base, description, new)?;
    if !files.is_empty() {
        gathered.steps.push(Step::Accounts(AccountsUpdate {
            changes: updated.changes,
            base,
            files,
        }));
    }
    plan_homes(root, description, new, gathered);
    let (users, groups) = (&new.passwd.records, &new.group.records);
    Ok(Accounts {
        uids: ordered::map(users.iter().map(|u| (u.name.clone(), u.uid))),
        gids: ordered::map(groups.iter().map(|g| (g.name.clone(), g.gid))),
    })
}

/// Writes the files, under the lock, if they are still what was planned from.
pub(crate) fn apply(
    root: &Root,
    update: &AccountsUpdate,
    touched: &mut Touched,
) -> Result<(), Failure> {
    let _lock = lock::acquire(root, crate::LOCK_DEADLINE).map_err(Failure::new)?;
    for (path, content) in &update.base {
        if root.read_if_there(path)? != *content {
            let path = path.clone();
            return Err(Failure::new(AccountsError::Changed { path }));
        }
    }
    for file in &update.files {
        root.write(&file.path, file.rights, touched, bytes(&file.content))?;
        // In order, durably: an id must be in the map before anything is owned by it.
        touched.sync()?;
    }
    Ok(())
}

fn content<'a>(base: &'a BTreeMap<PathBuf, Option<Vec<u8>>>, path: &str) -> &'a [u8] {
    base.get(Path::new(path))
        .and_then(Option::as_deref)
        .unwrap_or_default()
}

fn read<R: Record>(base: &BTreeMap<PathBuf, Option<Vec<u8>>>, path: &str) -> Database<R> {
    Database::parse(&text::decode(content(base, path)))
}

fn read_names(base: &BTreeMap<PathBuf, Option<Vec<u8>>>, path: &str) -> BTreeSet<String> {
    ordered::set(
        text::decode(content(base, path))
            .split_whitespace()
            .map(str::to_owned),
    )
}

fn read_map(
    root: &Root,
    base: &BTreeMap<PathBuf, Option<Vec<u8>>>,
    path: &str,
    gathered: &mut Gathered,
) -> Result<id_map::IdMap, Failure> {
    let bytes = content(base, path);
    if bytes.is_empty() {
        return Ok(id_map::IdMap::new());
    }
    // Names in it are what they are in passwd and group.
    match id_map::parse(text::decode(bytes).as_bytes()) {
        Ok(map) => Ok(map),
        // It goes on without the memory of ids; what is in passwd and group keeps its own.
        Err(error) => {
            gathered.problems.push(Failure::new(format!(
                "cannot read '{path}': {error}; it is kept as {path}.damaged and begun anew"
            )));
            gathered.steps.extend(damage::keep_one(root, base, path)?);
            Ok(id_map::IdMap::new())
        }
    }
}

fn differing(
    root: &Root,
    base: &BTreeMap<PathBuf, Option<Vec<u8>>>,
    description: &SystemDescription,
    new: &State,
) -> Result<Vec<NewFile>, FileError> {
    let shadow_gid = new.group.get("shadow").map_or(0, |group| group.gid);
    let secret = Rights {
        mode: 0o640,
        uid: 0,
        gid: shadow_gid,
    };
    let open = Rights::root(0o644);
    let mut files = Vec::new();
    for path in FILES {
        let (text, rights) = match path {
            PASSWD => (new.passwd.to_text(), open),
            GROUP => (new.group.to_text(), open),
            SHADOW => (new.shadow.to_text(), secret),
            GSHADOW => (new.gshadow.to_text(), secret),
            UID_MAP => (id_map::to_text(&new.uid_map), open),
            GID_MAP => (id_map::to_text(&new.gid_map), open),
            SUB_MAP => (id_map::to_text(&new.sub_map), open),
            SUBUID => (subordinate::to_text(&new.sub_uids), open),
            SUBGID => (subordinate::to_text(&new.sub_gids), open),
            DECLARED_USERS => (name_list(&new.declared_users), open),
            _ => (name_list(&new.declared_groups), open),
        };
        let wanted = text::encode(&text);
        if is_superfluous(root, path, description, new)? {
            continue;
        }
        let path = PathBuf::from(path);
        let same = base.get(&path).and_then(Option::as_ref) == Some(&wanted)
            && matches!(root.kind(&path)?, Kind::File(found) if root.same_rights(found, rights));
        if !same {
            files.push(NewFile {
                path,
                content: wanted,
                rights,
            });
        }
    }
    Ok(files)
}

/// Whether a file is the description's own entry of `/etc`, or would be made with nothing in it.
fn is_superfluous(
    root: &Root,
    path: &str,
    description: &SystemDescription,
    new: &State,
) -> Result<bool, FileError> {
    let is_empty = match path {
        SUB_MAP => new.sub_map.is_empty(),
        SUBUID => new.sub_uids.is_empty(),
        SUBGID => new.sub_gids.is_empty(),
        _ => return Ok(false),
    };
    Ok(is_described(description, path)
        || is_empty && !matches!(root.kind(Path::new(path))?, Kind::File(_)))
}

/// As NixOS writes it: names between spaces, without a newline at the end.
fn name_list(names: &BTreeSet<String>) -> String {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    names.join(" ")
}

fn plan_homes(root: &Root, description: &SystemDescription, new: &State, gathered: &mut Gathered) {
    for user in description.users.iter().filter(|user| user.create_home) {
        let Some(record) = new.passwd.get(user.name.as_str()) else {
            continue;
        };
        let home = Path::new(&user.home);
        let rights = Rights {
            mode: user.home_mode.unwrap_or(0o700),
            uid: record.uid,
            gid: record.gid,
        };
        let steps = match root.kind(home) {
            Ok(Kind::Absent) => directory_with_parents(root, home, rights, &gathered.steps)
                .map_err(|failure| {
                    Failure::new(format!(
                        "cannot make home '{}' of user '{}': {failure}",
                        user.home, user.name
                    ))
                }),
            Ok(_) => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        };
        // A directory that is planned already (`/root`) is nobody else's home to be made.
        let is_planned = gathered
            .steps
            .iter()
            .any(|step| matches!(step, Step::MakeDirectory { path, .. } if path == home));
        if !is_planned {
            gathered.take(steps);
        }
    }
}
