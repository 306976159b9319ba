//! Attribute sets.

use std::collections::HashSet;

use crate::attrs::Attr;
use crate::builtin::{Builtin, arg};
use crate::error::{Result, Traced as _};
use crate::evaluator::Evaluator;
use crate::known;
use crate::source::{Place, Position};
use crate::symbol::Symbol;
use crate::value::Value;

/// The table.
pub const TABLE: &[Builtin] = &[
    Builtin::new("attrNames", 1, attr_names),
    Builtin::new("attrValues", 1, attr_values),
    Builtin::new("catAttrs", 2, cat_attrs),
    Builtin::new("getAttr", 2, get_attr),
    Builtin::new("hasAttr", 2, has_attr),
    Builtin::new("intersectAttrs", 2, intersect_attrs),
    Builtin::new("listToAttrs", 1, list_to_attrs),
    Builtin::new("mapAttrs", 2, map_attrs),
    Builtin::new("removeAttrs", 2, remove_attrs).global(),
    Builtin::new("zipAttrsWith", 2, zip_attrs_with),
];

fn attr_names<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let attrs = e.expect_attrs(arg(args, 0), "the argument of 'builtins.attrNames'")?;
    let names: Vec<_> = e
        .sorted(attrs)
        .map(|(name, _)| e.symbol_string(name))
        .collect();
    Ok(e.list(&names))
}

fn attr_values<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let attrs = e.expect_attrs(arg(args, 0), "the argument of 'builtins.attrValues'")?;
    Ok(e.list_from(e.sorted(attrs).map(|(_, value)| value)))
}

/// A name that was given as a string.
fn name_of<'e>(e: &mut Evaluator<'e>, value: Value<'e>, what: &str) -> Result<Symbol> {
    let name = e.expect_plain_string(value, what)?;
    Ok(e.intern(name))
}

fn cat_attrs<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let name = name_of(e, arg(args, 0), "the first argument of 'builtins.catAttrs'")?;
    let list = e.expect_list(arg(args, 1), "the second argument of 'builtins.catAttrs'")?;
    let mut found = Vec::new();
    for item in list.iter() {
        let attrs = e.expect_attrs(item, "an element of the list given to 'builtins.catAttrs'")?;
        found.extend(attrs.get(name));
    }
    Ok(e.list(&found))
}

fn get_attr<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let name = name_of(e, arg(args, 0), "the first argument of 'builtins.getAttr'")?;
    let attrs = e.expect_attrs(arg(args, 1), "the second argument of 'builtins.getAttr'")?;
    e.required(attrs, name, "the set given to 'builtins.getAttr'")
}

fn has_attr<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let name = name_of(e, arg(args, 0), "the first argument of 'builtins.hasAttr'")?;
    let attrs = e.expect_attrs(arg(args, 1), "the second argument of 'builtins.hasAttr'")?;
    Ok(Value::bool(attrs.get(name).is_some()))
}

fn intersect_attrs<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let names = e.expect_attrs(
        arg(args, 0),
        "the first argument of 'builtins.intersectAttrs'",
    )?;
    let attrs = e.expect_attrs(
        arg(args, 1),
        "the second argument of 'builtins.intersectAttrs'",
    )?;
    let names_flat = names.flat(e.arena());
    let attrs_flat = attrs.flat(e.arena());
    let common = if names_flat.len() < attrs_flat.len() {
        let common = names_flat.iter().filter_map(|(name, _)| {
            let value = attrs.get(name)?;
            let position = attrs.position(name).unwrap_or(Position::NONE);
            Some(Attr {
                name,
                position,
                value,
            })
        });
        common.collect()
    } else {
        attrs_flat
            .entries()
            .filter(|attr| names.slot(attr.name).is_some())
            .collect()
    };
    Ok(e.attrs(common))
}

fn list_to_attrs<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let list = e.expect_list(arg(args, 0), "the argument of 'builtins.listToAttrs'")?;
    let mut attrs = Vec::with_capacity(list.len());
    for item in list.iter() {
        let what = "an element of the list given to 'builtins.listToAttrs'";
        let pair = e.expect_attrs(item, what)?;
        let name = e.required(pair, known::NAME, what)?;
        let name = name_of(
            e,
            name,
            "the attribute 'name' of an element given to 'builtins.listToAttrs'",
        )?;
        // The name's own value is needed only for the first of equal names.
        attrs.push((name, pair));
    }
    // Stable: the first of equal names stays.
    attrs.sort_by_key(|(name, _)| *name);
    attrs.dedup_by_key(|(name, _)| *name);
    let mut out = Vec::with_capacity(attrs.len());
    for (name, pair) in attrs {
        let what = "an element of the list given to 'builtins.listToAttrs'";
        let value = e.required(pair, known::VALUE, what)?;
        let position = pair.position(known::VALUE).unwrap_or(Position::NONE);
        out.push(Attr {
            name,
            position,
            value,
        });
    }
    Ok(e.attrs(out))
}

fn map_attrs<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let attrs = e.expect_attrs(arg(args, 1), "the second argument of 'builtins.mapAttrs'")?;
    Ok(e.lazy_map_attrs(arg(args, 0), attrs))
}

fn remove_attrs<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let attrs = e.expect_attrs(arg(args, 0), "the first argument of 'builtins.removeAttrs'")?;
    let list = e.expect_list(
        arg(args, 1),
        "the second argument of 'builtins.removeAttrs'",
    )?;
    let mut names = HashSet::with_capacity(list.len());
    for name in list.iter() {
        let what = "a name in the list given to 'builtins.removeAttrs'";
        let name = name_of(e, name, what)?;
        if attrs.slot(name).is_some() {
            names.insert(name);
        }
    }
    if names.is_empty() {
        return Ok(Value::Attrs(attrs));
    }
    let entries = attrs.flat(e.arena()).entries();
    let kept = match names.len() {
        1 => entries
            .filter(|attr| !names.iter().any(|name| *name == attr.name))
            .collect(),
        _ => entries.filter(|attr| !names.contains(&attr.name)).collect(),
    };
    Ok(e.attrs(kept))
}

fn zip_attrs_with<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let function = e.expect_function(
        arg(args, 0),
        "the first argument of 'builtins.zipAttrsWith'",
    )?;
    let list = e.expect_list(
        arg(args, 1),
        "the second argument of 'builtins.zipAttrsWith'",
    )?;
    let mut all = Vec::new();
    for (index, item) in list.iter().enumerate() {
        let attrs = e
            .expect_attrs(
                item,
                "an element of the list given to 'builtins.zipAttrsWith'",
            )
            .while_(
                || format!("while evaluating element {index} of a list"),
                Place::NONE,
            )?;
        all.extend(attrs.flat(e.arena()).iter());
    }
    // Stable: the values of one name stay in the order of the list.
    all.sort_by_key(|(name, _)| *name);
    let mut out = Vec::new();
    for group in all.chunk_by(|(one, _), (other, _)| one == other) {
        let Some((name, _)) = group.first().copied() else {
            continue;
        };
        let values = e.list_from(group.iter().map(|(_, value)| *value));
        let text = e.symbol_string(name);
        let value = e.delay_call(function, &[text, values]);
        out.push(Attr {
            name,
            position: Position::NONE,
            value,
        });
    }
    Ok(e.attrs(out))
}
