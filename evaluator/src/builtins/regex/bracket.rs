//! Bracket expressions: `[a-z]`, `[^]x]`, `[[:alpha:]_-]`, `[[=e=]]`, `[[.hyphen.]]`.
//!
//! The rules are those of POSIX in the C locale as libstdc++ reads them, which is what Nix
//! programs have met so far: a backslash is an ordinary character, a range runs over *signed*
//! bytes (so that none leads from ASCII into the bytes of a UTF-8 sequence), `[[=a=]]` is `a` and
//! `A`, class names may be in capitals and include ECMAScript's `d`, `s` and `w`.

use super::bytes::ByteSet;
use super::parse::Invalid;

/// The set of one bracket expression, and what follows it in the pattern.
///
/// `pattern` begins after the opening bracket.
pub(super) fn parse(pattern: &[u8]) -> Result<(ByteSet, &[u8]), Invalid> {
    let (negated, pattern) = match pattern {
        [b'^', rest @ ..] => (true, rest),
        _ => (false, pattern),
    };
    let mut reader = Reader {
        rest: pattern,
        at_start: true,
    };
    let mut set = ByteSet::EMPTY;
    let mut last = first_of(&mut reader)?;
    loop {
        match reader.next()? {
            Token::End => break,
            Token::Dash => {
                if reader.peek_end() {
                    reader.next()?;
                    set.insert(b'-');
                    break;
                }
                last = range(&mut reader, &mut set, last)?;
            }
            token => {
                if let Last::Byte(byte) = last {
                    set.insert(byte);
                }
                last = match token {
                    Token::Byte(byte) | Token::Element(byte) => Last::Byte(byte),
                    Token::Class(class) => {
                        set = set.union(class);
                        Last::Class
                    }
                    Token::Dash | Token::End => Last::Nothing,
                };
            }
        }
    }
    if let Last::Byte(byte) = last {
        set.insert(byte);
    }
    Ok((if negated { set.complement() } else { set }, reader.rest))
}

/// What stands before the place where the reader is: a byte may begin a range.
#[derive(Clone, Copy)]
enum Last {
    Nothing,
    Byte(u8),
    Class,
}

enum Token {
    Byte(u8),
    /// `[.hyphen.]`, which may begin a range, but not end one.
    Element(u8),
    Dash,
    Class(ByteSet),
    End,
}

/// A dash in the first place is an ordinary character.
fn first_of(reader: &mut Reader) -> Result<Last, Invalid> {
    let before = *reader;
    match reader.next()? {
        Token::Byte(byte) => Ok(Last::Byte(byte)),
        Token::Dash => Ok(Last::Byte(b'-')),
        Token::Element(_) | Token::Class(_) | Token::End => {
            *reader = before;
            Ok(Last::Nothing)
        }
    }
}

/// The range whose start is `last` and whose dash has just been read.
fn range(reader: &mut Reader, set: &mut ByteSet, last: Last) -> Result<Last, Invalid> {
    let Last::Byte(low) = last else {
        return Err(Invalid("a range in brackets has no start"));
    };
    let high = match reader.next()? {
        Token::Byte(byte) => byte,
        Token::Dash => b'-',
        Token::Element(_) | Token::Class(_) | Token::End => {
            return Err(Invalid("a range in brackets has no end"));
        }
    };
    let (low, high) = (low.cast_signed(), high.cast_signed());
    if low > high {
        return Err(Invalid("a range in brackets runs backwards"));
    }
    for byte in low..=high {
        set.insert(byte.cast_unsigned());
    }
    Ok(Last::Nothing)
}

#[derive(Clone, Copy)]
struct Reader<'p> {
    rest: &'p [u8],
    /// A closing bracket in the first place is an ordinary character.
    at_start: bool,
}

impl<'p> Reader<'p> {
    fn next(&mut self) -> Result<Token, Invalid> {
        let at_start = std::mem::replace(&mut self.at_start, false);
        let (&byte, rest) = self
            .rest
            .split_first()
            .ok_or(Invalid("a bracket expression is not closed"))?;
        self.rest = rest;
        match (byte, rest.first()) {
            (b'-', _) => Ok(Token::Dash),
            (b']', _) if !at_start => Ok(Token::End),
            (b'[', Some(b':')) => class(self.name(b':')?)
                .map(Token::Class)
                .ok_or(Invalid("unknown character class")),
            (b'[', Some(b'=')) => {
                let byte = element(self.name(b'=')?)?;
                Ok(Token::Class(
                    ByteSet::of(byte.to_ascii_lowercase())
                        .union(ByteSet::of(byte.to_ascii_uppercase())),
                ))
            }
            (b'[', Some(b'.')) => element(self.name(b'.')?).map(Token::Element),
            (b'[', None) => Err(Invalid("a bracket expression is not closed")),
            _ => Ok(Token::Byte(byte)),
        }
    }

