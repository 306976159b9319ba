//! Where the power is cut, and what the disk then has of the last writes.
//!
//! What came before a flush is on the medium. Of what came after the last one, a disk may have
//! written any part, in any order: it has a cache, and tells a write done when it is in there. Only a
//! physical sector is written whole or not at all.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;

use super::disk::{Layer, Source};
use super::random::Random;
use super::write_log::{Entry, Kind, SECTOR, WriteLog};

/// What the disk has of the writes since the last flush.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Survivors {
    /// All: it wrote them as they came.
    All,
    /// None: its cache was lost.
    None,
    /// Some whole writes, by the draw of this number.
    Some(u64),
    /// Some sectors, by the draw of this number.
    Torn(u64),
}

impl fmt::Display for Survivors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => write!(f, "in order"),
            Self::None => write!(f, "cache lost"),
            Self::Some(draw) => write!(f, "some writes, draw {draw}"),
            Self::Torn(draw) => write!(f, "some sectors, draw {draw}"),
        }
    }
}

/// A power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// After how many entries of the log.
    pub after: usize,
    /// What is there of those since the last flush.
    pub survivors: Survivors,
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "after {} writes, {}", self.after, self.survivors)
    }
}

/// Chooses `count` cuts after the entries `range` of the log: the same for the same seed. They come
/// in their order. The ends are always among them; of the others, half are moments as they were, and
/// half have a reordered cache.
#[must_use]
pub fn choose(log: &WriteLog, range: &Range<usize>, count: usize, seed: u64) -> Vec<Cut> {
    let mut random = Random::new(seed);
    let moments = spread(log, range, count.div_ceil(2), &mut random);
    let mut cuts: Vec<Cut> = moments
        .into_iter()
        .map(|after| Cut {
            after,
            survivors: Survivors::All,
        })
        .collect();
    let length = range.len() as u64 + 1;
    while cuts.len() < count {
        // Where nothing is in the cache, there is nothing to reorder: the last of three tries counts.
        let mut after = range.start;
        for _ in 0..3 {
            after = range.start + usize::try_from(random.below(length)).unwrap_or_default();
            if !cached(log, after).is_empty() {
                break;
            }
        }
        let survivors = match random.below(5) {
            0 => Survivors::None,
            1 | 2 => Survivors::Some(random.next()),
            _ => Survivors::Torn(random.next()),
        };
        cuts.push(Cut { after, survivors });
    }
    cuts.sort_by_key(|cut| cut.after);
    cuts
}

/// Up to `count` moments in `range`: its ends, those at flushes, then any.
fn spread(
    log: &WriteLog,
    range: &Range<usize>,
    count: usize,
    random: &mut Random,
) -> BTreeSet<usize> {
    let mut moments = BTreeSet::from([range.start, range.end]);
    let entries = log.entries.get(range.clone()).unwrap_or_default();
    // What is about to be flushed, and the same once it is, are the moments that order is made of.
    let mut flushes: Vec<usize> = (range.start..)
        .zip(entries)
        .filter(|(_, entry)| entry.flush || entry.durable)
        .flat_map(|(index, _)| [index, index + 1])
        .collect();
    let mut all: Vec<usize> = (range.start..=range.end).collect();
    for (candidates, limit) in [(&mut flushes, count / 2), (&mut all, count)] {
        while moments.len() < limit && !candidates.is_empty() {
            let place = random.below(candidates.len() as u64);
            moments.insert(candidates.swap_remove(usize::try_from(place).unwrap_or_default()));
        }
    }
    moments
}

/// The entries that may still be in the disk's cache after so many.
fn cached(log: &WriteLog, after: usize) -> Range<usize> {
    let entries = log.entries.get(..after).unwrap_or(&log.entries);
    let flushed = entries.iter().rposition(|entry| entry.flush);
    flushed.unwrap_or_default()..entries.len()
}

