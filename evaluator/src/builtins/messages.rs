//! Messages to the user, and facts about the evaluator.

use bstr::BStr;

use crate::builtin::{Builtin, arg};
use crate::error::{ErrorKind, EvalError, Result};
use crate::evaluator::Evaluator;
use crate::io::Level;
use crate::source::Place;
use crate::value::Value;

/// The version of Nix whose language this is.
pub const NIX_VERSION: &str = "2.34.0";
/// Its `builtins.langVersion`.
pub const LANG_VERSION: i64 = 6;

/// The table.
pub const TABLE: &[Builtin] = &[
    // Without a debugger it does nothing.
    Builtin::new("break", 1, |e, args, _| e.force(arg(args, 0))).global(),
    Builtin::constant("langVersion", |_, _, _| Ok(Value::Int(LANG_VERSION))),
    Builtin::constant("nixVersion", |e, _, _| {
        Ok(e.arena_string(NIX_VERSION.as_bytes()))
    }),
    Builtin::new("trace", 2, trace),
    // The message is not even computed unless it is to be shown.
    Builtin::new("traceVerbose", 2, |e, args, place| {
        if e.options().messages.verbose {
            trace(e, args, place)
        } else {
            e.force(arg(args, 1))
        }
    }),
    Builtin::new("warn", 2, warn),
];

fn trace<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let message = e.force(arg(args, 0))?;
    match message {
        Value::String(text) => e.io().message(Level::Trace, BStr::new(text.bytes())),
        other => {
            let text = e.print(other, crate::print::Style::SHALLOW)?;
            e.io().message(Level::Trace, BStr::new(&text));
        }
    }
    e.force(arg(args, 1))
}

fn warn<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let what = "the first argument (the message) of 'builtins.warn'";
    let message = e.expect_string(arg(args, 0), what)?;
    e.io().message(Level::Warned, BStr::new(message.bytes()));
    if e.options().messages.warnings_are_errors {
        let message = "aborting to reveal the chain of what led to the warning";
        return Err(EvalError::new(ErrorKind::Abort, message));
    }
    e.force(arg(args, 1))
}
