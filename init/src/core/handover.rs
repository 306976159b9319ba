//! What a core that executes another generation's program leaves for it, or for its stage 2: a file in memory,
//! which the program finds as its standard input. The descriptors that it names stay open across the
//! execution under their numbers.
//!
//! ```text
//! 0..8         "CAIRNCOR"      8..12   version (2)          12..16  number of slots
//! 16..20       link            20..24  state                24..28  notifications
//! 28..32       control         32..36  supervisor's process 36..40  its quick failures in a row
//! 40..48       its start, or when the next one is due       48..56  the delay after that
//! 56..60       ending          64..72  its deadline         72..80  cursor of the answer to a hello
//! 80..84       number of services' descriptors (since version 2)
//! 128 + 24 n   slot n: log, process, process's number, kind and value of its end, whether that is told
//! then 12 m    descriptor m: itself, slot, number
//! ```
//! A descriptor that is not there is -1, a process 0, a cursor all ones. Numbers are in the machine's
//! order: both programs run on it.
//!
//! Invariant: writing allocates nothing.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use cairn_sys::memory_file::memory_file;
use cairn_sys::process::Exit;
use cairn_sys::reboot::Ending;
use cairn_sys::seqpacket::inherited;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};

use super::kept::{Cursor, DESCRIPTORS, Held, Kept, SLOTS, Slot};
use super::message;
use super::supervisor::Life;
use super::words::{halves, long, put, take, word};
use crate::clock::Ms;

/// The newest form that this program reads, and the one that it writes. It reads all older ones.
pub const VERSION: u32 = 2;

const MAGIC: [u8; 8] = *b"CAIRNCOR";
const HEADER_BYTES: usize = 128;
const SLOT_BYTES: usize = 24;
const DESCRIPTOR_BYTES: usize = 12;

/// What a core has to go on with.
#[derive(Debug)]
pub struct Estate {
    /// The link to the supervisor.
    pub link: Option<OwnedFd>,
    /// What is kept for it.
    pub kept: Kept,
    /// Where the answer to its hello stands.
    pub answering: Option<Cursor>,
    /// The wanted ending, and when the supervisor has been silent for too long.
    pub ending: Option<(Ending, Ms)>,
    /// The supervisor.
    pub life: Life,
}

/// Writes what is to be left.
///
/// # Errors
/// Memory or descriptors are short.
pub fn write(estate: &Estate) -> io::Result<File> {
    let file = memory_file(c"cairn-core")?;
    let number = |descriptor: &Option<OwnedFd>| {
        descriptor
            .as_ref()
            .map_or(u32::MAX, |fd| fd.as_raw_fd().cast_unsigned())
    };
    let kept = &estate.kept;
    let (pid, failures, [at0, at1], [delay0, delay1]) = match estate.life {
        Life::Due {
            at,
            delay,
            failures,
        } => (0, failures, halves(at), halves(delay)),
        Life::Running {
            pid,
            at,
            delay,
            failures,
        } => (pid, failures, halves(at), halves(delay)),
    };
    let (ending, deadline) = estate
        .ending
        .map_or((0, 0), |(ending, at)| (message::encode_ending(ending), at));
    let cursor = estate.answering.map_or(u64::MAX, |cursor| cursor.0 as u64);
    let [deadline0, deadline1] = halves(deadline);
    let [cursor0, cursor1] = halves(cursor);
    let [m0, m1, m2, m3, m4, m5, m6, m7] = MAGIC;
    let slots = u32::try_from(kept.slots.len()).unwrap_or(0);
    let words = [
        u32::from_ne_bytes([m0, m1, m2, m3]),
        u32::from_ne_bytes([m4, m5, m6, m7]),
        VERSION,
        slots,
        number(&estate.link),
        number(&kept.state),
        number(&kept.notifications),
        number(&kept.control),
        pid,
        failures,
        at0,
        at1,
        delay0,
        delay1,
        u32::from(ending),
        0,
        deadline0,
        deadline1,
        cursor0,
        cursor1,
        u32::try_from(kept.descriptors.len()).unwrap_or(0),
    ];
    put(&file, 0, words)?;
    for (slot, place) in kept.slots.iter().zip(0..) {
        let at = slot_at(place);
        let (kind, value) = match slot.exit {
            None => (0, 0),
            Some(Exit::Status(status)) => (1, status),
            Some(Exit::Signal(signal)) => (2, signal),
        };
        let words = [
            number(&slot.log),
            number(&slot.process),
            slot.pid,
            kind,
            value.cast_unsigned(),
            u32::from(slot.told),
        ];
        put(&file, at, words)?;
    }
    for (held, place) in kept.descriptors.iter().zip(0..) {
        let words = [number(&held.descriptor), held.slot, held.number];
        put(&file, descriptor_at(kept.slots.len(), place), words)?;
    }
    Ok(file)
}

