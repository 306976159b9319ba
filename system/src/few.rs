//! A list that has nothing in it for nearly everybody, and takes one word then.

use std::ops::{Deref, DerefMut};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Like a [`Vec`], which it is read and changed as.
#[derive(Debug, Clone)]
#[expect(
    clippy::box_collection,
    reason = "one word instead of three, for thousands of empty ones"
)]
pub struct Few<T>(Option<Box<Vec<T>>>);

impl<T> Few<T> {
    /// An empty one.
    #[must_use]
    pub const fn new() -> Self {
        Self(None)
    }
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> From<Vec<T>> for Few<T> {
    fn from(list: Vec<T>) -> Self {
        Self((!list.is_empty()).then(|| Box::new(list)))
    }
}

impl<T> FromIterator<T> for Few<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Vec::from_iter(items).into()
    }
}

impl<T: 'static> Deref for Few<T> {
    type Target = Vec<T>;

    fn deref(&self) -> &Vec<T> {
        match &self.0 {
            Some(list) => list,
            None => const { &Vec::new() },
        }
    }
}

impl<T: 'static> DerefMut for Few<T> {
    fn deref_mut(&mut self) -> &mut Vec<T> {
        self.0.get_or_insert_default()
    }
}

impl<'a, T: 'static> IntoIterator for &'a Few<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T> IntoIterator for Few<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.map_or_else(Vec::new, |list| *list).into_iter()
    }
}

/// As lists: whether there is room for more makes no difference.
impl<T: PartialEq + 'static> PartialEq for Few<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Eq + 'static> Eq for Few<T> {}

impl<T: Serialize + 'static> Serialize for Few<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_slice().serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Few<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_list_of_one_word() {
        assert_eq!(size_of::<Few<String>>(), size_of::<usize>());
        let mut few: Few<u8> = serde_json::from_str("[]").unwrap();
        assert_eq!((few.len(), &few), (0, &Few::new()));
        few.push(1);
        few.extend([2, 3]);
        assert_eq!(serde_json::to_string(&few).unwrap(), "[1,2,3]");
        assert_eq!(few, serde_json::from_str("[1,2,3]").unwrap());
        few.clear();
        assert_eq!(few, Few::from(Vec::new()), "room for more is no difference");
    }
}
