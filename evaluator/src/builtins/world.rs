//! Builtins that look at the machine: variables, time, platform.

use crate::builtin::{Builtin, arg};
use crate::error::Result;
use crate::evaluator::Evaluator;
use crate::source::Place;
use crate::value::Value;

/// The table.
pub const TABLE: &[Builtin] = &[
    Builtin::constant("currentSystem", current_system),
    Builtin::constant("currentTime", current_time),
    Builtin::new("getEnv", 1, get_env),
    Builtin::constant("nixPath", nix_path),
    Builtin::constant("storeDir", store_dir),
];

#[expect(clippy::unnecessary_wraps, reason = "the form of a builtin")]
fn current_system<'e>(e: &mut Evaluator<'e>, _: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    Ok(e.string(e.io().current_system()))
}

#[expect(clippy::unnecessary_wraps, reason = "the form of a builtin")]
fn current_time<'e>(e: &mut Evaluator<'e>, _: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    Ok(Value::Int(e.io().current_time()))
}

fn get_env<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let name = e.expect_plain_string(arg(args, 0), "the argument of 'builtins.getEnv'")?;
    let value = e.io().env_var(name.into()).unwrap_or_default();
    Ok(e.string(value))
}

#[expect(clippy::unnecessary_wraps, reason = "the form of a builtin")]
fn nix_path<'e>(e: &mut Evaluator<'e>, _: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let entries = e.io().search_path();
    let entry = |entry: &crate::io::SearchEntry| {
        let attrs = vec![
            e.attr(b"path", e.string(&entry.path)),
            e.attr(b"prefix", e.string(&entry.prefix)),
        ];
        e.attrs(attrs)
    };
    let entries: Vec<_> = entries.iter().map(entry).collect();
    Ok(e.list(&entries))
}

#[expect(clippy::unnecessary_wraps, reason = "the form of a builtin")]
fn store_dir<'e>(e: &mut Evaluator<'e>, _: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    Ok(e.string(cairn_store_path::STORE_DIR))
}