/// Lets the descriptors stay open across an execution, or not.
///
/// # Errors
/// One is not open, which cannot be.
pub fn pass_on(estate: &Estate, stay: bool) -> io::Result<()> {
    let flag = if stay {
        FdFlag::empty()
    } else {
        FdFlag::FD_CLOEXEC
    };
    let set = |descriptor: BorrowedFd<'_>| fcntl(descriptor, FcntlArg::F_SETFD(flag));
    let kept = &estate.kept;
    let single = [
        &estate.link,
        &kept.state,
        &kept.notifications,
        &kept.control,
    ];
    let of_slots = kept
        .slots
        .iter()
        .flat_map(|slot| [&slot.log, &slot.process]);
    let of_services = kept.descriptors.iter().map(|held| &held.descriptor);
    let all = single.into_iter().chain(of_slots).chain(of_services);
    for descriptor in all.flatten() {
        set(descriptor.as_fd())?;
    }
    Ok(())
}

/// Reads what a predecessor has left, and takes its descriptors over. One that is not open is logged
/// and missing.
///
/// # Errors
/// It is nothing that a core of a known version has written.
pub fn read(file: &File) -> io::Result<Estate> {
    let header: [u8; HEADER_BYTES] = take(file, 0)?;
    let word = |at: usize| word(&header, at);
    let long = |at: usize| long(&header, at);
    let version = word(8);
    if !header.starts_with(&MAGIC) || version == 0 || version > VERSION {
        return Err(io::Error::other(format!(
            "its predecessor's state has version {version}, and it reads up to {VERSION}"
        )));
    }
    let mut kept = Kept::new();
    kept.state = descriptor(word(20));
    kept.notifications = descriptor(word(24));
    kept.control = descriptor(word(28));
    let slots = usize::try_from(word(12)).unwrap_or(SLOTS).min(SLOTS);
    for place in (0..).take(slots) {
        kept.slots.push(read_slot(file, place)?);
    }
    // Of version 1, that number is 0.
    let descriptors = usize::try_from(word(80)).unwrap_or(0).min(DESCRIPTORS);
    for place in (0..).take(descriptors) {
        let at = descriptor_at(slots, place);
        let bytes: [u8; DESCRIPTOR_BYTES] = take(file, at)?;
        kept.descriptors.push(read_descriptor(&bytes));
    }
    let (at, delay, failures) = (long(40), long(48), word(36));
    Ok(Estate {
        link: descriptor(word(16)),
        kept,
        answering: usize::try_from(long(72))
            .ok()
            .filter(|cursor| *cursor != usize::MAX)
            .map(Cursor),
        ending: u8::try_from(word(56))
            .ok()
            .and_then(message::decode_ending)
            .map(|ending| (ending, long(64))),
        life: match word(32) {
            0 => Life::Due {
                at,
                delay,
                failures,
            },
            pid => Life::Running {
                pid,
                at,
                delay,
                failures,
            },
        },
    })
}

/// Where the slot of this number is.
fn slot_at(place: usize) -> u64 {
    (HEADER_BYTES + SLOT_BYTES * place) as u64
}

/// Where the descriptor of this number is, behind that many slots.
fn descriptor_at(slots: usize, place: usize) -> u64 {
    slot_at(slots) + (DESCRIPTOR_BYTES * place) as u64
}

