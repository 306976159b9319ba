//! The new groups.

use std::collections::{BTreeMap, BTreeSet};

use cairn_system::ordered;
use cairn_system::{Group as Declared, SystemDescription};

use super::choose::{Taken, Wanted, choose_id};
use super::group::Group;
use super::id_map::Kind;
use super::update::{State, Updated, survives};

pub(super) fn update_groups(old: &State, description: &SystemDescription, new: &mut Updated) {
    let declared = &description.groups;
    new.state.declared_groups = ordered::set(declared.iter().map(|group| group.name.to_string()));
    let mut owners = keep(old, description, new);
    let fixed = declared.iter().filter_map(|group| group.gid);
    let mut reserved: BTreeSet<u32> = ordered::set(fixed.chain(owners.keys().copied()));
    for group in declared {
        let wanted = Wanted {
            what: "group",
            id: "gid",
            name: group.name.as_str(),
            fixed: group.gid,
            present: old
                .group
                .get(group.name.as_str())
                .map(|present| present.gid),
            kind: Kind::System,
        };
        let taken = Taken {
            owners: &owners,
            reserved: &reserved,
            known: &new.state.gid_map,
        };
        match choose_id(&wanted, &taken) {
            Ok(gid) => {
                reserved.insert(gid);
                owners.insert(gid, group.name.to_string());
                add(group, gid, old, description, new);
            }
            Err(problem) => new.problems.push(problem),
        }
    }
    let records = &mut new.state.group.records;
    records.sort_by(|one, other| (one.gid, &one.name).cmp(&(other.gid, &other.name)));
}

/// Takes over the groups that stay although they are not declared, and gives the ids that are in
/// use: theirs and those that declared groups have.
fn keep(old: &State, description: &SystemDescription, new: &mut Updated) -> BTreeMap<u32, String> {
    let mut owners = BTreeMap::new();
    for group in &old.group.records {
        let name = group.name.as_str();
        if new.state.declared_groups.contains(name) {
            owners.entry(group.gid).or_insert_with(|| name.to_owned());
        } else if survives(name, description, &old.declared_groups) {
            owners.entry(group.gid).or_insert_with(|| name.to_owned());
            new.state.group.records.push(group.clone());
        } else {
            let known = new.state.gid_map.entry(name.to_owned());
            known.or_insert(group.gid);
            new.changes.push(format!("remove group '{name}'"));
        }
    }
    owners
}

fn add(
    group: &Declared,
    gid: u32,
    old: &State,
    description: &SystemDescription,
    new: &mut Updated,
) {
    let name = group.name.as_str();
    let present = old.group.get(name);
    let record = Group {
        name: name.to_owned(),
        password: present.map_or_else(|| "x".to_owned(), |present| present.password.clone()),
        gid,
        members: members(group, old, description),
    };
    match present {
        None => new.changes.push(format!("add group '{name}' ({gid})")),
        Some(present) if *present != record => new.changes.push(format!("change group '{name}'")),
        Some(_) => {}
    }
    new.state.gid_map.insert(name.to_owned(), gid);
    new.state.group.records.push(record);
}

/// Declared members, and undeclared users who joined by hand.
fn members(group: &Declared, old: &State, description: &SystemDescription) -> Vec<String> {
    let declared = group.members.iter().map(cairn_system::UserName::as_str);
    let by_user = description
        .users
        .iter()
        .filter(|user| user.extra_groups.contains(&group.name))
        .map(|user| user.name.as_str());
    let by_hand = old
        .group
        .get(group.name.as_str())
        .into_iter()
        .flat_map(|present| &present.members)
        .map(String::as_str)
        .filter(|name| {
            let is_declared = description
                .users
                .iter()
                .any(|user| user.name.as_str() == *name);
            !is_declared
                && old.passwd.get(name).is_some()
                && survives(name, description, &old.declared_users)
        });
    let exists = |name: &&str| {
        let is_declared = description
            .users
            .iter()
            .any(|user| user.name.as_str() == *name);
        let stays =
            old.passwd.get(name).is_some() && survives(name, description, &old.declared_users);
        if !is_declared && !stays {
            log::warn!(
                "there is no user '{name}' to be a member of group '{}'",
                group.name
            );
        }
        is_declared || stays
    };
    let declared = declared.filter(exists);
    let all: BTreeSet<&str> = ordered::set(declared.chain(by_user).chain(by_hand));
    all.into_iter().map(str::to_owned).collect()
}
