//! A set of services: one bit each, so that they come and go without memory being asked for or given back.

use super::super::graph::Id;

/// Services, by number.
#[derive(Debug, Clone, Default)]
pub struct Marks {
    words: Vec<u64>,
}

impl Marks {
    /// Takes one in, if it is not there.
    pub fn insert(&mut self, id: Id) {
        let (word, bit) = place(id);
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        if let Some(word) = self.words.get_mut(word) {
            *word |= bit;
        }
    }

    /// Takes one out, if it is there.
    pub fn remove(&mut self, id: Id) {
        let (word, bit) = place(id);
        if let Some(word) = self.words.get_mut(word) {
            *word &= !bit;
        }
    }

    /// The first one from this number on.
    pub fn next(&self, from: Id) -> Option<Id> {
        let (first, bit) = place(from);
        // Of the first word, those before it do not count.
        let mut mask = !(bit - 1);
        for (number, word) in self.words.iter().enumerate().skip(first) {
            let rest = word & mask;
            if rest != 0 {
                return Some(number * BITS + rest.trailing_zeros() as usize);
            }
            mask = u64::MAX;
        }
        None
    }

    /// Takes the first one out.
    pub fn pop_first(&mut self) -> Option<Id> {
        let first = self.next(0)?;
        self.remove(first);
        Some(first)
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = Id> {
        let mut from = 0;
        std::iter::from_fn(move || {
            let next = self.next(from)?;
            from = next + 1;
            Some(next)
        })
    }
}

impl Extend<Id> for Marks {
    fn extend<T: IntoIterator<Item = Id>>(&mut self, ids: T) {
        for id in ids {
            self.insert(id);
        }
    }
}

const BITS: usize = u64::BITS as usize;

/// The word and the bit in it.
fn place(id: Id) -> (usize, u64) {
    (id / BITS, 1 << (id % BITS))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_sorted_set(steps in prop::collection::vec((0..4_u8, 0..200_usize), 0..100)) {
            let (mut marks, mut set) = (Marks::default(), BTreeSet::new());
            for (step, id) in steps {
                match step {
                    0 | 1 => {
                        marks.insert(id);
                        set.insert(id);
                    }
                    2 => {
                        marks.remove(id);
                        set.remove(&id);
                    }
                    _ => prop_assert_eq!(marks.pop_first(), set.pop_first()),
                }
                prop_assert_eq!(marks.next(id), set.range(id..).next().copied());
            }
            let all: Vec<Id> = marks.iter().collect();
            prop_assert_eq!(all, set.into_iter().collect::<Vec<Id>>());
        }
    }
}
