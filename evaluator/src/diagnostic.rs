//! Messages for people: a heading, places with an excerpt of the source and a caret, remarks.
//!
//! ```text
//! error: missing ';' after this
//!   at configuration.nix:3:38:
//!      3 |   boot.loader.grub.device = "/dev/sda"
//!        |                                      ^
//!   note: before this
//!   at configuration.nix:4:3:
//!      4 |   services.sshd.enable = true;
//!        |   ^^^^^^^^^^^^^^^^^^^^
//!   hint: each definition ends with ';'
//! ```
//!
//! What sources say goes to a terminal, so bytes that would move its cursor are shown as pictures.

use std::fmt::Write;

use bstr::ByteSlice;
use unicode_width::UnicodeWidthChar;

use crate::{ParseError, Span};

/// How wide an excerpt gets, in columns of the terminal.
const WIDEST: usize = 110;

/// How many columns are shown before the place in a line that is cut at its left.
const BEFORE: usize = 50;

/// How far apart the stops of tabs are.
const TAB: usize = 4;

/// Whether messages are coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Text alone.
    Plain,
    /// With the escape sequences of terminals.
    Coloured,
}

/// A source text and the name it has in messages.
#[derive(Debug, Clone, Copy)]
pub struct NamedSource<'s> {
    /// A path, or words in guillemets.
    pub name: &'s str,
    /// Its bytes.
    pub text: &'s [u8],
}

/// Line and column of a byte offset, both from 1. Columns count bytes; `\n`, `\r\n` and `\r` end a
/// line, as they do in the language.
#[must_use]
pub fn line_and_column(text: &[u8], offset: u32) -> (u32, u32) {
    let before = text.get(..offset as usize).unwrap_or(text);
    let mut line = 1;
    let mut start = 0;
    let mut ends = before.iter().enumerate().peekable();
    while let Some((at, byte)) = ends.next() {
        let ends_line = match byte {
            b'\n' => true,
            b'\r' => match ends.peek() {
                Some((_, next)) => **next != b'\n',
                None => text.get(at + 1) != Some(&b'\n'),
            },
            _ => false,
        };
        if ends_line {
            line += 1;
            start = at + 1;
        }
    }
    let column = u32::try_from(before.len() - start).unwrap_or(u32::MAX);
    (line, column.saturating_add(1))
}

/// A message while it is put together.
#[derive(Debug)]
pub struct Message {
    style: Style,
    text: String,
}

impl Message {
    /// A message with its first line, such as `error: …`.
    #[must_use]
    pub fn new(style: Style, severity: &str, message: &str) -> Self {
        let mut new = Self {
            style,
            text: String::new(),
        };
        new.coloured(Colour::Alarm, &format!("{severity}:"));
        let line = format!(" {}\n", visible(message));
        new.text.push_str(&line);
        new
    }

    /// Adds a place with its excerpt.
    pub fn place(&mut self, source: NamedSource<'_>, span: Span) {
        let (line, column) = line_and_column(source.text, span.start);
        let name = visible(source.name);
        self.text.push_str("  at ");
        self.coloured(Colour::Place, &format!("{name}:{line}:{column}"));
        self.text.push_str(":\n");
        self.excerpt(source.text, span, line);
    }

    /// Adds the line with this number, in which the span starts, and carets under the span.
    fn excerpt(&mut self, text: &[u8], span: Span, line: u32) {
        let excerpt = Excerpt::new(text, span);
        self.coloured(Colour::Gutter, &format!("{line:>6} |"));
        if !excerpt.shown.is_empty() {
            self.text.push(' ');
            self.text.push_str(&excerpt.shown);
        }
        self.text.push('\n');
        self.coloured(Colour::Gutter, &format!("{:>6} |", ""));
        let blanks = " ".repeat(excerpt.column + 1);
        self.text.push_str(&blanks);
        self.coloured(Colour::Alarm, &"^".repeat(excerpt.width));
        self.text.push('\n');
    }

    /// Adds a remark, such as `hint: …`.
    pub fn remark(&mut self, kind: &str, remark: &str) {
        self.text.push_str("  ");
        self.coloured(Colour::Place, &format!("{kind}:"));
        let line = format!(" {}\n", visible(remark));
        self.text.push_str(&line);
    }

    /// The whole message; its last line is ended.
    #[must_use]
    pub fn finish(self) -> String {
        self.text
    }

