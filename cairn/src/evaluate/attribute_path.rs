//! Paths to an attribute on a command line: `config.services."a.b".enable`, `packages.0`.

use bstr::{BString, ByteSlice as _};
use cairn_evaluator::value::Value;
use cairn_evaluator::{ErrorKind, EvalError, Evaluator};

use super::arguments::{Arguments, call_with};

/// Names and numbers between dots; quotes keep a dot in a name.
///
/// # Errors
/// A quote is not closed.
pub fn parse(path: &[u8]) -> Result<Vec<BString>, EvalError> {
    let mut parts = Vec::new();
    let mut part = BString::default();
    let mut quoted = false;
    for &byte in path {
        match byte {
            b'"' => quoted = !quoted,
            b'.' if !quoted => parts.push(std::mem::take(&mut part)),
            byte => part.push(byte),
        }
    }
    if quoted {
        let path = path.as_bstr();
        return Err(EvalError::new(
            ErrorKind::Parse,
            format!("missing closing quote in selection path '{path}'"),
        ));
    }
    if !part.is_empty() {
        parts.push(part);
    }
    Ok(parts)
}

/// Follows a path from `value` on. Functions on the way are called.
///
/// # Errors
/// A part is not there, or whatever evaluating it meets.
pub fn select<'e>(
    e: &mut Evaluator<'e>,
    mut value: Value<'e>,
    path: &[u8],
    arguments: &Arguments<'e>,
) -> Result<Value<'e>, EvalError> {
    for part in parse(path)? {
        value = call_with(e, value, arguments)?;
        let number = part.to_str().ok().and_then(|part| part.parse::<u32>().ok());
        value = match number {
            Some(index) => element(e, value, index, path)?,
            None => attribute(e, value, &part, path)?,
        };
    }
    e.force(value)
}

fn attribute<'e>(
    e: &mut Evaluator<'e>,
    value: Value<'e>,
    name: &BString,
    path: &[u8],
) -> Result<Value<'e>, EvalError> {
    let path = path.as_bstr();
    let Value::Attrs(attrs) = value else {
        return Err(EvalError::type_error(format!(
            "the expression selected by the selection path '{path}' should be a set but is {}",
            e.describe_briefly(value)
        )));
    };
    if name.is_empty() {
        let message = format!("empty attribute name in selection path '{path}'");
        return Err(EvalError::eval(message));
    }
    attrs.get(e.intern(name)).ok_or_else(|| {
        let error = EvalError::new(
            ErrorKind::Missing,
            format!("attribute '{name}' in selection path '{path}' not found"),
        );
        let names = e.sorted(attrs).map(|(name, _)| e.name(name));
        e.suggest(error, name, names)
    })
}

fn element<'e>(
    e: &Evaluator<'e>,
    value: Value<'e>,
    index: u32,
    path: &[u8],
) -> Result<Value<'e>, EvalError> {
    let path = path.as_bstr();
    let Value::List(list) = value else {
        return Err(EvalError::type_error(format!(
            "the expression selected by the selection path '{path}' should be a list but is {}",
            e.describe_briefly(value)
        )));
    };
    list.get(index as usize).ok_or_else(|| {
        EvalError::new(
            ErrorKind::Missing,
            format!(
                "list index {index} in selection path '{path}' is out of range: the list has {} \
                 elements",
                list.len()
            ),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_keep_dots() {
        let parts = |path: &str| parse(path.as_bytes()).unwrap();
        assert_eq!(parts(""), [""; 0]);
        assert_eq!(parts("a.b"), ["a", "b"]);
        assert_eq!(parts("a.\"b.c\".0"), ["a", "b.c", "0"]);
        assert_eq!(parts("a..b."), ["a", "", "b"]);
        assert!(parse(b"a.\"b").is_err());
    }
}
