//! Strings and paths as text. Contexts are carried along as the language does: what a result is
//! made of is in its context.

use crate::builtin::{Builtin, arg};
use crate::coerce::Coercion;
use crate::error::{EvalError, Result, Traced as _};
use crate::evaluator::Evaluator;
use crate::source::Place;
use crate::string::{ContextBuilder, NixString};
use crate::value::{List, Value};

/// The table.
pub const TABLE: &[Builtin] = &[
    Builtin::new("baseNameOf", 1, base_name_of).global(),
    Builtin::new("concatStringsSep", 2, concat_strings_sep),
    Builtin::new("dirOf", 1, dir_of).global(),
    Builtin::new("replaceStrings", 3, replace_strings),
    Builtin::new("stringLength", 1, string_length),
    Builtin::new("substring", 3, substring),
    Builtin::new("toString", 1, to_string).global(),
];

fn text<'e>(
    e: &mut Evaluator<'e>,
    value: Value<'e>,
    coercion: Coercion,
    what: &str,
) -> Result<&'e NixString<'e>> {
    match e.force(value)? {
        Value::String(string) => Ok(string),
        other => e
            .coerce_to_string(other, coercion)
            .while_(|| format!("while evaluating {what}"), Place::NONE),
    }
}

fn to_string<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let what = "the argument of 'builtins.toString'";
    text(e, arg(args, 0), Coercion::Everything, what).map(Value::String)
}

fn base_name_of<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let what = "the argument of 'builtins.baseNameOf'";
    let path = text(e, arg(args, 0), Coercion::Strict, what)?;
    let bytes = path.bytes();
    // One slash at the end is left out, not more.
    let end = match bytes {
        [_, .., b'/'] => bytes.len() - 1,
        _ => bytes.len(),
    };
    let kept = bytes.get(..end).unwrap_or_default();
    let start = kept
        .iter()
        .rposition(|byte| *byte == b'/')
        .map_or(0, |slash| slash + 1);
    Ok(e.substring(path, start, end))
}

fn dir_of<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let value = e.force(arg(args, 0))?;
    if let Value::Path(path) = value {
        let bytes = path.bytes();
        let slash = bytes.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        return Ok(e.path(bytes.get(..slash.max(1)).unwrap_or(b"/")));
    }
    let path = text(
        e,
        value,
        Coercion::Strict,
        "the argument of 'builtins.dirOf'",
    )?;
    if let Some(slash) = path.bytes().iter().rposition(|byte| *byte == b'/') {
        return Ok(e.substring(path, 0, slash.max(1)));
    }
    let mut context = ContextBuilder::new();
    context.add(path);
    Ok(e.string_with(b".", context))
}

#[expect(clippy::cast_possible_wrap, reason = "no string is so long")]
fn string_length<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let what = "the argument of 'builtins.stringLength'";
    let string = text(e, arg(args, 0), Coercion::Copying, what)?;
    Ok(Value::Int(string.len() as i64))
}

fn substring<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let what = "the first argument (the start) of 'builtins.substring'";
    let start = e.expect_int(arg(args, 0), what)?;
    let Ok(start) = usize::try_from(start) else {
        return Err(EvalError::eval(format!(
            "negative start position {start} in 'substring'"
        )));
    };
    let what = "the second argument (the length) of 'builtins.substring'";
    let length = e.expect_int(arg(args, 1), what)?;
    let what = "the third argument (the string) of 'builtins.substring'";
    let string = text(e, arg(args, 2), Coercion::Copying, what)?;
    let whole = string.bytes().len();
    let start = start.min(whole);
    // A negative length means all of the rest.
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let end = start.saturating_add(length).min(whole);
    if start == 0 && end == whole {
        return Ok(Value::String(string));
    }
    Ok(e.substring(string, start, end))
}

fn concat_strings_sep<'e>(
    e: &mut Evaluator<'e>,
    args: &[Value<'e>],
    _: Place,
) -> Result<Value<'e>> {
    let what = "the first argument (the separator) of 'builtins.concatStringsSep'";
    let separator = e.expect_string(arg(args, 0), what)?;
    let what = "the second argument (the list) of 'builtins.concatStringsSep'";
    let list = e.expect_list(arg(args, 1), what)?;
    let mut context = ContextBuilder::new();
    context.add(separator);
    let mut bytes = Vec::new();
    for (index, item) in list.iter().enumerate() {
        if index > 0 {
            bytes.extend_from_slice(separator.bytes());
        }
        let part = match e.force(item) {
            Ok(Value::String(string)) => string,
            forced => forced
                .and_then(|value| e.coerce_to_string(value, Coercion::Copying))
                .while_(
                    || format!("while evaluating element {index} of the list given to 'builtins.concatStringsSep'"),
                    Place::NONE,
                )?,
        };
        e.check_memory(bytes.len() + part.bytes().len())?;
        bytes.extend_from_slice(part.bytes());
        context.add(part);
    }
    Ok(e.string_with(bytes, context))
}

