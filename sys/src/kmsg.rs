//! The kernel log as our log: a [`log::Log`] that writes records to `/dev/kmsg`.
//!
//! A write to `/dev/kmsg` is one record, `<priority>text`, of at most 1,024 bytes less the kernel's
//! own prefix; a longer write fails with `EINVAL`, and a line feed inside a record loses its
//! priority on the way to the console. So a message is cut into records at line feeds and at
//! [`RECORD_BYTES`], each with its prefix. Nothing is allocated to write a message.
//!
//! A record ends with a line feed: without it the kernel keeps the record open for a continuation,
//! and readers and consoles see it only when the next one comes.
//!
//! Until `/dev` is mounted there is no `/dev/kmsg`: the first [`EARLY_MESSAGES`] messages are kept
//! and written as soon as it can be opened.
//!
//! Source: the kernel's `Documentation/ABI/testing/dev-kmsg`, `kernel/printk/printk.c`.

use std::fmt::{self, Write as _};
use std::fs::{File, OpenOptions};
use std::io::{Cursor, Write};
use std::sync::{Mutex, OnceLock, PoisonError};

use log::{Level, LevelFilter, Log, Metadata, Record};

/// Longest record in bytes, prefix included: below every kernel's limit of 1,024 less its prefix.
pub const RECORD_BYTES: usize = 900;

/// How many messages are kept while there is no `/dev/kmsg`.
pub const EARLY_MESSAGES: usize = 64;

/// Where records go.
const DEVICE: &str = "/dev/kmsg";

static KMSG: OnceLock<Kmsg> = OnceLock::new();

/// A syslog priority, as the number in `<n>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// 2: PID 1 itself is in trouble.
    Critical = 2,
    /// 3: what was asked for cannot be done.
    Error = 3,
    /// 4: it goes on, but somebody should look.
    Warning = 4,
    /// 5: milestones.
    Notice = 5,
    /// 6: what is being done.
    Info = 6,
    /// 7: details.
    Debug = 7,
}

impl From<Level> for Priority {
    fn from(level: Level) -> Self {
        match level {
            Level::Error => Self::Error,
            Level::Warn => Self::Warning,
            Level::Info => Self::Info,
            Level::Debug | Level::Trace => Self::Debug,
        }
    }
}

struct Kmsg {
    tag: &'static str,
    sink: Mutex<Sink>,
}

/// The device once it could be opened, or what waits for it.
enum Sink {
    Early(Vec<(Priority, String)>),
    Open(File),
}

/// Makes the kernel log the process's logger, each record starting with `tag: `.
///
/// A second call changes the level only: the tag stays.
pub fn install(tag: &'static str, level: LevelFilter) {
    let kmsg = KMSG.get_or_init(|| Kmsg {
        tag,
        sink: Mutex::new(Sink::Early(Vec::new())),
    });
    // Another logger is in place (a test's, say): it stays, and milestones still reach the kernel.
    if log::set_logger(kmsg).is_err() {
        log::debug!("{tag}: a logger is installed already");
    }
    log::set_max_level(level);
}

/// From now on records go to standard error, one a line: for who may not write to the kernel log.
pub fn to_standard_error() {
    use std::os::fd::AsFd;
    let kmsg = KMSG.get_or_init(|| Kmsg {
        tag: "cairn",
        sink: Mutex::new(Sink::Early(Vec::new())),
    });
    // Without a descriptor for it, what is said is kept for later, as without a kernel log.
    if let Ok(error) = std::io::stderr().as_fd().try_clone_to_owned() {
        let mut sink = kmsg.sink.lock().unwrap_or_else(PoisonError::into_inner);
        *sink = Sink::Open(File::from(error));
    }
}

/// Writes `message` at `priority` without the tag: milestones, which are matched by their text.
///
/// Works before [`install`] too, and never fails: what cannot be written is kept or lost.
pub fn write(priority: Priority, message: &str) {
    let kmsg = KMSG.get_or_init(|| Kmsg {
        tag: "cairn",
        sink: Mutex::new(Sink::Early(Vec::new())),
    });
    kmsg.write(priority, "", format_args!("{message}"));
}

