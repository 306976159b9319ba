//! The new user database out of the old one and the description: pure.
//!
//! Rules, as NixOS's: ids never change and are never given to a second name; what was declared
//! and no longer is goes away; what was never declared stays if users are mutable, else goes.
//! The superuser always stays.

use std::collections::BTreeSet;

use cairn_system::SystemDescription;

use super::database::Database;
use super::group::Group;
use super::groups::update_groups;
use super::gshadow::Gshadow;
use super::id_map::IdMap;
use super::passwd::Passwd;
use super::passwords::{update_gshadow, update_shadow};
use super::shadow::Shadow;
use super::subordinate::{self, Lines};
use super::users::update_users;

/// The database as text and maps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct State {
    pub(super) passwd: Database<Passwd>,
    pub(super) group: Database<Group>,
    pub(super) shadow: Database<Shadow>,
    pub(super) gshadow: Database<Gshadow>,
    pub(super) uid_map: IdMap,
    pub(super) gid_map: IdMap,
    pub(super) sub_uids: Lines,
    pub(super) sub_gids: Lines,
    pub(super) sub_map: IdMap,
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
    let subordinate = (&old.sub_uids, &old.sub_gids, &old.sub_map);
    subordinate::update(subordinate, description, &mut new);
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
pub(super) fn survives(
    name: &str,
    description: &SystemDescription,
    before: &BTreeSet<String>,
) -> bool {
    name == "root" || (description.mutable_users && !before.contains(name))
}
