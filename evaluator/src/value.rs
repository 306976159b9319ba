//! Values of the language: 16 bytes, copied freely, everything larger lies in the arena.
//!
//! A [`Slot`] is a place that holds a value or a computation that is not done yet; lists, attribute
//! sets and environments are slices of slots. `Value::Thunk` is a reference to such a slot: whoever
//! forces it writes the result into the slot, so that all who hold the reference see it.
//!
//! **Invariant:** what [`Slot::value`] hands out is a plain value or a `Thunk`; the variants that
//! are states of a slot (`Suspended`, `Generated`, `Blackhole`) never leave this crate's core.

use std::cell::Cell;

use bumpalo::Bump;

use crate::attrs::Attrs;
use crate::builtin::PartialCall;
use crate::code::{Code, Lambda};
use crate::environment::Environment;
use crate::string::{NixPath, NixString};

/// A value, or a reference to one that is not computed yet.
// It is two words for the compiler too: the tag is one, and what each variant holds is another, never
// less (hence `Truth`) and never of another kind (hence `Float`). So it travels in two registers, and
// a copy reads the words that were written. As anything else, it would be copied as sixteen bytes, and
// the processor stalls at those when they were just written in two pieces.
#[derive(Clone, Copy)]
#[repr(u64)]
pub enum Value<'e> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(Truth),
    /// A 64-bit integer.
    Int(i64),
    /// A floating-point number.
    Float(Float),
    /// Bytes with a context.
    String(&'e NixString<'e>),
    /// An absolute path.
    Path(&'e NixPath<'e>),
    /// A list.
    List(&'e List<'e>),
    /// An attribute set.
    Attrs(&'e Attrs<'e>),
    /// A function written in the language.
    Lambda(&'e Closure<'e>),
    /// A builtin function and the arguments it has got so far.
    Builtin(&'e PartialCall<'e>),
    /// A value that may not be computed yet; `Evaluator::force` gives the value itself.
    Thunk(&'e Slot<'e>),

    /// State of a slot: code to be evaluated in an environment.
    #[doc(hidden)]
    Suspended(&'e Suspension<'e>),
    /// State of a slot: one element of what a lazy builtin such as `map` makes.
    #[doc(hidden)]
    Generated(&'e Generator<'e>),
    /// State of a slot: being computed.
    #[doc(hidden)]
    Blackhole,
}

/// A Boolean as a word of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Truth {
    /// `false`
    False = 0,
    /// `true`
    True = 1,
}

impl From<bool> for Truth {
    #[inline]
    fn from(truth: bool) -> Self {
        if truth { Self::True } else { Self::False }
    }
}

impl From<Truth> for bool {
    #[inline]
    fn from(truth: Truth) -> Self {
        truth == Truth::True
    }
}

/// A floating-point number as a word like the others.
#[derive(Clone, Copy)]
pub struct Float(u64);

impl Float {
    /// The number itself.
    #[inline]
    #[must_use]
    pub fn get(self) -> f64 {
        f64::from_bits(self.0)
    }
}

impl From<f64> for Float {
    #[inline]
    fn from(number: f64) -> Self {
        Self(number.to_bits())
    }
}

// The evaluator's memory and speed depend on it.
const _: () = assert!(size_of::<Value<'_>>() == 16);
const _: () = assert!(size_of::<crate::Result<Value<'_>>>() == 16);

/// A place in a list, an attribute set or an environment.
pub struct Slot<'e>(Cell<Value<'e>>);

impl<'e> Slot<'e> {
    /// A slot that holds `value`.
    #[inline]
    #[must_use]
    pub fn new(value: Value<'e>) -> Self {
        Self(Cell::new(value))
    }

    /// What the slot holds: a plain value, or a `Thunk`.
    #[inline]
    pub fn value(&'e self) -> Value<'e> {
        match self.0.get() {
            Value::Suspended(_) | Value::Generated(_) | Value::Blackhole => Value::Thunk(self),
            Value::Thunk(other) => {
                let value = other.value();
                if !matches!(value, Value::Thunk(_)) {
                    self.0.set(value);
                }
                value
            }
            value => value,
        }
    }

    /// The state as it is, for those who force it.
    #[inline]
    pub(crate) fn state(&self) -> Value<'e> {
        self.0.get()
    }

    #[inline]
    pub(crate) fn set(&self, state: Value<'e>) {
        self.0.set(state);
    }
}

/// The elements of a list, each possibly a computation.
///
/// A long list that was put together from two is not copied before somebody looks at its elements.
pub struct List<'e> {
    elements: Cell<Elements<'e>>,
}

#[derive(Clone, Copy)]
enum Elements<'e> {
    Whole(&'e [Slot<'e>]),
    Sum(&'e Sum<'e>),
}

/// Two lists, one behind the other.
struct Sum<'e> {
    left: &'e List<'e>,
    right: &'e List<'e>,
    len: usize,
    /// Where the elements will lie.
    arena: &'e Bump,
}

/// Below this length, copying costs less than a [`Sum`].
const LONG: usize = 32;