/// A disk on its way through the log: what is surely on the medium.
#[derive(Debug)]
pub struct Medium<'a> {
    log: &'a WriteLog,
    /// Of so many sectors of the log is one of the disk.
    physical: u64,
    layer: Layer,
    done: usize,
}

impl<'a> Medium<'a> {
    /// The disk before the first write; its own sectors have so many of [`SECTOR`].
    #[must_use]
    pub fn new(log: &'a WriteLog, physical: u64) -> Self {
        Self {
            log,
            physical: physical.max(1),
            layer: Layer::default(),
            done: 0,
        }
    }

    /// Goes forward to a cut, and gives what is surely on the medium, and what happens to be there
    /// of the rest. Cuts must come in their order.
    pub fn cut(&mut self, cut: &Cut) -> (&Layer, Layer) {
        let cached = cached(self.log, cut.after);
        let entries = &self.log.entries;
        for entry in entries.get(self.done..cached.start).unwrap_or_default() {
            apply(entry, |_| true, &mut self.layer);
        }
        self.done = self.done.max(cached.start);
        let mut rest = Layer::default();
        let mut random = match cut.survivors {
            Survivors::Some(draw) | Survivors::Torn(draw) => Random::new(draw),
            Survivors::All | Survivors::None => Random::new(0),
        };
        for entry in entries.get(cached).unwrap_or_default() {
            let whole = match cut.survivors {
                Survivors::All => true,
                Survivors::Some(_) => random.below(2) == 0,
                Survivors::None | Survivors::Torn(_) => false,
            };
            let torn = matches!(cut.survivors, Survivors::Torn(_));
            let (mut last, mut there) = (None, false);
            let keep = |index| {
                let sector = (entry.sector + index) / self.physical;
                if torn && last != Some(sector) {
                    (last, there) = (Some(sector), random.below(2) == 0);
                }
                entry.durable || whole || there
            };
            apply(entry, keep, &mut rest);
        }
        (&self.layer, rest)
    }
}

