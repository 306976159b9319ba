//! Numbers: arithmetic that overflows with an error, rounding, bits, order.

use crate::builtin::{Builtin, arg};
use crate::error::{EvalError, Result};
use crate::evaluator::Evaluator;
use crate::source::Place;
use crate::value::Value;

/// The table.
pub const TABLE: &[Builtin] = &[
    Builtin::new("add", 2, |e, args, _| {
        calculate(
            e,
            args,
            "the addition",
            i64::checked_add,
            |a, b| a + b,
            ("adding", '+'),
        )
    }),
    Builtin::new("bitAnd", 2, |e, args, _| {
        bits(e, args, "bitAnd", |a, b| a & b)
    }),
    Builtin::new("bitOr", 2, |e, args, _| {
        bits(e, args, "bitOr", |a, b| a | b)
    }),
    Builtin::new("bitXor", 2, |e, args, _| {
        bits(e, args, "bitXor", |a, b| a ^ b)
    }),
    Builtin::new("ceil", 1, |e, args, _| round(e, args, "ceil", f64::ceil)),
    Builtin::new("div", 2, div),
    Builtin::new("floor", 1, |e, args, _| round(e, args, "floor", f64::floor)),
    Builtin::new("lessThan", 2, |e, args, _| {
        e.less_than(arg(args, 0), arg(args, 1)).map(Value::bool)
    }),
    Builtin::new("mul", 2, |e, args, _| {
        let words = ("multiplying", '*');
        calculate(
            e,
            args,
            "the multiplication",
            i64::checked_mul,
            |a, b| a * b,
            words,
        )
    }),
    Builtin::new("sub", 2, |e, args, _| {
        let words = ("subtracting", '-');
        calculate(
            e,
            args,
            "the subtraction",
            i64::checked_sub,
            |a, b| a - b,
            words,
        )
    }),
];

fn calculate<'e>(
    e: &mut Evaluator<'e>,
    args: &[Value<'e>],
    what: &str,
    integers: fn(i64, i64) -> Option<i64>,
    floats: fn(f64, f64) -> f64,
    (verb, sign): (&str, char),
) -> Result<Value<'e>> {
    let first = e.force(arg(args, 0))?;
    let second = e.force(arg(args, 1))?;
    if let (Value::Int(first), Value::Int(second)) = (first, second) {
        return integers(first, second)
            .map(Value::Int)
            .ok_or_else(|| overflow(verb, first, sign, second));
    }
    let first_what = format!("the first argument of {what}");
    let second_what = format!("the second argument of {what}");
    if matches!(first, Value::Float(_)) || matches!(second, Value::Float(_)) {
        let first = e.expect_float(first, &first_what)?;
        return Ok(Value::float(floats(
            first,
            e.expect_float(second, &second_what)?,
        )));
    }
    e.expect_int(first, &first_what)?;
    e.expect_int(second, &second_what).map(Value::Int)
}

#[cold]
fn overflow(verb: &str, first: i64, sign: char, second: i64) -> EvalError {
    EvalError::eval(format!(
        "integer overflow in {verb} {first} {sign} {second}"
    ))
}

fn div<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let first = e.force(arg(args, 0))?;
    let second = e.force(arg(args, 1))?;
    if let (Value::Int(_), Value::Int(0)) = (first, second) {
        return Err(EvalError::eval("division by zero"));
    }
    if let (Value::Int(first), Value::Int(second)) = (first, second) {
        return first
            .checked_div(second)
            .map(Value::Int)
            .ok_or_else(|| overflow("dividing", first, '/', second));
    }
    let divisor = e.expect_float(second, "the second operand of the division")?;
    if divisor == 0.0 {
        return Err(EvalError::eval("division by zero"));
    }
    Ok(Value::float(
        e.expect_float(first, "the first operand of the division")? / divisor,
    ))
}

fn bits<'e>(
    e: &mut Evaluator<'e>,
    args: &[Value<'e>],
    name: &str,
    operation: fn(i64, i64) -> i64,
) -> Result<Value<'e>> {
    let first = e.expect_int(
        arg(args, 0),
        &format!("the first argument of 'builtins.{name}'"),
    )?;
    let second = e.expect_int(
        arg(args, 1),
        &format!("the second argument of 'builtins.{name}'"),
    )?;
    Ok(Value::Int(operation(first, second)))
}

fn round<'e>(
    e: &mut Evaluator<'e>,
    args: &[Value<'e>],
    name: &str,
    operation: fn(f64) -> f64,
) -> Result<Value<'e>> {
    /// 2^63, the first float above all integers.
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    let value = e.force(arg(args, 0))?;
    if let Value::Int(_) = value {
        return Ok(value);
    }
    let number = e.expect_float(value, &format!("the argument of 'builtins.{name}'"))?;
    let rounded = operation(number);
    if !(-LIMIT..LIMIT).contains(&rounded) {
        return Err(EvalError::eval(format!(
            "the float {number} is not in the range of integers"
        )));
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "it is whole and in the range"
    )]
    let rounded = rounded as i64;
    Ok(Value::Int(rounded))
}
