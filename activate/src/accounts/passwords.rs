//! The new shadow and gshadow: one record for each user and group.

use cairn_system::{SystemDescription, User};

use super::gshadow::Gshadow;
use super::shadow::Shadow;
use super::update::{State, Updated};
use super::users::check_fields;

pub(super) fn update_shadow(old: &State, description: &SystemDescription, new: &mut Updated) {
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
        let before = record.ageing.clone();
        let expires = declared.map(|declared| declared.expires);
        match expires {
            Some(Some(day)) => record.set_expiry(Some(day.since_epoch())),
            // Whoever may change users may have closed the account by hand.
            Some(None) if !description.mutable_users => record.set_expiry(None),
            _ => {}
        }
        if record.ageing != before && present.is_some() {
            new.changes.push(format!("change expiry of '{name}'"));
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
        (None, _) if mutable && exists => present_password(name, old),
        (Some(hash), _) | (None, Some(hash)) => hash.clone(),
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

pub(super) fn update_gshadow(old: &State, description: &SystemDescription, new: &mut Updated) {
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
}
