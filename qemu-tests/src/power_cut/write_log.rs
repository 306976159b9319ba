//! The log that QEMU's driver `blklogwrites` writes of a disk.
//!
//! ```text
//! sector 0    magic u64 | version u64 = 1 | number of entries u64 | bytes in a sector u32
//! then each   sector u64 | number of sectors u64 | flags u64 | length of a mark u64, to a sector's end
//!             the sectors' content, unless the entry is a discard
//! ```
//!
//! Numbers are little-endian. Entries stand in the order in which the guest handed the writes over.
//! Source: the layout is that of Linux's device-mapper target, `dm-log-writes` (kernel document
//! `admin-guide/device-mapper/log-writes`), and QEMU 7.2's driver.
//!
//! Invariant: whatever the bytes are, parsing ends, takes memory in proportion to the entries that
//! are really there, and every content that it names lies inside of the log.

use std::io::{self, Read, Seek, SeekFrom};

const MAGIC: u64 = 0x006a_7366_7773_6872;
const VERSION: u64 = 1;

const FLUSH: u64 = 1 << 0;
const FUA: u64 = 1 << 1;
const DISCARD: u64 = 1 << 2;
const MARK: u64 = 1 << 3;

/// Bytes of the unit in which sectors of entries are counted once they are parsed.
pub const SECTOR: u64 = 512;

/// Bytes of an entry's header that have a meaning.
const HEADER: usize = 32;

/// What a guest did to its disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteLog {
    /// Each write and flush, in order.
    pub entries: Vec<Entry>,
}

/// One write or flush.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: Kind,
    /// The first sector that it changes, in units of [`SECTOR`].
    pub sector: u64,
    /// How many sectors it changes.
    pub sectors: u64,
    /// Where in the log the content of the first sector begins.
    pub content: u64,
    /// Where in the log the entry ends.
    pub end: u64,
    /// All earlier writes were on the medium before this one began.
    pub flush: bool,
    /// This write itself was on the medium when it was done.
    pub durable: bool,
}

/// What an entry does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Changes sectors; none at all if it is only a flush.
    Write,
    /// Gives sectors up: they have their old content, or zeros.
    Discard,
    /// A name for a moment; it changes nothing.
    Mark,
}

/// Why a log cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum WriteLogError {
    /// Reading fails.
    #[error("cannot read the log of writes: {0}")]
    Io(#[from] io::Error),
    /// It does not begin as such a log does.
    #[error(
        "cannot read the log of writes: it is not one, or one of another version than {VERSION}"
    )]
    Format,
    /// Its unit is none.
    #[error("cannot read the log of writes: its sectors have {0} bytes")]
    SectorSize(u32),
    /// An entry cannot be.
    #[error("cannot read the log of writes: {what} in its entry {index}")]
    Entry {
        /// Which, from 0.
        index: u64,
        /// What is wrong with it.
        what: &'static str,
    },
}

impl WriteLog {
    /// Reads the headers; contents are left where they are.
    ///
    /// # Errors
    /// It is no such log, or an entry is cut off or impossible.
    pub fn parse(log: &mut (impl Read + Seek)) -> Result<Self, WriteLogError> {
        let length = log.seek(SeekFrom::End(0))?;
        let Some(header) = read_header(log, 0, length)? else {
            return Err(WriteLogError::Format);
        };
        let [magic, version, count, sector_size] = header;
        if magic != MAGIC || version != VERSION {
            return Err(WriteLogError::Format);
        }
        // Only the lower half of the last word belongs to it.
        let bytes = u32::try_from(sector_size & u64::from(u32::MAX)).unwrap_or_default();
        let unit = u64::from(bytes);
        if !bytes.is_power_of_two() || !(SECTOR..=1 << 20).contains(&unit) {
            return Err(WriteLogError::SectorSize(bytes));
        }
        let mut entries = Vec::new();
        let mut place = unit;
        for index in 0..count {
            let wrong = |what| WriteLogError::Entry { index, what };
            let header = read_header(log, place, length)?.ok_or_else(|| wrong("the log ends"))?;
            let entry = entry(header, place, unit).map_err(wrong)?;
            if entry.end > length {
                return Err(wrong("the log ends"));
            }
            place = entry.end;
            entries.push(entry);
        }
        Ok(Self { entries })
    }

