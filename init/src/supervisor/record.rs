//! The supervisor's memory: one record of fixed size a service, in a file in memory that core keeps.
//!
//! ```text
//! 0       1        2        3        4..8  8..16         16..24      24..28    28..32
//! phase   running  command  verdict  pid   started (ms)  until (ms)  restarts  streak
//!
//! 32..40             40..44         44..48  48..112  112..128
//! window begin (ms)  window starts  helper  name     zero
//! ```
//! A record is 128 bytes, so that it never crosses a page: one `pwrite` of it is seen whole or not
//! at all, whenever the supervisor is killed. The name is padded with NULs; a record without one is
//! free. Times are of `CLOCK_MONOTONIC`, which goes on.
//!
//! The record's number is the service's slot with core.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::services::{Phase, Restored, Unit, Verdict};

/// Bytes of a record.
pub const BYTES: usize = 128;

const NAME_AT: usize = 48;
const NAME_BYTES: usize = 64;

/// One service, as an earlier supervisor left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The service's name.
    pub name: String,
    /// Its main process; 0 if there is none or it had not been noted yet.
    pub pid: u32,
    /// Its command beside that; 0 if there is none.
    pub helper: u32,
    /// Its state.
    pub restored: Restored,
}

/// Writes the record of the service with this slot.
///
/// # Errors
/// Memory is short.
pub fn write(file: &File, slot: u32, record: &Record) -> io::Result<()> {
    file.write_all_at(&record.encode(), u64::from(slot) * BYTES as u64)
}

/// Reads all records; the place in the list is the slot.
///
/// # Errors
/// The file cannot be read.
pub fn read_all(file: &File) -> io::Result<Vec<Option<Record>>> {
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(0);
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes.chunks_exact(BYTES).map(Record::decode).collect())
}

impl Record {
    /// What is to be noted of a service.
    pub fn new(name: &str, pid: u32, helper: u32, unit: &Unit) -> Self {
        Self {
            name: name.to_owned(),
            pid,
            helper,
            restored: Restored {
                phase: unit.phase.clone(),
                running: unit.running,
                started_at: unit.started_at,
                restarts: unit.restarts,
                streak: unit.streak,
                verdict: unit.verdict.clone(),
                window_start: unit.window_start,
                window_starts: unit.window_starts,
            },
        }
    }

