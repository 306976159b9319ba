//! A value as its command shows it.

use bstr::BString;
use cairn_evaluator::print::{Paths, Style, Xml};
use cairn_evaluator::string::ContextBuilder;
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
            out.extend(e.print(value, Style::PLAIN)?);
        }
        Format::Raw => {
            let text = e.coerce_to_string(value, cairn_evaluator::Coercion::Copying)?;
            out.extend(text.bytes());
            return Ok(out);
        }
        Format::Json => {
            let mut json = Vec::new();
            e.print_json(value, Paths::Copied, &mut json, &mut ContextBuilder::new())?;
            out.extend(json);
        }
        Format::Xml { depth, places } => {
            let xml = Xml {
                force: depth == Depth::Whole,
                locations: places,
            };
            out.extend(e.print_xml(value, xml, &mut ContextBuilder::new())?);
            return Ok(out);
        }
    }
    out.push(b'\n');
    Ok(out)
}
