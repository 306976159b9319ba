//! Lowered code: what [`crate::resolve`] makes of the syntax tree and `eval` walks.
//!
//! Variables are (depth, index) pairs into `Environment`s,
//! builtins and literals are constants, and everything that is evaluated later is a `Delayed`,
//! which says how to make its slot: a thunk only where one is needed.

use std::cell::Cell;

use crate::attrs::Shape;
use crate::scope::SlotPlace;
use crate::source::{Place, Position};
use crate::symbol::Symbol;
use crate::value::Value;

/// An expression.
#[derive(Clone, Copy)]
pub(crate) enum Code<'e> {
    /// A literal, a builtin, or a set or list of such.
    Constant(&'e Value<'e>),
    /// A variable of the innermost scope.
    Local { index: u32, position: Position },
    /// A variable of a scope further out.
    Variable {
        depth: u16,
        index: u32,
        position: Position,
    },
    /// A name that no scope binds, below `with`.
    With(&'e WithVariable<'e>),
    /// `x: …`
    Lambda(&'e Lambda<'e>),
    /// `f a b`
    Call(&'e Call<'e>),
    /// `e.a`
    Select(&'e Select<'e>),
    /// `e.a.${b} or c`
    SelectPath(&'e SelectPath<'e>),
    /// `e ? a.b`
    HasAttr(&'e SelectPath<'e>),
    /// `let … in …`
    Let(&'e Let<'e>),
    /// `let … in …` or `with …; …`, in the frame of the function around it
    FrameLet(&'e FrameLet<'e>),
    /// `{ … }`
    Attrs(&'e AttrsCode<'e>),
    /// `[ … ]`
    List(&'e ListCode<'e>),
    /// `if … then … else …`
    If(&'e If<'e>),
    /// `with …; …`
    WithScope(&'e WithScope<'e>),
    /// `assert …; …`
    Assert(&'e Assert<'e>),
    /// `!e`
    Not(&'e Unary<'e>),
    /// `a + b` and the like
    Binary(&'e Binary<'e>),
    /// `"… ${e} …"`
    Interpolation(&'e Interpolation<'e>),
    /// `./… ${e} …`
    PathInterpolation(&'e Interpolation<'e>),
}

const _: () = assert!(size_of::<Code<'_>>() == 16);

/// How to make the slot of an expression that is evaluated later.
#[derive(Clone, Copy)]
pub(crate) enum Delayed<'e> {
    /// It is known.
    Constant(Value<'e>),
    /// It is that of a variable whose slot already stands.
    Variable { depth: u16, index: u32 },
    /// It is a function.
    Lambda(&'e Lambda<'e>),
    /// It is an attribute: its value if that stands already, a computation otherwise.
    Select(&'e Code<'e>),
    /// It has to be computed.
    Suspend(&'e Code<'e>),
}

/// A function's code.
pub struct Lambda<'e> {
    /// What it takes.
    pub(crate) parameters: Parameters<'e>,
    pub(crate) body: Code<'e>,
    /// How many slots its frame has: those of the parameters come first.
    pub(crate) slots: u32,
    /// The name that it was bound to, if any.
    pub name: Option<Symbol>,
    /// Where it stands.
    pub place: Place,
}

/// What a function takes.
pub(crate) enum Parameters<'e> {
    /// `x: y: …`: as many names, which get the first slots.
    Plain(&'e [Symbol]),
    /// `{ a, b ? 1, ... }@x: …`: the formals get the first slots in the order of their symbols, the
    /// whole argument the next.
    Formals(&'e Formals<'e>),
}

/// The formals of a function.
pub struct Formals<'e> {
    /// Sorted by symbol.
    pub list: &'e [Formal<'e>],
    /// Whether others are allowed.
    pub ellipsis: bool,
    /// The name of the whole argument, which has a slot then.
    pub(crate) whole: Option<Symbol>,
}

/// One formal.
pub struct Formal<'e> {
    /// Its name.
    pub name: Symbol,
    /// Where it stands.
    pub place: Place,
    pub(crate) default: Option<Delayed<'e>>,
}

impl Formal<'_> {
    /// Whether it has a default.
    #[must_use]
    pub fn has_default(&self) -> bool {
        self.default.is_some()
    }
}