    fn coloured(&mut self, colour: Colour, text: &str) {
        match self.style {
            Style::Plain => self.text.push_str(text),
            Style::Coloured => {
                let start = match colour {
                    Colour::Alarm => "\x1b[1;31m",
                    Colour::Place => "\x1b[1m",
                    Colour::Gutter => "\x1b[34m",
                };
                for piece in [start, text, "\x1b[0m"] {
                    self.text.push_str(piece);
                }
            }
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Colour {
    Alarm,
    Place,
    Gutter,
}

impl ParseError {
    /// The error for people, with excerpts of the source that it is about.
    #[must_use]
    pub fn render(&self, source: NamedSource<'_>, style: Style) -> String {
        let mut message = Message::new(style, "error", &self.message);
        message.place(source, self.span);
        for label in &self.labels {
            message.remark("note", &label.text);
            message.place(source, label.span);
        }
        if let Some(hint) = &self.hint {
            message.remark("hint", hint);
        }
        message.finish()
    }
}

/// A line as it is shown, and which columns of it are meant.
#[derive(Debug)]
pub(crate) struct Excerpt {
    /// The line, cut to what fits.
    pub(crate) shown: String,
    /// Where the caret stands.
    pub(crate) column: usize,
    /// How many carets there are; at least one.
    pub(crate) width: usize,
}

impl Excerpt {
    /// The line in which the span starts.
    pub(crate) fn new(text: &[u8], span: Span) -> Self {
        let start = (span.start as usize).min(text.len());
        let end = (span.end as usize).clamp(start, text.len());
        let (before, rest) = text.split_at(start);
        let line_start = before.rfind_byteset(b"\r\n").map_or(0, |at| at + 1);
        let rest_of_line = rest.find_byteset(b"\r\n").unwrap_or(rest.len());
        let before = before.get(line_start..).unwrap_or_default();
        let inside = end.saturating_sub(start).min(rest_of_line);
        let (inside, after) = rest
            .get(..rest_of_line)
            .unwrap_or_default()
            .split_at(inside);

        let (mut shown, mut column) = left_part(before);
        let from = shown.len();
        let mut width = 0;
        for cell in Cells::new(inside, column) {
            if column + width + cell.width > WIDEST {
                break;
            }
            width += cell.width;
            shown.push_str(&cell.text);
        }
        let cut = shown.len() - from < inside.len() && column + width + TAB > WIDEST;
        let mut total = column + width;
        let mut more = cut;
        if !cut {
            for cell in Cells::new(after, total) {
                if total + cell.width > WIDEST {
                    more = true;
                    break;
                }
                total += cell.width;
                shown.push_str(&cell.text);
            }
        }
        if more {
            shown.push('…');
        } else {
            shown.truncate(shown.trim_end().len().max(from));
        }
        column = column.min(WIDEST);
        Self {
            shown,
            column,
            width: width.max(1),
        }
    }
}

/// What stands before the place, cut at the left if it is long, and its width.
fn left_part(before: &[u8]) -> (String, usize) {
    // No character is shown in more columns than it has bytes, but for tabs.
    let near = before.len().saturating_sub(WIDEST * 4);
    let mut near = before.get(near..).unwrap_or_default();
    while let [first, rest @ ..] = near
        && near.len() < before.len()
        && matches!(first, 0x80..=0xbf)
    {
        near = rest;
    }
    let cells: Vec<Cell> = Cells::new(near, 0).collect();
    let width: usize = cells.iter().map(|cell| cell.width).sum();
    if near.len() == before.len() && width + TAB < WIDEST - BEFORE / 2 {
        return (cells.into_iter().map(|cell| cell.text).collect(), width);
    }
    let mut from = cells.len();
    let mut kept = 0;
    for cell in cells.iter().rev() {
        if kept + cell.width > BEFORE {
            break;
        }
        kept += cell.width;
        from -= 1;
    }
    let mut shown = "…".to_owned();
    for cell in cells.iter().skip(from) {
        shown.push_str(&cell.text);
    }
    (shown, kept + 1)
}

/// A character as it is shown.
#[derive(Debug)]
struct Cell {
    text: String,
    width: usize,
}

/// The characters of a piece of a line that starts in a column.
struct Cells<'s> {
    chars: bstr::Chars<'s>,
    column: usize,
}

impl<'s> Cells<'s> {
    fn new(text: &'s [u8], column: usize) -> Self {
        Self {
            chars: text.chars(),
            column,
        }
    }
}

impl Iterator for Cells<'_> {
    type Item = Cell;

    fn next(&mut self) -> Option<Cell> {
        let cell = match self.chars.next()? {
            '\t' => {
                let width = TAB - self.column % TAB;
                Cell {
                    text: " ".repeat(width),
                    width,
                }
            }
            character => {
                let shown = picture(character);
                Cell {
                    text: shown.into(),
                    width: shown.width().unwrap_or(1),
                }
            }
        };
        self.column += cell.width;
        Some(cell)
    }
}

/// A character that is safe to send to a terminal in place of one that may not be.
fn picture(character: char) -> char {
    match character {
        '\0'..='\x1f' => {
            char::from_u32(0x2400 + u32::from(character)).unwrap_or(char::REPLACEMENT_CHARACTER)
        }
        '\x7f' => '\u{2421}',
        // The second control set, and marks that change the direction of writing.
        '\u{80}'..='\u{9f}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}'
        | '\u{feff}' => char::REPLACEMENT_CHARACTER,
        _ => character,
    }
}

/// A text of any origin with pictures for what may not go to a terminal; line breaks stay.
#[must_use]
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        let character = match character {
            '\n' | '\t' => character,
            _ => picture(character),
        };
        // Writing to a string cannot fail.
        if shown.write_char(character).is_err() {
            break;
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(text: &[u8], span: Span, expected: &Expect) {
        let mut message = Message::new(Style::Plain, "error", "this");
        message.place(
            NamedSource {
                name: "file.nix",
                text,
            },
            span,
        );
        expected.assert_eq(&message.finish());
    }

    #[test]
    fn a_span_in_a_line() {
        check(
            b"{\n  a = foo;\n}\n",
            Span::new(8, 11),
            &expect![[r#"
            error: this
              at file.nix:2:7:
                 2 |   a = foo;
                   |       ^^^
        "#]],
        );
    }

    #[test]
    fn the_end_of_a_text() {
        check(
            b"{\n  a",
            Span::at(5),
            &expect![[r#"
            error: this
              at file.nix:2:4:
                 2 |   a
                   |    ^
        "#]],
        );
        check(
            b"",
            Span::at(0),
            &expect![[r#"
            error: this
              at file.nix:1:1:
                 1 |
                   | ^
        "#]],
        );
    }

    #[test]
    fn a_span_over_lines_is_marked_in_its_first() {
        check(
            b"a = ''\n  b\n'';",
            Span::new(4, 13),
            &expect![[r#"
            error: this
              at file.nix:1:5:
                 1 | a = ''
                   |     ^^
        "#]],
        );
    }

    #[test]
    fn tabs_wide_characters_and_bytes_that_are_none() {
        check(
            b"\ta\tb",
            Span::new(3, 4),
            &expect![[r#"
            error: this
              at file.nix:1:4:
                 1 |     a   b
                   |         ^
        "#]],
        );
        check(
            "\"你好\" x".as_bytes(),
            Span::new(9, 10),
            &expect![[r#"
            error: this
              at file.nix:1:10:
                 1 | "你好" x
                   |        ^
        "#]],
        );
        check(
            b"\"\xff\xfe\x1b[2J\" x",
            Span::new(9, 10),
            &expect![[r#"
            error: this
              at file.nix:1:10:
                 1 | "��␛[2J" x
                   |          ^
        "#]],
        );
    }

    #[test]
    fn all_line_breaks_count() {
        check(
            b"a\r\nb\rc\nd",
            Span::new(7, 8),
            &expect![[r#"
            error: this
              at file.nix:4:1:
                 4 | d
                   | ^
        "#]],
        );
        assert_eq!(line_and_column(b"a\r\nb", 2), (1, 3));
        assert_eq!(line_and_column(b"a\r\nb", 3), (2, 1));
    }

    #[test]
    fn long_lines_are_cut() {
        let long = "a ".repeat(1000);
        check(
            long.as_bytes(),
            Span::new(0, 1),
            &expect![[r#"
            error: this
              at file.nix:1:1:
                 1 | a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a …
                   | ^
        "#]],
        );
        check(
            long.as_bytes(),
            Span::new(1000, 1001),
            &expect![[r#"
            error: this
              at file.nix:1:1001:
                 1 | …a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a…
                   |                                                    ^
        "#]],
        );
        check(
            long.as_bytes(),
            Span::new(1000, 2000),
            &expect![[r#"
            error: this
              at file.nix:1:1001:
                 1 | …a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a…
                   |                                                    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
        "#]],
        );
        check(
            long.as_bytes(),
            Span::new(1998, 1999),
            &expect![[r#"
            error: this
              at file.nix:1:1999:
                 1 | …a a a a a a a a a a a a a a a a a a a a a a a a a a
                   |                                                    ^
        "#]],
        );
    }

    #[test]
    fn colours_are_escape_sequences() {
        let mut message = Message::new(Style::Coloured, "error", "bad \x1b[2J");
        message.remark("hint", "none");
        expect![[r#"
            "\u{1b}[1;31merror:\u{1b}[0m bad ␛[2J\n  \u{1b}[1mhint:\u{1b}[0m none\n"
        "#]]
        .assert_debug_eq(&message.finish());
    }
}