impl Kmsg {
    fn write(&self, priority: Priority, tag: &str, message: fmt::Arguments<'_>) {
        let mut sink = self.sink.lock().unwrap_or_else(PoisonError::into_inner);
        sink.open();
        match &mut *sink {
            Sink::Open(device) => {
                let mut emit = |record: &[u8]| write_record(device, record);
                Records::write(priority, tag, message, &mut emit);
            }
            Sink::Early(kept) if kept.len() < EARLY_MESSAGES => {
                kept.push((priority, format!("{tag}{message}")));
            }
            Sink::Early(_) => {}
        }
    }
}

/// One record. `EAGAIN` and errors of the device are nowhere to be reported: this is the log.
fn write_record(mut device: &File, record: &[u8]) {
    while let Err(error) = device.write_all(record) {
        if error.kind() != std::io::ErrorKind::Interrupted {
            break;
        }
    }
}

impl Sink {
    fn open(&mut self) {
        let Self::Early(kept) = self else { return };
        let Ok(device) = OpenOptions::new().write(true).open(DEVICE) else {
            return; // not there yet: `kept` keeps
        };
        for (priority, message) in kept.drain(..) {
            let mut emit = |record: &[u8]| write_record(&device, record);
            Records::write(priority, "", format_args!("{message}"), &mut emit);
        }
        *self = Self::Open(device);
    }
}

impl Log for Kmsg {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let tag = self.tag;
            let message = *record.args();
            self.write(record.level().into(), "", format_args!("{tag}: {message}"));
        }
    }

    fn flush(&self) {}
}

/// Cuts a message into records.
struct Records<'a> {
    buffer: Cursor<[u8; RECORD_BYTES]>,
    prefix: (Priority, &'a str),
    emit: &'a mut dyn FnMut(&[u8]),
}

impl<'a> Records<'a> {
    fn write(
        priority: Priority,
        tag: &'a str,
        message: fmt::Arguments<'_>,
        emit: &'a mut dyn FnMut(&[u8]),
    ) {
        let mut records = Records {
            buffer: Cursor::new([0; RECORD_BYTES]),
            prefix: (priority, tag),
            emit,
        };
        records.start();
        let formatted = records.write_fmt(message);
        records.finish();
        if formatted.is_err() {
            // A `Display` failed half-way; what it gave has been written.
            records.start();
        }
    }

    fn start(&mut self) {
        self.buffer.set_position(0);
        let (priority, tag) = self.prefix;
        self.push(format_args!("<{}>{tag}", priority as u8));
    }

    /// Into the buffer; what does not fit is cut, which only a tag of 900 bytes could bring about.
    fn push(&mut self, text: fmt::Arguments<'_>) {
        if self.buffer.write_fmt(text).is_err() {
            self.buffer.set_position(RECORD_BYTES as u64);
        }
    }

    fn finish(&mut self) {
        self.push(format_args!("\n"));
        let end = usize::try_from(self.buffer.position()).unwrap_or(RECORD_BYTES);
        if let Some(record) = self.buffer.get_ref().get(..end) {
            (self.emit)(record);
        }
    }
}

impl fmt::Write for Records<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            let room = (RECORD_BYTES as u64).saturating_sub(self.buffer.position());
            // One byte is kept for the line feed.
            if character == '\n' || room <= character.len_utf8() as u64 {
                self.finish();
                self.start();
            }
            // A NUL would end the record; other control characters are escaped by the kernel.
            if !matches!(character, '\n' | '\0') {
                self.push(format_args!("{character}"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    fn records(message: &str) -> Vec<String> {
        let mut out = Vec::new();
        let mut emit = |record: &[u8]| out.push(String::from_utf8(record.to_vec()).unwrap());
        Records::write(Priority::Info, "t: ", format_args!("{message}"), &mut emit);
        out
    }

    fn check(message: &str, expected: &Expect) {
        expected.assert_eq(&records(message).concat());
    }

    #[test]
    fn a_record_has_its_priority_and_each_line_is_one() {
        check(
            "one",
            &expect![[r#"
            <6>t: one
        "#]],
        );
        check(
            "two\nlines",
            &expect![[r#"
                <6>t: two
                <6>t: lines
            "#]],
        );
        check(
            "",
            &expect![[r#"
            <6>t: 
        "#]],
        );
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_no_record_is_too_long(message in "[^\\x00\n]{0,4000}") {
            let records = records(&message);
            let mut joined = String::new();
            for record in &records {
                prop_assert!(record.len() <= RECORD_BYTES);
                let record = record.strip_suffix('\n').unwrap();
                joined.push_str(record.strip_prefix("<6>t: ").unwrap());
            }
            prop_assert_eq!(joined, message);
        }
    }
}
