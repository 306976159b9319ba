//! Values as JSON, as `builtins.toJSON` and `--json` give them.

use crate::coerce::Coercion;
use crate::error::{EvalError, Result, Traced as _};
use crate::evaluator::Evaluator;
use crate::known;
use crate::source::Place;
use crate::string::ContextBuilder;
use crate::value::Value;

/// What becomes of path values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paths {
    /// They are copied to the store, and shown as the copy's path.
    Copied,
    /// They are shown as they are.
    Kept,
}

impl<'e> Evaluator<'e> {
    /// Appends the value, which is computed completely, as JSON in one line; what its strings
    /// depend on is added to `context`.
    ///
    /// Sets with `__toString` or `outPath` are shown as what these give.
    ///
    /// # Errors
    /// There is a function in it, a string is not UTF-8, or whatever computing it meets.
    pub fn print_json(
        &mut self,
        value: Value<'e>,
        paths: Paths,
        out: &mut Vec<u8>,
        context: &mut ContextBuilder<'e>,
    ) -> Result<()> {
        self.check_stack()?;
        self.check_memory(out.len())?;
        match self.force(value)? {
            Value::Null => out.extend_from_slice(b"null"),
            Value::Bool(truth) => {
                out.extend_from_slice(if truth.into() {
                    b"true".as_slice()
                } else {
                    b"false"
                });
            }
            Value::Int(number) => out.extend_from_slice(number.to_string().as_bytes()),
            Value::Float(number) => out.extend_from_slice(json_float(number.get()).as_bytes()),
            Value::String(string) => {
                context.add(string);
                json_string(out, string.bytes())?;
            }
            path @ Value::Path(_) => {
                let coercion = match paths {
                    Paths::Copied => Coercion::Copying,
                    Paths::Kept => Coercion::Strict,
                };
                let string = self.coerce_to_string(path, coercion)?;
                context.add(string);
                json_string(out, string.bytes())?;
            }
            Value::List(list) => {
                let mut separator: &[u8] = b"[";
                for (index, item) in list.iter().enumerate() {
                    out.extend_from_slice(separator);
                    separator = b",";
                    self.print_json(item, paths, out, context).while_(
                        || format!("while evaluating element {index} of a list"),
                        Place::NONE,
                    )?;
                }
                out.extend_from_slice(if list.is_empty() {
                    b"[]".as_slice()
                } else {
                    b"]"
                });
            }
            whole @ Value::Attrs(attrs) => {
                if attrs.get(known::TO_STRING).is_some() {
                    let string = self.coerce_to_string(whole, Coercion::Strict)?;
                    context.add(string);
                    return json_string(out, string.bytes());
                }
                if let Some(path) = attrs.get(known::OUT_PATH) {
                    return self.print_json(path, paths, out, context);
                }
                out.push(b'{');
                for (index, (name, item)) in self.sorted(attrs).enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    json_string(out, self.name(name))?;
                    out.push(b':');
                    if let Err(error) = self.print_json(item, paths, out, context) {
                        return Err(self.attribute_frame(error, attrs, name));
                    }
                }
                out.push(b'}');
            }
            other => {
                return Err(EvalError::type_error(format!(
                    "cannot convert {} to JSON",
                    self.describe_briefly(other)
                )));
            }
        }
        Ok(())
    }
}

/// Appends a string literal of JSON.
///
/// # Errors
/// The bytes are not UTF-8, which JSON is.
pub fn json_string(out: &mut Vec<u8>, bytes: &[u8]) -> Result<()> {
    if let Err(error) = std::str::from_utf8(bytes) {
        return Err(EvalError::eval(format!(
            "cannot convert a string to JSON: it is not UTF-8 at byte {}: {:?}",
            error.valid_up_to(),
            bstr::BStr::new(bytes)
        )));
    }
    out.push(b'"');
    for &byte in bytes {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            8 => out.extend_from_slice(b"\\b"),
            12 => out.extend_from_slice(b"\\f"),
            0..32 => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
    Ok(())
}

/// A float in as few digits as tell it from all others, always recognisable as a float; `null` for
/// what JSON has no number for.
#[must_use]
pub fn json_float(number: f64) -> String {
    if !number.is_finite() {
        return "null".to_owned();
    }
    let scientific = format!("{:e}", number.abs());
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let sign = if number.is_sign_negative() { "-" } else { "" };
    // Like C's %g with 15 digits, where exponents are concerned.
    if (-4..15).contains(&exponent) {
        return format!("{sign}{:?}", number.abs());
    }
    let exponent_sign = if exponent < 0 { '-' } else { '+' };
    format!("{sign}{mantissa}e{exponent_sign}{:02}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_short_and_exact() {
        for (number, text) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1e14, "100000000000000.0"),
            (1e15, "1e+15"),
            (123_456_789_012_345.0, "123456789012345.0"),
            (1.5e300, "1.5e+300"),
            (0.0001, "0.0001"),
            (0.000_01, "1e-05"),
            (1e-7, "1e-07"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::INFINITY, "null"),
        ] {
            assert_eq!(json_float(number), text);
        }
    }
}
