//! What a value is: `isList`, `typeOf` and the like.

use crate::builtin::{Builtin, arg};
use crate::error::Result;
use crate::evaluator::Evaluator;
use crate::source::Place;
use crate::value::Value;

/// The table.
pub const TABLE: &[Builtin] = &[
    Builtin::new("isAttrs", 1, |e, args, _| {
        test(e, args, |value| matches!(value, Value::Attrs(_)))
    }),
    Builtin::new("isBool", 1, |e, args, _| {
        test(e, args, |value| matches!(value, Value::Bool(_)))
    }),
    Builtin::new("isFloat", 1, |e, args, _| {
        test(e, args, |value| matches!(value, Value::Float(_)))
    }),
    Builtin::new("isFunction", 1, |e, args, _| {
        test(e, args, |value| {
            matches!(value, Value::Lambda(_) | Value::Builtin(_))
        })
    }),
    Builtin::new("isInt", 1, |e, args, _| {
        test(e, args, |value| matches!(value, Value::Int(_)))
    }),
    Builtin::new("isList", 1, |e, args, _| {
        test(e, args, |value| matches!(value, Value::List(_)))
    }),
    Builtin::new("isNull", 1, |e, args, _| {
        test(e, args, |value| matches!(value, Value::Null))
    })
    .global(),
    Builtin::new("isPath", 1, |e, args, _| {
        test(e, args, |value| matches!(value, Value::Path(_)))
    }),
    Builtin::new("isString", 1, |e, args, _| {
        test(e, args, |value| matches!(value, Value::String(_)))
    }),
    Builtin::new("typeOf", 1, type_of),
];

fn test<'e>(
    e: &mut Evaluator<'e>,
    args: &[Value<'e>],
    is: fn(Value<'_>) -> bool,
) -> Result<Value<'e>> {
    Ok(Value::bool(is(e.force(arg(args, 0))?)))
}

fn type_of<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let name = e.force(arg(args, 0))?.type_name();
    Ok(e.arena_string(name.as_bytes()))
}
