//! Arguments of the command line, and functions that are called with them on the way.

use bstr::BString;
use cairn_evaluator::value::Value;
use cairn_evaluator::{ErrorKind, EvalError, Evaluator};

/// Arguments by their names.
pub type Arguments<'e> = [(BString, Value<'e>)];

/// Calls a function that takes a set with those arguments that it knows; whatever else `value` is
/// comes back as it is.
///
/// # Errors
/// The function needs an argument that is not there, or whatever the call meets.
pub fn call_with<'e>(
    e: &mut Evaluator<'e>,
    value: Value<'e>,
    arguments: &Arguments<'e>,
) -> Result<Value<'e>, EvalError> {
    let value = e.force(value)?;
    if let Value::Attrs(attrs) = value
        && let Some(functor) = attrs.get(e.intern(b"__functor"))
    {
        let function = e.call(functor, &[value])?;
        return call_with(e, function, arguments);
    }
    let Value::Lambda(closure) = value else {
        return Ok(value);
    };
    let Some(formals) = closure.lambda.formals() else {
        return Ok(value);
    };
    let mut attrs = Vec::new();
    for formal in formals.list {
        let name = e.name(formal.name);
        match arguments.iter().find(|(known, _)| known == name) {
            Some((_, value)) => attrs.push(e.attr(name, *value)),
            None if formal.has_default() => {}
            None => return Err(missing(&e.name_text(formal.name)).at(formal.place)),
        }
    }
    if formals.ellipsis {
        attrs.extend(arguments.iter().map(|(name, value)| e.attr(name, *value)));
    }
    let argument = e.attrs(attrs);
    e.call(value, &[argument])
}

fn missing(name: &str) -> EvalError {
    EvalError::new(
        ErrorKind::Missing,
        format!("cannot evaluate a function that has an argument without a value ('{name}')"),
    )
    .note(format!(
        "a function as a whole file's value gets its arguments from --arg and --argstr, here \
         --arg {name} VALUE"
    ))
}
