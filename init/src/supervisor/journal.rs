//! A service's log: `/var/log/cairn/<name>.log`, each line with the time it came, and one older
//! file, `<name>.log.1`. Before the first line of each boot, and at the head of each file, stands a line
//! that names the boot.
//!
//! Invariants: at most [`ROTATE_BYTES`] (and one line) a file, two files a service; what the disk
//! does not take goes to the kernel log, at most [`FALLBACK_LINES`] lines a second.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use cairn_sys::kmsg::{self, Priority};

use cairn_system::control::BOOT_MARK;
use cairn_system::log_line::{LINE_BYTES, LeastLevel};
use cairn_system::timestamp;

use crate::clock::Ms;

/// Size at which a file becomes the older one, in bytes.
const ROTATE_BYTES: u64 = 1 << 20;

/// Lines a second and service that go to the kernel log while the disk takes none.
const FALLBACK_LINES: u32 = 10;

/// Bytes of a log that are looked through at once for the last mark of a boot, and how many of them twice:
/// more than a mark has.
const WINDOW: usize = 16_384;
const OVERLAP: u64 = 128;

/// How long a disk that refused is left alone, in milliseconds.
const RETRY_MS: Ms = 5_000;

/// One service's log.
#[derive(Debug)]
pub struct Journal {
    /// Ends in the service's name and `.log`.
    path: Box<Path>,
    /// What is less serious is left out.
    least: Option<LeastLevel>,
    file: Option<File>,
    size: u64,
    retry_at: Ms,
    /// Once the disk has taken nothing.
    fallback: Option<Box<Fallback>>,
}

#[derive(Debug, Default)]
struct Fallback {
    second: Ms,
    lines: u32,
    lost: u64,
}

impl Journal {
    /// The log of `name` below `directory`; no file is made before there is something to write.
    pub fn new(directory: &Path, name: &str) -> Self {
        Self {
            path: directory.join(format!("{name}.log")).into(),
            least: None,
            file: None,
            size: 0,
            retry_at: 0,
            fallback: None,
        }
    }

    /// The same, which lines that are less serious than this are left out of.
    #[must_use]
    pub fn from(self, least: Option<LeastLevel>) -> Self {
        Self { least, ..self }
    }

    /// What is less serious is left out.
    pub fn least(&self) -> Option<LeastLevel> {
        self.least
    }

    /// Logs what a service has written; what is behind the last line feed is a line, too. Times in milliseconds: `wall` since 1970, `now` monotonic.
    pub fn write(&mut self, bytes: &[u8], wall: Ms, now: Ms) {
        let lines = self.stamped(bytes, wall);
        if !lines.is_empty() {
            self.append(&lines, now);
        }
    }

    /// Where the next line will be, in bytes from the beginning of the file; none while the disk takes nothing.
    pub fn end(&mut self, now: Ms) -> Option<u64> {
        (now >= self.retry_at && self.make_ready().is_ok()).then_some(self.size)
    }

    /// As [`Self::write`] of bytes that somebody was about to write where the file ended at `end`, and may have
    /// written in part or as a whole.
    pub fn write_again(&mut self, bytes: &[u8], end: Option<u64>, wall: Ms, now: Ms) {
        let lines = self.stamped(bytes, wall);
        if let Some(end) = end
            && let Ok(file) = open(&self.path)
            && let Ok(size) = file.metadata().map(|metadata| metadata.len())
        {
            // The times are of one length.
            if size == end + lines.len() as u64 {
                return;
            }
            // If that fails, a line is there twice rather than not at all.
            if size > end
                && let Err(error) = file.set_len(end)
            {
                log::warn!("cannot shorten {}: {error}", self.path.display());
            }
        }
        self.append(&lines, now);
    }

    /// Each line that is kept behind the time, the last of them also if it has not ended.
    fn stamped(&self, bytes: &[u8], wall: Ms) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len() + 64);
        let stamp = timestamp(wall);
        let mut rest = bytes;
        while !rest.is_empty() {
            let (line, length) = first_line(rest).unwrap_or((rest, rest.len()));
            if self.least.is_none_or(|least| least.keeps(line)) {
                out.extend_from_slice(stamp.as_bytes());
                out.push(b' ');
                out.extend_from_slice(line);
                out.push(b'\n');
            }
            rest = rest.get(length..).unwrap_or_default();
        }
        out
    }

    fn append(&mut self, lines: &[u8], now: Ms) {
        if now >= self.retry_at {
            match self.try_append(lines) {
                Ok(()) => return,
                Err(error) => {
                    self.file = None;
                    self.retry_at = now.saturating_add(RETRY_MS);
                    kmsg::write(
                        Priority::Warning,
                        &format!(
                            "cairn: cannot write {}: {error}; its lines go here",
                            self.path.display()
                        ),
                    );
                }
            }
        }
        let name = self.path.file_stem().unwrap_or_default();
        (self.fallback.get_or_insert_default()).write(&name.to_string_lossy(), lines, now);
    }

    fn try_append(&mut self, lines: &[u8]) -> io::Result<()> {
        self.make_ready()?.write_all(lines)?;
        self.size += lines.len() as u64;
        Ok(())
    }

    /// The file, with room for lines.
    fn make_ready(&mut self) -> io::Result<&mut File> {
        if self.size >= ROTATE_BYTES {
            self.file = None;
            match fs::rename(&self.path, older(&self.path)) {
                // Somebody has removed it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                renamed => renamed?,
            }
            self.size = 0;
        }
        if self.file.is_none() {
            let mut file = open(&self.path)?;
            self.size = file.metadata()?.len();
            self.size += mark_boot(&mut file, self.size, &boot_id(Path::new("/proc")))?;
            self.file = Some(file);
        }
        self.file
            .as_mut()
            .ok_or_else(|| io::Error::other("there is no file"))
    }
}