    /// Makes it the log of a disk that leaves everything in its cache, whatever it is told.
    pub fn forget_flushes(&mut self) {
        for entry in &mut self.entries {
            (entry.flush, entry.durable) = (false, false);
        }
    }

    /// How many entries end at or before the byte `length` of the log.
    #[must_use]
    pub fn entries_before(&self, length: u64) -> usize {
        self.entries.partition_point(|entry| entry.end <= length)
    }
}

/// The words of a header at `place`; `None` if the log of `length` bytes ends before.
fn read_header(
    log: &mut (impl Read + Seek),
    place: u64,
    length: u64,
) -> io::Result<Option<[u64; HEADER / 8]>> {
    if place.saturating_add(HEADER as u64) > length {
        return Ok(None);
    }
    log.seek(SeekFrom::Start(place))?;
    let mut words = [0; HEADER / 8];
    for word in &mut words {
        let mut bytes = [0; 8];
        log.read_exact(&mut bytes)?;
        *word = u64::from_le_bytes(bytes);
    }
    Ok(Some(words))
}

fn entry(header: [u64; 4], place: u64, unit: u64) -> Result<Entry, &'static str> {
    let [sector, sectors, flags, mark_length] = header;
    if flags & !(FLUSH | FUA | DISCARD | MARK) != 0 {
        return Err("unknown flags");
    }
    let kind = match (flags & DISCARD != 0, flags & MARK != 0) {
        (false, false) => Kind::Write,
        (true, false) => Kind::Discard,
        (false, true) => Kind::Mark,
        (true, true) => return Err("a discard that is a mark"),
    };
    if kind == Kind::Mark && sectors != 0 {
        return Err("a mark that writes");
    }
    let content = place + unit;
    let stored = match kind {
        Kind::Write => sectors.checked_mul(unit),
        Kind::Discard => Some(0),
        Kind::Mark => mark_length.checked_next_multiple_of(unit),
    };
    let end = stored.and_then(|stored| content.checked_add(stored));
    let scale = unit / SECTOR;
    let scaled = |number: u64| number.checked_mul(scale).ok_or("a sector beyond any disk");
    let (sector, sectors) = (scaled(sector)?, scaled(sectors)?);
    if sector
        .checked_add(sectors)
        .is_none_or(|end| end > u64::MAX / SECTOR)
    {
        return Err("a sector beyond any disk");
    }
    Ok(Entry {
        kind,
        sector,
        sectors,
        content,
        end: end.ok_or("a length beyond any log")?,
        flush: flags & FLUSH != 0,
        durable: flags & FUA != 0,
    })
}

