//! Errors for people: the message, the place in the source, hints, and the way that led there.
//!
//! ```text
//! error: attribute 'foo' missing
//!   at /etc/cairn/configuration.nix:4:9:
//!      3|   let food = 1;
//!      4|   in self.foo
//!       |           ^^^
//!   did you mean 'food'?
//!   … while evaluating the attribute 'x', at /etc/cairn/configuration.nix:2:3
//!   … (12 steps in libraries; --show-trace shows them)
//! ```
//!
//! The message stands first and the way to it is read from the inside out.

use std::fmt::Write as _;

use crate::error::ErrorKind;
use crate::error::{EvalError, Frame};
use crate::evaluator::Evaluator;
use crate::source::{Place, Sources};

/// How much is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trace {
    /// What the user's own files have to do with it.
    Short,
    /// Every step.
    Full,
}

/// How many steps a short trace has.
const SHORT_TRACE: usize = 8;

/// The longest part of a line that is shown.
const SHOWN_WIDTH: usize = 100;

impl Evaluator<'_> {
    /// The whole text of an error, of one or more lines, without a newline at its end.
    #[must_use]
    pub fn report(&self, error: &EvalError, trace: Trace) -> String {
        let mut text = format!("error: {}", error.message());
        // What a library says of a user's mistake names the user's places itself; and where a
        // circle was noticed says nothing, if that is in a library.
        let is_told = trace == Trace::Short
            && matches!(
                error.kind(),
                ErrorKind::Throw | ErrorKind::InfiniteRecursion
            )
            && self.is_librarys(error.place());
        if !is_told {
            push_place(&mut text, &self.sources, error.place());
        }
        for (place, label) in error.labels() {
            push_line(&mut text, label);
            push_place(&mut text, &self.sources, *place);
        }
        for note in error.notes() {
            push_line(&mut text, note);
        }
        match trace {
            Trace::Short => self.push_short_trace(&mut text, error),
            Trace::Full => self.push_full_trace(&mut text, error),
        }
        text
    }

    fn push_short_trace(&self, text: &mut String, error: &EvalError) {
        let mut shown = 0;
        let mut hidden = error.left_out();
        let mut last = String::new();
        for frame in error.frames() {
            let wanted = frame.from_user || self.is_users(frame);
            let line = self.frame_line(frame);
            if line == last {
                continue;
            }
            if !wanted || (shown >= SHORT_TRACE && !frame.from_user) {
                hidden += 1;
                continue;
            }
            shown += 1;
            push_line(text, &line);
            last = line;
        }
        if hidden > 0 {
            let steps = if hidden == 1 { "step" } else { "steps" };
            push_line(
                text,
                &format!("… ({hidden} more {steps}; --show-trace shows all)"),
            );
        }
    }

    fn push_full_trace(&self, text: &mut String, error: &EvalError) {
        for (index, frame) in error.frames().enumerate() {
            if index == error.inner_frames() && error.left_out() > 0 {
                push_line(
                    text,
                    &format!("… ({} steps were not kept)", error.left_out()),
                );
            }
            push_line(text, &format!("… {}", frame.message));
            push_place(text, &self.sources, frame.place);
        }
    }

    fn frame_line(&self, frame: &Frame) -> String {
        if frame.place.is_some() {
            return format!(
                "… {}, at {}",
                frame.message,
                self.describe_place(frame.place)
            );
        }
        format!("… {}", frame.message)
    }

    /// Whether a step is one in the user's own files: not in a library's, and not nowhere.
    fn is_users(&self, frame: &Frame) -> bool {
        let source = self.sources.find(frame.place.start);
        let source = source.and_then(|(index, _)| self.sources.get(index));
        source.is_some_and(|source| !source.library)
    }

    fn is_librarys(&self, place: Place) -> bool {
        let source = self.sources.find(place.start);
        let source = source.and_then(|(index, _)| self.sources.get(index));
        source.is_some_and(|source| source.library)
    }
}

/// A line or more, indented below the message.
fn push_line(text: &mut String, line: &str) {
    for line in line.lines() {
        text.push_str("\n  ");
        text.push_str(line);
    }
}

/// `at FILE:LINE:COLUMN:` and the line with a mark below it.
fn push_place(text: &mut String, sources: &Sources<'_>, place: Place) {
    let Some(location) = sources.locate(place.start) else {
        return;
    };
    let Some(source) = sources.get(location.source) else {
        return;
    };
    push_line(text, &format!("at {}:", sources.describe(place.start)));
    let start = location.offset as usize - (location.column as usize - 1);
    for (number, line) in lines_around(source.text, start, location.line) {
        push_excerpt(text, number, line);
        if number == location.line {
            push_mark(text, line, location.column as usize - 1, place.len as usize);
        }
    }
}

/// The line that starts at `start` and the one before it.
fn lines_around(source: &[u8], start: usize, number: u32) -> Vec<(u32, &[u8])> {
    let mut lines = Vec::with_capacity(2);
    let before = source.get(..start).unwrap_or_default();
    if number > 1 {
        let before = before.strip_suffix(b"\n").unwrap_or(before);
        let from = before
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        let line = before.get(from..).unwrap_or_default();
        if !line.trim_ascii().is_empty() {
            lines.push((number - 1, line));
        }
    }
    let rest = source.get(start..).unwrap_or_default();
    let end = rest
        .iter()
        .position(|byte| matches!(byte, b'\n' | b'\r'))
        .unwrap_or(rest.len());
    lines.push((number, rest.get(..end).unwrap_or_default()));
    lines
}

fn push_excerpt(text: &mut String, number: u32, line: &[u8]) {
    let (line, cut) = match line.get(..SHOWN_WIDTH) {
        Some(start) => (start, "…"),
        None => (line, ""),
    };
    let line = visible(line);
    // Writing to a string cannot fail.
    if write!(text, "\n  {number:5}| {}{cut}", line.trim_end()).is_err() {
        text.push('\n');
    }
}

fn push_mark(text: &mut String, line: &[u8], column: usize, len: usize) {
    if column > SHOWN_WIDTH {
        return;
    }
    let before = visible(line.get(..column).unwrap_or(line)).chars().count();
    let rest = line.get(column..).unwrap_or_default();
    let marked = rest.get(..len).unwrap_or(rest);
    let room = SHOWN_WIDTH.saturating_sub(column).max(1);
    let carets = visible(marked).trim_end().chars().count().clamp(1, room);
    text.push_str("\n       | ");
    text.extend(std::iter::repeat_n(' ', before));
    text.extend(std::iter::repeat_n('^', carets));
}

/// Text as a terminal shows it: a tab is one space, control characters are replaced.
fn visible(bytes: &[u8]) -> String {
    let shown = |char: char| match char {
        '\t' => ' ',
        char if char.is_control() => '\u{fffd}',
        char => char,
    };
    String::from_utf8_lossy(bytes).chars().map(shown).collect()
}
