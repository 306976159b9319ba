//! The sources read so far, and places in them.
//!
//! Every source gets a range of numbers as long as its text, so that a place anywhere is one `u32`.

use crate::span::Span;

/// A place in some source: a number that only [`Sources`] can read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position(u32);

impl Position {
    /// No place: values that no source defines.
    pub const NONE: Self = Self(0);

    /// Whether there is a place.
    #[must_use]
    pub fn is_some(self) -> bool {
        self != Self::NONE
    }
}

/// A stretch of some source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Its first byte.
    pub start: Position,
    /// How many bytes it has.
    pub len: u32,
}

impl Place {
    /// No place.
    pub const NONE: Self = Self {
        start: Position::NONE,
        len: 0,
    };

    /// Just a start, as positions of attributes are kept.
    #[must_use]
    pub fn at(start: Position) -> Self {
        Self { start, len: 1 }
    }

    /// Whether there is a place.
    #[must_use]
    pub fn is_some(self) -> bool {
        self.start.is_some()
    }
}

/// Where a source came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A file, by its absolute path.
    File(Vec<u8>),
    /// An expression given on the command line or typed in.
    String,
    /// Standard input.
    Stdin,
    /// Text that belongs to the evaluator itself.
    Internal(&'static str),
}

/// One source.
pub struct Source<'e> {
    /// Where it came from.
    pub origin: Origin,
    /// Its text.
    pub text: &'e [u8],
    /// Whether it belongs to a library, whose frames are left out of short traces.
    pub library: bool,
    base: u32,
}

impl Source<'_> {
    /// A stretch of this source as a place.
    #[must_use]
    pub fn place(&self, span: Span) -> Place {
        Place {
            start: Position(self.base.saturating_add(span.start)),
            len: span.end.saturating_sub(span.start),
        }
    }
}

/// A place for people: line and column start at 1, columns count bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The source's index.
    pub source: usize,
    /// Byte offset in the source.
    pub offset: u32,
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

/// All sources.
#[derive(Default)]
pub struct Sources<'e> {
    list: Vec<Source<'e>>,
    end: u32,
}

impl<'e> Sources<'e> {
    /// Adds a source; `None` once all sources together exceed 4 GiB.
    pub fn add(&mut self, origin: Origin, text: &'e [u8], library: bool) -> Option<usize> {
        // One more than the text, so that its end is a position too, and 0 is none.
        let base = self.end.checked_add(1)?;
        self.end = base
            .checked_add(u32::try_from(text.len()).ok()?)?
            .checked_add(1)?;
        self.list.push(Source {
            origin,
            text,
            library,
            base,
        });
        Some(self.list.len() - 1)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The source of this index.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&Source<'e>> {
        self.list.get(index)
    }

    /// The source that a position lies in, and the byte offset in it.
    #[must_use]
    pub fn find(&self, position: Position) -> Option<(usize, u32)> {
        if !position.is_some() {
            return None;
        }
        let after = self
            .list
            .partition_point(|source| source.base <= position.0);
        let index = after.checked_sub(1)?;
        Some((index, position.0 - self.list.get(index)?.base))
    }

    /// Line and column of a position.
    #[must_use]
    pub fn locate(&self, position: Position) -> Option<Location> {
        let (index, offset) = self.find(position)?;
        let text = self.list.get(index)?.text;
        let before = text.get(..offset as usize).unwrap_or(text);
        let (mut line, mut line_start, mut at) = (1u32, 0usize, 0usize);
        while let Some(byte) = before.get(at) {
            at += 1;
            // `\r\n`, `\n` and `\r` alone all end a line, as the lexer counts them.
            let ends = match byte {
                b'\n' => true,
                b'\r' => text.get(at) != Some(&b'\n'),
                _ => false,
            };
            if ends {
                line += 1;
                line_start = at;
            }
        }
        let column = u32::try_from(before.len() - line_start)
            .ok()?
            .saturating_add(1);
        Some(Location {
            source: index,
            offset,
            line,
            column,
        })
    }

    /// The text of a place.
    #[must_use]
    pub fn text(&self, place: Place) -> Option<&'e [u8]> {
        let (index, offset) = self.find(place.start)?;
        let start = offset as usize;
        self.list
            .get(index)?
            .text
            .get(start..start.checked_add(place.len as usize)?)
    }

    /// The place of the name that starts at `position`.
    #[must_use]
    pub fn name_at(&self, position: Position) -> Place {
        let Some((index, offset)) = self.find(position) else {
            return Place::NONE;
        };
        let text = self.list.get(index).map_or(&[][..], |source| source.text);
        let rest = text.get(offset as usize..).unwrap_or_default();
        let of_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_'-".contains(byte);
        let len = rest
            .iter()
            .position(|byte| !of_name(byte))
            .unwrap_or(rest.len());
        Place {
            start: position,
            len: u32::try_from(len).unwrap_or(u32::MAX),
        }
    }

    /// `file:line:column`, or in words where there is no file.
    #[must_use]
    pub fn describe(&self, position: Position) -> String {
        let Some(location) = self.locate(position) else {
            return "an unknown place".to_owned();
        };
        let origin = self.list.get(location.source).map(|source| &source.origin);
        let name = match origin {
            Some(Origin::File(path)) => String::from_utf8_lossy(path).into_owned(),
            Some(Origin::Internal(name)) => (*name).to_owned(),
            Some(Origin::Stdin) => "«stdin»".to_owned(),
            Some(Origin::String) | None => "«string»".to_owned(),
        };
        format!("{name}:{}:{}", location.line, location.column)
    }

    /// The file that a position lies in, if it is one.
    #[must_use]
    pub fn file(&self, position: Position) -> Option<&[u8]> {
        let (index, _) = self.find(position)?;
        match &self.list.get(index)?.origin {
            Origin::File(path) => Some(path),
            _ => None,
        }
    }
}
