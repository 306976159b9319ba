//! JSON texts as a sequence of events. The reader keeps its own stack, so that no nesting
//! overflows the thread's.
//!
//! Source: RFC 8259, read strictly: no comments, no trailing commas, one value and nothing behind
//! it; texts are UTF-8. A number without fraction and exponent is an integer if 64 bits hold it.

use std::borrow::Cow;

/// What is read next.
#[derive(Debug, Clone, PartialEq)]
pub enum Event<'t> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number without fraction and exponent.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// A string that is a value.
    String(Cow<'t, str>),
    /// A string before a colon.
    Key(Cow<'t, str>),
    /// `[`
    ListBegin,
    /// `]`
    ListEnd,
    /// `{`
    ObjectBegin,
    /// `}`
    ObjectEnd,
}

/// Why a text is not JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem} at line {line}, column {column}")]
pub struct JsonError {
    problem: String,
    line: usize,
    column: usize,
}

/// Reads a text.
pub struct Reader<'t> {
    text: &'t [u8],
    place: usize,
    open: Vec<Open>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    List,
    Object,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A value must come.
    Value,
    /// A list has just begun: a value or its end.
    FirstElement,
    /// An object has just begun: a key or its end.
    FirstKey,
    /// A value has ended: a comma, or the end of what is open.
    Behind,
}

impl<'t> Reader<'t> {
    /// A reader at the beginning of a text; a byte order mark is passed over.
    #[must_use]
    pub fn new(text: &'t [u8]) -> Self {
        let place = if text.starts_with(b"\xef\xbb\xbf") {
            3
        } else {
            0
        };
        Self {
            text,
            place,
            open: Vec::new(),
            state: State::Value,
        }
    }

