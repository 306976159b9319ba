//! The supervisor's memory: one record of fixed size a service, in a file in memory that core keeps.
//!
//! ```text
//! 0       1        2..4     4..8  8..16        16..24     24..28     28..32   32..48  48..112
//! phase   running  reserved pid   started (ms) until (ms) restarts   streak   zero    name
//! ```
//! A record is 128 bytes, so that it never crosses a page: one `pwrite` of it is seen whole or not
//! at all, whenever the supervisor is killed. The name is padded with NULs; a record without one is
//! free. Times are of `CLOCK_MONOTONIC`, which goes on.
//!
//! The record's number is the service's slot with core.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::services::{Phase, Restored, Unit};

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
    pub fn new(name: &str, pid: u32, unit: &Unit) -> Self {
        Self {
            name: name.to_owned(),
            pid,
            restored: Restored {
                phase: unit.phase.clone(),
                running: unit.running,
                started_at: unit.started_at,
                restarts: unit.restarts,
                streak: unit.streak,
            },
        }
    }

    fn encode(&self) -> [u8; BYTES] {
        let restored = &self.restored;
        let (phase, until) = match restored.phase {
            Phase::Stopped => (0_u8, 0),
            Phase::Waiting => (1, 0),
            Phase::Starting => (2, 0),
            Phase::Up => (3, 0),
            Phase::Stopping(until) => (4, until),
            Phase::Killed(until) => (5, until),
            Phase::Backoff(until) => (6, until),
            Phase::Failed(_) => (7, 0),
        };
        // 0 is "never": a machine's first millisecond starts no service.
        let started = restored.started_at.unwrap_or(0);
        let mut bytes = [0; BYTES];
        let fields = [phase, u8::from(restored.running), 0, 0]
            .into_iter()
            .chain(self.pid.to_ne_bytes())
            .chain(started.to_ne_bytes())
            .chain(until.to_ne_bytes())
            .chain(restored.restarts.to_ne_bytes())
            .chain(restored.streak.to_ne_bytes())
            .chain([0; 16])
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
        let phase = match bytes.first()? {
            0 => Phase::Stopped,
            1 => Phase::Waiting,
            2 => Phase::Starting,
            3 => Phase::Up,
            4 => Phase::Stopping(until),
            5 => Phase::Killed(until),
            6 => Phase::Backoff(until),
            7 => Phase::Failed("it failed before the supervisor was restarted; see its log".into()),
            _ => return None,
        };
        Some(Self {
            name: name.to_owned(),
            pid: number(4)?,
            restored: Restored {
                phase,
                running: bytes.get(1) == Some(&1),
                started_at: time(8).filter(|time| *time != 0),
                restarts: number(24)?,
                streak: number(28)?,
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
        ]
    }

    proptest! {
        #[test]
        fn a_record_survives(
            name in "[a-z][a-z0-9.@:-]{0,63}", pid: u32, phase in phases(), running: bool,
            started in proptest::option::of(1..u64::MAX), restarts: u32, streak: u32,
        ) {
            let restored = Restored { phase, running, started_at: started, restarts, streak };
            let record = Record { name, pid, restored };
            prop_assert_eq!(Record::decode(&record.encode()), Some(record));
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>, whole in proptest::collection::vec(any::<u8>(), BYTES)) {
            Record::decode(&bytes);
            Record::decode(&whole);
        }
    }
}
