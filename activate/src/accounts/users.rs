//! The new users.

use std::collections::{BTreeMap, BTreeSet};

use cairn_system::ordered;
use cairn_system::{SystemDescription, User};

use super::choose::{Taken, Wanted, choose_id};
use super::id_map::Kind;
use super::passwd::Passwd;
use super::update::{State, Updated, survives};

pub(super) fn update_users(old: &State, description: &SystemDescription, new: &mut Updated) {
    let declared = &description.users;
    new.state.declared_users = ordered::set(declared.iter().map(|user| user.name.to_string()));
    let mut owners = keep(old, description, new);
    let fixed = declared.iter().filter_map(|user| user.uid);
    let mut reserved: BTreeSet<u32> = ordered::set(fixed.chain(owners.keys().copied()));
    for user in declared {
        let present = old.passwd.get(user.name.as_str());
        let taken = Taken {
            owners: &owners,
            reserved: &reserved,
            known: &new.state.uid_map,
        };
        match record(user, present, &taken, new) {
            Ok(record) => {
                reserved.insert(record.uid);
                owners.insert(record.uid, record.name.clone());
                add(record, present, new);
            }
            Err(problem) => {
                new.problems.push(problem);
                // Someone who is there already and cannot be changed is at least not lost.
                new.state.passwd.records.extend(present.cloned());
            }
        }
    }
    let records = &mut new.state.passwd.records;
    records.sort_by(|one, other| (one.uid, &one.name).cmp(&(other.uid, &other.name)));
}

/// Takes over the users that stay although they are not declared, and gives the ids that are in
/// use: theirs and those that declared users have.
fn keep(old: &State, description: &SystemDescription, new: &mut Updated) -> BTreeMap<u32, String> {
    let mut owners = BTreeMap::new();
    for user in &old.passwd.records {
        let name = user.name.as_str();
        if new.state.declared_users.contains(name) {
            owners.entry(user.uid).or_insert_with(|| name.to_owned());
        } else if survives(name, description, &old.declared_users) {
            owners.entry(user.uid).or_insert_with(|| name.to_owned());
            new.state.passwd.records.push(user.clone());
        } else {
            let known = new.state.uid_map.entry(name.to_owned());
            known.or_insert(user.uid);
            new.changes.push(format!("remove user '{name}'"));
        }
    }
    owners
}

fn add(record: Passwd, present: Option<&Passwd>, new: &mut Updated) {
    let Passwd { name, uid, .. } = &record;
    match present {
        None => new.changes.push(format!("add user '{name}' ({uid})")),
        Some(present) if *present != record => new.changes.push(format!("change user '{name}'")),
        Some(_) => {}
    }
    new.state.uid_map.insert(name.clone(), *uid);
    new.state.passwd.records.push(record);
}

fn record(
    user: &User,
    present: Option<&Passwd>,
    taken: &Taken<'_>,
    new: &Updated,
) -> Result<Passwd, String> {
    let name = user.name.as_str();
    check_fields(user)?;
    let group = new.state.group.get(user.group.as_str());
    let gid = group.map(|group| group.gid).ok_or_else(|| {
        format!(
            "cannot add user '{name}': there is no group '{}'",
            user.group
        )
    })?;
    let wanted = Wanted {
        what: "user",
        id: "uid",
        name,
        fixed: user.uid,
        present: present.map(|present| present.uid),
        kind: if user.is_system_user {
            Kind::System
        } else {
            Kind::Normal
        },
    };
    Ok(Passwd {
        name: name.to_owned(),
        password: "x".to_owned(),
        uid: choose_id(&wanted, taken)?,
        gid,
        gecos: user.description.clone(),
        home: user.home.clone(),
        shell: user.shell.clone(),
    })
}

/// One field with a colon or newline would forge others.
pub(super) fn check_fields(user: &User) -> Result<(), String> {
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