/// Puts those sectors of an entry that `keep` says yes to into a layer.
fn apply(entry: &Entry, mut keep: impl FnMut(u64) -> bool, layer: &mut Layer) {
    for index in 0..entry.sectors {
        if !keep(index) {
            continue;
        }
        let source = match entry.kind {
            Kind::Write => Source::Log(entry.content + index * SECTOR),
            Kind::Discard => Source::Zeros,
            Kind::Mark => continue,
        };
        layer.insert(entry.sector + index, source);
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Cursor, Write as _};

    use expect_test::expect;
    use proptest::prelude::*;

    use super::super::disk::{Disk, ReadAt as _};
    use super::super::write_log::written;
    use super::*;

    const FLUSH: u64 = 1;
    const FUA: u64 = 2;

    /// Two writes, a flush, two more of which the second covers the first, and one that is durable.
    fn example() -> (Vec<u8>, WriteLog) {
        let content = |byte: u8, sectors: usize| vec![byte; 512 * sectors];
        let bytes = written(
            512,
            &[
                (0, 2, 0, &content(b'a', 2)),
                (3, 1, 0, &content(b'b', 1)),
                (0, 0, FLUSH, &[]),
                (1, 3, 0, &content(b'c', 3)),
                (2, 1, 0, &content(b'd', 1)),
                (4, 1, FUA, &content(b'e', 1)),
            ],
        );
        let log = WriteLog::parse(&mut Cursor::new(&bytes)).unwrap();
        (bytes, log)
    }

    /// The first byte of each of five sectors after a cut; `.` is a sector as it was.
    fn after(cuts: &[Cut]) -> Vec<String> {
        let (bytes, log) = example();
        let file = |bytes: &[u8]| -> File {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(bytes).unwrap();
            file
        };
        let (image, content) = (file(&[b'.'; 5 * 512]), file(&bytes));
        let mut medium = Medium::new(&log, 1);
        let read = |cut| {
            let (sure, rest) = medium.cut(cut);
            let disk = Disk::new(&image, &content, vec![sure, &rest]);
            let mut all = [0; 5 * 512];
            disk.read_at(0, &mut all).unwrap();
            all.chunks(512)
                .map(|sector| char::from(sector[0]))
                .collect()
        };
        cuts.iter().map(read).collect()
    }

    fn cut(after: usize, survivors: Survivors) -> Cut {
        Cut { after, survivors }
    }

    #[test]
    fn what_is_left() {
        let all = (0..=6).map(|after| cut(after, Survivors::All));
        expect![[r#"
            .....
            aa...
            aa.b.
            aa.b.
            accc.
            acdc.
            acdce"#]]
        .assert_eq(&after(&all.collect::<Vec<_>>()).join("\n"));
        let none = (0..=6).map(|after| cut(after, Survivors::None));
        expect![[r#"
            .....
            .....
            .....
            aa.b.
            aa.b.
            aa.b.
            aa.be"#]]
        .assert_eq(&after(&none.collect::<Vec<_>>()).join("\n"));
    }

    #[test]
    fn reorderings_are_all_that_a_cache_can_do() {
        // Sector 0 was flushed; 4 is durable by itself.
        let some: BTreeSet<_> = (0..64)
            .map(|draw| cut(6, Survivors::Some(draw)))
            .flat_map(|cut| after(&[cut]))
            .collect();
        expect![[r#"
            aa.be
            aadbe
            accce
            acdce"#]]
        .assert_eq(&some.into_iter().collect::<Vec<_>>().join("\n"));
        let torn: BTreeSet<_> = (0..64)
            .map(|draw| cut(6, Survivors::Torn(draw)))
            .flat_map(|cut| after(&[cut]))
            .collect();
        expect![[r#"
            aa.be
            aa.ce
            aacbe
            aacce
            aadbe
            aadce
            ac.be
            ac.ce
            accbe
            accce
            acdbe
            acdce"#]]
        .assert_eq(&torn.into_iter().collect::<Vec<_>>().join("\n"));
    }

    #[test]
    fn a_larger_sector_is_whole() {
        let (_, log) = example();
        for draw in 0..64 {
            // Sectors 0 and 1 are one of the disk, and so are 2 and 3.
            let mut medium = Medium::new(&log, 2);
            let (_, rest) = medium.cut(&cut(2, Survivors::Torn(draw)));
            let there: Vec<u64> = rest.sectors().collect();
            assert!(there.contains(&0) == there.contains(&1), "{there:?}");
        }
    }

    #[test]
    fn cuts_are_chosen_by_seed() {
        let (_, log) = example();
        let text = |seed| {
            let cuts = choose(&log, &(1..6), 9, seed);
            let lines: Vec<_> = cuts.iter().map(ToString::to_string).collect();
            lines.join("\n")
        };
        assert_eq!(text(1), text(1));
        assert_ne!(text(1), text(2));
        expect![[r#"
            after 1 writes, in order
            after 3 writes, in order
            after 3 writes, some writes, draw 8042142155559163816
            after 4 writes, in order
            after 4 writes, some sectors, draw 16184226688143867045
            after 4 writes, cache lost
            after 5 writes, in order
            after 5 writes, some writes, draw 11168034603498703870
            after 6 writes, in order"#]]
        .assert_eq(&text(1));
    }

    proptest! {
        #[test]
        fn as_many_as_asked_in_their_order(
            start in 0..6_usize, length in 0..6_usize, count in 2..40_usize, seed: u64,
        ) {
            let (_, log) = example();
            let range = start..(start + length).min(6);
            let cuts = choose(&log, &range, count, seed);
            prop_assert_eq!(cuts.len(), count);
            prop_assert!(cuts.is_sorted_by_key(|cut| cut.after));
            prop_assert!(cuts.iter().all(|cut| range.start <= cut.after && cut.after <= range.end));
            prop_assert_eq!(cuts.first().unwrap().after, range.start);
            prop_assert_eq!(cuts.last().unwrap().after, range.end);
        }
    }
}
