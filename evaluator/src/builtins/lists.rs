//! Lists.

use std::collections::HashSet;

use crate::attrs::Attr;
use crate::builtin::{Builtin, arg};
use crate::error::{EvalError, Result, Traced as _};
use crate::evaluator::Evaluator;
use crate::known;
use crate::source::{Place, Position};
use crate::value::{List, Slot, Value};

/// The table.
pub const TABLE: &[Builtin] = &[
    Builtin::new("all", 2, |e, args, _| quantified(e, args, "all", false)),
    Builtin::new("any", 2, |e, args, _| quantified(e, args, "any", true)),
    Builtin::new("concatLists", 1, concat_lists),
    Builtin::new("concatMap", 2, concat_map),
    Builtin::new("elem", 2, elem),
    Builtin::new("elemAt", 2, elem_at),
    Builtin::new("filter", 2, filter),
    Builtin::new("foldl'", 3, foldl),
    Builtin::new("genList", 2, gen_list),
    Builtin::new("genericClosure", 1, generic_closure),
    Builtin::new("groupBy", 2, group_by),
    Builtin::new("head", 1, head),
    Builtin::new("length", 1, length),
    Builtin::new("map", 2, map).global(),
    Builtin::new("partition", 2, partition),
    Builtin::new("sort", 2, sort),
    Builtin::new("tail", 1, tail),
];

/// Whether the predicate gives `wanted` for some element (then `wanted`, else its opposite).
fn quantified<'e>(
    e: &mut Evaluator<'e>,
    args: &[Value<'e>],
    name: &str,
    wanted: bool,
) -> Result<Value<'e>> {
    let (predicate, list) = function_and_list(e, args, name)?;
    for item in list.iter() {
        if holds(e, predicate, item, name)? == wanted {
            return Ok(Value::bool(wanted));
        }
    }
    Ok(Value::bool(!wanted))
}

fn function_and_list<'e>(
    e: &mut Evaluator<'e>,
    args: &[Value<'e>],
    name: &str,
) -> Result<(Value<'e>, &'e List<'e>)> {
    let function = match e.force(arg(args, 0))? {
        function @ (Value::Lambda(_) | Value::Builtin(_)) => function,
        other => e.expect_function(other, &format!("the first argument of 'builtins.{name}'"))?,
    };
    let list = match e.force(arg(args, 1))? {
        Value::List(list) => list,
        other => e.expect_list(other, &format!("the second argument of 'builtins.{name}'"))?,
    };
    Ok((function, list))
}

fn holds<'e>(
    e: &mut Evaluator<'e>,
    predicate: Value<'e>,
    item: Value<'e>,
    name: &str,
) -> Result<bool> {
    match e.call(predicate, &[item])? {
        Value::Bool(truth) => Ok(truth.into()),
        other => {
            let what = format!("what the function given to 'builtins.{name}' returned");
            e.expect_bool(other, &what)
        }
    }
}

fn concat_lists<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let lists = e.expect_list(arg(args, 0), "the argument of 'builtins.concatLists'")?;
    let mut parts = Vec::with_capacity(lists.len());
    for list in lists.iter() {
        parts.push(e.expect_list(list, "a list given to 'builtins.concatLists'")?);
    }
    Ok(joined(e, &parts))
}

fn joined<'e>(e: &Evaluator<'e>, parts: &[&'e List<'e>]) -> Value<'e> {
    let mut filled = parts.iter().filter(|part| !part.is_empty());
    if let (Some(only), None) = (filled.next(), filled.next()) {
        return Value::List(only);
    }
    let length = parts.iter().map(|part| part.len()).sum();
    let mut items = parts.iter().flat_map(|part| part.iter());
    let slots = e
        .arena()
        .alloc_slice_fill_with(length, |_| Slot::new(items.next().unwrap_or(Value::Null)));
    e.slice(slots)
}

fn concat_map<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let (function, list) = function_and_list(e, args, "concatMap")?;
    let mut parts = Vec::with_capacity(list.len());
    for item in list.iter() {
        let part = e.call(function, &[item])?;
        parts.push(e.expect_list(
            part,
            "what the function given to 'builtins.concatMap' returned",
        )?);
    }
    Ok(joined(e, &parts))
}

fn elem<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let list = e.expect_list(arg(args, 1), "the second argument of 'builtins.elem'")?;
    for item in list.iter() {
        if e.equal_within(arg(args, 0), item)? {
            return Ok(Value::bool(true));
        }
    }
    Ok(Value::bool(false))
}

