//! The syntax tree: the language as it is written, with what a parser can decide already decided.
//!
//! Nodes live in an arena (`'a`), names are [`Symbol`]s, every node has its [`Span`]. Parentheses
//! leave no trace. Done here, because it is part of what the grammar means:
//!
//! - Attribute paths are merged (`a.b = 1; a.c = 2;` is one `a`), duplicates are errors.
//! - Strings have their escapes resolved, indented strings their indentation stripped.
//! - Paths are absolute and canonical; `~/` is resolved.
//! - `(f a) b` is one application of two arguments. `x |> f` and `f <| x` are applications.
//! - `let { … }` is `(rec { … }).body`.
//!
//! Not done here: variables are names, not places; whether they are defined is the next pass's
//! business.

use crate::{Span, Symbol};

/// An expression and its place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Expr<'a> {
    /// What it is.
    pub kind: ExprKind<'a>,
    /// Where it stands; for an expression in parentheses, without these.
    pub span: Span,
}

/// What an expression is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ExprKind<'a> {
    /// `12`
    Int(i64),
    /// `1.5`
    Float(f64),
    /// A string without interpolation, or a URI.
    String(&'a [u8]),
    /// A string with interpolation: its parts, concatenated as strings. Neighbouring literal parts
    /// occur (in indented strings, at escapes); there is at least one part, perhaps only literals.
    Interpolation(&'a [Part<'a>]),
    /// A path without interpolation: absolute, canonical.
    Path(&'a [u8]),
    /// A path with interpolation: its parts are appended as strings, and the whole is made canonical.
    PathInterpolation {
        /// The text up to the first interpolation, absolute; it may end with a `/`.
        start: &'a [u8],
        /// What follows; at least one of them is an expression.
        parts: &'a [Part<'a>],
    },
    /// `<nixpkgs/lib>`, without the brackets: `__findFile __nixPath "nixpkgs/lib"`, where both
    /// names are looked up as variables.
    SearchPath(&'a [u8]),
    /// `x`
    Variable(Symbol),
    /// `__curPos`
    CurrentPosition,
    /// `[ a b ]`
    List(&'a [&'a Expr<'a>]),
    /// `{ … }` or `rec { … }`
    Attrs(&'a Attrs<'a>),
    /// `let … in body`; the bindings are never dynamic.
    Let {
        /// Recursive, whatever its flag says.
        bindings: &'a Attrs<'a>,
        /// What follows `in`.
        body: &'a Expr<'a>,
    },
    /// `with scope; body`
    With {
        /// The attribute set whose attributes become variables.
        scope: &'a Expr<'a>,
        /// What follows.
        body: &'a Expr<'a>,
    },
    /// `assert condition; body`
    Assert {
        /// What must be true.
        condition: &'a Expr<'a>,
        /// What follows.
        body: &'a Expr<'a>,
    },
    /// `if condition then yes else no`
    If {
        /// A boolean.
        condition: &'a Expr<'a>,
        /// The value when it is true.
        then: &'a Expr<'a>,
        /// The value when it is false.
        otherwise: &'a Expr<'a>,
    },
    /// `x: body`, `{ a, b ? 1, ... }@x: body`
    Lambda(&'a Lambda<'a>),
    /// `f a b`; at least one argument, and the function is no application.
    Apply {
        /// What is called.
        function: &'a Expr<'a>,
        /// The arguments, in their order.
        arguments: &'a [&'a Expr<'a>],
    },
    /// `e.a.b`, `e.a.b or default`
    Select {
        /// What is selected from.
        subject: &'a Expr<'a>,
        /// At least one name.
        path: &'a [AttrName<'a>],
        /// The value when a name of the path is not there.
        default: Option<&'a Expr<'a>>,
    },
    /// `e ? a.b`
    HasAttr {
        /// What is asked.
        subject: &'a Expr<'a>,
        /// At least one name.
        path: &'a [AttrName<'a>],
    },
    /// `!e`
    Not(&'a Expr<'a>),
    /// `-e`: `__sub 0 e`, where `__sub` is looked up as a variable.
    Negate(&'a Expr<'a>),
    /// `a + b` and the like.
    Binary {
        /// Which operator.
        operator: Operator,
        /// Where the operator itself stands.
        operator_span: Span,
        /// The operand on its left.
        left: &'a Expr<'a>,
        /// The operand on its right.
        right: &'a Expr<'a>,
    },
}

