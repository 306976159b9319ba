//! `match` and `split`.

use std::collections::HashMap;
use std::rc::Rc;

use super::regex::{InvalidRegex, Range, Regex, Scratch};
use crate::builtin::{Builtin, arg};
use crate::error::{EvalError, Result};
use crate::evaluator::Evaluator;
use crate::source::Place;
use crate::string::NixString;
use crate::value::Value;

/// The table.
pub const TABLE: &[Builtin] = &[
    Builtin::new("match", 2, match_),
    Builtin::new("split", 2, split),
];

/// Compiled expressions by their text, and memory for searches.
#[derive(Default)]
pub struct Patterns {
    compiled: HashMap<Box<[u8]>, Rc<Regex>>,
    scratch: Scratch,
}

/// Expressions that are made from data can be many.
const KEPT: usize = 4_096;

impl Patterns {
    fn get(&mut self, pattern: &[u8]) -> std::result::Result<Rc<Regex>, InvalidRegex> {
        if let Some(regex) = self.compiled.get(pattern) {
            return Ok(Rc::clone(regex));
        }
        let regex = Rc::new(Regex::new(pattern)?);
        if self.compiled.len() >= KEPT {
            self.compiled.clear();
        }
        self.compiled.insert(pattern.into(), Rc::clone(&regex));
        Ok(regex)
    }
}

#[cold]
fn invalid(error: InvalidRegex, pattern: &[u8]) -> EvalError {
    EvalError::eval(format!(
        "invalid regular expression '{}'",
        String::from_utf8_lossy(pattern)
    ))
    .note(error.to_string())
}

fn match_<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let pattern = e.expect_plain_string(arg(args, 0), "the first argument of 'builtins.match'")?;
    let regex = e
        .patterns
        .get(pattern)
        .map_err(|error| invalid(error, pattern))?;
    let subject = e.expect_string(arg(args, 1), "the second argument of 'builtins.match'")?;
    let groups = regex
        .full_match(subject.bytes(), &mut e.patterns.scratch)
        .map_err(|error| invalid(error, pattern))?;
    Ok(match groups {
        None => Value::Null,
        Some(groups) => e.list_from(groups.into_iter().map(|group| piece(e, subject, group))),
    })
}

/// A group's text; matches have no context.
fn piece<'e>(e: &Evaluator<'e>, subject: &NixString<'e>, range: Option<Range>) -> Value<'e> {
    match range {
        None => Value::Null,
        Some((start, end)) if start == end => e.string(b""),
        Some((start, end)) => e.arena_string(subject.bytes().get(start..end).unwrap_or_default()),
    }
}

fn split<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let pattern = e.expect_plain_string(arg(args, 0), "the first argument of 'builtins.split'")?;
    let regex = e
        .patterns
        .get(pattern)
        .map_err(|error| invalid(error, pattern))?;
    let subject = e.expect_string(arg(args, 1), "the second argument of 'builtins.split'")?;
    let mut scratch = std::mem::take(&mut e.patterns.scratch);
    let parts = parts(e, &regex, subject, &mut scratch);
    e.patterns.scratch = scratch;
    let parts = parts.map_err(|error| invalid(error, pattern))?;
    if parts.is_empty() {
        return Ok(e.list(&[Value::String(subject)]));
    }
    Ok(e.list(&parts))
}

/// Texts between matches, and the groups of each; nothing if there is no match.
fn parts<'e>(
    e: &Evaluator<'e>,
    regex: &Regex,
    subject: &NixString<'e>,
    scratch: &mut Scratch,
) -> std::result::Result<Vec<Value<'e>>, InvalidRegex> {
    let mut parts = Vec::new();
    let mut last = 0;
    let mut groups: Vec<Value<'e>> = Vec::with_capacity(regex.groups());
    let mut matches = regex.matches(subject.bytes(), scratch)?;
    while let Some((start, end)) = matches.advance()? {
        parts.push(piece(e, subject, Some((last, start))));
        groups.clear();
        groups.extend(matches.groups().map(|group| piece(e, subject, group)));
        parts.push(e.list(&groups));
        last = end;
    }
    if !parts.is_empty() {
        parts.push(piece(e, subject, Some((last, subject.bytes().len()))));
    }
    Ok(parts)
}
