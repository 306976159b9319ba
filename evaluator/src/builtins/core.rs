//! Builtins that control evaluation itself.

use crate::builtin::{Builtin, arg};
use crate::code::Formals;
use crate::coerce::Coercion;
use crate::error::{ErrorKind, EvalError, Result};
use crate::evaluator::Evaluator;
use crate::source::{Place, Position};
use crate::value::Value;

/// The table.
pub const TABLE: &[Builtin] = &[
    Builtin::new("abort", 1, abort).global(),
    Builtin::new("addErrorContext", 2, add_error_context),
    Builtin::new("deepSeq", 2, deep_seq),
    Builtin::new("functionArgs", 1, function_args),
    Builtin::new("seq", 2, seq),
    Builtin::new("throw", 1, throw).global(),
    Builtin::new("tryEval", 1, try_eval),
    Builtin::new("unsafeGetAttrPos", 2, unsafe_get_attr_pos),
];

fn message<'e>(e: &mut Evaluator<'e>, value: Value<'e>) -> Result<String> {
    let text = e.coerce_to_string(value, Coercion::Strict)?;
    Ok(String::from_utf8_lossy(text.bytes()).into_owned())
}

fn abort<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let message = message(e, arg(args, 0))?;
    Err(EvalError::new(
        ErrorKind::Abort,
        format!("evaluation aborted with the following error message: '{message}'"),
    ))
}

fn throw<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let message = message(e, arg(args, 0))?;
    Err(EvalError::new(ErrorKind::Throw, message))
}

fn add_error_context<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    e.force(arg(args, 1)).or_else(|error| {
        let line = message(e, arg(args, 0))?;
        Err(error.user_frame(line, Place::NONE))
    })
}

fn seq<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    e.force(arg(args, 0))?;
    e.force(arg(args, 1))
}

fn deep_seq<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    e.force_deep(arg(args, 0))?;
    e.force(arg(args, 1))
}

fn try_eval<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let (success, value) = match e.force(arg(args, 0)) {
        Ok(value) => (true, value),
        Err(error) if error.kind().catchable() => (false, Value::bool(false)),
        Err(error) => return Err(error),
    };
    let attrs = vec![
        e.attr(b"success", Value::bool(success)),
        e.attr(b"value", value),
    ];
    Ok(e.attrs(attrs))
}

fn function_args<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let function = e.force(arg(args, 0))?;
    match function {
        Value::Lambda(closure) => Ok(closure
            .lambda
            .formals()
            .map_or_else(|| e.attrs(Vec::new()), |formals| formals_as_set(e, formals))),
        Value::Builtin(_) => Ok(e.attrs(Vec::new())),
        other => Err(EvalError::type_error(format!(
            "'functionArgs' requires a function, but got {}",
            e.describe_briefly(other)
        ))),
    }
}

fn formals_as_set<'e>(e: &Evaluator<'e>, formals: &Formals<'e>) -> Value<'e> {
    let attrs = formals.list.iter().map(|formal| crate::attrs::Attr {
        name: formal.name,
        position: formal.place.start,
        value: Value::bool(formal.has_default()),
    });
    e.attrs(attrs.collect())
}

fn unsafe_get_attr_pos<'e>(
    e: &mut Evaluator<'e>,
    args: &[Value<'e>],
    _: Place,
) -> Result<Value<'e>> {
    let what = "the first argument of 'builtins.unsafeGetAttrPos'";
    let name = e.expect_plain_string(arg(args, 0), what)?;
    let attrs = e.expect_attrs(
        arg(args, 1),
        "the second argument of 'builtins.unsafeGetAttrPos'",
    )?;
    let name = e.intern(name);
    Ok(e.position_value(attrs.position(name).unwrap_or(Position::NONE)))
}
