//! What a serial console said, and when: the pure part of [`crate::console`].
//!
//! Terminal control sequences (ECMA-48) and carriage returns are dropped as the bytes arrive, so
//! that a pattern is found whatever colours a firmware or boot loader uses. A line's time is that
//! of its first byte.

use std::time::Duration;

/// One line of the console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Time from the machine's start to the line's first byte.
    pub at: Duration,
    /// Its text, without control sequences and line end.
    pub text: String,
}

/// All that was said so far, with a cursor for those who expect something.
#[derive(Debug, Default)]
pub struct Transcript {
    text: Vec<u8>,
    /// Start of each line in `text`, and its time.
    starts: Vec<(usize, Duration)>,
    cursor: usize,
    stripper: Stripper,
}

impl Transcript {
    /// Appends what has arrived `at` this time after the start.
    pub fn push(&mut self, bytes: &[u8], at: Duration) {
        for &byte in bytes {
            let Some(byte) = self.stripper.strip(byte) else {
                continue;
            };
            if self.text.last().is_none_or(|last| *last == b'\n') {
                self.starts.push((self.text.len(), at));
            }
            self.text.push(byte);
        }
    }

    /// Looks for the first of `patterns` that occurs after the cursor; moves the cursor behind it
    /// and returns the pattern's index and the text up to and with it.
    pub fn find(&mut self, patterns: &[&str]) -> Option<(usize, String)> {
        let rest = self.text.get(self.cursor..)?;
        let (end, index) = patterns
            .iter()
            .enumerate()
            .filter_map(|(index, pattern)| {
                let start = position(rest, pattern.as_bytes())?;
                Some((start + pattern.len(), index))
            })
            .min()?;
        let found = rest
            .get(..end)
            .map(|text| String::from_utf8_lossy(text).into_owned())?;
        self.cursor += end;
        Some((index, found))
    }

    /// Whether `pattern` occurs anywhere; the cursor stays.
    #[must_use]
    pub fn contains(&self, pattern: &str) -> bool {
        position(&self.text, pattern.as_bytes()).is_some()
    }

    /// Every line so far; the last may be unfinished.
    #[must_use]
    pub fn lines(&self) -> Vec<Line> {
        let ends = self
            .starts
            .iter()
            .skip(1)
            .map(|(start, _)| *start)
            .chain([self.text.len()]);
        self.starts
            .iter()
            .zip(ends)
            .map(|((start, at), end)| {
                let bytes = self.text.get(*start..end).unwrap_or_default();
                let text = String::from_utf8_lossy(bytes);
                Line {
                    at: *at,
                    text: text.trim_end_matches('\n').to_owned(),
                }
            })
            .collect()
    }

    /// The last `count` lines, for an error message.
    #[must_use]
    pub fn tail(&self, count: usize) -> String {
        let lines = self.lines();
        let skipped = lines.len().saturating_sub(count);
        let texts: Vec<_> = lines
            .into_iter()
            .skip(skipped)
            .map(|line| line.text)
            .collect();
        texts.join("\n")
    }
}

fn position(text: &[u8], pattern: &[u8]) -> Option<usize> {
    if pattern.is_empty() {
        return Some(0);
    }
    text.windows(pattern.len())
        .position(|window| window == pattern)
}

/// Drops ECMA-48 sequences, byte by byte, since one may be split between two reads.
#[derive(Debug, Default)]
enum Stripper {
    #[default]
    Text,
    Escape,
    /// `ESC (` and its like: one more byte.
    Charset,
    /// `ESC [`: up to a byte from `@` to `~`.
    Sequence,
    /// `ESC ]`: up to BEL or `ESC \`.
    Command,
}

impl Stripper {
    fn strip(&mut self, byte: u8) -> Option<u8> {
        let (next, kept) = match (&self, byte) {
            (Self::Text | Self::Command, 0x1b) => (Self::Escape, None),
            (Self::Text, b'\n' | b'\t' | 0x20..=0x7e | 0x80..=0xff) => (Self::Text, Some(byte)),
            (Self::Escape, b']') => (Self::Command, None),
            (Self::Escape, b'(' | b')' | b'*' | b'+' | b'#' | b'%') => (Self::Charset, None),
            (Self::Escape, b'[') | (Self::Sequence, 0x20..=0x3f) => (Self::Sequence, None),
            (Self::Command, byte) if byte != 0x07 => (Self::Command, None),
            _ => (Self::Text, None),
        };
        *self = next;
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transcript(pieces: &[(&[u8], u64)]) -> Transcript {
        let mut transcript = Transcript::default();
        for (bytes, at) in pieces {
            transcript.push(bytes, Duration::from_millis(*at));
        }
        transcript
    }

    #[test]
    fn lines_have_the_time_of_their_first_byte() {
        let transcript = transcript(&[(b"on", 1), (b"e\r\ntwo\n", 2), (b"login: ", 3)]);
        let lines: Vec<_> = transcript
            .lines()
            .into_iter()
            .map(|line| (line.at.as_millis(), line.text))
            .collect();
        assert_eq!(
            lines,
            [
                (1, "one".to_owned()),
                (2, "two".to_owned()),
                (3, "login: ".to_owned())
            ]
        );
        assert_eq!(transcript.tail(2), "two\nlogin: ");
    }

    #[test]
    fn control_sequences_are_dropped_even_when_split() {
        let pieces: [(&[u8], u64); 4] = [
            (b"\x1b[01;3", 1),
            (b"1mred\x1b", 1),
            (b"(B \x1b]0;title\x07x", 1),
            (b"\x1bcy", 1),
        ];
        assert_eq!(transcript(&pieces).tail(1), "red xy");
    }

    #[test]
    fn a_pattern_is_found_once_and_after_the_cursor() {
        let mut transcript = transcript(&[(b"a login: root\nPassword: ", 1)]);
        assert_eq!(transcript.find(&["nothing"]), None);
        assert_eq!(
            transcript.find(&["Password:", "login:"]),
            Some((1, "a login:".to_owned()))
        );
        assert_eq!(transcript.find(&["login:"]), None);
        assert_eq!(
            transcript.find(&["Password:"]),
            Some((0, " root\nPassword:".to_owned()))
        );
    }

    #[test]
    fn bytes_that_are_no_text_do_no_harm() {
        let all: Vec<u8> = (0..=255).chain(0..=255).collect();
        let transcript = transcript(&[(&all, 1)]);
        assert!(transcript.tail(5).contains("abc"));
    }
}