impl Fallback {
    fn write(&mut self, name: &str, lines: &[u8], now: Ms) {
        if now / 1000 != self.second {
            self.second = now / 1000;
            self.lines = 0;
            if self.lost > 0 {
                let text = format!("cairn: {name}: {} lines are lost", self.lost);
                kmsg::write(Priority::Warning, &text);
                self.lost = 0;
            }
        }
        for line in lines
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
        {
            if self.lines < FALLBACK_LINES {
                self.lines += 1;
                let text = format!("{name}: {}", String::from_utf8_lossy(line));
                kmsg::write(Priority::Info, &text);
            } else {
                self.lost += 1;
            }
        }
    }
}

/// How many of `bytes` are of lines that have ended, or are so long that they are cut.
pub fn whole(bytes: &[u8]) -> usize {
    let mut whole = 0;
    while let Some((_, length)) = first_line(bytes.get(whole..).unwrap_or_default()) {
        whole += length;
    }
    whole
}

/// The first line, and how many bytes it takes; none if it has not ended yet.
fn first_line(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let mut first = bytes.iter().take(LINE_BYTES + 1);
    match first.position(|byte| *byte == b'\n') {
        Some(end) => Some((bytes.get(..end)?, end + 1)),
        None if bytes.len() > LINE_BYTES => Some((bytes.get(..LINE_BYTES)?, LINE_BYTES)),
        None => None,
    }
}

fn older(path: &Path) -> PathBuf {
    path.with_extension("log.1")
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .create(true)
        .read(true)
        .append(true)
        .mode(0o640)
        .custom_flags(nix::libc::O_NOFOLLOW)
        .open(path)
}

/// Marks where this boot begins, unless that has been done: how many bytes that takes.
fn mark_boot(file: &mut File, size: u64, boot: &str) -> io::Result<u64> {
    if last_boot(file, size)?.as_deref() == Some(boot) {
        return Ok(0);
    }
    let mark = format!("{BOOT_MARK}{boot}\n");
    file.write_all(mark.as_bytes())?;
    Ok(mark.len() as u64)
}

/// The id of this boot; all boots are one where the kernel does not say.
fn boot_id(proc: &Path) -> String {
    let id = fs::read_to_string(proc.join("sys/kernel/random/boot_id"));
    id.map_or_else(|_| "unknown".to_owned(), |id| id.trim_end().to_owned())
}