fn read_descriptor(bytes: &[u8]) -> Held {
    Held {
        descriptor: descriptor(word(bytes, 0)),
        slot: word(bytes, 4),
        number: word(bytes, 8),
    }
}

fn read_slot(file: &File, place: usize) -> io::Result<Slot> {
    let bytes: [u8; SLOT_BYTES] = take(file, slot_at(place))?;
    let word = |at: usize| word(&bytes, at);
    let value = word(16).cast_signed();
    Ok(Slot {
        log: descriptor(word(0)),
        process: descriptor(word(4)),
        pid: word(8),
        exit: match word(12) {
            1 => Some(Exit::Status(value)),
            2 => Some(Exit::Signal(value)),
            _ => None,
        },
        told: word(20) != 0,
    })
}

fn descriptor(number: u32) -> Option<OwnedFd> {
    let number = number.cast_signed();
    if number < 0 {
        return None;
    }
    inherited(number)
        .map_err(|error| log::error!("cannot take descriptor {number} over: {error}"))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::super::message::Place;
    use super::*;
    use std::os::unix::fs::FileExt;

    /// Shows an estate without the numbers of descriptors, which differ.
    fn show(estate: &Estate) -> String {
        let there = |descriptor: &Option<OwnedFd>| descriptor.is_some();
        let kept = &estate.kept;
        let slots: Vec<String> = kept
            .slots
            .iter()
            .map(|s| {
                format!(
                    "{} {} {} {:?} {}",
                    there(&s.log),
                    there(&s.process),
                    s.pid,
                    s.exit,
                    s.told
                )
            })
            .collect();
        let descriptors = kept.descriptors.iter().map(|held| {
            let number = held.number;
            format!("{} {} {number}", there(&held.descriptor), held.slot)
        });
        let lines: Vec<String> = slots.into_iter().chain(descriptors).collect();
        format!(
            "link {}, state {}, notifications {}, control {}\n{:?} {:?} {:?}\n{}",
            there(&estate.link),
            there(&kept.state),
            there(&kept.notifications),
            there(&kept.control),
            estate.answering,
            estate.ending,
            estate.life,
            lines.join("\n")
        )
    }

    fn null() -> OwnedFd {
        File::open("/dev/null").unwrap().into()
    }

    #[test]
    fn everything_is_handed_over() {
        let mut kept = Kept::new();
        kept.keep(Place::State, null());
        kept.keep(Place::Control, null());
        kept.keep(Place::Log { slot: 1 }, null());
        kept.keep(Place::Process { slot: 1, pid: 42 }, null());
        kept.keep(Place::Process { slot: 2, pid: 43 }, null());
        kept.exited(43, Exit::Signal(9));
        for number in [7, 1 << 16] {
            kept.keep(Place::Descriptor { slot: 2, number }, null());
        }
        kept.drop(Place::Descriptor { slot: 2, number: 7 });
        let estate = Estate {
            link: Some(null()),
            kept,
            answering: Some(Cursor(7)),
            ending: Some((Ending::Halt, u64::MAX - 1)),
            life: Life::Running {
                pid: 17,
                at: 1 << 40,
                delay: 50,
                failures: 2,
            },
        };
        let file = write(&estate).unwrap();
        pass_on(&estate, true).unwrap();
        let before = show(&estate);
        // The new program owns the same numbers; here both owners are in one process.
        let after = read(&file).unwrap();
        assert_eq!(show(&after), before);
        expect_test::expect![[r"
            link true, state true, notifications false, control true
            Some(Cursor(7)) Some((Halt, 18446744073709551614)) Running { pid: 17, at: 1099511627776, delay: 50, failures: 2 }
            false false 0 None false
            true true 42 None false
            false true 43 Some(Signal(9)) false
            false 0 0
            true 2 65536"]]
        .assert_eq(&before);
        std::mem::forget(after);
    }

    #[test]
    fn what_no_core_has_written_is_refused() {
        let file = memory_file(c"test").unwrap();
        assert!(read(&file).is_err());
        file.write_all_at(b"CAIRNCOR\xff\0\0\0", 0).unwrap();
        assert!(read(&file).is_err());
    }
}