/// The replacements that were needed so far.
struct Replacements<'e> {
    list: &'e List<'e>,
    texts: Vec<Option<&'e NixString<'e>>>,
}

impl<'e> Replacements<'e> {
    /// A replacement is computed, and its context counts, only when it is used.
    fn get(
        &mut self,
        e: &mut Evaluator<'e>,
        index: usize,
        context: &mut ContextBuilder<'e>,
    ) -> Result<&'e [u8]> {
        if let Some(Some(known)) = self.texts.get(index) {
            return Ok(known.bytes());
        }
        let value = self.list.get(index).unwrap_or(Value::Null);
        let what = "one of the replacements given to 'builtins.replaceStrings'";
        let text = e.expect_string(value, what)?;
        context.add(text);
        if let Some(known) = self.texts.get_mut(index) {
            *known = Some(text);
        }
        Ok(text.bytes())
    }
}

fn replace_strings<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let from = e.expect_list(
        arg(args, 0),
        "the first argument of 'builtins.replaceStrings'",
    )?;
    let to = e.expect_list(
        arg(args, 1),
        "the second argument of 'builtins.replaceStrings'",
    )?;
    if from.len() != to.len() {
        return Err(EvalError::eval(
            "'from' and 'to' arguments passed to builtins.replaceStrings have different lengths",
        ));
    }
    let mut patterns: Vec<&'e [u8]> = Vec::with_capacity(from.len());
    for item in from.iter() {
        let what = "one of the strings to replace given to 'builtins.replaceStrings'";
        patterns.push(e.expect_string(item, what)?.bytes());
    }
    let what = "the third argument of 'builtins.replaceStrings'";
    let string = e.expect_string(arg(args, 2), what)?;
    let mut context = ContextBuilder::new();
    context.add(string);
    let mut replacements = Replacements {
        list: to,
        texts: vec![None; to.len()],
    };
    let starts = Starts::new(&patterns);
    let mut out: Vec<u8> = Vec::new();
    let mut replaced = false;
    let mut rest = string.bytes();
    // Once more at the end, where an empty pattern matches.
    loop {
        let skipped = starts.skip(rest);
        let (plain, behind) = rest.split_at_checked(skipped).unwrap_or((rest, &[]));
        out.extend_from_slice(plain);
        rest = behind;
        let found = patterns
            .iter()
            .position(|pattern| rest.starts_with(pattern));
        let Some(index) = found else {
            let Some((byte, behind)) = rest.split_first() else {
                break;
            };
            out.push(*byte);
            rest = behind;
            continue;
        };
        replaced = true;
        let replacement = replacements.get(e, index, &mut context)?;
        e.check_memory(out.len() + replacement.len())?;
        out.extend_from_slice(replacement);
        let length = patterns.get(index).map_or(0, |pattern| pattern.len());
        if length > 0 {
            rest = rest.get(length..).unwrap_or_default();
            continue;
        }
        let Some((byte, behind)) = rest.split_first() else {
            break;
        };
        out.push(*byte);
        rest = behind;
    }
    if !replaced {
        return Ok(Value::String(string));
    }
    e.check_memory(out.len())?;
    Ok(e.string_with(out, context))
}

/// With which bytes a pattern can begin.
enum Starts {
    /// Some pattern is empty.
    Anywhere,
    One(u8),
    Some(Box<[bool; 256]>),
}

impl Starts {
    fn new(patterns: &[&[u8]]) -> Self {
        let mut bytes = Box::new([false; 256]);
        let mut only = None;
        let mut several = false;
        for pattern in patterns {
            let Some(first) = pattern.first() else {
                return Self::Anywhere;
            };
            if let Some(place) = bytes.get_mut(usize::from(*first)) {
                *place = true;
            }
            several |= only.is_some_and(|only| only != *first);
            only = Some(*first);
        }
        match only {
            Some(only) if !several => Self::One(only),
            _ => Self::Some(bytes),
        }
    }

    /// How many bytes can be passed over.
    fn skip(&self, rest: &[u8]) -> usize {
        let found = match self {
            Self::Anywhere => return 0,
            Self::One(byte) => bstr::ByteSlice::find_byte(rest, *byte),
            Self::Some(bytes) => rest
                .iter()
                .position(|byte| bytes.get(usize::from(*byte)).copied().unwrap_or(true)),
        };
        found.unwrap_or(rest.len())
    }
}
