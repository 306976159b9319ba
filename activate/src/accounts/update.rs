//! The new user database out of the old one and the description: pure.
//!
//! Rules, as NixOS's: ids never change and are never given to a second name; what was declared
//! and no longer is goes away; what was never declared stays if users are mutable, else goes.
//! The superuser always stays.

use std::collections::{BTreeMap, BTreeSet};

use cairn_system::{SystemDescription, User};

use super::database::{Database, Record};
use super::group::Group;
use super::gshadow::Gshadow;
use super::id_map::{self, IdMap, Kind};
use super::passwd::Passwd;
use super::shadow::Shadow;

/// The database as text and maps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct State {
    pub(super) passwd: Database<Passwd>,
    pub(super) group: Database<Group>,
    pub(super) shadow: Database<Shadow>,
    pub(super) gshadow: Database<Gshadow>,
    pub(super) uid_map: IdMap,
    pub(super) gid_map: IdMap,
    pub(super) declared_users: BTreeSet<String>,
    pub(super) declared_groups: BTreeSet<String>,
}

/// A new state, what changed in words, and what could not be done.
#[derive(Debug, Default)]
pub(super) struct Updated {
    pub(super) state: State,
    pub(super) changes: Vec<String>,
    pub(super) problems: Vec<String>,
}

pub(super) fn update(old: &State, description: &SystemDescription) -> Updated {
    let mut new = Updated::default();
    new.state.uid_map.clone_from(&old.uid_map);
    new.state.gid_map.clone_from(&old.gid_map);
    update_groups(old, description, &mut new);
    update_users(old, description, &mut new);
    update_shadow(old, description, &mut new);
    update_gshadow(old, description, &mut new);
    if description.mutable_users {
        new.state.passwd.foreign.clone_from(&old.passwd.foreign);
        new.state.group.foreign.clone_from(&old.group.foreign);
        new.state.shadow.foreign.clone_from(&old.shadow.foreign);
        new.state.gshadow.foreign.clone_from(&old.gshadow.foreign);
    } else {
        let lines = old.passwd.foreign.iter().chain(&old.group.foreign);
        new.changes
            .extend(lines.map(|line| format!("remove line '{line}'")));
    }
    new
}

/// Whether something that is not declared (any more) stays.
fn survives(name: &str, description: &SystemDescription, before: &BTreeSet<String>) -> bool {
    name == "root" || (description.mutable_users && !before.contains(name))
}

fn update_groups(old: &State, description: &SystemDescription, new: &mut Updated) {
    let declared: BTreeSet<&str> = description.groups.iter().map(|g| g.name.as_str()).collect();
    new.state.declared_groups = declared.iter().map(|name| (*name).to_owned()).collect();

    let mut owners: BTreeMap<u32, String> = BTreeMap::new();
    for group in &old.group.records {
        if declared.contains(group.name.as_str()) {
            owners
                .entry(group.gid)
                .or_insert_with(|| group.name.clone());
        } else if survives(&group.name, description, &old.declared_groups) {
            owners
                .entry(group.gid)
                .or_insert_with(|| group.name.clone());
            new.state.group.records.push(group.clone());
        } else {
            new.state
                .gid_map
                .entry(group.name.clone())
                .or_insert(group.gid);
            new.changes.push(format!("remove group '{}'", group.name));
        }
    }
    let fixed = description.groups.iter().filter_map(|group| group.gid);
    let mut used: BTreeSet<u32> = fixed.chain(owners.keys().copied()).collect();

    for group in &description.groups {
        let name = group.name.as_str();
        let present = old.group.get(name);
        let chosen = choose_id(
            Wanted {
                what: "group",
                id: "gid",
                name,
                fixed: group.gid,
                kind: Kind::System,
            },
            present.map(|present| present.gid),
            &owners,
            &used,
            &new.state.gid_map,
        );
        let gid = match chosen {
            Ok(Chosen { id, warning }) => {
                if let Some(warning) = warning {
                    log::warn!("{warning}");
                }
                id
            }
            Err(problem) => {
                new.problems.push(problem);
                continue;
            }
        };
        used.insert(gid);
        owners.insert(gid, name.to_owned());
        new.state.gid_map.insert(name.to_owned(), gid);
        let record = Group {
            name: name.to_owned(),
            password: present.map_or_else(|| "x".to_owned(), |present| present.password.clone()),
            gid,
            members: members(name, old, description),
        };
        match present {
            None => new.changes.push(format!("add group '{name}' ({gid})")),
            Some(present) if *present != record => {
                new.changes.push(format!("change group '{name}'"));
            }
            Some(_) => {}
        }
        new.state.group.records.push(record);
    }
    let records = &mut new.state.group.records;
    records.sort_by(|a, b| (a.gid, &a.name).cmp(&(b.gid, &b.name)));
}