fn elem_at<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let list = e.expect_list(arg(args, 0), "the first argument of 'builtins.elemAt'")?;
    let index = e.expect_int(arg(args, 1), "the second argument of 'builtins.elemAt'")?;
    usize::try_from(index)
        .ok()
        .and_then(|index| list.get(index))
        .ok_or_else(|| {
            EvalError::eval(format!(
                "'builtins.elemAt' called with index {index} on a list of size {}",
                list.len()
            ))
        })
}

fn filter<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let list = e.expect_list(arg(args, 1), "the second argument of 'builtins.filter'")?;
    if list.is_empty() {
        return Ok(Value::List(list));
    }
    let predicate = e.expect_function(arg(args, 0), "the first argument of 'builtins.filter'")?;
    let mut kept = Vec::with_capacity(list.len());
    for item in list.iter() {
        if holds(e, predicate, item, "filter")? {
            kept.push(item);
        }
    }
    if kept.len() == list.len() {
        return Ok(Value::List(list));
    }
    Ok(e.list(&kept))
}

fn foldl<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let function = e.expect_function(arg(args, 0), "the first argument of 'builtins.foldl''")?;
    let list = e.expect_list(arg(args, 2), "the third argument of 'builtins.foldl''")?;
    let mut result = arg(args, 1);
    for item in list.iter() {
        result = e.call(function, &[result, item])?;
    }
    Ok(result)
}

fn gen_list<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let length = e.expect_int(arg(args, 1), "the second argument of 'builtins.genList'")?;
    let Some(count) = usize::try_from(length)
        .ok()
        .filter(|count| u32::try_from(*count).is_ok())
    else {
        return Err(EvalError::eval(format!(
            "cannot create list of size {length}"
        )));
    };
    let function = e.expect_function(arg(args, 0), "the first argument of 'builtins.genList'")?;
    e.lazy_gen_list(function, count)
}

fn group_by<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let (function, list) = function_and_list(e, args, "groupBy")?;
    let mut named = Vec::with_capacity(list.len());
    for item in list.iter() {
        let name = e.call(function, &[item])?;
        let what = "what the function given to 'builtins.groupBy' returned";
        let name = e.expect_plain_string(name, what)?;
        named.push((e.intern(name), item));
    }
    named.sort_by_key(|(name, _)| *name);
    let groups = named.chunk_by(|(one, _), (other, _)| one == other);
    let attrs = groups.filter_map(|group| {
        let name = group.first()?.0;
        let value = e.list_from(group.iter().map(|(_, item)| *item));
        Some(Attr {
            name,
            position: Position::NONE,
            value,
        })
    });
    let attrs = attrs.collect();
    Ok(e.attrs(attrs))
}

fn head<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let list = e.expect_list(arg(args, 0), "the argument of 'builtins.head'")?;
    list.get(0)
        .ok_or_else(|| EvalError::eval("'builtins.head' called on an empty list"))
}

fn tail<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let list = e.expect_list(arg(args, 0), "the argument of 'builtins.tail'")?;
    match list.slots() {
        [_, rest @ ..] => Ok(e.slice(rest)),
        [] => Err(EvalError::eval("'builtins.tail' called on an empty list")),
    }
}

#[expect(clippy::cast_possible_wrap, reason = "no list has so many elements")]
fn length<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let list = e.expect_list(arg(args, 0), "the argument of 'builtins.length'")?;
    Ok(Value::Int(list.len() as i64))
}

fn map<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let list = e.expect_list(arg(args, 1), "the second argument of 'builtins.map'")?;
    if list.is_empty() {
        return Ok(Value::List(list));
    }
    let function = e.expect_function(arg(args, 0), "the first argument of 'builtins.map'")?;
    Ok(e.lazy_map(function, list))
}

fn partition<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let (predicate, list) = function_and_list(e, args, "partition")?;
    let (mut right, mut wrong) = (Vec::new(), Vec::new());
    for item in list.iter() {
        let item = e.force(item)?;
        if holds(e, predicate, item, "partition")? {
            right.push(item);
        } else {
            wrong.push(item);
        }
    }
    let attrs = [(known::RIGHT, right), (known::WRONG, wrong)].map(|(name, items)| Attr {
        name,
        position: Position::NONE,
        value: e.list(&items),
    });
    Ok(e.attrs(attrs.to_vec()))
}

// ---- Sorting ----

