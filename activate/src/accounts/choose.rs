//! The id of a user or group: never changed, never given to a second name.

use std::collections::{BTreeMap, BTreeSet};

use super::id_map::{self, IdMap, Kind};

/// Who wants an id.
pub(super) struct Wanted<'a> {
    /// `user` or `group`.
    pub(super) what: &'static str,
    /// `uid` or `gid`.
    pub(super) id: &'static str,
    pub(super) name: &'a str,
    /// The id that the description asks for.
    pub(super) fixed: Option<u32>,
    /// The id that it has now.
    pub(super) present: Option<u32>,
    pub(super) kind: Kind,
}

/// Which ids are whose.
pub(super) struct Taken<'a> {
    /// Of those that stay or have been added.
    pub(super) owners: &'a BTreeMap<u32, String>,
    /// These and the ones that the description fixes.
    pub(super) reserved: &'a BTreeSet<u32>,
    /// Of all that ever were.
    pub(super) known: &'a IdMap,
}

/// The id that it has, is to have, or had before; else a new one.
///
/// # Errors
/// The id is somebody else's, or none is left.
pub(super) fn choose_id(wanted: &Wanted<'_>, taken: &Taken<'_>) -> Result<u32, String> {
    let Wanted { what, id, name, .. } = wanted;
    if let Some(present) = wanted.present {
        if let Some(fixed) = wanted.fixed.filter(|fixed| *fixed != present) {
            log::warn!(
                "not changing {what} '{name}' from {id} {present} to {fixed}: its files would \
                 lose their owner; change them and the database by hand"
            );
        }
        return Ok(present);
    }
    let chosen = match wanted.fixed {
        Some(fixed) => fixed,
        None => id_map::allocate(name, wanted.kind, taken.reserved, taken.known)
            .ok_or_else(|| format!("cannot add {what} '{name}': no {id} is left in its range"))?,
    };
    warn_of_former_owner(wanted, chosen, taken.known);
    match taken.owners.get(&chosen) {
        Some(owner) => Err(format!(
            "cannot add {what} '{name}': {id} {chosen} belongs to '{owner}'; choose another"
        )),
        None => Ok(chosen),
    }
}

/// A number that is asked for is given, even if files of somebody who is gone may carry it.
fn warn_of_former_owner(wanted: &Wanted<'_>, chosen: u32, known: &IdMap) {
    let Wanted { what, id, name, .. } = wanted;
    let former = known
        .iter()
        .find(|(former, number)| **number == chosen && former.as_str() != *name);
    if let Some((former, _)) = former {
        log::warn!(
            "{what} '{name}' gets {id} {chosen}, which '{former}' had: files that are left belong to '{name}' now"
        );
    }
}
