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

use bstr::ByteSlice as _;

use crate::Span;
use crate::diagnostic::Excerpt;
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
    let span = Span::new(location.offset, location.offset.saturating_add(place.len));
    if let Some(end) = line_before(source.text, location.offset - (location.column - 1)) {
        let above = Excerpt::new(source.text, Span::at(end));
        push_numbered(text, location.line - 1, &above.shown);
    }
    let excerpt = Excerpt::new(source.text, span);
    push_numbered(text, location.line, &excerpt.shown);
    text.push_str("\n       | ");
    text.extend(std::iter::repeat_n(' ', excerpt.column));
    text.extend(std::iter::repeat_n('^', excerpt.width));
}

/// The start of the line before the one that starts at `start`, unless it is empty.
fn line_before(source: &[u8], start: u32) -> Option<u32> {
    let before = source.get(..start as usize)?;
    let before = before
        .strip_suffix(b"\n")
        .map(|before| before.strip_suffix(b"\r").unwrap_or(before))
        .or_else(|| before.strip_suffix(b"\r"))?;
    let from = before.rfind_byteset(b"\r\n").map_or(0, |at| at + 1);
    let line = before.get(from..)?;
    if line.trim_ascii().is_empty() {
        return None;
    }
    u32::try_from(from).ok()
}

fn push_numbered(text: &mut String, number: u32, line: &str) {
    text.push_str(format!("\n  {number:5}| {line}").trim_end());
}
