//! The binary indices that modprobe reads: a radix tree from keys to values.
//!
//! ```text
//! u32 0xB007F457, u32 version 0x00020001, u32 root node            all big-endian
//! node reference: the node's offset in the file, and in the top bits what it has
//!   0x80000000 prefix: text, NUL
//!   0x20000000 children: u8 first, u8 last, u32 reference[last - first + 1], 0 for none
//!   0x40000000 values: u32 count, then { u32 priority, text, NUL } by rising priority
//! ```
//! A child's reference stands for one character; the rest of its part of the key is its prefix.
//! Children are written before their parents. Keys and values are 7-bit text without NUL.
//!
//! Source: the description of the format in kmod's libkmod/libkmod-index.c and tools/depmod.c.

use std::collections::BTreeMap;

const MAGIC: u32 = 0xB007_F457;
const VERSION: u32 = 0x0002_0001;
const HAS_PREFIX: u32 = 0x8000_0000;
const HAS_VALUES: u32 = 0x4000_0000;
const HAS_CHILDREN: u32 = 0x2000_0000;
/// Offsets have 28 bits.
const MAX_SIZE: usize = 0x0fff_ffff;

/// Keys and their values, to be written as a tree.
#[derive(Debug, Default)]
pub(super) struct Trie {
    keys: BTreeMap<Vec<u8>, Vec<Value>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Value {
    priority: u32,
    text: Vec<u8>,
}

impl Trie {
    /// Adds a value; of values with one priority, the last added comes first. A key or value that
    /// the format has no room for is left out, and `false` returned.
    pub(super) fn insert(&mut self, key: &str, value: &str, priority: u32) -> bool {
        let fits = |text: &str| text.bytes().all(|byte| (1..128).contains(&byte));
        if !fits(key) || !fits(value) {
            return false;
        }
        let values = self.keys.entry(key.as_bytes().to_vec()).or_default();
        let place = values
            .iter()
            .position(|present| present.priority >= priority)
            .unwrap_or(values.len());
        let text = value.as_bytes().to_vec();
        values.insert(place, Value { priority, text });
        true
    }

    /// The file's bytes; `None` if they would be more than the format can address.
    pub(super) fn to_bytes(&self) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        out.extend(MAGIC.to_be_bytes());
        out.extend(VERSION.to_be_bytes());
        out.extend([0; 4]);
        let entries: Vec<(&[u8], &[Value])> = self
            .keys
            .iter()
            .map(|(key, values)| (key.as_slice(), values.as_slice()))
            .collect();
        // The root never has a prefix.
        let root = write_node(&entries, 0, 0, &mut out);
        if out.len() > MAX_SIZE {
            return None;
        }
        if let Some(place) = out.get_mut(8..12) {
            place.copy_from_slice(&root.to_be_bytes());
        }
        Some(out)
    }
}

/// Writes the node for keys that agree up to `end`, of which the part from `depth` on is the
/// node's prefix, and returns its reference.
fn write_node(entries: &[(&[u8], &[Value])], depth: usize, end: usize, out: &mut Vec<u8>) -> u32 {
    let (own, below) = match entries.first() {
        Some((key, values)) if key.len() == end => (*values, entries.get(1..).unwrap_or_default()),
        _ => (&[][..], entries),
    };
    let children: Vec<(u8, u32)> = below
        .chunk_by(|(one, _), (other, _)| one.get(end) == other.get(end))
        .filter_map(|group| {
            let (key, _) = group.first()?;
            let character = *key.get(end)?;
            let reference = write_node(group, end + 1, common_end(group, end + 1), out);
            Some((character, reference))
        })
        .collect();

    let mut reference = u32::try_from(out.len()).unwrap_or(u32::MAX);
    let prefix = entries
        .first()
        .and_then(|(key, _)| key.get(depth..end))
        .unwrap_or_default();
    if !prefix.is_empty() {
        out.extend(prefix);
        out.push(0);
        reference |= HAS_PREFIX;
    }
    if let (Some((first, _)), Some((last, _))) = (children.first(), children.last()) {
        out.extend([*first, *last]);
        let references: BTreeMap<u8, u32> = children.iter().copied().collect();
        for character in *first..=*last {
            let child = references.get(&character).copied().unwrap_or(0);
            out.extend(child.to_be_bytes());
        }
        reference |= HAS_CHILDREN;
    }
    if !own.is_empty() {
        out.extend(u32::try_from(own.len()).unwrap_or(u32::MAX).to_be_bytes());
        for value in own {
            out.extend(value.priority.to_be_bytes());
            out.extend(&value.text);
            out.push(0);
        }
        reference |= HAS_VALUES;
    }
    reference
}

