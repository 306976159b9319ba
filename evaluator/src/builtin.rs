//! Builtins: how one is written and registered.
//!
//! A builtin is a row of a table:
//!
//! ```ignore
//! pub const TABLE: &[Builtin] = &[
//!     Builtin::new("head", 1, head),
//!     Builtin::new("map", 2, map).global(),       // also `map`, without `builtins.`
//!     Builtin::constant("langVersion", lang_version), // no argument: computed when first asked for
//! ];
//!
//! fn head<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], place: Place) -> Result<Value<'e>> {
//!     let list = e.expect_list(arg(args, 0), "the first argument of 'builtins.head'")?;
//!     let first = list.get(0).ok_or_else(|| EvalError::eval("'head' called on an empty list"))?;
//!     e.force(first)
//! }
//! ```
//!
//! - `args` has exactly as many values as the row's arity; they are **not forced**. [`arg`] takes
//!   one out without indexing. What a builtin gives back may be a thunk: the caller forces it.
//! - `place` is the call's place. An error that has no place gets it from the caller.
//! - Every builtin is in `builtins` under its name, and in the global scope as `__name`;
//!   [`Builtin::global`] ones are there as `name` instead.
//! - Never hold native recursion without [`Evaluator::deeper`] around it: lists nest deeply.
//!
//! What the [`Evaluator`] offers to builtins:
//!
//! | need | method |
//! |---|---|
//! | head normal form | `force(value)`, whole value `force_deep(value)` |
//! | forced and of a type | `expect_int`, `expect_float` (ints too), `expect_bool`, `expect_string` (bytes and context), `expect_plain_string` (refuses a context), `expect_list`, `expect_attrs`, `expect_function` |
//! | text of a value | `coerce_to_string(value, Coercion::…)`, `coerce_to_path(value)` |
//! | calls | `call(function, &[args])`; lazily `delay_call(function, &[args])` |
//! | new values | `string(bytes)`, `string_with(bytes, context)`, `path(bytes)`, `list(&[values])` or `list_from(iter)`, `attrs(vec_of_attr)` (any order; the last of equal names wins) |
//! | lazily made | `lazy_map`, `lazy_gen_list`, `lazy_map_attrs`, `slice` of a list without copying |
//! | sets | `attrs.get(symbol)`, `attrs.flat(e.arena())` for all, `e.sorted(attrs)` in the order of names, `e.required(attrs, symbol, what)` |
//! | names | `intern(bytes)`, `name(symbol)`, `symbol_string(symbol)` (a shared string value) |
//! | comparison | `equal(a, b)`, `less_than(a, b)` |
//! | effects | `io()` |

use crate::error::Result;
use crate::evaluator::Evaluator;
use crate::source::Place;
use crate::value::Value;

/// The function of a builtin.
pub type BuiltinFunction = for<'e> fn(&mut Evaluator<'e>, &[Value<'e>], Place) -> Result<Value<'e>>;

/// A row of a table of builtins.
pub struct Builtin {
    /// Its name in `builtins`.
    pub name: &'static str,
    /// How many arguments it takes; 0 for a constant.
    pub arity: usize,
    /// What it does.
    pub function: BuiltinFunction,
    /// Whether it has its own name in the global scope, rather than one with `__` before it.
    pub global: bool,
}

impl Builtin {
    /// A function of at least one argument.
    #[must_use]
    pub const fn new(name: &'static str, arity: usize, function: BuiltinFunction) -> Self {
        Self {
            name,
            arity,
            function,
            global: false,
        }
    }

    /// A value that is computed when it is first asked for.
    #[must_use]
    pub const fn constant(name: &'static str, function: BuiltinFunction) -> Self {
        Self {
            name,
            arity: 0,
            function,
            global: false,
        }
    }

    /// The same, under its own name in the global scope.
    #[must_use]
    pub const fn global(self) -> Self {
        Self {
            global: true,
            ..self
        }
    }
}

/// Builtins that force arguments before they do anything else, and which: bit 0 is the first
/// argument. Calls evaluate these at once instead of making thunks that are forced right away.
const STRICT: &[(&[&str], u8)] = &[
    (
        &[
            "attrNames",
            "attrValues",
            "ceil",
            "concatLists",
            "deepSeq",
            "floor",
            "functionArgs",
            "genericClosure",
            "head",
            "isAttrs",
            "isBool",
            "isFloat",
            "isFunction",
            "isInt",
            "isList",
            "isNull",
            "isPath",
            "isString",
            "length",
            "listToAttrs",
            "stringLength",
            "tail",
            "toString",
            "typeOf",
        ],
        0b001,
    ),
    (
        &[
            "all",
            "any",
            "concatMap",
            "elem",
            "filter",
            "genList",
            "groupBy",
            "map",
            "mapAttrs",
            "partition",
            "sort",
            "zipAttrsWith",
        ],
        0b010,
    ),
    (
        &[
            "add",
            "bitAnd",
            "bitOr",
            "bitXor",
            "catAttrs",
            "compareVersions",
            "concatStringsSep",
            "div",
            "elemAt",
            "getAttr",
            "hasAttr",
            "intersectAttrs",
            "lessThan",
            "match",
            "mul",
            "removeAttrs",
            "seq",
            "split",
            "sub",
        ],
        0b011,
    ),
    (&["foldl'"], 0b101),
    (&["replaceStrings", "substring"], 0b111),
];

/// Which arguments the builtin of this name forces before all else.
pub(crate) fn strict_arguments(name: &str) -> u8 {
    let row = STRICT.iter().find(|(names, _)| names.contains(&name));
    row.map_or(0, |(_, arguments)| *arguments)
}

/// A builtin with the arguments that it has got so far: fewer than it takes.
pub struct PartialCall<'e> {
    /// Which one.
    pub builtin: &'static Builtin,
    /// The arguments, unforced.
    pub arguments: &'e [Value<'e>],
    /// Which of its arguments are evaluated before the call, if there are none yet.
    pub(crate) strict: u8,
}

/// The argument at `index`; null if the row's arity promises less.
#[inline]
#[must_use]
pub fn arg<'e>(arguments: &[Value<'e>], index: usize) -> Value<'e> {
    arguments.get(index).copied().unwrap_or(Value::Null)
}