    fn peek_end(&self) -> bool {
        self.rest.first() == Some(&b']')
    }

    /// The name between `[:` and `:]`; the reader stands between the bracket and the mark.
    fn name(&mut self, mark: u8) -> Result<&'p [u8], Invalid> {
        let unclosed = Invalid("a named class in brackets is not closed");
        let body = self.rest.get(1..).ok_or(unclosed)?;
        let length = body.iter().position(|&byte| byte == mark).ok_or(unclosed)?;
        let (name, rest) = body.split_at_checked(length).ok_or(unclosed)?;
        self.rest = rest.strip_prefix(&[mark, b']']).ok_or(unclosed)?;
        Ok(name)
    }
}

fn class(name: &[u8]) -> Option<ByteSet> {
    let test: fn(u8) -> bool = match name.to_ascii_lowercase().as_slice() {
        b"d" | b"digit" => |byte| byte.is_ascii_digit(),
        b"w" => |byte| byte.is_ascii_alphanumeric() || byte == b'_',
        b"s" | b"space" => |byte| matches!(byte, b' ' | b'\t'..=b'\r'),
        b"alnum" => |byte| byte.is_ascii_alphanumeric(),
        b"alpha" => |byte| byte.is_ascii_alphabetic(),
        b"blank" => |byte| matches!(byte, b' ' | b'\t'),
        b"cntrl" => |byte| byte.is_ascii_control(),
        b"graph" => |byte| byte.is_ascii_graphic(),
        b"lower" => |byte| byte.is_ascii_lowercase(),
        b"print" => |byte| matches!(byte, b' '..=b'~'),
        b"punct" => |byte| byte.is_ascii_punctuation(),
        b"upper" => |byte| byte.is_ascii_uppercase(),
        b"xdigit" => |byte| byte.is_ascii_hexdigit(),
        _ => return None,
    };
    let mut set = ByteSet::EMPTY;
    for byte in (0..=u8::MAX).filter(|&byte| test(byte)) {
        set.insert(byte);
    }
    Some(set)
}

/// The byte that a collating element names.
fn element(name: &[u8]) -> Result<u8, Invalid> {
    if let [letter] = name
        && letter.is_ascii_alphabetic()
    {
        return Ok(*letter);
    }
    NAMES
        .iter()
        .find(|(candidate, _)| candidate.as_bytes() == name)
        .map(|(_, byte)| *byte)
        .ok_or(Invalid("unknown collating element"))
}

/// The names of POSIX's portable character set, letters aside.
const NAMES: &[(&str, u8)] = &[
    ("NUL", 0),
    ("SOH", 1),
    ("STX", 2),
    ("ETX", 3),
    ("EOT", 4),
    ("ENQ", 5),
    ("ACK", 6),
    ("alert", 7),
    ("backspace", 8),
    ("tab", 9),
    ("newline", 10),
    ("vertical-tab", 11),
    ("form-feed", 12),
    ("carriage-return", 13),
    ("SO", 14),
    ("SI", 15),
    ("DLE", 16),
    ("DC1", 17),
    ("DC2", 18),
    ("DC3", 19),
    ("DC4", 20),
    ("NAK", 21),
    ("SYN", 22),
    ("ETB", 23),
    ("CAN", 24),
    ("EM", 25),
    ("SUB", 26),
    ("ESC", 27),
    ("IS4", 28),
    ("IS3", 29),
    ("IS2", 30),
    ("IS1", 31),
    ("space", b' '),
    ("exclamation-mark", b'!'),
    ("quotation-mark", b'"'),
    ("number-sign", b'#'),
    ("dollar-sign", b'$'),
    ("percent-sign", b'%'),
    ("ampersand", b'&'),
    ("apostrophe", b'\''),
    ("left-parenthesis", b'('),
    ("right-parenthesis", b')'),
    ("asterisk", b'*'),
    ("plus-sign", b'+'),
    ("comma", b','),
    ("hyphen", b'-'),
    ("period", b'.'),
    ("slash", b'/'),
    ("zero", b'0'),
    ("one", b'1'),
    ("two", b'2'),
    ("three", b'3'),
    ("four", b'4'),
    ("five", b'5'),
    ("six", b'6'),
    ("seven", b'7'),
    ("eight", b'8'),
    ("nine", b'9'),
    ("colon", b':'),
    ("semicolon", b';'),
    ("less-than-sign", b'<'),
    ("equals-sign", b'='),
    ("greater-than-sign", b'>'),
    ("question-mark", b'?'),
    ("commercial-at", b'@'),
    ("left-square-bracket", b'['),
    ("backslash", b'\\'),
    ("right-square-bracket", b']'),
    ("circumflex", b'^'),
    ("underscore", b'_'),
    ("grave-accent", b'`'),
    ("left-curly-bracket", b'{'),
    ("vertical-line", b'|'),
    ("right-curly-bracket", b'}'),
    ("tilde", b'~'),
    ("DEL", 127),
];
