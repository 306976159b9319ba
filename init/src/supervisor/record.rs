//! One service in the supervisor's memory (`state`): a record of fixed size.
//!
//! ```text
//! 0       1        2        3        4..8  8..16         16..24      24..28    28..32
//! phase   running  command  verdict  pid   started (ms)  until (ms)  restarts  streak
//!
//! 32..40             40..44         44..48  48..112  112..120    120   121      122  123
//! window begin (ms)  window starts  helper  name     ended (ms)  goal  stopped  due  settled
//!                                                                      by
//! 124                125   126       127       128..236  236..240  240..248       248..256
//! exit kind,         exit  instance  disabled  text      owed to   extended (ms)  up (ms)
//! outcome << 2
//!
//! owed to: exit | exit kind << 8 | outcome << 10 | slot << 14 | 0b11111 << 27
//! ```
//! What programs of before do not know is such that they take it for something near: a process whose readiness
//! is looked at is 'starting' with a time, one that reads its configuration again 'up' with a time, and in
//! place of 'disabled' stands [`FROZEN`].
//!
//! The name and the text (why it failed, or a note) are padded with NULs; a record without a name is
//! free. Times are of `CLOCK_MONOTONIC`, which goes on; 0 is 'never', since a machine's first
//! millisecond starts no service. Older programs have written text up to the end, where times are now:
//! letters make a number that no clock reaches, and no text has a byte that begins with five ones.

use cairn_sys::process::Exit;

use super::services::{Due, Goal, Outcome, Owed, Phase, Restored, StoppedBy, Unit, Verdict};

/// Bytes of a record.
pub const BYTES: usize = 256;

/// No process has such a number.
pub const ENDED: u32 = 1 << 31;

const NAME_AT: usize = 48;
const NAME_BYTES: usize = 64;
const TEXT_AT: usize = 128;
const OWED_AT: usize = 236;
const EXTENDED_AT: usize = 240;
const UP_AT: usize = 248;

/// Its processes stand still. What is disabled has none.
const FROZEN: u8 = 2;

/// The bits of what a start is owed to that are always set.
const OWED: u32 = 0b11111 << 27;

/// What is no time but text, in milliseconds: 34,000 years.
const NO_TIME: u64 = 1 << 50;

/// One service, as an earlier supervisor left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The service's name.
    pub name: String,
    /// Its main process; 0 if there is none or it had not been noted yet. With [`ENDED`], one whose end is
    /// accounted for.
    pub pid: u32,
    /// Its command beside that; 0 if there is none.
    pub helper: u32,
    /// Its state.
    pub restored: Restored,
}

impl Record {
    /// What is to be noted of a service.
    pub fn new(name: &str, pid: u32, helper: u32, unit: &Unit) -> Self {
        Self {
            name: name.to_owned(),
            pid,
            helper,
            restored: Restored::of(unit),
        }
    }

    /// A service that no supervisor has had yet.
    pub fn fresh(name: &str) -> Self {
        Self::new(name, 0, 0, &Unit::default())
    }

    /// Whether what follows from the end of this process is noted: it is no longer the main one, although core may
    /// still keep it.
    pub fn accounts_for(&self, pid: u32) -> bool {
        self.pid == pid | ENDED
    }

