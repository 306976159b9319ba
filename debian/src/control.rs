//! Paragraphs of `Name: value` fields ("deb822"), as in `Packages`, `Release` and `*.sources`.
//!
//! Source: deb822(5) and Debian Policy 5.1. A paragraph ends at a blank line; lines that begin with
//! a space or tab continue the field above; lines that begin with `#` are comments. Field names do
//! not depend on case. Limits keep hostile files from filling the memory.

use std::io::{self, BufRead};

/// The longest paragraph that is read, in bytes.
const PARAGRAPH_LIMIT: usize = 16 << 20;

/// One paragraph, borrowed from its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paragraph<'a> {
    fields: Vec<(&'a str, &'a str)>,
}

/// A line that is neither field, continuation, comment nor blank.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not of the form \"Name: value\"")]
pub struct ParseControlError {
    text: String,
}

impl<'a> Paragraph<'a> {
    /// The value of a field, with its continuation lines as they stand in the file, trimmed at
    /// both ends.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'a str> {
        let field = self
            .fields
            .iter()
            .find(|(own, _)| own.eq_ignore_ascii_case(name));
        field.map(|(_, value)| *value)
    }

    /// All fields in their order.
    pub fn fields(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.fields.iter().copied()
    }

    /// Reads the lines of one paragraph. A blank line is ignored.
    ///
    /// # Errors
    /// The first line that has no place in a paragraph.
    pub fn parse(text: &'a str) -> Result<Self, ParseControlError> {
        let mut fields: Vec<(&str, &str)> = Vec::with_capacity(24);
        // Byte range of the field being read: continuation lines extend it.
        let mut open: Option<(&str, usize, usize)> = None;
        let mut start = 0;
        let value = |from, to| text.get(from..to).unwrap_or_default().trim();
        for line in text.split_inclusive('\n') {
            let end = start + line.len();
            if line.starts_with('#') || line.trim_ascii().is_empty() {
                // A comment inside a field stays in its value; readers of lists skip it.
            } else if line.starts_with([' ', '\t']) {
                match &mut open {
                    Some((_, _, to)) => *to = end,
                    None => return Err(ParseControlError::new(line)),
                }
            } else {
                if let Some((name, from, to)) = open.take() {
                    fields.push((name, value(from, to)));
                }
                let Some((name, _)) = line.split_once(':').filter(|(name, _)| is_name(name)) else {
                    return Err(ParseControlError::new(line));
                };
                open = Some((name, start + name.len() + 1, end));
            }
            start = end;
        }
        if let Some((name, from, to)) = open {
            fields.push((name, value(from, to)));
        }
        Ok(Self { fields })
    }
}

impl ParseControlError {
    fn new(line: &str) -> Self {
        Self {
            text: line.trim_end().chars().take(80).collect(),
        }
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The paragraphs of a text.
pub fn paragraphs(text: &str) -> impl Iterator<Item = Result<Paragraph<'_>, ParseControlError>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            if rest.is_empty() {
                return None;
            }
            let mut end = 0;
            let blank = rest.split_inclusive('\n').find(|line| {
                end += line.len();
                line.trim_ascii().is_empty()
            });
            let (paragraph, tail) = rest.split_at(end);
            rest = if blank.is_some() { tail } else { "" };
            match Paragraph::parse(paragraph) {
                Ok(paragraph) if paragraph.fields.is_empty() => {}
                result => return Some(result),
            }
        }
    })
}

/// Reads the bytes of the next paragraph into `buffer`, which is emptied first. `false` at the end.
///
/// # Errors
/// What the reader reports; `InvalidData` if a paragraph exceeds 16 MiB.
pub fn read_paragraph(reader: &mut impl BufRead, buffer: &mut Vec<u8>) -> io::Result<bool> {
    buffer.clear();
    loop {
        let start = buffer.len();
        let limit = (PARAGRAPH_LIMIT - start) as u64;
        let count = io::Read::take(&mut *reader, limit).read_until(b'\n', buffer)?;
        let line = buffer.get(start..).unwrap_or_default();
        if count == 0 && limit > 0 {
            return Ok(!buffer.is_empty());
        }
        if count == 0 || (!line.ends_with(b"\n") && count as u64 == limit) {
            let text = "a paragraph is longer than 16 MiB";
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        if line.trim_ascii().is_empty() {
            buffer.truncate(start);
            if start > 0 {
                return Ok(true);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "reads better in the tests")]
    fn check(text: &str, expected: Expect) {
        let paragraphs: Vec<_> = paragraphs(text).collect();
        expected.assert_eq(&format!("{paragraphs:?}"));
    }

    #[test]
    fn fields_comments_and_continuations() {
        check(
            "# top\n\nA: 1\nB:2\n x\n .\n# in between\n y\nC:\n\n\n\nD: \te \n",
            expect![[
                r#"[Ok(Paragraph { fields: [("A", "1"), ("B", "2\n x\n .\n# in between\n y"), ("C", "")] }), Ok(Paragraph { fields: [("D", "e")] })]"#
            ]],
        );
    }

    #[test]
    fn refuses_other_lines() {
        check(
            " x\n",
            expect![[r#"[Err(ParseControlError { text: " x" })]"#]],
        );
        check(
            "hello\n",
            expect![[r#"[Err(ParseControlError { text: "hello" })]"#]],
        );
        check(
            ": x\n",
            expect![[r#"[Err(ParseControlError { text: ": x" })]"#]],
        );
    }

    #[test]
    fn reads_one_paragraph_after_the_other() {
        let mut reader = &b"\n\nA: 1\n b\n\n\nC: 2"[..];
        let mut buffer = Vec::new();
        let mut found = Vec::new();
        while read_paragraph(&mut reader, &mut buffer).unwrap() {
            found.push(String::from_utf8(buffer.clone()).unwrap());
        }
        assert_eq!(found, ["A: 1\n b\n", "C: 2"]);
    }

    #[test]
    fn refuses_a_giant_paragraph() {
        let mut reader = io::BufReader::new(io::Read::take(io::repeat(b'x'), 20 << 20));
        assert!(read_paragraph(&mut reader, &mut Vec::new()).is_err());
    }

    proptest! {
        #[test]
        fn hostile_text_never_panics(text in "(?s)[ \t\n:#A-Cé]{0,60}") {
            for paragraph in paragraphs(&text).flatten() {
                for (name, value) in paragraph.fields() {
                    prop_assert!(text.contains(name) && text.contains(value));
                }
            }
        }
    }
}