/// The boot that the last mark in `file`, of this size, names.
fn last_boot(file: &File, size: u64) -> io::Result<Option<String>> {
    let mark = format!("\n{BOOT_MARK}");
    let mut window = vec![0; WINDOW];
    let mut end = size;
    while end > 0 {
        let start = end.saturating_sub(WINDOW as u64);
        let length = usize::try_from(end - start).unwrap_or(0);
        let part = window.get_mut(..length).unwrap_or_default();
        file.read_exact_at(part, start)?;
        let text = String::from_utf8_lossy(part);
        let found = match text.rfind(&mark) {
            Some(at) => text.get(at + mark.len()..),
            None if start == 0 => text.strip_prefix(BOOT_MARK),
            None => None,
        };
        if let Some(id) = found.and_then(|rest| rest.split_once('\n')) {
            return Ok(Some(id.0.to_owned()));
        }
        // A mark may lie across the boundary.
        end = if start == 0 { 0 } else { start + OVERLAP };
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn read(directory: &Path, name: &str) -> String {
        let text = fs::read_to_string(directory.join(name)).unwrap();
        let (mark, text) = text.split_once('\n').unwrap();
        assert!(mark.starts_with(BOOT_MARK), "{mark}");
        text.to_owned()
    }

    #[test]
    fn lines_have_the_time_at_which_they_end() {
        let directory = tempfile::tempdir().unwrap();
        let mut journal = Journal::new(directory.path(), "x");
        journal.write(b"one\n", 0, 0);
        journal.write(b"two\n\n", 1_700_000_000_123, 0);
        journal.write(b"last", 1_709_164_800_001, 0);
        journal.write(b"", 1_709_164_800_002, 0);
        expect![[r#"
            1970-01-01T00:00:00.000Z one
            2023-11-14T22:13:20.123Z two
            2023-11-14T22:13:20.123Z 
            2024-02-29T00:00:00.001Z last
        "#]]
        .assert_eq(&read(directory.path(), "x.log"));
    }

    #[test]
    fn what_is_less_serious_is_left_out() {
        let directory = tempfile::tempdir().unwrap();
        let log = |least: u8| {
            let least = LeastLevel::try_from(least).unwrap();
            let mut journal = Journal::new(directory.path(), "x").from(Some(least));
            journal.write(b"<3>three\n<29>facility, five\nplain\n<7>seven\n<9\n", 0, 0);
            let text = fs::read_to_string(directory.path().join("x.log")).unwrap_or_default();
            if !text.is_empty() {
                fs::remove_file(directory.path().join("x.log")).unwrap();
            }
            let lines = text.lines().filter_map(|line| line.split_once("Z "));
            lines.map(|(_, line)| line.to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(log(2), [""; 0]);
        assert_eq!(log(5), ["<3>three", "<29>facility, five"]);
        assert_eq!(log(6), ["<3>three", "<29>facility, five", "plain", "<9"]);
        assert_eq!(log(7).len(), 5);
        assert!(LeastLevel::try_from(8).is_err());
    }

    #[test]
    fn a_flood_stays_within_two_files() {
        let directory = tempfile::tempdir().unwrap();
        let mut journal = Journal::new(directory.path(), "x");
        for _ in 0..100 {
            journal.write(&vec![b'y'; 65_536], 0, 0);
        }
        let sizes: Vec<u64> = fs::read_dir(directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().metadata().unwrap().len())
            .collect();
        assert_eq!(sizes.len(), 2);
        assert!(
            sizes.iter().all(|size| *size < ROTATE_BYTES + 70_000),
            "{sizes:?}"
        );
    }

    #[test]
    fn lines_that_have_ended_are_told_from_those_that_have_not() {
        let long = vec![b'y'; 2 * LINE_BYTES];
        assert_eq!(whole(b""), 0);
        assert_eq!(whole(b"one"), 0);
        assert_eq!(whole(b"one\n\ntwo"), 5);
        assert_eq!(whole(&long[..LINE_BYTES]), 0);
        assert_eq!(whole(&long[..=LINE_BYTES]), LINE_BYTES);
        assert_eq!(
            whole(&[&long[..LINE_BYTES], b"\n"].concat()),
            LINE_BYTES + 1
        );
        assert_eq!(whole(&[&long[..], b"\n"].concat()), 2 * LINE_BYTES + 1);
    }

    #[test]
    fn what_was_written_in_part_is_written_once() {
        let directory = tempfile::tempdir().unwrap();
        let mut journal = Journal::new(directory.path(), "x");
        journal.write(b"before\n", 0, 0);
        let end = journal.end(0);
        journal.write(b"one\ntwo\n", 0, 0);
        let all = fs::read_to_string(&journal.path).unwrap();
        for length in end.unwrap()..=all.len() as u64 {
            open(&journal.path).unwrap().set_len(length).unwrap();
            let mut next = Journal::new(directory.path(), "x");
            next.write_again(b"one\ntwo\n", end, 0, 0);
            next.write(b"after\n", 0, 0);
            let log = fs::read_to_string(&journal.path).unwrap();
            assert_eq!(log, format!("{all}1970-01-01T00:00:00.000Z after\n"));
        }
    }

    #[test]
    fn a_file_that_somebody_has_removed_is_made_anew() {
        let directory = tempfile::tempdir().unwrap();
        let mut journal = Journal::new(directory.path(), "x");
        journal.write(b"one\n", 0, 0);
        fs::remove_file(directory.path().join("x.log")).unwrap();
        let line = [&[b'y'; 1023][..], b"\n"].concat();
        for second in 0..2000 {
            journal.write(&line, 0, second * 1000);
        }
        journal.write(b"last\n", 0, 3_000_000);
        assert!(journal.fallback.is_none());
        assert!(read(directory.path(), "x.log").ends_with(" last\n"));
    }

    #[test]
    fn boots_are_marked_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.log");
        let mark = |boot: &str| {
            let mut file = open(&path).unwrap();
            let size = file.metadata().unwrap().len();
            mark_boot(&mut file, size, boot).unwrap()
        };
        let write = |text: &[u8]| open(&path).unwrap().write_all(text).unwrap();
        assert_eq!((mark("one"), mark("one")), (12, 0));
        // Wherever the windows end, the mark is found; what a service writes is none.
        for _ in 0..200 {
            write(&[b'x'; 500]);
            write(b"\n2026 -- boot two\n");
            assert_eq!(mark("one"), 0);
        }
        assert_eq!((mark("two"), mark("two"), mark("one")), (12, 0, 12));
    }

    #[test]
    fn a_disk_that_refuses_is_no_failure() {
        let mut journal = Journal::new(Path::new("/proc/nonexistent"), "x");
        journal.write(b"one\n", 0, 1000);
        assert_eq!(journal.retry_at, 6000);
        for _ in 0..50 {
            journal.write(b"two\n", 0, 1500);
        }
        let fallback = journal.fallback.unwrap();
        assert_eq!((fallback.lines, fallback.lost), (10, 41));
    }
}