/// A log with these entries, each with the sectors' content or none, in QEMU's layout.
#[cfg(test)]
pub(crate) fn written(unit: u32, entries: &[(u64, u64, u64, &[u8])]) -> Vec<u8> {
    let padded = |words: &[u64]| {
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.resize(unit as usize, 0);
        bytes
    };
    let mut log = padded(&[MAGIC, VERSION, entries.len() as u64, u64::from(unit)]);
    for (sector, sectors, flags, content) in entries {
        log.extend(padded(&[*sector, *sectors, *flags, 0]));
        log.extend(*content);
    }
    log
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use expect_test::expect;
    use proptest::prelude::*;

    use super::*;

    fn parse(bytes: &[u8]) -> Result<WriteLog, WriteLogError> {
        WriteLog::parse(&mut Cursor::new(bytes))
    }

    fn line(entry: &Entry) -> String {
        let Entry {
            kind,
            sector,
            sectors,
            content,
            end,
            ..
        } = entry;
        let flush = if entry.flush { " flush" } else { "" };
        let durable = if entry.durable { " durable" } else { "" };
        format!("{kind:?} {sector}+{sectors} at {content}..{end}{flush}{durable}\n")
    }

    #[test]
    fn entries_are_read() {
        let log = written(
            4096,
            &[
                (3, 1, 0, &[1; 4096]),
                (0, 0, FLUSH, &[]),
                (9, 2, FUA, &[2; 8192]),
                (64, 8, DISCARD, &[]),
                (0, 0, MARK, &[]),
            ],
        );
        let parsed = parse(&log).unwrap();
        let text: String = parsed.entries.iter().map(line).collect();
        expect![[r#"
            Write 24+8 at 8192..12288
            Write 0+0 at 16384..16384 flush
            Write 72+16 at 20480..28672 durable
            Discard 512+64 at 32768..32768
            Mark 0+0 at 36864..36864
        "#]]
        .assert_eq(&text);
        let before = [0, 12287, 12288, 16384, 28671, 1 << 20];
        assert_eq!(
            before.map(|length| parsed.entries_before(length)),
            [0, 0, 1, 2, 2, 5]
        );
    }

    /// The first sector as QEMU 7.2 writes it, of a log with 527 entries.
    #[test]
    fn qemus_own_words() {
        let mut log = vec![0; 512];
        let words = b"rhswfsj\0\x01\0\0\0\0\0\0\0\x0f\x02\0\0\0\0\0\0\0\x02";
        log[..words.len()].copy_from_slice(words);
        let error = parse(&log).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot read the log of writes: the log ends in its entry 0"
        );
    }

    #[test]
    fn what_is_no_log_is_refused() {
        let good = written(512, &[(3, 1, 0, &[1; 512])]);
        let with = |place: usize, word: u64| {
            let mut log = good.clone();
            log[place..place + 8].copy_from_slice(&word.to_le_bytes());
            log
        };
        let texts = [
            Vec::new(),
            with(0, 1),
            with(8, 2),
            with(24, 0),
            with(24, 3 << 9),
            with(16, u64::MAX),
            with(512, u64::MAX),
            with(520, u64::MAX),
            with(520, 1 << 55),
            with(528, 16),
            with(528, DISCARD | MARK),
            good[..good.len() - 1].to_vec(),
        ]
        .map(|log| format!("{}\n", parse(&log).unwrap_err()))
        .concat();
        expect![[r#"
            cannot read the log of writes: it is not one, or one of another version than 1
            cannot read the log of writes: it is not one, or one of another version than 1
            cannot read the log of writes: it is not one, or one of another version than 1
            cannot read the log of writes: its sectors have 0 bytes
            cannot read the log of writes: its sectors have 1536 bytes
            cannot read the log of writes: the log ends in its entry 1
            cannot read the log of writes: a sector beyond any disk in its entry 0
            cannot read the log of writes: a sector beyond any disk in its entry 0
            cannot read the log of writes: a sector beyond any disk in its entry 0
            cannot read the log of writes: unknown flags in its entry 0
            cannot read the log of writes: a discard that is a mark in its entry 0
            cannot read the log of writes: the log ends in its entry 0
        "#]]
        .assert_eq(&texts);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            wanted in prop::collection::vec((0..1_u64 << 40, 0..9_u64, 0..4_u64), 0..20),
        ) {
            let contents: Vec<Vec<u8>> = wanted
                .iter()
                .map(|(_, sectors, _)| vec![7; 512 * usize::try_from(*sectors).unwrap()])
                .collect();
            let entries: Vec<_> = wanted
                .iter()
                .zip(&contents)
                .map(|(&(sector, sectors, flags), content)| (sector, sectors, flags, &content[..]))
                .collect();
            let parsed = parse(&written(512, &entries)).unwrap();
            let read: Vec<_> = parsed
                .entries
                .iter()
                .map(|entry| {
                    let flags = u64::from(entry.flush) | u64::from(entry.durable) << 1;
                    (entry.sector, entry.sectors, flags)
                })
                .collect();
            prop_assert_eq!(read, wanted);
        }

        #[test]
        fn no_bytes_break_it(
            place in 0..2048_usize,
            damage in prop::collection::vec(any::<u8>(), 1..64),
            length in 0..2600_usize,
        ) {
            let mut log = written(512, &[(3, 1, 0, &[1; 512]), (4, 1, 1, &[2; 512])]);
            for (place, byte) in (place..).zip(damage) {
                if let Some(target) = log.get_mut(place) {
                    *target = byte;
                }
            }
            log.truncate(length);
            if let Ok(parsed) = parse(&log) {
                for entry in &parsed.entries {
                    prop_assert!(entry.content <= entry.end && entry.end <= log.len() as u64);
                }
            }
        }
    }
}
