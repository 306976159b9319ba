//! A value as its command shows it.

use bstr::BString;
use cairn_evaluator::print::{Paths, Style, Xml};
use cairn_evaluator::string::ContextBuilder;
use cairn_evaluator::value::Value;
use cairn_evaluator::{Coercion, EvalError, Evaluator};

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
    let context = &mut ContextBuilder::new();
    let mut out = match format {
        Format::Nix(Depth::Shallow) => e.print(value, Style::OUTERMOST)?,
        Format::Nix(Depth::Whole) => e.print(value, Style::WHOLE)?,
        Format::Plain(Depth::Shallow) => e.print(value, Style::PLAIN)?,
        Format::Plain(Depth::Whole) => e.print(value, Style::STRICT)?,
        Format::Json => {
            let mut out = Vec::new();
            e.print_json(value, Paths::Copied, &mut out, context)?;
            out
        }
        Format::Xml { depth, places } => {
            let xml = Xml {
                force: depth == Depth::Whole,
                locations: places,
            };
            return Ok(e.print_xml(value, xml, context)?.into());
        }
        Format::Raw => {
            let text = e.coerce_to_string(value, Coercion::Copying)?;
            return Ok(text.bytes().into());
        }
    };
    out.push(b'\n');
    Ok(out.into())
}
