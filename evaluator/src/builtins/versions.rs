//! Versions and names of packages.

use std::cmp::Ordering;

use crate::builtin::{Builtin, arg};
use crate::error::Result;
use crate::evaluator::Evaluator;
use crate::source::Place;
use crate::value::Value;

/// The table.
pub const TABLE: &[Builtin] = &[
    Builtin::new("compareVersions", 2, compare_versions),
    Builtin::new("parseDrvName", 1, parse_drv_name),
    Builtin::new("splitVersion", 1, split_version),
];

fn compare_versions<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let first = e.expect_plain_string(
        arg(args, 0),
        "the first argument of 'builtins.compareVersions'",
    )?;
    let second = e.expect_plain_string(
        arg(args, 1),
        "the second argument of 'builtins.compareVersions'",
    )?;
    Ok(Value::Int(compare(first, second) as i64))
}

fn parse_drv_name<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let text = e.expect_plain_string(arg(args, 0), "the argument of 'builtins.parseDrvName'")?;
    let (name, version) = parse(text);
    let attrs = vec![
        e.attr(b"name", e.arena_string(name)),
        e.attr(b"version", e.arena_string(version)),
    ];
    Ok(e.attrs(attrs))
}

fn split_version<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let text = e.expect_plain_string(arg(args, 0), "the argument of 'builtins.splitVersion'")?;
    let parts: Vec<_> = Components(text).map(|part| e.arena_string(part)).collect();
    Ok(e.list(&parts))
}

/// Name and version: the version begins behind the first dash that no letter follows.
fn parse(text: &[u8]) -> (&[u8], &[u8]) {
    let dash = text
        .array_windows()
        .position(|[dash, next]| *dash == b'-' && !next.is_ascii_alphabetic());
    match dash.and_then(|dash| text.split_at_checked(dash)) {
        Some((name, version)) => (name, version.get(1..).unwrap_or_default()),
        None => (text, b""),
    }
}

/// The parts of a version: runs of digits, and runs of what is neither a digit, a dot nor a dash.
struct Components<'a>(&'a [u8]);

impl<'a> Iterator for Components<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let start = self
            .0
            .iter()
            .position(|byte| !matches!(byte, b'.' | b'-'))?;
        let rest = self.0.get(start..)?;
        let digits = rest.first()?.is_ascii_digit();
        let belongs = |byte: &u8| byte.is_ascii_digit() == digits && !matches!(byte, b'.' | b'-');
        let length = rest
            .iter()
            .position(|byte| !belongs(byte))
            .unwrap_or(rest.len());
        let (component, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some(component)
    }
}

fn compare(first: &[u8], second: &[u8]) -> Ordering {
    let (mut first, mut second) = (Components(first), Components(second));
    loop {
        let (one, other) = (first.next(), second.next());
        if one.is_none() && other.is_none() {
            return Ordering::Equal;
        }
        let (one, other) = (one.unwrap_or_default(), other.unwrap_or_default());
        if before(one, other) {
            return Ordering::Less;
        }
        if before(other, one) {
            return Ordering::Greater;
        }
    }
}

/// Numbers come in their order and behind words, `pre` before everything, the end of a version
/// before a number: `2.3pre1 < 2.3 < 2.3.1`, `2.3a < 2.3.1`.
fn before(one: &[u8], other: &[u8]) -> bool {
    match (number(one), number(other)) {
        (Some(one), Some(other)) => one < other,
        (None, Some(_)) if one.is_empty() => true,
        _ if one == b"pre" && other != b"pre" => true,
        _ if other == b"pre" => false,
        (None, Some(_)) => true,
        (Some(_), None) => false,
        (None, None) => one < other,
    }
}

/// What does not fit in 32 bits is compared as a word.
fn number(component: &[u8]) -> Option<i32> {
    std::str::from_utf8(component).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared() {
        for (first, second, expected) in [
            ("1.0", "2.3", Ordering::Less),
            ("2.1", "2.3", Ordering::Less),
            ("2.3", "2.3", Ordering::Equal),
            ("2.5", "2.3", Ordering::Greater),
            ("2.3.1", "2.3", Ordering::Greater),
            ("2.3.1", "2.3a", Ordering::Greater),
            ("2.3pre1", "2.3", Ordering::Less),
            ("2.3pre3", "2.3pre12", Ordering::Less),
            ("2.3a", "2.3c", Ordering::Less),
            ("2.3pre1", "2.3c", Ordering::Less),
            ("2.3pre1", "2.3q", Ordering::Less),
            ("1", "1.-", Ordering::Equal),
            ("20240101120000", "20240101120001", Ordering::Less),
            ("9999999999", "10000000000", Ordering::Greater),
        ] {
            assert_eq!(
                compare(first.as_bytes(), second.as_bytes()),
                expected,
                "{first} {second}"
            );
        }
    }

    #[test]
    fn names_and_versions_come_apart() {
        for (text, name, version) in [
            ("hello-2.12", "hello", "2.12"),
            ("nix-tools-0.1pre1", "nix-tools", "0.1pre1"),
            ("a-b", "a-b", ""),
            ("a-", "a-", ""),
            ("a--1", "a", "-1"),
        ] {
            assert_eq!(
                parse(text.as_bytes()),
                (name.as_bytes(), version.as_bytes()),
                "{text}"
            );
        }
    }
}
