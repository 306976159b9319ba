//! The supervisor's memory: a file in memory that core keeps.
//!
//! ```text
//! 0..4096                     header
//! 4096 + 256 n                record of the service with slot n  (`record`)
//! marks  + 128 n              mark of timer n                    (`timers`)
//! names  + 256 (512 n + m)    name of the m-th descriptor that the service with slot n has left:
//!                             0 length   1.. the name
//! staged ..                   lines on their way to a log        (`intake`)
//! ```
//! where the marks begin behind the 8192nd record, the names 97 MiB later, and what is staged behind the last name.
//! Of all that, memory is used for what has been written.
//!
//! The header, in any version of this form, begins with
//! ```text
//! 0..8 "CAIRNSUP"   8..12 version (1)   12..16 length of toplevel   64..1088 toplevel
//! ```
//! so that a program which does not know the version can at least execute the one that does. Then:
//! ```text
//! 16..20 boot is over (1)   20..24 length of plan   24..28 user space starts again (1)   1088..2112 plan
//! 32..36 slot of the service whose lines are staged   36..40 bytes that are to be   40..48 where its log ended
//! 48..49 lines of how many levels are to be left out of that
//! ```
//! `toplevel` is the generation whose supervisor has written the file. `plan` is the generation for
//! which the records say what is due; without one it is for `toplevel`'s own supervisor.
//!
//! No part but the lines crosses a page, so that one `pwrite` of it is seen whole or not at all, whenever the
//! supervisor is killed. A service's slot is its number with core, too.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;

use cairn_sys::memory_file::memory_file;
use cairn_system::log_line::LeastLevel;
use nix::errno::Errno;
use nix::fcntl::{SpliceFFlags, splice};
use nix::unistd::{Whence, lseek};

use super::record::{self, Record};
use crate::core::SLOTS;

/// The version that is written, and the newest that is read; all older ones are.
pub const VERSION: u32 = 1;

const MAGIC: &[u8] = b"CAIRNSUP";
const PAGE: usize = 4096;
const PATH_BYTES: usize = 1024;
const TOPLEVEL_AT: usize = 64;
const PLAN_AT: usize = TOPLEVEL_AT + PATH_BYTES;

/// Bytes of a timer's mark.
pub const MARK_BYTES: usize = 128;

/// Bytes for all marks.
const ALL_MARKS: usize = 1 << 20;

/// Most descriptors that one service can leave.
pub const STORED: u32 = 512;

/// Bytes of the name of one, its length included.
const NAME_BYTES: usize = 256;

/// Bytes between marks and names, where programs before this one had more.
const GAP_BYTES: usize = SLOTS * 3 * PAGE;

const STAGED_AT: u64 = 32;

/// The file.
#[derive(Debug)]
pub struct State(File);

/// What holds for all services.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Header {
    /// The generation whose supervisor has written the records.
    pub toplevel: String,
    /// The generation for which the records say what is due.
    pub plan: Option<String>,
    /// Everything wanted at boot has been up or has failed.
    pub booted: bool,
    /// User space is starting again: the records hold for what outlives that alone.
    pub restarts: bool,
}

/// Lines on their way from a pipe to a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lines {
    /// Of the service.
    pub slot: u32,
    /// How many bytes there are.
    pub length: u32,
    /// Where its log ended before, if that is known.
    pub end: Option<u64>,
    /// What is less serious is left out.
    pub least: Option<LeastLevel>,
}

/// The level of all lines, were they never so little serious.
const MOST_LEVEL: u8 = 7;

/// Stands for an end that is not known.
const NO_END: u64 = u64::MAX;

/// What a file holds, as far as this program knows.
#[derive(Debug, PartialEq, Eq)]
pub enum Content {
    /// Nothing yet.
    Nothing,
    /// Of a version that this program reads.
    Known(Header),
    /// Of a later version; this generation's program has written it.
    Later(String),
}

impl State {
    /// A new one.
    ///
    /// # Errors
    /// No descriptor or memory is left.
    pub fn new() -> io::Result<Self> {
        memory_file(c"cairn-state").map(Self)
    }

    /// The one that core has kept.
    pub fn adopted(file: File) -> Self {
        Self(file)
    }

    /// Reads the header.
    ///
    /// # Errors
    /// It cannot be read, or no supervisor has written it.
    pub fn content(&self) -> io::Result<Content> {
        if self.0.metadata()?.len() == 0 {
            return Ok(Content::Nothing);
        }
        let mut page = [0; PAGE];
        self.0.read_exact_at(&mut page, 0)?;
        parse_header(&page).ok_or_else(|| io::Error::other("it is no supervisor's state"))
    }