/// A part of a string or path with interpolation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Part<'a> {
    /// Text.
    Literal(&'a [u8]),
    /// `${e}`
    Expr(&'a Expr<'a>),
}

/// The binary operators.
///
/// `-`, `*`, `/` and the four comparisons of order are calls of the variables `__sub`, `__mul`,
/// `__div` and `__lessThan` in the language: a program that binds these names changes them.
/// `a > b` is `__lessThan b a`, `a >= b` is `!(__lessThan a b)`, `a <= b` is `!(__lessThan b a)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operator {
    /// `->`
    Implies,
    /// `||`
    Or,
    /// `&&`
    And,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `//`
    Update,
    /// `+`: numbers, strings or paths.
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `++`
    Concatenate,
}

/// The attributes of a set, or the bindings of a `let`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Attrs<'a> {
    /// `rec`: the static attributes are variables in each other and in the dynamic ones.
    pub recursive: bool,
    /// Attributes whose name is known, in the order of the text, each name once.
    pub fixed: &'a [Attr<'a>],
    /// Attributes whose name is computed, in the order of the text.
    pub dynamic: &'a [DynamicAttr<'a>],
    /// The expressions of `inherit (e) …`, each evaluated at most once, in the scope in which the
    /// attributes' values are evaluated.
    pub sources: &'a [&'a Expr<'a>],
}

/// An attribute whose name is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Attr<'a> {
    /// Its name.
    pub name: Symbol,
    /// Where it is defined: the whole attribute path of its first definition.
    pub span: Span,
    /// Its value.
    pub value: AttrValue<'a>,
}

/// Where an attribute's value comes from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum AttrValue<'a> {
    /// `a = e;`
    Expr(&'a Expr<'a>),
    /// `inherit a;`: the variable of the same name in the scope around the set.
    Inherited,
    /// `inherit (e) a;`: an attribute of the [source](Attrs::sources) with this index.
    InheritedFrom(u32),
}

/// An attribute whose name is computed: `${name} = value;`
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DynamicAttr<'a> {
    /// Its name; null leaves the attribute out.
    pub name: &'a Expr<'a>,
    /// Where it is defined: the whole attribute path.
    pub span: Span,
    /// Its value.
    pub value: &'a Expr<'a>,
}

/// A name in an attribute path.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AttrName<'a> {
    /// Known or computed.
    pub kind: AttrNameKind<'a>,
    /// Where it stands.
    pub span: Span,
}

/// Whether a name in an attribute path is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum AttrNameKind<'a> {
    /// `a`, `"a"` or `${"a"}`
    Fixed(Symbol),
    /// `${e}` or `"a${e}"`
    Dynamic(&'a Expr<'a>),
}

/// A function.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lambda<'a> {
    /// The name of the whole argument: `x` in `x: …`, `{ … }@x: …` and `x@{ … }: …`.
    pub argument: Option<Name>,
    /// What the argument is taken apart into.
    pub formals: Option<Formals<'a>>,
    /// Its result.
    pub body: &'a Expr<'a>,
}

/// A name and its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name {
    /// The name.
    pub symbol: Symbol,
    /// Where it stands.
    pub span: Span,
}

/// `{ a, b ? 1, ... }`
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Formals<'a> {
    /// In the order of the text, each name once.
    pub list: &'a [Formal<'a>],
    /// Whether other attributes are allowed (`...`).
    pub ellipsis: bool,
    /// From brace to brace.
    pub span: Span,
}

/// A formal argument.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Formal<'a> {
    /// Its name and place.
    pub name: Name,
    /// Its value when the caller gives none; all formal arguments are variables in it.
    pub default: Option<&'a Expr<'a>>,
}
