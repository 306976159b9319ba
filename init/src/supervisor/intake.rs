//! What services write on its way from their pipes to their logs: each byte gets there once, whenever we are killed.
//!
//! What we had read would be lost with us, and what we had logged but not noted would be logged again. So
//!
//! 1. `tee(2)` copies what is in a pipe to one of our own, where we look for lines. The service's own keeps all of it.
//! 2. The state notes whose lines they are, how many bytes, and where the log ends.
//! 3. `splice(2)` moves them to the state's end ([`State::stage`]).
//! 4. They are appended to the log, and cut off from the state.
//!
//! Who comes after us finds nothing staged, or lines and where in the log they begin, and does the rest ([`finish`]).
//! A line that has not ended stays in the pipe.
//!
//! Invariant: between two calls nothing is staged.
//!
//! Source: tee(2), splice(2); `iter_file_splice_write` in Linux' fs/splice.c takes out of a pipe what has been written,
//! also where a signal ends that early.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

use cairn_sys::process;
use cairn_system::log_line::LINE_BYTES;
use nix::errno::Errno;
use nix::fcntl::{SpliceFFlags, tee};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::read;

use super::heir::Estate;
use super::journal::{self, Journal};
use super::record::Record;
use super::state::{Lines, State};
use crate::clock::{now, since_epoch};

/// Most bytes that are looked at at once: more than the longest line has.
const LOOK_BYTES: usize = 2 * LINE_BYTES;

/// The pipe in which we look at what is in others.
#[derive(Debug)]
pub struct Intake {
    reader: OwnedFd,
    writer: OwnedFd,
}

/// Where lines go to.
pub struct Log<'a> {
    /// The service's place in the state.
    pub slot: u32,
    /// Its log.
    pub journal: &'a mut Journal,
    /// Where they are in between.
    pub state: &'a State,
}

/// Where to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// At a line that has not ended, unless there is no room for the rest of it.
    Line,
    /// When nothing is left.
    Nothing,
}

/// What has come of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// So many bytes are in the log; there may be more.
    Bytes(usize),
    /// There is nothing, for now.
    Nothing,
    /// Nor will there be.
    End,
}

impl Intake {
    /// # Errors
    /// No descriptor is left.
    pub fn new() -> io::Result<Self> {
        let (reader, writer) = process::pipe()?;
        Ok(Self { reader, writer })
    }

    /// Logs some of the lines in `pipe`.
    ///
    /// # Errors
    /// The pipe cannot be read.
    pub fn take(&self, pipe: BorrowedFd<'_>, log: &mut Log<'_>, until: Until) -> io::Result<Taken> {
        let mut buffer = [0; LOOK_BYTES];
        let seen = match tee(
            pipe,
            &self.writer,
            LOOK_BYTES,
            SpliceFFlags::SPLICE_F_NONBLOCK,
        ) {
            Ok(0) => return Ok(Taken::End),
            Ok(_) => read(&self.reader, &mut buffer)?,
            Err(Errno::EAGAIN) => return Ok(Taken::Nothing),
            Err(error) => return Err(error.into()),
        };
        let seen = buffer.get(..seen).unwrap_or_default();
        let lines = match journal::whole(seen) {
            0 if until == Until::Nothing || is_full(pipe)? => seen,
            0 => return Ok(Taken::Nothing),
            whole => seen.get(..whole).unwrap_or_default(),
        };
        let staged = Lines {
            slot: log.slot,
            length: u32::try_from(lines.len()).unwrap_or(u32::MAX),
            end: log.journal.end(now()),
            least: log.journal.least(),
        };
        if let Err(error) = log.state.stage(&staged, pipe) {
            log::warn!("cannot keep lines for a successor: {error}");
            let kept = log.state.staged()?.map_or(0, |(_, bytes)| bytes.len());
            let mut rest = vec![0; lines.len().saturating_sub(kept)];
            read(pipe, &mut rest)?;
        }
        log.journal.write(lines, since_epoch(), now());
        log.state.unstage()?;
        Ok(Taken::Bytes(lines.len()))
    }
}

/// Whether nothing can be written to it before something is taken out.
fn is_full(pipe: BorrowedFd<'_>) -> io::Result<bool> {
    let mut room = [PollFd::new(pipe, PollFlags::POLLOUT)];
    Ok(poll(&mut room, PollTimeout::ZERO)? == 0)
}

