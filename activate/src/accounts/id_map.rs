//! `/var/lib/nixos/uid-map` and `gid-map`: which name ever had which id, so that no id is given
//! to a second name. JSON: `{"name":id,…}`.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use cairn_system::{from_bytes, ordered};

pub(super) type IdMap = BTreeMap<String, u32>;

/// Which ids a user or group without a fixed one gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// 400 to 999, from above.
    System,
    /// 1000 to 29999, from below.
    Normal,
}

const SYSTEM: RangeInclusive<u32> = 400..=999;
const NORMAL: RangeInclusive<u32> = 1000..=29_999;

pub(super) fn parse(bytes: &[u8]) -> Result<IdMap, serde_json::Error> {
    from_bytes(bytes)
}

pub(super) fn to_text(map: &IdMap) -> String {
    let entries: Vec<String> = map
        .iter()
        .map(|(name, id)| format!("{}:{id}", serde_json::Value::from(name.as_str())))
        .collect();
    format!("{{{}}}\n", entries.join(","))
}

/// An id for `name`: the one that it had, else one that nobody has or had; `None` if the range is
/// used up.
pub(super) fn allocate(name: &str, kind: Kind, used: &BTreeSet<u32>, known: &IdMap) -> Option<u32> {
    if let Some(before) = known.get(name).filter(|id| !used.contains(id)) {
        return Some(*before);
    }
    let taken: BTreeSet<u32> = ordered::set(known.values().chain(used).copied());
    let free = |id: &u32| !taken.contains(id);
    match kind {
        Kind::System => SYSTEM.rev().find(free),
        Kind::Normal => NORMAL.into_iter().find(free),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_ids_go_down_and_normal_ids_up() {
        let used = BTreeSet::from([999, 1000]);
        let known = IdMap::from([("gone".to_owned(), 998), ("gone-too".to_owned(), 1001)]);
        assert_eq!(allocate("a", Kind::System, &used, &known), Some(997));
        assert_eq!(allocate("a", Kind::Normal, &used, &known), Some(1002));
        assert_eq!(allocate("gone", Kind::System, &used, &known), Some(998));
    }

    #[test]
    fn a_full_range_gives_nothing() {
        let used: BTreeSet<u32> = (400..=999).collect();
        assert_eq!(allocate("a", Kind::System, &used, &IdMap::new()), None);
    }

    #[test]
    fn maps_are_read_as_written() {
        let map = IdMap::from([("a\"b".to_owned(), 7), ("z".to_owned(), 400)]);
        assert_eq!(to_text(&map), "{\"a\\\"b\":7,\"z\":400}\n");
        assert_eq!(parse(to_text(&map).as_bytes()).unwrap(), map);
    }
}