    /// The next event; `None` at the text's end.
    ///
    /// # Errors
    /// The text is not JSON.
    pub fn advance(&mut self) -> Result<Option<Event<'t>>, JsonError> {
        self.skip_space();
        if self.state == State::Behind {
            let Some(open) = self.open.last().copied() else {
                return match self.peek() {
                    None => Ok(None),
                    Some(_) => Err(self.unexpected("the end of the text")),
                };
            };
            match (self.peek(), open) {
                (Some(b']'), Open::List) => return Ok(Some(self.close(Event::ListEnd))),
                (Some(b'}'), Open::Object) => return Ok(Some(self.close(Event::ObjectEnd))),
                (Some(b','), Open::List) => self.state = State::Value,
                (Some(b','), Open::Object) => {
                    self.place += 1;
                    self.skip_space();
                    return self.key("a string as key").map(Some);
                }
                (_, Open::List) => return Err(self.unexpected("',' or ']'")),
                (_, Open::Object) => return Err(self.unexpected("',' or '}'")),
            }
            self.place += 1;
            self.skip_space();
        }
        match (self.state, self.peek()) {
            (State::FirstElement, Some(b']')) => Ok(Some(self.close(Event::ListEnd))),
            (State::FirstKey, Some(b'}')) => Ok(Some(self.close(Event::ObjectEnd))),
            (State::FirstKey, _) => self.key("a string as key, or '}'").map(Some),
            _ => self.value().map(Some),
        }
    }

    fn close(&mut self, event: Event<'t>) -> Event<'t> {
        self.place += 1;
        self.open.pop();
        self.state = State::Behind;
        event
    }

    fn key(&mut self, expected: &str) -> Result<Event<'t>, JsonError> {
        if self.peek() != Some(b'"') {
            return Err(self.unexpected(expected));
        }
        let key = self.string()?;
        self.skip_space();
        if self.peek() != Some(b':') {
            return Err(self.unexpected("':'"));
        }
        self.place += 1;
        self.state = State::Value;
        Ok(Event::Key(key))
    }

    fn value(&mut self) -> Result<Event<'t>, JsonError> {
        let state = std::mem::replace(&mut self.state, State::Behind);
        match self.peek() {
            Some(b'[') => {
                self.place += 1;
                self.open.push(Open::List);
                self.state = State::FirstElement;
                Ok(Event::ListBegin)
            }
            Some(b'{') => {
                self.place += 1;
                self.open.push(Open::Object);
                self.state = State::FirstKey;
                Ok(Event::ObjectBegin)
            }
            Some(b'"') => self.string().map(Event::String),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Event::Bool(true)),
            Some(b'f') => self.word("false", Event::Bool(false)),
            Some(b'n') => self.word("null", Event::Null),
            _ if state == State::FirstElement => Err(self.unexpected("a value or ']'")),
            _ => Err(self.unexpected("a value")),
        }
    }

    fn word(&mut self, word: &str, event: Event<'t>) -> Result<Event<'t>, JsonError> {
        if !self.rest().starts_with(word.as_bytes()) {
            return Err(self.unexpected("a value"));
        }
        self.place += word.len();
        Ok(event)
    }

    fn number(&mut self) -> Result<Event<'t>, JsonError> {
        let start = self.place;
        self.accept(|byte| byte == b'-');
        if !self.accept(|byte| byte == b'0') && self.digits() == 0 {
            return Err(self.unexpected("a digit"));
        }
        let mut whole = true;
        if self.accept(|byte| byte == b'.') {
            whole = false;
            if self.digits() == 0 {
                return Err(self.unexpected("a digit"));
            }
        }
        if self.accept(|byte| matches!(byte, b'e' | b'E')) {
            whole = false;
            self.accept(|byte| matches!(byte, b'+' | b'-'));
            if self.digits() == 0 {
                return Err(self.unexpected("a digit"));
            }
        }
        let digits = self.text.get(start..self.place).unwrap_or_default();
        let digits = std::str::from_utf8(digits).unwrap_or_default();
        if whole {
            if let Ok(number) = digits.parse() {
                return Ok(Event::Int(number));
            }
            // Between the greatest integer and twice as much: surely meant as an integer.
            if digits.parse::<u64>().is_ok() {
                return Err(self.error_at(start, format!("the integer {digits} is too large")));
            }
        }
        match digits.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Event::Float(number)),
            _ => Err(self.error_at(start, format!("the number {digits} is too large"))),
        }
    }

    fn accept(&mut self, wanted: impl Fn(u8) -> bool) -> bool {
        let accepted = self.peek().is_some_and(wanted);
        self.place += usize::from(accepted);
        accepted
    }

    fn digits(&mut self) -> usize {
        let start = self.place;
        while self.accept(|byte| byte.is_ascii_digit()) {}
        self.place - start
    }

    fn string(&mut self) -> Result<Cow<'t, str>, JsonError> {
        self.place += 1;
        let start = self.place;
        let mut text = Cow::Borrowed(self.plain()?);
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.place += 1;
                    break;
                }
                Some(b'\\') => {
                    let escaped = self.escaped()?;
                    let text = text.to_mut();
                    text.push(escaped);
                    text.push_str(self.plain()?);
                }
                Some(byte) => {
                    let problem = format!("a control character ({byte:#04x}) in a string");
                    return Err(self.error_at(self.place, problem));
                }
                None => return Err(self.error_at(start - 1, "a string is not closed".to_owned())),
            }
        }
        if text.contains('\0') {
            let problem = "a string with a zero byte, which the language does not have";
            return Err(self.error_at(start - 1, problem.to_owned()));
        }
        Ok(text)
    }

    /// The part of a string up to the next quote, backslash or control character.
    fn plain(&mut self) -> Result<&'t str, JsonError> {
        let rest = self.rest();
        let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
        let length = rest.iter().position(special).unwrap_or(rest.len());
        let bytes = rest.get(..length).unwrap_or_default();
        match std::str::from_utf8(bytes) {
            Ok(text) => {
                self.place += length;
                Ok(text)
            }
            Err(error) => {
                let place = self.place + error.valid_up_to();
                Err(self.error_at(place, "a string is not UTF-8".to_owned()))
            }
        }
    }

    fn escaped(&mut self) -> Result<char, JsonError> {
        let start = self.place;
        self.place += 1;
        let byte = self.peek();
        self.place += 1;
        Ok(match byte {
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.code_point(start),
            _ => return Err(self.error_at(start, "an unknown escape in a string".to_owned())),
        })
    }

    /// The character that `\u1234`, or a pair of surrogates, stands for.
    fn code_point(&mut self, start: usize) -> Result<char, JsonError> {
        let first = self.hexadecimal(start)?;
        let code = if (0xd800..0xdc00).contains(&first) && self.rest().starts_with(b"\\u") {
            self.place += 2;
            let second = self.hexadecimal(start)?;
            if !(0xdc00..0xe000).contains(&second) {
                return Err(self.half_surrogate(start));
            }
            0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)
        } else {
            first
        };
        char::from_u32(code).ok_or_else(|| self.half_surrogate(start))
    }

    fn half_surrogate(&self, start: usize) -> JsonError {
        self.error_at(start, "half of a surrogate pair in a string".to_owned())
    }

    fn hexadecimal(&mut self, start: usize) -> Result<u32, JsonError> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            let Some(digit) = digit else {
                return Err(self.error_at(start, "'\\u' needs four digits of base 16".to_owned()));
            };
            code = code * 16 + digit;
            self.place += 1;
        }
        Ok(code)
    }

    fn rest(&self) -> &'t [u8] {
        self.text.get(self.place..).unwrap_or_default()
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.get(self.place).copied()
    }

    fn skip_space(&mut self) {
        while self.accept(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')) {}
    }

    #[cold]
    fn unexpected(&self, expected: &str) -> JsonError {
        let found = match self.rest().first() {
            None => "the end of the text".to_owned(),
            Some(byte) if byte.is_ascii_graphic() => format!("'{}'", char::from(*byte)),
            Some(byte) => format!("byte {byte:#04x}"),
        };
        self.error_at(
            self.place,
            format!("expected {expected}, but found {found}"),
        )
    }

    #[cold]
    fn error_at(&self, place: usize, problem: String) -> JsonError {
        let before = self.text.get(..place).unwrap_or(self.text);
        let line = before.split(|byte| *byte == b'\n').count();
        let start = before
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        JsonError {
            problem,
            line,
            column: place - start + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    fn events(text: &[u8]) -> Result<Vec<Event<'_>>, JsonError> {
        let mut reader = Reader::new(text);
        let mut events = Vec::new();
        while let Some(event) = reader.advance()? {
            events.push(event);
        }
        Ok(events)
    }

    fn check(texts: &[&str], expected: &Expect) {
        let mut out = String::new();
        for text in texts {
            let line = match events(text.as_bytes()) {
                Ok(events) => format!("{text}  {events:?}\n"),
                Err(error) => format!("{text}  error: {error}\n"),
            };
            out.push_str(&line);
        }
        expected.assert_eq(&out);
    }

    #[test]
    fn values() {
        check(
            &[
                "1",
                "-0",
                "-9223372036854775808",
                "9223372036854775808",
                "18446744073709551616",
                "1.5e3",
                "1E-2",
                " [ ] ",
                "[[],{}]",
                r#"{"a": [null, true, false], "a": {"b": ""}}"#,
                r#""\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00é""#,
            ],
            &expect![[r#"
                1  [Int(1)]
                -0  [Int(0)]
                -9223372036854775808  [Int(-9223372036854775808)]
                9223372036854775808  error: the integer 9223372036854775808 is too large at line 1, column 1
                18446744073709551616  [Float(1.8446744073709552e19)]
                1.5e3  [Float(1500.0)]
                1E-2  [Float(0.01)]
                 [ ]   [ListBegin, ListEnd]
                [[],{}]  [ListBegin, ListBegin, ListEnd, ObjectBegin, ObjectEnd, ListEnd]
                {"a": [null, true, false], "a": {"b": ""}}  [ObjectBegin, Key("a"), ListBegin, Null, Bool(true), Bool(false), ListEnd, Key("a"), ObjectBegin, Key("b"), String(""), ObjectEnd, ObjectEnd]
                "\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00é"  [String("\"\\/\u{8}\u{c}\n\r\té😀é")]
            "#]],
        );
    }

    #[test]
    fn errors() {
        check(
            &[
                "",
                "[",
                "[1",
                "[1,]",
                "[,]",
                "{",
                "{\"a\"",
                "{\"a\":}",
                "{\"a\":1,}",
                "{a:1}",
                "1 2",
                "01",
                "-",
                "1.",
                ".5",
                "1e",
                "1e999",
                "tru",
                "nul",
                "\"a",
                "\"\n\"",
                r#""\x""#,
                r#""\u12""#,
                r#""\ud800""#,
                r#""\udc00""#,
                r#""\ud800\u0041""#,
                r#""\u0000""#,
                "// 1",
                "+1",
                "NaN",
                "]",
                "[}",
                "[1}",
                "{\n \"a\": 1\n \"b\": 2 }",
            ],
            &expect![[r#"
                  error: expected a value, but found the end of the text at line 1, column 1
                [  error: expected a value or ']', but found the end of the text at line 1, column 2
                [1  error: expected ',' or ']', but found the end of the text at line 1, column 3
                [1,]  error: expected a value, but found ']' at line 1, column 4
                [,]  error: expected a value or ']', but found ',' at line 1, column 2
                {  error: expected a string as key, or '}', but found the end of the text at line 1, column 2
                {"a"  error: expected ':', but found the end of the text at line 1, column 5
                {"a":}  error: expected a value, but found '}' at line 1, column 6
                {"a":1,}  error: expected a string as key, but found '}' at line 1, column 8
                {a:1}  error: expected a string as key, or '}', but found 'a' at line 1, column 2
                1 2  error: expected the end of the text, but found '2' at line 1, column 3
                01  error: expected the end of the text, but found '1' at line 1, column 2
                -  error: expected a digit, but found the end of the text at line 1, column 2
                1.  error: expected a digit, but found the end of the text at line 1, column 3
                .5  error: expected a value, but found '.' at line 1, column 1
                1e  error: expected a digit, but found the end of the text at line 1, column 3
                1e999  error: the number 1e999 is too large at line 1, column 1
                tru  error: expected a value, but found 't' at line 1, column 1
                nul  error: expected a value, but found 'n' at line 1, column 1
                "a  error: a string is not closed at line 1, column 1
                "
                "  error: a control character (0x0a) in a string at line 1, column 2
                "\x"  error: an unknown escape in a string at line 1, column 2
                "\u12"  error: '\u' needs four digits of base 16 at line 1, column 2
                "\ud800"  error: half of a surrogate pair in a string at line 1, column 2
                "\udc00"  error: half of a surrogate pair in a string at line 1, column 2
                "\ud800\u0041"  error: half of a surrogate pair in a string at line 1, column 2
                "\u0000"  error: a string with a zero byte, which the language does not have at line 1, column 1
                // 1  error: expected a value, but found '/' at line 1, column 1
                +1  error: expected a value, but found '+' at line 1, column 1
                NaN  error: expected a value, but found 'N' at line 1, column 1
                ]  error: expected a value, but found ']' at line 1, column 1
                [}  error: expected a value or ']', but found '}' at line 1, column 2
                [1}  error: expected ',' or ']', but found '}' at line 1, column 3
                {
                 "a": 1
                 "b": 2 }  error: expected ',' or '}', but found '"' at line 3, column 2
            "#]],
        );
    }

    #[test]
    fn nesting_overflows_no_stack() {
        let deep = "[".repeat(1_000_000);
        assert!(events(deep.as_bytes()).is_err());
        let text = format!("{deep}{}", "]".repeat(1_000_000));
        assert_eq!(
            events(text.as_bytes()).map(|events| events.len()),
            Ok(2_000_000)
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_to_an_end(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let text = events(&bytes);
            prop_assert!(text.is_ok() || text.is_err());
        }

        #[test]
        fn strings_come_back(string in any::<String>().prop_filter("no NUL", |s| !s.contains('\0'))) {
            let mut text = Vec::new();
            crate::print::json_string(&mut text, string.as_bytes()).unwrap();
            prop_assert_eq!(events(&text).unwrap(), vec![Event::String(string.into())]);
        }

        #[test]
        fn floats_come_back(float in any::<f64>().prop_filter("finite", |f| f.is_finite())) {
            let text = crate::print::json_float(float);
            prop_assert_eq!(events(text.as_bytes()).unwrap(), vec![Event::Float(float)]);
        }

        #[test]
        fn integers_come_back(integer in any::<i64>()) {
            let text = integer.to_string();
            prop_assert_eq!(events(text.as_bytes()).unwrap(), vec![Event::Int(integer)]);
        }
    }
}