    /// Writes the header.
    ///
    /// # Errors
    /// Memory is short, or a path is too long.
    pub fn write_header(&self, header: &Header) -> io::Result<()> {
        self.0.write_all_at(&header.encode()?, 0)
    }

    /// Writes the record of the service with this slot.
    ///
    /// # Errors
    /// Memory is short.
    pub fn write(&self, slot: u32, record: &Record) -> io::Result<()> {
        self.0.write_all_at(&record.encode(), record_at(slot))
    }

    /// Frees a slot.
    ///
    /// # Errors
    /// Memory is short.
    pub fn clear(&self, slot: u32) -> io::Result<()> {
        self.0.write_all_at(&[0; record::BYTES], record_at(slot))
    }

    /// Reads all records; the place in the list is the slot.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn records(&self) -> io::Result<Vec<Option<Record>>> {
        let length = self.data_end(PAGE as u64, marks_at())? - PAGE as u64;
        let length = usize::try_from(length).unwrap_or(0);
        let mut bytes = vec![0; length];
        self.0.read_exact_at(&mut bytes, PAGE as u64)?;
        let used = bytes.iter().rposition(|byte| *byte != 0);
        let used = used.map_or(0, |last| last / record::BYTES + 1);
        let records = bytes.chunks_exact(record::BYTES).take(used);
        Ok(records.map(Record::decode).collect())
    }

    /// Writes the marks of all timers, in place of those that are there.
    ///
    /// # Errors
    /// Memory is short, or there are more timers than there is room for.
    pub fn write_marks(&self, marks: &[[u8; MARK_BYTES]]) -> io::Result<()> {
        let old = self.marks()?.len();
        if marks.len() * MARK_BYTES > ALL_MARKS {
            return Err(io::Error::other("there are too many timers"));
        }
        let none = vec![[0; MARK_BYTES]; old.saturating_sub(marks.len())];
        let all = [marks, &none].concat();
        self.0.write_all_at(all.as_flattened(), marks_at())
    }

    /// Reads the marks of timers.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn marks(&self) -> io::Result<Vec<[u8; MARK_BYTES]>> {
        let length = self.data_end(marks_at(), marks_at() + ALL_MARKS as u64)? - marks_at();
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        self.0.read_exact_at(&mut bytes, marks_at())?;
        let (marks, _) = bytes.as_chunks();
        let used = marks.iter().rposition(|mark| *mark != [0; MARK_BYTES]);
        Ok(marks
            .get(..used.map_or(0, |last| last + 1))
            .unwrap_or_default()
            .to_vec())
    }

    /// Notes what `lines` are, and moves them from `pipe` here.
    ///
    /// # Errors
    /// As [`Self::move_lines`].
    pub fn stage(&self, lines: &Lines, pipe: BorrowedFd<'_>) -> io::Result<()> {
        let parts = [
            &lines.slot.to_ne_bytes()[..],
            &lines.length.to_ne_bytes(),
            &lines.end.unwrap_or(NO_END).to_ne_bytes(),
            &[lines.least.map_or(0, |least| MOST_LEVEL - u8::from(least))],
        ];
        self.0.write_all_at(&parts.concat(), STAGED_AT)?;
        self.move_lines(lines, pipe)
    }

    /// Moves those of `lines` that are not here yet. Whatever happens to us meanwhile, each byte is in one of both
    /// places.
    ///
    /// # Errors
    /// Memory is short, or not all of them are in the pipe.
    pub fn move_lines(&self, lines: &Lines, pipe: BorrowedFd<'_>) -> io::Result<()> {
        let mut at = self.0.metadata()?.len().max(staged_at());
        let end = staged_at() + u64::from(lines.length);
        while at < end {
            let length = usize::try_from(end - at).unwrap_or(0);
            let mut offset = i64::try_from(at).unwrap_or(i64::MAX);
            let flags = SpliceFFlags::SPLICE_F_NONBLOCK;
            match splice(pipe, None, &self.0, Some(&mut offset), length, flags) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(moved) => at += moved as u64,
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// What is staged, if anything is.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn staged(&self) -> io::Result<Option<(Lines, Vec<u8>)>> {
        let length = self.0.metadata()?.len().saturating_sub(staged_at());
        if length == 0 {
            return Ok(None);
        }
        let mut note = [0; 17];
        self.0.read_exact_at(&mut note, STAGED_AT)?;
        let [s0, s1, s2, s3, l0, l1, l2, l3, end @ .., levels] = note;
        let lines = Lines {
            slot: u32::from_ne_bytes([s0, s1, s2, s3]),
            length: u32::from_ne_bytes([l0, l1, l2, l3]),
            end: Some(u64::from_ne_bytes(end)).filter(|end| *end != NO_END),
            least: (MOST_LEVEL.checked_sub(levels).filter(|_| levels > 0))
                .and_then(|least| least.try_into().ok()),
        };
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        self.0.read_exact_at(&mut bytes, staged_at())?;
        Ok(Some((lines, bytes)))
    }

    /// They are in the log.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn unstage(&self) -> io::Result<()> {
        self.0.set_len(staged_at())
    }

    /// Writes the name of a descriptor that the service with this slot has left.
    ///
    /// # Errors
    /// Memory is short, or the name is too long.
    pub fn write_name(&self, slot: u32, number: u32, name: &str) -> io::Result<()> {
        let length = u8::try_from(name.len()).map_err(io::Error::other)?;
        self.0.write_all_at(
            &[&[length], name.as_bytes()].concat(),
            name_at(slot, number),
        )
    }

    /// Reads it.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn name(&self, slot: u32, number: u32) -> io::Result<String> {
        let mut field = [0; NAME_BYTES];
        // Behind the end there is nothing: a name that was not written is empty.
        let read = self.0.read_at(&mut field, name_at(slot, number))?;
        let field = field.get(..read).unwrap_or_default();
        let length = field.first().copied().map_or(0, usize::from);
        let name = field.get(1..=length).unwrap_or_default();
        Ok(String::from_utf8_lossy(name).into_owned())
    }
}