/// How far all keys agree. They are sorted, so the first and the last decide.
fn common_end(entries: &[(&[u8], &[Value])], depth: usize) -> usize {
    match (entries.first(), entries.last()) {
        (Some((first, _)), Some((last, _))) => {
            let (first, last) = (
                first.get(depth..).unwrap_or_default(),
                last.get(depth..).unwrap_or_default(),
            );
            depth + first.iter().zip(last).take_while(|(a, b)| a == b).count()
        }
        _ => depth,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    /// Reads an index back: every key with its values.
    pub(in super::super) fn read(bytes: &[u8]) -> BTreeMap<String, Vec<(u32, String)>> {
        let word = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
        assert_eq!((word(0), word(4)), (MAGIC, VERSION));
        let mut found = BTreeMap::new();
        read_node(bytes, word(8), String::new(), &mut found);
        found
    }

    fn read_node(
        bytes: &[u8],
        reference: u32,
        mut key: String,
        found: &mut BTreeMap<String, Vec<(u32, String)>>,
    ) {
        let word = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
        let text = |at: usize| {
            let end = at + bytes[at..].iter().position(|byte| *byte == 0).unwrap();
            (std::str::from_utf8(&bytes[at..end]).unwrap(), end + 1)
        };
        let mut at = (reference & 0x0fff_ffff) as usize;
        if reference & HAS_PREFIX != 0 {
            let (prefix, end) = text(at);
            key.push_str(prefix);
            at = end;
        }
        if reference & HAS_CHILDREN != 0 {
            let (first, last) = (bytes[at], bytes[at + 1]);
            at += 2;
            for character in first..=last {
                if word(at) != 0 {
                    let key = format!("{key}{}", char::from(character));
                    read_node(bytes, word(at), key, found);
                }
                at += 4;
            }
        }
        if reference & HAS_VALUES != 0 {
            let count = word(at);
            at += 4;
            let values = (0..count)
                .map(|_| {
                    let priority = word(at);
                    let (value, end) = text(at + 4);
                    at = end;
                    (priority, value.to_owned())
                })
                .collect();
            found.insert(key, values);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            entries in proptest::collection::vec(("[a-d:*\\[]{0,8}", "[a-z]{0,4}", 0_u32..9), 0..40)
        ) {
            let mut trie = Trie::default();
            let mut expected: BTreeMap<String, BTreeSet<(u32, String)>> = BTreeMap::new();
            for (key, value, priority) in &entries {
                prop_assert!(trie.insert(key, value, *priority));
                expected.entry(key.clone()).or_default().insert((*priority, value.clone()));
            }
            let found = read(&trie.to_bytes().unwrap());
            for values in found.values() {
                prop_assert!(values.is_sorted_by_key(|(priority, _)| *priority));
            }
            let found: BTreeMap<_, BTreeSet<_>> = found
                .into_iter()
                .map(|(key, values)| (key, values.into_iter().collect()))
                .collect();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn text_that_does_not_fit_is_refused() {
        let mut trie = Trie::default();
        assert!(!trie.insert("ä", "x", 0));
        assert!(!trie.insert("x", "a\0b", 0));
        assert_eq!(read(&trie.to_bytes().unwrap()), BTreeMap::new());
    }
}
