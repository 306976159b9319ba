//! Finding which store objects a file refers to.
//!
//! A reference is the 32-digit hash of an object's name, anywhere in the bytes: in text, in
//! binaries, in the targets of links. The scan looks at every 32nd byte at least: when a byte is
//! not a digit of the alphabet, no hash can cover it.

use std::collections::{BTreeSet, HashMap};
use std::io;

use cairn_store_path::{StorePath, nix32};

const LENGTH: usize = 32;

/// Looks for the hashes of known objects in what is written to it; never fails. A hash may be
/// split anywhere between two writes.
#[derive(Debug, Clone)]
pub struct ReferenceScanner {
    missing: HashMap<[u8; LENGTH], StorePath>,
    found: BTreeSet<StorePath>,
    /// The last bytes written, at most one less than a hash has, and room for the next ones.
    tail: Vec<u8>,
    is_digit: [bool; 256],
}

impl ReferenceScanner {
    /// A scanner for references to `candidates`.
    #[must_use]
    pub fn new<'a>(candidates: impl IntoIterator<Item = &'a StorePath>) -> Self {
        let missing = candidates
            .into_iter()
            .filter_map(|path| Some((path.hash_part().as_bytes().try_into().ok()?, path.clone())))
            .collect();
        Self {
            missing,
            found: BTreeSet::new(),
            tail: Vec::with_capacity(2 * LENGTH),
            is_digit: std::array::from_fn(|byte| u8::try_from(byte).is_ok_and(nix32::is_digit)),
        }
    }

    /// Scans `bytes` as the continuation of what came before.
    pub fn update(&mut self, bytes: &[u8]) {
        if self.missing.is_empty() {
            return;
        }
        // Hashes over the border: the old tail and as much of the new bytes as one could cover.
        let mut tail = std::mem::take(&mut self.tail);
        tail.extend(bytes.iter().take(LENGTH - 1));
        self.scan(&tail);
        if bytes.len() >= LENGTH {
            self.scan(bytes);
            tail.clear();
            tail.extend(bytes.iter().skip(bytes.len() - (LENGTH - 1)));
        } else {
            // All of `bytes` is in the tail already.
            let surplus = tail.len().saturating_sub(LENGTH - 1);
            tail.drain(..surplus);
        }
        self.tail = tail;
    }

    /// The objects whose hashes occurred.
    #[must_use]
    pub fn finish(self) -> BTreeSet<StorePath> {
        self.found
    }

    fn scan(&mut self, bytes: &[u8]) {
        let mut start = 0;
        while let Some(window) = bytes.get(start..start + LENGTH) {
            let outsider = window
                .iter()
                .rposition(|&byte| !self.is_digit.get(usize::from(byte)).is_some_and(|&yes| yes));
            if outsider.is_none()
                && let Some(path) = self.missing.remove(window)
            {
                self.found.insert(path);
            }
            start += outsider.map_or(1, |position| position + 1);
        }
    }
}

impl io::Write for ReferenceScanner {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(seed: u8) -> StorePath {
        StorePath::new([seed; 20], "x").unwrap()
    }

    #[test]
    fn finds_hashes_at_ends_and_in_the_middle_but_not_cut_ones() {
        let known = [path(1), path(2), path(3), path(4)];
        let mut scanner = ReferenceScanner::new(&known);
        let text = format!(
            "{}/ {} {}",
            path(1).hash_part(),
            path(2),
            &path(3).hash_part()[1..]
        );
        scanner.update(text.as_bytes());
        scanner.update(path(4).hash_part().as_bytes());
        assert_eq!(
            scanner.finish(),
            BTreeSet::from([path(1), path(2), path(4)])
        );
    }

    proptest! {
        #[test]
        fn the_border_between_writes_does_not_matter(
            before in proptest::collection::vec(any::<u8>(), 0..100),
            digits in "[0-9a-df-np-sv-z]{0,40}",
            after in proptest::collection::vec(any::<u8>(), 0..100),
            sizes in proptest::collection::vec(1_usize..50, 1..20),
            present: bool,
        ) {
            let mut bytes = before;
            bytes.extend(digits.bytes());
            if present {
                bytes.extend(path(7).hash_part().bytes());
            }
            bytes.extend(after);
            let mut scanner = ReferenceScanner::new(&[path(7), path(8)]);
            let mut rest = bytes.as_slice();
            for size in sizes.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (part, more) = rest.split_at((*size).min(rest.len()));
                scanner.update(part);
                rest = more;
            }
            prop_assert_eq!(scanner.finish().contains(&path(7)), present);
        }
    }
}