impl<'e> Lambda<'e> {
    /// The formals, if the argument is taken apart.
    #[must_use]
    pub fn formals(&self) -> Option<&'e Formals<'e>> {
        match self.parameters {
            Parameters::Formals(formals) => Some(formals),
            Parameters::Plain(_) => None,
        }
    }

    /// How many arguments it takes before its body is evaluated.
    pub(crate) fn arity(&self) -> usize {
        match self.parameters {
            Parameters::Plain(names) => names.len(),
            Parameters::Formals(_) => 1,
        }
    }
}

pub(crate) struct WithVariable<'e> {
    pub name: Symbol,
    pub place: Place,
    /// Where the scopes are, innermost first.
    pub scopes: &'e [SlotPlace],
}

pub(crate) struct Call<'e> {
    pub function: Code<'e>,
    pub arguments: &'e [Delayed<'e>],
    pub place: Place,
}

pub(crate) struct Select<'e> {
    pub subject: Code<'e>,
    pub name: Symbol,
    pub place: Place,
    /// The shape in which the name was found last, and where.
    pub cache: Cell<Option<(&'e Shape<'e>, u32)>>,
}

pub(crate) struct SelectPath<'e> {
    pub subject: Code<'e>,
    pub path: &'e [PathName<'e>],
    pub default: Option<Code<'e>>,
}

/// A name in an attribute path.
pub(crate) enum PathName<'e> {
    Fixed(Symbol, Place),
    Dynamic(Code<'e>, Place),
}

impl PathName<'_> {
    pub fn place(&self) -> Place {
        match self {
            Self::Fixed(_, place) | Self::Dynamic(_, place) => *place,
        }
    }
}

pub(crate) struct Let<'e> {
    pub values: &'e [Delayed<'e>],
    pub body: Code<'e>,
}

pub(crate) struct FrameLet<'e> {
    /// The index of the first slot.
    pub first: u32,
    pub values: &'e [Delayed<'e>],
    pub body: Code<'e>,
}

pub(crate) struct ListCode<'e> {
    pub items: &'e [Delayed<'e>],
}

pub(crate) struct AttrsCode<'e> {
    pub shape: &'e Shape<'e>,
    /// In the shape's order; behind them the sources of `inherit (e) …`.
    pub values: &'e [Delayed<'e>],
    /// Whether the values see the attributes and sources as the innermost scope.
    pub scope: SetScope,
    pub dynamic: &'e [DynamicAttr<'e>],
    /// The index of `__overrides` in a recursive set.
    pub overrides: Option<u32>,
    pub place: Place,
}

/// What the values of a set see as their innermost scope.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum SetScope {
    /// That of the set itself: nothing is bound.
    Outer,
    /// The set's slots: `rec`.
    Recursive,
    /// The sources of `inherit (e) …` alone, in a set that is not recursive.
    Sources,
}

pub(crate) struct DynamicAttr<'e> {
    pub name: Code<'e>,
    pub value: Delayed<'e>,
    pub place: Place,
}

pub(crate) struct If<'e> {
    pub condition: Code<'e>,
    pub then: Code<'e>,
    pub otherwise: Code<'e>,
    pub place: Place,
}

pub(crate) struct WithScope<'e> {
    pub scope: Delayed<'e>,
    pub body: Code<'e>,
}

pub(crate) struct Assert<'e> {
    pub condition: Code<'e>,
    pub body: Code<'e>,
    /// Of the condition.
    pub place: Place,
}

pub(crate) struct Unary<'e> {
    pub operand: Code<'e>,
    pub place: Place,
}

pub(crate) struct Binary<'e> {
    pub operator: Operator,
    pub left: Code<'e>,
    pub right: Code<'e>,
    /// Of the operator.
    pub place: Place,
    pub left_place: Place,
    pub right_place: Place,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Operator {
    Implies,
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Update,
    Add,
    Subtract,
    Multiply,
    Divide,
    Concatenate,
}

pub(crate) struct Interpolation<'e> {
    pub parts: &'e [Part<'e>],
}

pub(crate) enum Part<'e> {
    Literal(&'e [u8]),
    Expr(Code<'e>, Place),
}
