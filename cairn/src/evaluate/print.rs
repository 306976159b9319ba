//! A value as its command shows it.

use bstr::BString;
use cairn_evaluator::value::Value;
use cairn_evaluator::{EvalError, Evaluator};

use super::request::{Depth, Format};

/// The value in `format`, with a line's end except for raw bytes.
///
/// # Errors
/// The value cannot be shown so, or whatever computing it meets.
pub fn print<'e>(
    e: &mut Evaluator<'e>,
    value: Value<'e>,
    format: Format,
) -> Result<BString, EvalError> {
    let mut out = BString::default();
    match format {
        Format::Nix(depth) => {
            if depth == Depth::Whole {
                e.force_deep(value)?;
            }
            out.extend(e.describe_briefly(value).as_bytes());
        }
        Format::Raw => {
            let text = e.coerce_to_string(value, cairn_evaluator::Coercion::Copying)?;
            out.extend(text.bytes());
            return Ok(out);
        }
        Format::Json | Format::Xml { .. } => {
            return Err(EvalError::eval("not yet"));
        }
    }
    out.push(b'\n');
    Ok(out)
}