impl<'e> List<'e> {
    pub(crate) fn new(slots: &'e [Slot<'e>]) -> Self {
        Self {
            elements: Cell::new(Elements::Whole(slots)),
        }
    }

    /// `left` and then `right`.
    pub(crate) fn sum(left: &'e Self, right: &'e Self, arena: &'e Bump) -> &'e Self {
        if right.is_empty() {
            return left;
        }
        if left.is_empty() {
            return right;
        }
        let len = left.len() + right.len();
        let sum = Sum {
            left,
            right,
            len,
            arena,
        };
        let elements = if len < LONG {
            Elements::Whole(sum.flatten())
        } else {
            Elements::Sum(arena.alloc(sum))
        };
        let elements = Cell::new(elements);
        arena.alloc(Self { elements })
    }

    /// How many elements there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self.elements.get() {
            Elements::Whole(slots) => slots.len(),
            Elements::Sum(sum) => sum.len,
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The element at `index`, unforced.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Value<'e>> {
        self.slots().get(index).map(Slot::value)
    }

    /// All elements, unforced.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Value<'e>> + ExactSizeIterator + use<'e> {
        self.slots().iter().map(Slot::value)
    }

    /// The slots themselves, for lists that share them (`tail`, slices).
    #[inline]
    #[must_use]
    pub fn slots(&self) -> &'e [Slot<'e>] {
        match self.elements.get() {
            Elements::Whole(slots) => slots,
            Elements::Sum(sum) => {
                let slots = sum.flatten();
                self.elements.set(Elements::Whole(slots));
                slots
            }
        }
    }
}

impl<'e> Sum<'e> {
    /// Both in one piece. Sums nest deeply; they are walked without recursion.
    fn flatten(&self) -> &'e [Slot<'e>] {
        let mut todo = vec![self.right, self.left];
        let mut piece: std::slice::Iter<'e, Slot<'e>> = [].iter();
        self.arena.alloc_slice_fill_with(self.len, |_| {
            loop {
                if let Some(slot) = piece.next() {
                    return Slot::new(slot.value());
                }
                match todo.pop().map(|list| list.elements.get()) {
                    Some(Elements::Whole(slots)) => piece = slots.iter(),
                    Some(Elements::Sum(sum)) => todo.extend([sum.right, sum.left]),
                    None => {
                        debug_assert!(false, "a sum is as long as its parts");
                        return Slot::new(Value::Null);
                    }
                }
            }
        })
    }
}

/// A function of the language with the environment in which it was made.
pub struct Closure<'e> {
    /// Its code.
    pub lambda: &'e Lambda<'e>,
    /// The variables that its body can see.
    pub environment: &'e Environment<'e>,
    /// Arguments that it has got already, fewer than it takes.
    pub(crate) applied: &'e [Value<'e>],
}

/// Code that is to be evaluated in an environment.
pub struct Suspension<'e> {
    pub(crate) code: &'e Code<'e>,
    pub(crate) environment: &'e Environment<'e>,
}

/// What the elements of a lazily made list or set are computed from.
///
/// It is shared by all elements, each of which needs no memory but its slot: which element a slot
/// is, its distance from the first tells.
pub struct Generator<'e> {
    pub(crate) kind: GeneratorKind<'e>,
    pub(crate) slots: Cell<&'e [Slot<'e>]>,
}

impl<'e> Generator<'e> {
    pub(crate) fn new(kind: GeneratorKind<'e>) -> Self {
        let slots = Cell::new(&[][..]);
        Self { kind, slots }
    }

    /// Which of the generator's slots this is.
    pub(crate) fn index_of(&self, slot: &Slot<'e>) -> usize {
        let first = self.slots.get().as_ptr().addr();
        std::ptr::from_ref(slot).addr().wrapping_sub(first) / size_of::<Slot<'e>>()
    }
}

#[derive(Clone, Copy)]
pub(crate) enum GeneratorKind<'e> {
    /// `function item`
    Map {
        /// The function.
        function: Value<'e>,
        /// Its arguments.
        items: &'e [Slot<'e>],
    },
    /// `function index`
    GenList {
        /// The function.
        function: Value<'e>,
    },
    /// `function name item`
    MapAttrs {
        /// The function.
        function: Value<'e>,
        /// Names and values.
        attrs: &'e Attrs<'e>,
    },
    /// `function arguments…`; the index means nothing.
    Call {
        /// The function.
        function: Value<'e>,
        /// Its arguments.
        arguments: &'e [Value<'e>],
    },
}

impl Value<'_> {
    /// `true` or `false`.
    #[inline]
    #[must_use]
    pub fn bool(truth: bool) -> Self {
        Self::Bool(truth.into())
    }

    /// A floating-point number.
    #[inline]
    #[must_use]
    pub fn float(number: f64) -> Self {
        Self::Float(number.into())
    }

    /// Whether it is no thunk and no state of a slot.
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        !matches!(
            self,
            Self::Thunk(_) | Self::Suspended(_) | Self::Generated(_) | Self::Blackhole
        )
    }

    /// The type's name with its article, as error messages have it.
    #[must_use]
    pub fn describe(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a Boolean",
            Self::Int(_) => "an integer",
            Self::Float(_) => "a float",
            Self::String(string) if string.has_context() => "a string with context",
            Self::String(_) => "a string",
            Self::Path(_) => "a path",
            Self::List(_) => "a list",
            Self::Attrs(_) => "a set",
            Self::Lambda(_) => "a function",
            Self::Builtin(call) if call.arguments.is_empty() => "a built-in function",
            Self::Builtin(_) => "a partially applied built-in function",
            Self::Thunk(_) | Self::Suspended(_) | Self::Generated(_) => "a thunk",
            Self::Blackhole => "a black hole",
        }
    }

    /// The type's name as `builtins.typeOf` gives it; `"thunk"` for what is not forced.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float",
            Self::String(_) => "string",
            Self::Path(_) => "path",
            Self::List(_) => "list",
            Self::Attrs(_) => "set",
            Self::Lambda(_) | Self::Builtin(_) => "lambda",
            Self::Thunk(_) | Self::Suspended(_) | Self::Generated(_) | Self::Blackhole => "thunk",
        }
    }
}