fn sort<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let list = e.expect_list(arg(args, 1), "the second argument of 'builtins.sort'")?;
    if list.is_empty() {
        return Ok(Value::List(list));
    }
    let function = e.expect_function(arg(args, 0), "the first argument of 'builtins.sort'")?;
    let mut items = Vec::with_capacity(list.len());
    for item in list.iter() {
        items.push(e.force(item)?);
    }
    let is_less_than = matches!(
        function,
        Value::Builtin(call) if call.builtin.name == "lessThan" && call.arguments.is_empty()
    );
    if is_less_than && sort_plainly(&mut items) {
        return Ok(e.list(&items));
    }
    let sorted = merge_sort(items, &mut |first, second| {
        if is_less_than {
            return e.less_than(first, second);
        }
        match e.call(function, &[first, second])? {
            Value::Bool(truth) => Ok(truth.into()),
            other => e.expect_bool(other, "what the function given to 'builtins.sort' returned"),
        }
    })?;
    Ok(e.list(&sorted))
}

/// Sorts integers, or strings; leaves other lists as they are.
fn sort_plainly(items: &mut [Value<'_>]) -> bool {
    if items.iter().all(|item| matches!(item, Value::Int(_))) {
        items.sort_by_key(|item| match item {
            Value::Int(number) => *number,
            _ => 0,
        });
        return true;
    }
    if items.iter().all(|item| matches!(item, Value::String(_))) {
        items.sort_by(|one, other| match (one, other) {
            (Value::String(one), Value::String(other)) => one.bytes().cmp(other.bytes()),
            _ => std::cmp::Ordering::Equal,
        });
        return true;
    }
    false
}

/// A stable merge sort from the bottom up, whose comparison may fail; runs that are in order
/// already are taken as they are. An inconsistent comparison gives some order.
fn merge_sort<T: Copy>(
    mut items: Vec<T>,
    less: &mut impl FnMut(T, T) -> Result<bool>,
) -> Result<Vec<T>> {
    let mut runs = runs(&mut items, less)?;
    let mut spare: Vec<T> = Vec::with_capacity(items.len());
    while runs.len() > 1 {
        let mut merged_runs = Vec::with_capacity(runs.len().div_ceil(2));
        let mut rest = items.as_slice();
        for pair in runs.chunks(2) {
            let first = take(&mut rest, pair.first().copied().unwrap_or(0));
            let second = take(&mut rest, pair.get(1).copied().unwrap_or(0));
            merge(first, second, &mut spare, less)?;
            merged_runs.push(first.len() + second.len());
        }
        std::mem::swap(&mut items, &mut spare);
        spare.clear();
        runs = merged_runs;
    }
    Ok(items)
}

fn take<'a, T>(rest: &mut &'a [T], count: usize) -> &'a [T] {
    let (taken, left) = rest.split_at_checked(count).unwrap_or((rest, &[]));
    *rest = left;
    taken
}

fn merge<T: Copy>(
    first: &[T],
    second: &[T],
    out: &mut Vec<T>,
    less: &mut impl FnMut(T, T) -> Result<bool>,
) -> Result<()> {
    let (mut first, mut second) = (first, second);
    while let ([one, first_rest @ ..], [other, second_rest @ ..]) = (first, second) {
        if less(*other, *one)? {
            out.push(*other);
            second = second_rest;
        } else {
            out.push(*one);
            first = first_rest;
        }
    }
    out.extend_from_slice(first);
    out.extend_from_slice(second);
    Ok(())
}

/// The lengths of runs that are in order; short ones are made longer by insertion.
fn runs<T: Copy>(
    items: &mut [T],
    less: &mut impl FnMut(T, T) -> Result<bool>,
) -> Result<Vec<usize>> {
    const SHORTEST: usize = 8;
    let mut lengths = Vec::new();
    let mut rest = items;
    while let [_, ..] = rest {
        let mut length = 1;
        while let Some(&[one, other]) = rest
            .get(length - 1..=length)
            .and_then(|pair| pair.first_chunk::<2>())
        {
            if less(other, one)? {
                break;
            }
            length += 1;
        }
        while length < SHORTEST.min(rest.len()) {
            insert(rest, length, less)?;
            length += 1;
        }
        lengths.push(length);
        rest = rest.get_mut(length..).unwrap_or_default();
    }
    Ok(lengths)
}