/// Declared members, and undeclared users who joined by hand.
fn members(group: &str, old: &State, description: &SystemDescription) -> Vec<String> {
    let declared = description
        .groups
        .iter()
        .filter(|candidate| candidate.name.as_str() == group)
        .flat_map(|candidate| &candidate.members)
        .map(|name| name.as_str());
    let by_user = description
        .users
        .iter()
        .filter(|user| user.extra_groups.iter().any(|name| name.as_str() == group))
        .map(|user| user.name.as_str());
    let by_hand = old
        .group
        .get(group)
        .into_iter()
        .flat_map(|present| &present.members)
        .map(String::as_str)
        .filter(|name| {
            old.passwd.get(name).is_some()
                && !description
                    .users
                    .iter()
                    .any(|user| user.name.as_str() == *name)
                && survives(name, description, &old.declared_users)
        });
    let all: BTreeSet<&str> = declared.chain(by_user).chain(by_hand).collect();
    all.into_iter().map(str::to_owned).collect()
}

/// Who wants an id.
struct Wanted<'a> {
    what: &'static str,
    id: &'static str,
    name: &'a str,
    fixed: Option<u32>,
    kind: Kind,
}

struct Chosen {
    id: u32,
    warning: Option<String>,
}

fn choose_id(
    wanted: Wanted<'_>,
    present: Option<u32>,
    owners: &BTreeMap<u32, String>,
    used: &BTreeSet<u32>,
    known: &IdMap,
) -> Result<Chosen, String> {
    let Wanted {
        what,
        id,
        name,
        fixed,
        kind,
    } = wanted;
    if let Some(present) = present {
        let warning = fixed.filter(|fixed| *fixed != present).map(|fixed| {
            format!(
                "not changing {what} '{name}' from {id} {present} to {fixed}: its files would \
                 lose their owner; change them and the database by hand"
            )
        });
        return Ok(Chosen {
            id: present,
            warning,
        });
    }
    let chosen = match fixed {
        Some(fixed) => fixed,
        None => id_map::allocate(name, kind, used, known)
            .ok_or_else(|| format!("cannot add {what} '{name}': no {id} is left in its range"))?,
    };
    match owners.get(&chosen) {
        Some(owner) => Err(format!(
            "cannot add {what} '{name}': {id} {chosen} belongs to '{owner}'; choose another"
        )),
        None => Ok(Chosen {
            id: chosen,
            warning: None,
        }),
    }
}

fn update_users(old: &State, description: &SystemDescription, new: &mut Updated) {
    let declared: BTreeSet<&str> = description.users.iter().map(|u| u.name.as_str()).collect();
    new.state.declared_users = declared.iter().map(|name| (*name).to_owned()).collect();

    let mut owners: BTreeMap<u32, String> = BTreeMap::new();
    for user in &old.passwd.records {
        if declared.contains(user.name.as_str()) {
            owners.entry(user.uid).or_insert_with(|| user.name.clone());
        } else if survives(&user.name, description, &old.declared_users) {
            owners.entry(user.uid).or_insert_with(|| user.name.clone());
            new.state.passwd.records.push(user.clone());
        } else {
            new.state
                .uid_map
                .entry(user.name.clone())
                .or_insert(user.uid);
            new.changes.push(format!("remove user '{}'", user.name));
        }
    }
    let fixed = description.users.iter().filter_map(|user| user.uid);
    let mut used: BTreeSet<u32> = fixed.chain(owners.keys().copied()).collect();

    for user in &description.users {
        match user_record(user, old, new, &owners, &used) {
            Ok(record) => {
                used.insert(record.uid);
                owners.insert(record.uid, record.name.clone());
                new.state.uid_map.insert(record.name.clone(), record.uid);
                match old.passwd.get(&record.name) {
                    None => new
                        .changes
                        .push(format!("add user '{}' ({})", record.name, record.uid)),
                    Some(present) if *present != record => {
                        new.changes.push(format!("change user '{}'", record.name));
                    }
                    Some(_) => {}
                }
                new.state.passwd.records.push(record);
            }
            Err(problem) => {
                new.problems.push(problem);
                // Someone who is there already and cannot be changed is at least not lost.
                if let Some(present) = old.passwd.get(user.name.as_str()) {
                    new.state.passwd.records.push(present.clone());
                }
            }
        }
    }
    let records = &mut new.state.passwd.records;
    records.sort_by(|a, b| (a.uid, &a.name).cmp(&(b.uid, &b.name)));
}