    fn encode(&self) -> [u8; BYTES] {
        let restored = &self.restored;
        let (phase, command, until) = match restored.phase {
            Phase::Stopped => (0_u8, 0, 0),
            Phase::Waiting => (1, 0, 0),
            Phase::Starting => (2, 0, 0),
            Phase::Up => (3, 0, 0),
            Phase::Stopping(until) => (4, 0, until),
            Phase::Killed(until) => (5, 0, until),
            Phase::Backoff(until) => (6, 0, until),
            Phase::Failed(_) => (7, 0, 0),
            Phase::Done => (8, 0, 0),
            Phase::Preparing(command) => (9, command, 0),
            Phase::Finding(until) => (10, 0, until),
            Phase::Finishing(command) => (11, command, 0),
            Phase::Reloading(command) => (12, command, 0),
            Phase::Leaving(command, until) => (13, command, until),
            Phase::Cleaning(command, until) => (14, command, until),
        };
        let verdict = match restored.verdict {
            None => 0,
            Some(Verdict::Requested) => 1,
            Some(Verdict::Finished) => 2,
            Some(Verdict::Bad { restart: false, .. }) => 3,
            Some(Verdict::Bad { restart: true, .. }) => 4,
        };
        // 0 is "never": a machine's first millisecond starts no service.
        let started = restored.started_at.unwrap_or(0);
        let mut bytes = [0; BYTES];
        let fields = [phase, u8::from(restored.running), command, verdict]
            .into_iter()
            .chain(self.pid.to_ne_bytes())
            .chain(started.to_ne_bytes())
            .chain(until.to_ne_bytes())
            .chain(restored.restarts.to_ne_bytes())
            .chain(restored.streak.to_ne_bytes())
            .chain(restored.window_start.to_ne_bytes())
            .chain(restored.window_starts.to_ne_bytes())
            .chain(self.helper.to_ne_bytes())
            .chain(self.name.bytes().take(NAME_BYTES));
        for (byte, field) in bytes.iter_mut().zip(fields) {
            *byte = field;
        }
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let name = bytes.get(NAME_AT..NAME_AT + NAME_BYTES)?;
        let name = name.split(|byte| *byte == 0).next()?;
        let name = std::str::from_utf8(name)
            .ok()
            .filter(|name| !name.is_empty())?;
        let number = |at: usize| Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        let time = |at: usize| Some(u64::from_ne_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        let until = time(16)?;
        let lost = || "it failed before the supervisor was restarted; see its log".to_owned();
        let command = *bytes.get(2)?;
        let phase = match bytes.first()? {
            0 => Phase::Stopped,
            1 => Phase::Waiting,
            2 => Phase::Starting,
            3 => Phase::Up,
            4 => Phase::Stopping(until),
            5 => Phase::Killed(until),
            6 => Phase::Backoff(until),
            7 => Phase::Failed(lost()),
            8 => Phase::Done,
            9 => Phase::Preparing(command),
            10 => Phase::Finding(until),
            11 => Phase::Finishing(command),
            12 => Phase::Reloading(command),
            13 => Phase::Leaving(command, until),
            14 => Phase::Cleaning(command, until),
            _ => return None,
        };
        let bad = |restart| Verdict::Bad {
            reason: lost(),
            restart,
        };
        let verdict = match bytes.get(3)? {
            1 => Some(Verdict::Requested),
            2 => Some(Verdict::Finished),
            3 => Some(bad(false)),
            4 => Some(bad(true)),
            _ => None,
        };
        Some(Self {
            name: name.to_owned(),
            pid: number(4)?,
            helper: number(44)?,
            restored: Restored {
                phase,
                running: bytes.get(1) == Some(&1),
                started_at: time(8).filter(|time| *time != 0),
                restarts: number(24)?,
                streak: number(28)?,
                verdict,
                window_start: time(32)?,
                window_starts: number(40)?,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn phases() -> impl Strategy<Value = Phase> {
        prop_oneof![
            Just(Phase::Stopped),
            Just(Phase::Waiting),
            Just(Phase::Starting),
            Just(Phase::Up),
            any::<u64>().prop_map(Phase::Stopping),
            any::<u64>().prop_map(Phase::Killed),
            any::<u64>().prop_map(Phase::Backoff),
            Just(Phase::Done),
            any::<u8>().prop_map(Phase::Preparing),
            any::<u64>().prop_map(Phase::Finding),
            any::<u8>().prop_map(Phase::Finishing),
            any::<u8>().prop_map(Phase::Reloading),
            any::<(u8, u64)>().prop_map(|(command, until)| Phase::Leaving(command, until)),
            any::<(u8, u64)>().prop_map(|(command, until)| Phase::Cleaning(command, until)),
        ]
    }

    fn verdicts() -> impl Strategy<Value = Option<Verdict>> {
        prop_oneof![
            Just(None),
            Just(Some(Verdict::Requested)),
            Just(Some(Verdict::Finished)),
        ]
    }

    proptest! {
        #[test]
        fn a_record_survives(
            name in "[a-z][a-z0-9.@:-]{0,63}", pid: u32, helper: u32, phase in phases(), running: bool,
            started in proptest::option::of(1..u64::MAX), restarts: u32, streak: u32,
            verdict in verdicts(), window_start: u64, window_starts: u32,
        ) {
            let restored = Restored {
                phase, running, started_at: started, restarts, streak, verdict, window_start, window_starts,
            };
            let record = Record { name, pid, helper, restored };
            prop_assert_eq!(Record::decode(&record.encode()), Some(record));
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>, whole in proptest::collection::vec(any::<u8>(), BYTES)) {
            Record::decode(&bytes);
            Record::decode(&whole);
        }
    }
}