/// Moves the item at `length` to its place in the run before it.
fn insert<T: Copy>(
    items: &mut [T],
    length: usize,
    less: &mut impl FnMut(T, T) -> Result<bool>,
) -> Result<()> {
    let mut at = length;
    while at > 0 {
        let Some(&[one, other]) = items
            .get(at - 1..=at)
            .and_then(|pair| pair.first_chunk::<2>())
        else {
            break;
        };
        if !less(other, one)? {
            break;
        }
        items.swap(at - 1, at);
        at -= 1;
    }
    Ok(())
}

// ---- Closures ----

fn generic_closure<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let what = "the argument of 'builtins.genericClosure'";
    let attrs = e.expect_attrs(arg(args, 0), what)?;
    let start = e.required(attrs, known::START_SET, what)?;
    let start = e.expect_list(
        start,
        "the attribute 'startSet' given to 'builtins.genericClosure'",
    )?;
    if start.is_empty() {
        return Ok(Value::List(start));
    }
    let operator = e.required(attrs, known::OPERATOR, what)?;
    let operator = e.expect_function(
        operator,
        "the attribute 'operator' given to 'builtins.genericClosure'",
    )?;
    let mut found: Vec<Value<'e>> = Vec::new();
    let mut keys = Keys::Empty;
    let mut todo: std::collections::VecDeque<Value<'e>> = start.iter().collect();
    while let Some(item) = todo.pop_front() {
        let what = "an element that 'builtins.genericClosure' works on";
        let attrs = e.expect_attrs(item, what)?;
        let key = e.required(attrs, known::KEY, what)?;
        let key = e.force(key)?;
        let new = keys.insert(e, key).while_(
            || "while comparing keys of 'builtins.genericClosure'".to_owned(),
            Place::NONE,
        )?;
        if !new {
            continue;
        }
        found.push(item);
        let more = e.call(operator, &[item])?;
        let more = e.expect_list(
            more,
            "what the 'operator' given to 'builtins.genericClosure' returned",
        )?;
        todo.extend(more.iter());
    }
    Ok(e.list(&found))
}

/// Keys that were seen: by hash as long as they are all integers or all strings.
enum Keys<'e> {
    Empty,
    Integers(HashSet<i64>),
    Strings(HashSet<&'e [u8]>),
    /// Sorted.
    Any(Vec<Value<'e>>),
}

impl<'e> Keys<'e> {
    /// Whether the key is new.
    fn insert(&mut self, e: &mut Evaluator<'e>, key: Value<'e>) -> Result<bool> {
        match (&mut *self, key) {
            (Self::Empty, Value::Int(number)) => {
                *self = Self::Integers(HashSet::from([number]));
                Ok(true)
            }
            (Self::Empty, Value::String(text)) => {
                *self = Self::Strings(HashSet::from([text.bytes()]));
                Ok(true)
            }
            (Self::Integers(seen), Value::Int(number)) => Ok(seen.insert(number)),
            (Self::Strings(seen), Value::String(text)) => Ok(seen.insert(text.bytes())),
            (Self::Any(seen), key) => insert_sorted(e, seen, key),
            _ => {
                let mut seen = self.sorted(e);
                let new = insert_sorted(e, &mut seen, key)?;
                *self = Self::Any(seen);
                Ok(new)
            }
        }
    }

    fn sorted(&self, e: &Evaluator<'e>) -> Vec<Value<'e>> {
        match self {
            Self::Empty => Vec::new(),
            Self::Integers(seen) => {
                let mut numbers: Vec<i64> = seen.iter().copied().collect();
                numbers.sort_unstable();
                numbers.into_iter().map(Value::Int).collect()
            }
            Self::Strings(seen) => {
                let mut texts: Vec<&'e [u8]> = seen.iter().copied().collect();
                texts.sort_unstable();
                texts.into_iter().map(|text| e.arena_string(text)).collect()
            }
            Self::Any(seen) => seen.clone(),
        }
    }
}

fn insert_sorted<'e>(
    e: &mut Evaluator<'e>,
    seen: &mut Vec<Value<'e>>,
    key: Value<'e>,
) -> Result<bool> {
    let (mut low, mut high) = (0, seen.len());
    while low < high {
        let middle = low.midpoint(high);
        let Some(other) = seen.get(middle).copied() else {
            break;
        };
        if e.less_than(other, key)? {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if let Some(other) = seen.get(low).copied()
        && !e.less_than(key, other)?
    {
        return Ok(false);
    }
    seen.insert(low, key);
    Ok(true)
}