    /// Its bytes. A text that is too long is cut.
    pub fn encode(&self) -> [u8; BYTES] {
        let restored = &self.restored;
        let (phase, command, until) = match restored.phase {
            Phase::Stopped => (0_u8, 0, 0),
            Phase::Waiting => (1, 0, 0),
            Phase::Starting => (2, 0, 0),
            Phase::Proving(until) => (2, 0, until.max(1)),
            Phase::Up => (3, 0, 0),
            Phase::Refreshing(begun, until) => (3, u8::from(begun), until.max(1)),
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
        let (exit_kind, exit) = encode_exit(restored.last_exit);
        let goal = match restored.goal {
            Goal::Down => 0,
            Goal::Up => 1,
            Goal::Again => 2,
        };
        let stopped_by = match restored.stopped_by {
            None => 0,
            Some(StoppedBy::Hand) => 1,
            Some(StoppedBy::Switch) => 2,
        };
        let due = match restored.due {
            None => 0,
            Some(Due::Start) => 1,
            Some(Due::Restart) => 2,
            Some(Due::Reload) => 3,
        };
        let text = match (&restored.phase, &restored.verdict, &restored.note) {
            (Phase::Failed(reason), ..) | (_, Some(Verdict::Bad { reason, .. }), _) => reason,
            (_, _, Some(note)) => note,
            _ => "",
        };
        let standstill = if restored.frozen {
            FROZEN
        } else {
            u8::from(restored.disabled)
        };
        let mut bytes = [0; BYTES];
        let fields = [phase, u8::from(restored.running), command, verdict]
            .into_iter()
            .chain(self.pid.to_ne_bytes())
            .chain(restored.started_at.unwrap_or(0).to_ne_bytes())
            .chain(until.to_ne_bytes())
            .chain(restored.restarts.to_ne_bytes())
            .chain(restored.streak.to_ne_bytes())
            .chain(restored.window_start.to_ne_bytes())
            .chain(restored.window_starts.to_ne_bytes())
            .chain(self.helper.to_ne_bytes())
            .chain(padded::<NAME_BYTES>(&self.name))
            .chain(restored.ended_at.unwrap_or(0).to_ne_bytes())
            .chain([goal, stopped_by, due, u8::from(restored.settled)])
            .chain([exit_kind | restored.outcome.number() << 2, exit])
            .chain([u8::from(restored.instance), standstill])
            .chain(padded::<{ OWED_AT - TEXT_AT }>(text))
            .chain(restored.owed.map_or(0, encode_owed).to_ne_bytes())
            .chain(restored.extended_to.unwrap_or(0).to_ne_bytes())
            .chain(restored.up_at.unwrap_or(0).to_ne_bytes());
        for (byte, field) in bytes.iter_mut().zip(fields) {
            *byte = field;
        }
        bytes
    }

    /// Undoes it; none for a free record.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let name = unpadded(bytes.get(NAME_AT..NAME_AT + NAME_BYTES)?);
        let name = String::from_utf8(name.to_vec())
            .ok()
            .filter(|name| !name.is_empty())?;
        let text = unpadded(bytes.get(TEXT_AT..OWED_AT)?);
        let text = String::from_utf8_lossy(text).into_owned();
        let number = |at: usize| Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        let time = |at: usize| Some(u64::from_ne_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        let until = time(16)?;
        let command = *bytes.get(2)?;
        let phase = match bytes.first()? {
            0 => Phase::Stopped,
            1 => Phase::Waiting,
            2 if until != 0 => Phase::Proving(until),
            2 => Phase::Starting,
            3 if until != 0 => Phase::Refreshing(command == 1, until),
            3 => Phase::Up,
            4 => Phase::Stopping(until),
            5 => Phase::Killed(until),
            6 => Phase::Backoff(until),
            7 => Phase::Failed(text.clone()),
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
            reason: text.clone(),
            restart,
        };
        let verdict = match bytes.get(3)? {
            1 => Some(Verdict::Requested),
            2 => Some(Verdict::Finished),
            3 => Some(bad(false)),
            4 => Some(bad(true)),
            _ => None,
        };
        let (exit_kind, exit) = (*bytes.get(124)?, *bytes.get(125)?);
        let is_note = !matches!(phase, Phase::Failed(_))
            && !matches!(verdict, Some(Verdict::Bad { .. }))
            && !text.is_empty();
        Some(Self {
            name,
            pid: number(4)?,
            helper: number(44)?,
            restored: Restored {
                phase,
                goal: match bytes.get(120)? {
                    1 => Goal::Up,
                    2 => Goal::Again,
                    _ => Goal::Down,
                },
                running: bytes.get(1) == Some(&1),
                helper: number(44)? != 0,
                settled: bytes.get(123) == Some(&1),
                started_at: time(8).filter(|time| *time != 0),
                ended_at: time(112).filter(|time| *time != 0),
                restarts: number(24)?,
                streak: number(28)?,
                last_exit: decode_exit(exit_kind & 3, exit),
                outcome: Outcome::numbered(exit_kind >> 2).unwrap_or_default(),
                owed: decode_owed(number(OWED_AT)?),
                verdict,
                window_start: time(32)?,
                window_starts: number(40)?,
                note: is_note.then_some(text),
                stopped_by: match bytes.get(121)? {
                    1 => Some(StoppedBy::Hand),
                    2 => Some(StoppedBy::Switch),
                    _ => None,
                },
                due: match bytes.get(122)? {
                    1 => Some(Due::Start),
                    2 => Some(Due::Restart),
                    3 => Some(Due::Reload),
                    _ => None,
                },
                instance: bytes.get(126) == Some(&1),
                disabled: bytes.get(127) == Some(&1),
                frozen: bytes.get(127) == Some(&FROZEN),
                up_at: time(UP_AT).filter(|time| (1..NO_TIME).contains(time)),
                extended_to: time(EXTENDED_AT).filter(|time| (1..NO_TIME).contains(time)),
            },
        })
    }
}

fn encode_exit(exit: Option<Exit>) -> (u8, u8) {
    match exit {
        None => (0, 0),
        Some(Exit::Status(status)) => (1, u8::try_from(status).unwrap_or(u8::MAX)),
        Some(Exit::Signal(signal)) => (2, u8::try_from(signal).unwrap_or(u8::MAX)),
    }
}

fn decode_exit(kind: u8, exit: u8) -> Option<Exit> {
    match kind {
        1 => Some(Exit::Status(exit.into())),
        2 => Some(Exit::Signal(exit.into())),
        _ => None,
    }
}

/// The other service's place is its slot here; one that has none as it should is left out.
fn encode_owed(owed: Owed) -> u32 {
    let (kind, exit) = encode_exit(owed.exit);
    let slot = u32::try_from(owed.to).unwrap_or(u32::MAX);
    if slot >= 1 << 13 {
        return 0;
    }
    let outcome = u32::from(owed.outcome.number());
    u32::from(exit) | u32::from(kind) << 8 | outcome << 10 | slot << 14 | OWED
}

fn decode_owed(number: u32) -> Option<Owed> {
    let [exit, kind, ..] = number.to_le_bytes();
    let outcome = u8::try_from(number >> 10 & 0b1111).ok();
    (number & OWED == OWED).then_some(())?;
    Some(Owed {
        to: usize::try_from(number >> 14 & ((1 << 13) - 1)).ok()?,
        outcome: Outcome::numbered(outcome?)?,
        exit: decode_exit(kind & 3, exit),
    })
}

/// A text in a field of this size, cut between characters if need be.
fn padded<const SIZE: usize>(text: &str) -> [u8; SIZE] {
    let mut field = [0; SIZE];
    let end = text.floor_char_boundary(SIZE);
    for (byte, own) in field.iter_mut().zip(text.bytes().take(end)) {
        *byte = own;
    }
    field
}

fn unpadded(field: &[u8]) -> &[u8] {
    let end = field.iter().position(|byte| *byte == 0);
    field.get(..end.unwrap_or(field.len())).unwrap_or_default()
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use proptest::prelude::*;

    fn phases() -> impl Strategy<Value = Phase> {
        prop_oneof![
            Just(Phase::Stopped),
            Just(Phase::Waiting),
            Just(Phase::Starting),
            Just(Phase::Up),
            (1..u64::MAX).prop_map(Phase::Proving),
            (any::<bool>(), 1..u64::MAX).prop_map(|(begun, until)| Phase::Refreshing(begun, until)),
            any::<u64>().prop_map(Phase::Stopping),
            any::<u64>().prop_map(Phase::Killed),
            any::<u64>().prop_map(Phase::Backoff),
            "[a-z]{1,20}".prop_map(Phase::Failed),
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

    fn exits() -> impl Strategy<Value = Option<Exit>> {
        prop_oneof![
            Just(None),
            (0..256).prop_map(|status| Some(Exit::Status(status))),
            (1..65).prop_map(|signal| Some(Exit::Signal(signal))),
        ]
    }

    fn outcomes() -> impl Strategy<Value = Outcome> {
        (0..9_u8).prop_map(|number| Outcome::numbered(number).unwrap())
    }

    fn one_of<T: Clone + std::fmt::Debug + 'static>(all: &[T]) -> impl Strategy<Value = T> {
        prop::sample::select(all.to_vec())
    }

    prop_compose! {
        /// Any record of the service of this name.
        pub fn any_record(name: String)(
            numbers: (u32, u32, u32, u32, u32),
            phase in phases(),
            flags: (bool, bool, bool, bool, bool),
            times in (proptest::option::of(1..u64::MAX), proptest::option::of(1..u64::MAX), any::<u64>()),
            (up_at, extended_to) in (proptest::option::of(1..NO_TIME), proptest::option::of(1..NO_TIME)),
            verdict in verdicts(),
            last_exit in exits(),
            note in proptest::option::of("[a-z]{1,100}"),
            goal in one_of(&[Goal::Up, Goal::Down, Goal::Again]),
            stopped_by in one_of(&[None, Some(StoppedBy::Hand), Some(StoppedBy::Switch)]),
            due in one_of(&[None, Some(Due::Start), Some(Due::Restart), Some(Due::Reload)]),
            (outcome, owed) in (outcomes(), proptest::option::of((0..1_usize << 13, outcomes(), exits()))),
        ) -> Record {
            let (pid, helper, restarts, streak, window_starts) = numbers;
            let (running, settled, instance, disabled, frozen) = flags;
            let disabled = disabled && !frozen;
            let (started_at, ended_at, window_start) = times;
            let note = note.filter(|_| !matches!(phase, Phase::Failed(_)));
            let owed = owed.map(|(to, outcome, exit)| Owed { to, outcome, exit });
            let restored = Restored {
                outcome, owed,
                phase, goal, running, helper: helper != 0, settled, started_at, ended_at, restarts, streak,
                last_exit, verdict, window_start, window_starts, note, stopped_by, due, instance,
                up_at, extended_to, disabled, frozen,
            };
            Record { name: name.clone(), pid, helper, restored }
        }
    }

    proptest! {
        #[test]
        fn a_record_survives(record in "[a-z][a-z0-9.@:-]{0,63}".prop_flat_map(any_record)) {
            prop_assert_eq!(Record::decode(&record.encode()), Some(record));
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>, whole in proptest::collection::vec(any::<u8>(), BYTES)) {
            Record::decode(&bytes);
            Record::decode(&whole);
        }

        #[test]
        fn a_long_text_is_cut(reason in "[aé]{0,200}") {
            let mut record = Record::fresh("x");
            record.restored.phase = Phase::Failed(reason.clone());
            let cut = Record::decode(&record.encode()).unwrap();
            let Phase::Failed(text) = cut.restored.phase else { panic!("it has failed") };
            prop_assert!(reason.starts_with(&text) && (text.len() > 105 || text == reason));
        }
    }
}
