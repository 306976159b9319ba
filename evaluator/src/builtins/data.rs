//! Formats of data: JSON, TOML and XML.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::json::{Event, JsonError, Reader};
use crate::attrs::Attr;
use crate::builtin::{Builtin, arg};
use crate::error::{EvalError, Result};
use crate::evaluator::Evaluator;
use crate::print::{Paths, Xml};
use crate::source::{Place, Position};
use crate::string::ContextBuilder;
use crate::symbol::Symbol;
use crate::value::Value;

/// The table.
pub const TABLE: &[Builtin] = &[
    Builtin::new("fromJSON", 1, from_json),
    Builtin::new("fromTOML", 1, from_toml).global(),
    Builtin::new("toJSON", 1, to_json),
    Builtin::new("toXML", 1, to_xml),
];

fn to_json<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let mut out = Vec::new();
    let mut context = ContextBuilder::new();
    e.print_json(arg(args, 0), Paths::Copied, &mut out, &mut context)?;
    e.check_memory(out.len())?;
    Ok(e.string_with(out, context))
}

fn to_xml<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let mut context = ContextBuilder::new();
    let xml = Xml {
        force: true,
        locations: false,
    };
    let out = e.print_xml(arg(args, 0), xml, &mut context)?;
    e.check_memory(out.len())?;
    Ok(e.string_with(out, context))
}

fn from_json<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let text = e.expect_plain_string(arg(args, 0), "the argument of 'builtins.fromJSON'")?;
    json(e, text).map_err(|error| EvalError::eval(format!("cannot read JSON: {error}")))
}

/// A list or an object that has begun.
enum Open<'e> {
    List(Vec<Value<'e>>),
    Object(Vec<Attr<'e>>, Symbol),
}

fn json<'e>(e: &Evaluator<'e>, text: &'e [u8]) -> std::result::Result<Value<'e>, JsonError> {
    let mut reader = Reader::new(text);
    let mut open: Vec<Open<'e>> = Vec::new();
    let mut whole = Value::Null;
    while let Some(event) = reader.advance()? {
        let value = match event {
            Event::Null => Value::Null,
            Event::Bool(truth) => Value::bool(truth),
            Event::Int(number) => Value::Int(number),
            Event::Float(number) => Value::float(number),
            Event::String(std::borrow::Cow::Borrowed(text)) => e.arena_string(text.as_bytes()),
            Event::String(std::borrow::Cow::Owned(text)) => e.string(text),
            Event::Key(key) => {
                if let Some(Open::Object(_, name)) = open.last_mut() {
                    *name = e.intern(key.as_bytes());
                }
                continue;
            }
            Event::ListBegin => {
                open.push(Open::List(Vec::new()));
                continue;
            }
            Event::ObjectBegin => {
                open.push(Open::Object(Vec::new(), crate::known::EMPTY));
                continue;
            }
            Event::ListEnd | Event::ObjectEnd => match open.pop() {
                Some(Open::List(items)) => e.list(&items),
                Some(Open::Object(attrs, _)) => e.attrs(attrs),
                None => Value::Null,
            },
        };
        match open.last_mut() {
            Some(Open::List(items)) => items.push(value),
            Some(Open::Object(attrs, name)) => {
                attrs.push(Attr {
                    name: *name,
                    position: Position::NONE,
                    value,
                });
            }
            None => whole = value,
        }
    }
    Ok(whole)
}

fn from_toml<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let bytes = e.expect_plain_string(arg(args, 0), "the argument of 'builtins.fromTOML'")?;
    let text = std::str::from_utf8(bytes).map_err(|error| {
        EvalError::eval(format!(
            "cannot read TOML: it is not UTF-8 at byte {}",
            error.valid_up_to()
        ))
    })?;
    let table =
        DeTable::parse(text).map_err(|error| toml_error(text, error.span(), error.message()))?;
    toml_table(e, text, table.get_ref())
}

#[cold]
fn toml_error(text: &str, span: Option<std::ops::Range<usize>>, problem: &str) -> EvalError {
    let Some(before) = span.and_then(|span| text.get(..span.start)) else {
        return EvalError::eval(format!("cannot read TOML: {problem}"));
    };
    let line = before.matches('\n').count() + 1;
    let column = before.len() - before.rfind('\n').map_or(0, |at| at + 1) + 1;
    EvalError::eval(format!(
        "cannot read TOML: {problem} at line {line}, column {column}"
    ))
}

fn toml_table<'e>(e: &Evaluator<'e>, text: &str, table: &DeTable<'_>) -> Result<Value<'e>> {
    let mut attrs = Vec::with_capacity(table.len());
    for (key, value) in table {
        if key.get_ref().contains('\0') {
            return Err(toml_error(text, Some(key.span()), ZERO));
        }
        let value = toml_value(e, text, value)?;
        attrs.push(e.attr(key.get_ref().as_bytes(), value));
    }
    Ok(e.attrs(attrs))
}

const ZERO: &str = "a string with a zero byte, which the language does not have,";

/// The reader limits how deeply values nest.
fn toml_value<'e>(
    e: &Evaluator<'e>,
    text: &str,
    value: &Spanned<DeValue<'_>>,
) -> Result<Value<'e>> {
    let problem = |problem| Err(toml_error(text, Some(value.span()), problem));
    Ok(match value.get_ref() {
        DeValue::String(string) if string.contains('\0') => return problem(ZERO),
        DeValue::String(string) => e.string(string.as_bytes()),
        DeValue::Integer(digits) => match i64::from_str_radix(digits.as_str(), digits.radix()) {
            Ok(number) => Value::Int(number),
            Err(_) => return problem("the integer is too large"),
        },
        DeValue::Float(digits) => match digits.as_str().parse() {
            Ok(number) => Value::float(number),
            Err(_) => return problem("the number cannot be read"),
        },
        DeValue::Boolean(truth) => Value::bool(*truth),
        DeValue::Datetime(time) if e.options().toml_timestamps => {
            let attrs = vec![
                e.attr(b"_type", e.string(b"timestamp")),
                e.attr(b"value", e.string(time.to_string())),
            ];
            e.attrs(attrs)
        }
        DeValue::Datetime(_) => return problem("dates and times are not supported"),
        DeValue::Array(items) => {
            let mut values = Vec::with_capacity(items.len());
            for item in items {
                values.push(toml_value(e, text, item)?);
            }
            e.list(&values)
        }
        DeValue::Table(table) => toml_table(e, text, table)?,
    })
}
