//! The lines of a file of rules, and the parts of one: `KEY{attribute} operator "value"`.
//!
//! A backslash at the end of a line joins the next to it; comments between such lines are skipped, and so are the
//! spaces before them. In `"…"` only `\"` means something else than it says; `e"…"` has C's escape sequences, `i"…"`
//! is compared without regard to case, and both can be together.

use super::key::Operator;
use super::pattern::Case;
use super::problem::Fault;

/// The most bytes of a rule, as udev has it.
pub(super) const RULE_BYTES: usize = 16 << 10;

/// A rule's text, of one line or several.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Where it begins; the first is 1.
    pub(super) number: usize,
    pub(super) text: Result<String, Fault>,
}

/// `KEY{attribute} operator "value"`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) key: String,
    pub(super) attribute: Option<String>,
    pub(super) operator: Operator,
    pub(super) value: String,
    pub(super) case: Case,
}

/// The rules of a file; none of them is empty.
pub(super) fn lines(text: &str) -> Vec<Line> {
    let mut found = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim_start();
        if line.starts_with('#') {
            continue;
        }
        let (start, mut joined) = open.take().unwrap_or((number, String::new()));
        if let Some(line) = line.strip_suffix('\\') {
            joined.push_str(line);
            open = Some((start, joined));
            continue;
        }
        joined.push_str(line);
        if !joined.trim().is_empty() {
            found.push(Line {
                number: start,
                text: bounded(joined),
            });
        }
    }
    if let Some((number, _)) = open {
        let text = Err(Fault::NoContinuation);
        found.push(Line { number, text });
    }
    found
}

fn bounded(text: String) -> Result<String, Fault> {
    if text.len() > RULE_BYTES {
        return Err(Fault::TooLong { limit: RULE_BYTES });
    }
    if text.contains('\0') {
        return Err(Fault::ZeroByte);
    }
    Ok(text)
}

/// The parts of a rule.
pub(super) fn parts(line: &str) -> Result<Vec<Part>, Fault> {
    let between = |c: char| c.is_ascii_whitespace() || c == ',';
    let mut parts = Vec::new();
    let mut rest = line.trim_start_matches(between);
    while !rest.is_empty() {
        let (part, after) = part(rest)?;
        parts.push(part);
        rest = after.trim_start_matches(between);
    }
    Ok(parts)
}

/// The part that `text` begins with, and what follows.
fn part(text: &str) -> Result<(Part, &str), Fault> {
    let (key, rest) = split_at(text, |c| !c.is_ascii_alphanumeric() && c != '_');
    if key.is_empty() {
        let at = text.chars().take(20).collect();
        return Err(Fault::NoKey { at });
    }
    let key = key.to_owned();
    let (attribute, rest) = match rest.trim_start().strip_prefix('{') {
        None => (None, rest),
        Some(rest) => match rest.split_once('}') {
            None => return Err(Fault::OpenAttribute { key }),
            Some((attribute, rest)) => (Some(attribute.to_owned()), rest),
        },
    };
    let Some((operator, rest)) = Operator::at(rest.trim_start()) else {
        return Err(Fault::NoOperator { key });
    };
    let (prefix, rest) = split_at(rest.trim_start(), |c| c != 'e' && c != 'i');
    let Some(rest) = rest.strip_prefix('"').filter(|_| {
        let once = |letter| prefix.matches(letter).count() <= 1;
        once('e') && once('i')
    }) else {
        return Err(Fault::NoValue { key, operator });
    };
    let (value, rest) = if prefix.contains('e') {
        escaped(&key, rest)?
    } else {
        plain(&key, rest)?
    };
    let case = if prefix.contains('i') {
        Case::Ignored
    } else {
        Case::Counts
    };
    let part = Part {
        key,
        attribute,
        operator,
        value,
        case,
    };
    Ok((part, rest))
}

/// `text` before and from the first character that `ends` it.
fn split_at(text: &str, ends: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(ends).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

/// The text before a quote, in which `\"` is a quote, and what follows.
fn plain<'a>(key: &str, text: &'a str) -> Result<(String, &'a str), Fault> {
    let mut value = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => return Ok((value, chars.as_str())),
            '\\' if chars.as_str().starts_with('"') => {
                chars.next();
                value.push('"');
            }
            _ => value.push(c),
        }
    }
    let key = key.to_owned();
    Err(Fault::OpenValue { key })
}

/// The text before a quote, with C's escape sequences, and what follows.
fn escaped<'a>(key: &str, text: &'a str) -> Result<(String, &'a str), Fault> {
    let mut value = String::new();
    let mut rest = text;
    loop {
        let (before, after) = split_at(rest, |c| c == '"' || c == '\\');
        value.push_str(before);
        if let Some(after) = after.strip_prefix('"') {
            return Ok((value, after));
        }
        let Some(after) = after.strip_prefix('\\') else {
            let key = key.to_owned();
            return Err(Fault::OpenValue { key });
        };
        let Some((c, after)) = sequence(after) else {
            let key = key.to_owned();
            let sequence = after.chars().take(1).collect();
            return Err(Fault::BadEscape { key, sequence });
        };
        value.push(c);
        rest = after;
    }
}

/// What stands for one character after a backslash, and what follows; never a zero byte.
fn sequence(text: &str) -> Option<(char, &str)> {
    let number = |text: &str, digits: usize, radix: u32| {
        let value = u32::from_str_radix(text.get(..digits)?, radix).ok()?;
        let is_digits = text.chars().take(digits).all(|c| c.is_digit(radix));
        let c = char::from_u32(value).filter(|c| is_digits && *c != '\0')?;
        // Bytes above 127 alone are no text.
        (digits > 3 || c.is_ascii()).then_some(c)
    };
    let mut chars = text.chars();
    let first = chars.next()?;
    let rest = chars.as_str();
    let digits = match first {
        'x' => 2,
        'u' => 4,
        'U' => 8,
        _ => 0,
    };
    if digits > 0 {
        return Some((number(rest, digits, 16)?, rest.get(digits..)?));
    }
    let c = match first {
        'a' => '\x07',
        'b' => '\x08',
        'f' => '\x0c',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\x0b',
        's' => ' ',
        '\\' | '"' | '\'' => first,
        '0'..='3' => return Some((number(text, 3, 8)?, text.get(3..)?)),
        _ => return None,
    };
    Some((c, rest))
}