/// Does what a predecessor had begun when it was killed.
///
/// # Errors
/// The state cannot be read.
pub fn finish(
    state: &State,
    records: &[Option<Record>],
    estate: &Estate,
    logs: &Path,
) -> io::Result<()> {
    let Some((lines, _)) = state.staged()? else {
        return Ok(());
    };
    if let Some(pipe) = estate.log(lines.slot)
        && let Err(error) = state.move_lines(&lines, pipe)
    {
        log::warn!("cannot take the rest of a service's lines: {error}");
    }
    let place = usize::try_from(lines.slot).unwrap_or(usize::MAX);
    if let (Some((_, bytes)), Some(Some(record))) = (state.staged()?, records.get(place)) {
        let mut journal = Journal::new(logs, &record.name).from(lines.least);
        journal.write_again(&bytes, lines.end, since_epoch(), now());
    }
    state.unstage()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::message::Place;
    use crate::supervisor::held::Pipe;
    use std::fs::{self, File};
    use std::io::Write;
    use std::os::fd::AsFd;

    fn taken(pipe: &Pipe, state: &State, directory: &Path, until: Until) -> (Vec<Taken>, String) {
        let mut journal = Journal::new(directory, "x");
        let mut log = Log {
            slot: 3,
            journal: &mut journal,
            state,
        };
        let intake = Intake::new().unwrap();
        let mut all = Vec::new();
        while let taken @ Taken::Bytes(_) = intake.take(pipe.as_fd(), &mut log, until).unwrap() {
            all.push(taken);
            assert_eq!(state.staged().unwrap(), None);
        }
        let text = fs::read_to_string(directory.join("x.log")).unwrap_or_default();
        let lines = text.split_inclusive('\n');
        let lines = lines.filter_map(|line| line.split_once("Z "));
        (all, lines.map(|(_, line)| line).collect())
    }

    #[test]
    fn a_line_that_has_not_ended_stays_in_the_pipe() {
        let directory = tempfile::tempdir().unwrap();
        let (pipe, state) = (Pipe::new().unwrap(), State::new().unwrap());
        let mut writer = File::from(pipe.writer().unwrap());
        writer.write_all(b"one\ntwo\nthr").unwrap();
        let take = |until| taken(&pipe, &state, directory.path(), until);
        let first = (vec![Taken::Bytes(8)], "one\ntwo\n".to_owned());
        assert_eq!(take(Until::Line), first);
        assert_eq!(take(Until::Line), (vec![], first.1));
        writer.write_all(b"ee\nfour").unwrap();
        let all = (
            vec![Taken::Bytes(6), Taken::Bytes(4)],
            "one\ntwo\nthree\nfour\n".to_owned(),
        );
        assert_eq!(take(Until::Nothing), all);
    }

    #[test]
    fn a_line_for_whose_end_there_is_no_room_is_cut() {
        let directory = tempfile::tempdir().unwrap();
        let (pipe, state) = (Pipe::new().unwrap(), State::new().unwrap());
        nix::fcntl::fcntl(pipe.as_fd(), nix::fcntl::FcntlArg::F_SETPIPE_SZ(4096)).unwrap();
        let mut writer = File::from(pipe.writer().unwrap());
        let part = "x".repeat(4096);
        writer.write_all(part.as_bytes()).unwrap();
        let took = taken(&pipe, &state, directory.path(), Until::Line);
        assert_eq!(took, (vec![Taken::Bytes(4096)], format!("{part}\n")));
    }

    #[test]
    fn what_was_begun_is_finished() {
        let (pipe, state) = (Pipe::new().unwrap(), State::new().unwrap());
        let mut writer = File::from(pipe.writer().unwrap());
        writer.write_all(b"one\ntwo").unwrap();
        let lines = Lines {
            slot: 0,
            length: 13,
            end: None,
            least: None,
        };
        state.stage(&lines, pipe.as_fd()).unwrap_err();
        writer.write_all(b" ends\nthree\n").unwrap();
        let kept = vec![(Place::Log { slot: 0 }, pipe.reader().unwrap())];
        let directory = tempfile::tempdir().unwrap();
        let records = [Some(Record::fresh("x"))];
        finish(&state, &records, &Estate::of(kept), directory.path()).unwrap();
        assert_eq!(state.staged().unwrap(), None);
        let (_, log) = taken(&pipe, &state, directory.path(), Until::Line);
        assert_eq!(log, "one\ntwo ends\nthree\n");
    }
}
