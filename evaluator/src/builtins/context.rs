//! Builtins about what strings depend on.

use std::collections::BTreeMap;

use cairn_store_path::StorePath;

use crate::builtin::{Builtin, arg};
use crate::coerce::Coercion;
use crate::error::{EvalError, Result, Traced as _};
use crate::evaluator::Evaluator;
use crate::source::Place;
use crate::string::{ContextBuilder, ContextElement, NixString};
use crate::value::Value;

/// The table.
pub const TABLE: &[Builtin] = &[
    Builtin::new("addDrvOutputDependencies", 1, add_drv_output_dependencies),
    Builtin::new("appendContext", 2, append_context),
    Builtin::new("getContext", 1, get_context),
    Builtin::new("hasContext", 1, has_context),
    Builtin::new(
        "unsafeDiscardOutputDependency",
        1,
        unsafe_discard_output_dependency,
    ),
    Builtin::new(
        "unsafeDiscardStringContext",
        1,
        unsafe_discard_string_context,
    ),
];

fn has_context<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let string = e.expect_string(arg(args, 0), "the argument of 'builtins.hasContext'")?;
    Ok(Value::bool(string.has_context()))
}

fn unsafe_discard_string_context<'e>(
    e: &mut Evaluator<'e>,
    args: &[Value<'e>],
    _: Place,
) -> Result<Value<'e>> {
    let string = e.coerce_to_string(arg(args, 0), Coercion::Copying)?;
    Ok(e.arena_string(string.bytes()))
}

fn unsafe_discard_output_dependency<'e>(
    e: &mut Evaluator<'e>,
    args: &[Value<'e>],
    _: Place,
) -> Result<Value<'e>> {
    let string = e.coerce_to_string(arg(args, 0), Coercion::Copying)?;
    Ok(with_context(e, string, |element| match element {
        ContextElement::AllOutputs(path) => ContextElement::Path(path),
        other => other,
    }))
}

fn add_drv_output_dependencies<'e>(
    e: &mut Evaluator<'e>,
    args: &[Value<'e>],
    _: Place,
) -> Result<Value<'e>> {
    let string = e.coerce_to_string(arg(args, 0), Coercion::Copying)?;
    let text = || String::from_utf8_lossy(string.bytes()).into_owned();
    match string.context() {
        [ContextElement::Path(path)] if is_derivation(path) => {
            Ok(with_context(e, string, |element| {
                ContextElement::AllOutputs(element.path())
            }))
        }
        [ContextElement::AllOutputs(_)] => Ok(Value::String(string)),
        [ContextElement::Path(path)] => Err(EvalError::eval(format!(
            "path '{path}' is not a derivation, so it has no outputs to depend on"
        ))),
        [ContextElement::Output { output, .. }] => Err(EvalError::eval(format!(
            "'addDrvOutputDependencies' can only act on derivations, not on their outputs such as \
             '{output}'"
        ))),
        elements => Err(EvalError::eval(format!(
            "the context of the string '{}' must have exactly one element, but it has {}",
            text(),
            elements.len()
        ))),
    }
}

/// The same string with each element of its context changed.
fn with_context<'e>(
    e: &Evaluator<'e>,
    string: &NixString<'e>,
    change: impl Fn(ContextElement<'e>) -> ContextElement<'e>,
) -> Value<'e> {
    let mut context = ContextBuilder::new();
    for &element in string.context() {
        context.insert(change(element));
    }
    e.string_with(string.bytes(), context)
}

/// What a string needs of one store object.
#[derive(Default)]
struct Needs<'e> {
    path: bool,
    all_outputs: bool,
    outputs: Vec<&'e str>,
}

fn get_context<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let string = e.expect_string(arg(args, 0), "the argument of 'builtins.getContext'")?;
    let mut all: BTreeMap<&str, Needs<'e>> = BTreeMap::new();
    for element in string.context() {
        let needs = all.entry(element.path()).or_default();
        match element {
            ContextElement::Path(_) => needs.path = true,
            ContextElement::AllOutputs(_) => needs.all_outputs = true,
            ContextElement::Output { output, .. } => needs.outputs.push(output),
        }
    }
    let mut attrs = Vec::new();
    for (path, mut needs) in all {
        let mut inner = Vec::new();
        if needs.path {
            inner.push(e.attr(b"path", Value::bool(true)));
        }
        if needs.all_outputs {
            inner.push(e.attr(b"allOutputs", Value::bool(true)));
        }
        if !needs.outputs.is_empty() {
            needs.outputs.sort_unstable();
            let names = needs.outputs.iter().map(|output| e.string(output));
            let names = e.list_from(names.collect::<Vec<_>>());
            inner.push(e.attr(b"outputs", names));
        }
        let inner = e.attrs(inner);
        attrs.push(e.attr(path.as_bytes(), inner));
    }
    Ok(e.attrs(attrs))
}

fn append_context<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let string = e.expect_string(
        arg(args, 0),
        "the first argument of 'builtins.appendContext'",
    )?;
    let attrs = e.expect_attrs(
        arg(args, 1),
        "the second argument of 'builtins.appendContext'",
    )?;
    let mut context = ContextBuilder::new();
    context.add(string);
    for (name, value) in e.sorted(attrs) {
        let key = e.name(name);
        let path = std::str::from_utf8(key)
            .ok()
            .filter(|path| path.parse::<StorePath>().is_ok())
            .ok_or_else(|| {
                let key = String::from_utf8_lossy(key);
                EvalError::eval(format!("context key '{key}' is not a store path"))
            })?;
        let what = || format!("while evaluating the context of '{path}'");
        append_needs(e, path, value, &mut context).while_(what, Place::NONE)?;
    }
    Ok(e.string_with(string.bytes(), context))
}

fn append_needs<'e>(
    e: &mut Evaluator<'e>,
    path: &'e str,
    value: Value<'e>,
    context: &mut ContextBuilder<'e>,
) -> Result<()> {
    let needs = e.expect_attrs(value, "the needs of a context's path")?;
    if let Some(value) = needs.get(e.intern(b"path"))
        && e.expect_bool(value, "the attribute 'path' of a string context")?
    {
        context.insert(ContextElement::Path(path));
    }
    let is_derivation = is_derivation(path);
    if let Some(value) = needs.get(e.intern(b"allOutputs"))
        && e.expect_bool(value, "the attribute 'allOutputs' of a string context")?
    {
        if !is_derivation {
            return Err(not_derivation("all-outputs", path));
        }
        context.insert(ContextElement::AllOutputs(path));
    }
    if let Some(value) = needs.get(e.intern(b"outputs")) {
        let outputs = e.expect_list(value, "the attribute 'outputs' of a string context")?;
        if !outputs.is_empty() && !is_derivation {
            return Err(not_derivation("derivation output", path));
        }
        for output in outputs.iter() {
            let output = e.expect_plain_string(output, "the name of an output")?;
            let output = std::str::from_utf8(output).map_err(|_| {
                let output = String::from_utf8_lossy(output);
                EvalError::eval(format!("'{output}' cannot be the name of an output"))
            })?;
            context.insert(ContextElement::Output {
                derivation: path,
                output,
            });
        }
    }
    Ok(())
}

fn is_derivation(path: &str) -> bool {
    path.as_bytes().ends_with(b".drv")
}

fn not_derivation(what: &str, path: &str) -> EvalError {
    EvalError::eval(format!(
        "tried to add {what} context of {path}, which is not a derivation, to a string"
    ))
}
