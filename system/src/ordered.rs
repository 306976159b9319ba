//! Maps and sets that are filled entry by entry. `collect` sorts all of them first, with code of its own
//! for each type: four kilobytes every time in the program that is PID 1, for what are some dozens of entries.

use std::collections::{BTreeMap, BTreeSet};

/// A map of these entries; of those with the same key it has the last, as `collect` does.
pub fn map<K: Ord, V>(entries: impl IntoIterator<Item = (K, V)>) -> BTreeMap<K, V> {
    let mut map = BTreeMap::new();
    map.extend(entries);
    map
}

/// A set of these.
pub fn set<T: Ord>(entries: impl IntoIterator<Item = T>) -> BTreeSet<T> {
    let mut set = BTreeSet::new();
    set.extend(entries);
    set
}
