//! Answers about a disk, and what was read for them.
//!
//! A thousand cuts ask the same of nearly the same disk: whether each store object has its hash. An
//! answer holds as long as no sector that it was made from has another content, so the whole closure
//! is verified at each cut, and read about once.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::ops::Range;

use super::disk::{Disk, ReadAt};
use super::write_log::SECTOR;

/// How many answers to one question are kept: of the states before and after, and a few between.
const ANSWERS: usize = 8;

/// Sectors that are compared at once, at most.
const LONGEST: u64 = 256;

/// A disk that notes what is read from it.
#[derive(Debug)]
pub struct Watched<'a> {
    disk: &'a Disk<'a>,
    reads: RefCell<Vec<Range<u64>>>,
}

impl ReadAt for Watched<'_> {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let end = offset.saturating_add(buffer.len() as u64);
        let sectors = offset / SECTOR..end.div_ceil(SECTOR);
        self.reads.borrow_mut().push(sectors);
        self.disk.read_at(offset, buffer)
    }
}

/// Questions with their answers.
#[derive(Debug)]
pub struct Memo<K, V> {
    known: BTreeMap<K, Vec<Answer<V>>>,
}

#[derive(Debug)]
struct Answer<V> {
    reads: Vec<(Range<u64>, u64)>,
    value: V,
}

impl<K, V> Default for Memo<K, V> {
    fn default() -> Self {
        Self {
            known: BTreeMap::new(),
        }
    }
}

impl<K: Ord, V: Clone> Memo<K, V> {
    /// The answer to `question`, which `ask` computes from the disk alone, if it is not known.
    ///
    /// # Errors
    /// The disk cannot be read.
    pub fn get(
        &mut self,
        question: K,
        disk: &Disk<'_>,
        ask: impl FnOnce(&Watched<'_>) -> V,
    ) -> io::Result<V> {
        let answers = self.known.entry(question).or_default();
        for (place, answer) in answers.iter().enumerate() {
            if answer.holds(disk)? {
                // The latest used is found first, and forgotten last.
                let answer = answers.remove(place);
                let value = answer.value.clone();
                answers.insert(0, answer);
                return Ok(value);
            }
        }
        let watched = Watched {
            disk,
            reads: RefCell::default(),
        };
        let value = ask(&watched);
        let reads = merged(watched.reads.into_inner()).into_iter();
        let reads = reads.map(|sectors| Ok((sectors.clone(), disk.fingerprint(&sectors)?)));
        let answer = Answer {
            reads: reads.collect::<io::Result<_>>()?,
            value: value.clone(),
        };
        answers.insert(0, answer);
        answers.truncate(ANSWERS);
        Ok(value)
    }
}

impl<V> Answer<V> {
    fn holds(&self, disk: &Disk<'_>) -> io::Result<bool> {
        for (sectors, fingerprint) in &self.reads {
            if disk.fingerprint(sectors)? != *fingerprint {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// The same sectors in fewer ranges.
fn merged(mut reads: Vec<Range<u64>>) -> Vec<Range<u64>> {
    reads.sort_unstable_by_key(|range| range.start);
    let mut merged: Vec<Range<u64>> = Vec::new();
    for range in reads {
        match merged.last_mut() {
            Some(last) if range.start <= last.end && range.end <= last.start + LONGEST => {
                last.end = last.end.max(range.end);
            }
            _ => merged.push(range),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write as _;

    use super::super::disk::{Layer, Source};
    use super::*;

    #[test]
    fn an_answer_holds_until_what_it_read_has_changed() {
        let file = |bytes: &[u8]| -> File {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(bytes).unwrap();
            file
        };
        let (image, log) = (file(&[b'i'; 4 * 512]), file(&[b'n'; 512]));
        let layer = |sector| {
            let mut layer = Layer::default();
            layer.insert(sector, Source::Log(0));
            layer
        };
        let (near, far) = (layer(2), layer(3));
        let mut memo = Memo::default();
        let mut asked = 0;
        let mut ask = |layer: &Layer| {
            let disk = Disk::new(&image, &log, vec![layer]);
            memo.get("third", &disk, |disk: &Watched<'_>| {
                asked += 1;
                let mut byte = [0];
                disk.read_at(1024, &mut byte).unwrap();
                char::from(byte[0])
            })
            .unwrap()
        };
        let said = [&near, &far, &near, &Layer::default()].map(&mut ask);
        assert_eq!((said, asked), (['n', 'i', 'n', 'i'], 2));
    }

    #[test]
    fn ranges_are_merged() {
        let reads = vec![4..6, 0..2, 1..4, 8..9, 9..9 + LONGEST];
        assert_eq!(merged(reads), [0..6, 8..9, 9..9 + LONGEST]);
    }
}