impl State {
    /// Where in this part what has been written ends; the beginning if nothing has been.
    fn data_end(&self, start: u64, end: u64) -> io::Result<u64> {
        let seek = |at: u64, whence| {
            let at = i64::try_from(at).unwrap_or(i64::MAX);
            match lseek(&self.0, at, whence) {
                Ok(at) => Ok(u64::try_from(at).unwrap_or(end)),
                // There is no more.
                Err(Errno::ENXIO) => Ok(end),
                Err(error) => Err(io::Error::from(error)),
            }
        };
        let mut last = start;
        loop {
            let data = seek(last, Whence::SeekData)?;
            if data >= end {
                return Ok(last);
            }
            last = seek(data, Whence::SeekHole)?.min(end);
        }
    }
}

impl AsFd for State {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Header {
    fn encode(&self) -> io::Result<[u8; PAGE]> {
        let plan = self.plan.as_deref().unwrap_or_default();
        let mut page = [0; PAGE];
        put(&mut page, 0, MAGIC);
        put(&mut page, 8, &VERSION.to_ne_bytes());
        put(&mut page, 12, &length(&self.toplevel)?);
        put(&mut page, 16, &u32::from(self.booted).to_ne_bytes());
        put(&mut page, 20, &length(plan)?);
        put(&mut page, 24, &u32::from(self.restarts).to_ne_bytes());
        put(&mut page, TOPLEVEL_AT, self.toplevel.as_bytes());
        put(&mut page, PLAN_AT, plan.as_bytes());
        Ok(page)
    }
}

fn length(path: &str) -> io::Result<[u8; 4]> {
    u32::try_from(path.len())
        .ok()
        .filter(|_| path.len() <= PATH_BYTES)
        .map(u32::to_ne_bytes)
        .ok_or_else(|| io::Error::other(format!("the path {path} is too long")))
}

fn put(page: &mut [u8; PAGE], at: usize, bytes: &[u8]) {
    for (place, byte) in page.iter_mut().skip(at).zip(bytes) {
        *place = *byte;
    }
}

fn parse_header(page: &[u8]) -> Option<Content> {
    let number = |at: usize| Some(u32::from_ne_bytes(page.get(at..at + 4)?.try_into().ok()?));
    let path = |at: usize, length: u32| {
        let length = usize::try_from(length).ok().filter(|l| *l <= PATH_BYTES)?;
        String::from_utf8(page.get(at..at + length)?.to_vec()).ok()
    };
    if !page.starts_with(MAGIC) {
        return None;
    }
    let toplevel = path(TOPLEVEL_AT, number(12)?)?;
    match number(8)? {
        0 => None,
        1..=VERSION => Some(Content::Known(Header {
            toplevel,
            plan: Some(path(PLAN_AT, number(20)?)?).filter(|plan| !plan.is_empty()),
            booted: number(16)? == 1,
            restarts: number(24)? == 1,
        })),
        _ => Some(Content::Later(toplevel)),
    }
}

fn record_at(slot: u32) -> u64 {
    PAGE as u64 + u64::from(slot) * record::BYTES as u64
}

fn marks_at() -> u64 {
    (PAGE + SLOTS * record::BYTES) as u64
}

fn name_at(slot: u32, number: u32) -> u64 {
    let place = u64::from(slot) * u64::from(STORED) + u64::from(number % STORED);
    marks_at() + (ALL_MARKS + GAP_BYTES) as u64 + place * NAME_BYTES as u64
}

fn staged_at() -> u64 {
    name_at(u32::try_from(SLOTS).unwrap_or(u32::MAX), 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    #[test]
    fn parts_come_back_and_do_not_meet() {
        let state = State::new().unwrap();
        assert_eq!(state.content().unwrap(), Content::Nothing);
        let header = Header {
            toplevel: "/nix/store/x".to_owned(),
            plan: Some("/nix/store/y".to_owned()),
            booted: true,
            restarts: true,
        };
        state.write_header(&header).unwrap();
        assert_eq!(state.content().unwrap(), Content::Known(header));
        assert_eq!(state.records().unwrap(), []);
        let last = u32::try_from(SLOTS).unwrap() - 1;
        state.write(1, &Record::fresh("one")).unwrap();
        state
            .write_marks(&[[7; MARK_BYTES], [8; MARK_BYTES]])
            .unwrap();
        let one = Some(Record::fresh("one"));
        assert_eq!(state.records().unwrap(), [None, one.clone()]);
        state.write(last, &Record::fresh("last")).unwrap();
        assert_eq!(state.records().unwrap().len(), SLOTS);
        assert_eq!(state.marks().unwrap(), [[7; MARK_BYTES], [8; MARK_BYTES]]);
        assert_eq!(state.staged().unwrap(), None);
        let lines = Lines {
            slot: last,
            length: 8,
            end: Some(1 << 40),
            least: LeastLevel::try_from(4).ok(),
        };
        let (reader, writer) = cairn_sys::process::pipe().unwrap();
        let mut writer = File::from(writer);
        writer.write_all(b"one\n").unwrap();
        let error = state.stage(&lines, reader.as_fd()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        let begun = Some((lines.clone(), b"one\n".to_vec()));
        assert_eq!(state.staged().unwrap(), begun);
        writer.write_all(b"two\nthree").unwrap();
        state.move_lines(&lines, reader.as_fd()).unwrap();
        assert_eq!(
            state.staged().unwrap(),
            Some((lines, b"one\ntwo\n".to_vec()))
        );
        assert_eq!(state.records().unwrap().len(), SLOTS);
        assert_eq!(state.marks().unwrap(), [[7; MARK_BYTES], [8; MARK_BYTES]]);
        state.write_name(2, 511, "one").unwrap();
        state.write_name(3, 0, &"x".repeat(255)).unwrap();
        state.write_name(last, 511, "last").unwrap();
        assert!(state.write_name(0, 0, &"x".repeat(256)).is_err());
        let names = [(2, 511), (3, 0), (3, 1), (last, 511)];
        let names = names.map(|(slot, number)| state.name(slot, number).unwrap());
        assert_eq!(names, ["one", &"x".repeat(255), "", "last"]);
        state.unstage().unwrap();
        assert_eq!(state.staged().unwrap(), None);
        assert_eq!(state.name(last, 511).unwrap(), "last");
        state.write_marks(&[]).unwrap();
        state.clear(last).unwrap();
        assert_eq!(state.marks().unwrap(), [[0; MARK_BYTES]; 0]);
        assert_eq!(state.records().unwrap(), [None, one]);
    }

    #[test]
    fn a_later_version_says_whose_it_is() {
        let header = Header {
            toplevel: "/nix/store/x".to_owned(),
            ..Header::default()
        };
        let mut page = header.encode().unwrap();
        page[8] = 200;
        assert_eq!(
            parse_header(&page),
            Some(Content::Later("/nix/store/x".to_owned()))
        );
    }

    #[test]
    fn parts_do_not_cross_pages() {
        assert_eq!(PAGE % record::BYTES, 0);
        assert_eq!(PAGE % MARK_BYTES, 0);
        assert_eq!(PAGE % NAME_BYTES, 0);
        const { assert!(PLAN_AT + PATH_BYTES <= PAGE) };
    }

    proptest! {
        #[test]
        fn any_page_is_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..PAGE), known: bool) {
            let mut page = [0; PAGE];
            put(&mut page, 0, &bytes);
            if known {
                put(&mut page, 0, MAGIC);
            }
            parse_header(&page);
        }
    }
}