fn user_record(
    user: &User,
    old: &State,
    new: &Updated,
    owners: &BTreeMap<u32, String>,
    used: &BTreeSet<u32>,
) -> Result<Passwd, String> {
    let name = user.name.as_str();
    check_fields(user)?;
    let gid = new
        .state
        .group
        .get(user.group.as_str())
        .map(|group| group.gid)
        .ok_or_else(|| format!("cannot add user '{name}': it has no group '{}'", user.group))?;
    let chosen = choose_id(
        Wanted {
            what: "user",
            id: "uid",
            name,
            fixed: user.uid,
            kind: if user.is_system_user {
                Kind::System
            } else {
                Kind::Normal
            },
        },
        old.passwd.get(name).map(|present| present.uid),
        owners,
        used,
        &new.state.uid_map,
    )?;
    if let Some(warning) = chosen.warning {
        log::warn!("{warning}");
    }
    Ok(Passwd {
        name: name.to_owned(),
        password: "x".to_owned(),
        uid: chosen.id,
        gid,
        gecos: user.description.clone(),
        home: user.home.clone(),
        shell: user.shell.clone(),
    })
}

/// One field with a colon or newline would forge others.
fn check_fields(user: &User) -> Result<(), String> {
    let empty = String::new();
    let fields = [
        ("description", &user.description),
        ("home", &user.home),
        ("shell", &user.shell),
        (
            "hashedPassword",
            user.hashed_password.as_ref().unwrap_or(&empty),
        ),
        (
            "initialHashedPassword",
            user.initial_hashed_password.as_ref().unwrap_or(&empty),
        ),
    ];
    let bad = |text: &str| text.contains(':') || text.chars().any(char::is_control);
    match fields.into_iter().find(|(_, text)| bad(text)) {
        Some((field, _)) => Err(format!(
            "cannot add user '{}': its {field} has a ':' or control character",
            user.name
        )),
        None => Ok(()),
    }
}

fn update_shadow(old: &State, description: &SystemDescription, new: &mut Updated) {
    for user in &new.state.passwd.records {
        let name = user.name.as_str();
        let present = old.shadow.get(name);
        let declared = description
            .users
            .iter()
            .find(|declared| declared.name.as_str() == name && check_fields(declared).is_ok());
        let password = match declared {
            Some(declared) => declared_password(declared, description.mutable_users, old),
            None => present_password(name, old),
        };
        let mut record = present.cloned().unwrap_or_else(|| Shadow::new(name, "!"));
        if record.password != password {
            if present.is_some() {
                new.changes.push(format!("change password of '{name}'"));
            }
            record.password = password;
        }
        new.state.shadow.records.push(record);
    }
}

/// The hash of a declared user. With immutable users nobody but the description sets passwords,
/// so the initial one stays.
fn declared_password(user: &User, mutable: bool, old: &State) -> String {
    let name = user.name.as_str();
    let exists = old.passwd.get(name).is_some() || old.shadow.get(name).is_some();
    match (&user.hashed_password, &user.initial_hashed_password) {
        (Some(hash), _) => hash.clone(),
        (None, _) if mutable && exists => present_password(name, old),
        (None, Some(hash)) => hash.clone(),
        (None, None) => "!".to_owned(),
    }
}

/// The hash that a user has: in shadow, or in passwd as of old.
fn present_password(name: &str, old: &State) -> String {
    let in_shadow = old.shadow.get(name).map(|shadow| shadow.password.clone());
    let in_passwd = || {
        let password = &old.passwd.get(name)?.password;
        (!matches!(password.as_str(), "" | "x" | "*")).then(|| password.clone())
    };
    in_shadow
        .or_else(in_passwd)
        .unwrap_or_else(|| "!".to_owned())
}

fn update_gshadow(old: &State, description: &SystemDescription, new: &mut Updated) {
    for group in &new.state.group.records {
        let present = old.gshadow.get(&group.name);
        let kept = present.filter(|_| description.mutable_users);
        new.state.gshadow.records.push(Gshadow {
            name: group.name.clone(),
            password: kept.map_or_else(|| "!".to_owned(), |kept| kept.password.clone()),
            administrators: kept.map_or_else(Vec::new, |kept| kept.administrators.clone()),
            members: group.members.clone(),
        });
    }
    debug_assert!(
        new.state
            .gshadow
            .records
            .iter()
            .all(|record| !record.name().is_empty()),
        "names come from records"
    );
}
