//! Scopes at lowering time: which names are bound, and where their slots will be.
//!
//! A *frame* is what becomes one [`Environment`](crate::environment::Environment): the slots of one
//! scope, or those of a function's arguments together with those of the `let` and `with` that its
//! body begins with, which are evaluated once for each call and so need no environment of their
//! own.

use crate::symbol::Symbol;

/// How a scope's names become slots.
#[derive(Clone, Copy)]
pub(crate) enum Names<'e> {
    /// Sorted names, in the order of their slots; behind them perhaps one more name.
    Sorted(&'e [Symbol], Option<Symbol>),
    /// Names in the order of their slots, the last of equal ones wins.
    Plain(&'e [Symbol]),
    /// The one slot is a set whose attributes are variables.
    With,
    /// Slots without names.
    Hidden,
}

struct Scope<'e> {
    names: Names<'e>,
    /// The index of its first slot in its frame.
    first: u32,
    /// Whether it is the first scope of its frame.
    frame: bool,
}

/// All scopes around an expression.
#[derive(Default)]
pub(crate) struct Scopes<'e> {
    /// Outermost first.
    list: Vec<Scope<'e>>,
    /// How many slots each frame has so far.
    sizes: Vec<u32>,
}

/// The place of a variable: how many frames further out, and which slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SlotPlace {
    pub depth: u16,
    pub index: u32,
}

impl<'e> Names<'e> {
    fn index_of(&self, name: Symbol) -> Option<u32> {
        let index = match self {
            Self::Sorted(names, more) => names
                .binary_search(&name)
                .ok()
                .or_else(|| (*more == Some(name)).then_some(names.len())),
            Self::Plain(names) => names.iter().rposition(|other| *other == name),
            Self::With | Self::Hidden => None,
        };
        index.and_then(|index| u32::try_from(index).ok())
    }

    fn all(&self) -> impl Iterator<Item = Symbol> + use<'e> {
        let (names, more): (&'e [Symbol], _) = match *self {
            Self::Sorted(names, more) => (names, more),
            Self::Plain(names) => (names, None),
            Self::With | Self::Hidden => (&[], None),
        };
        names.iter().copied().chain(more)
    }
}

impl<'e> Scopes<'e> {
    /// A scope of this many slots with a frame of its own.
    pub fn enter(&mut self, names: Names<'e>, slots: usize) {
        self.list.push(Scope {
            names,
            first: 0,
            frame: true,
        });
        self.sizes.push(u32::try_from(slots).unwrap_or(u32::MAX));
    }

    /// A scope of this many slots at the end of the innermost frame; gives the index of the first.
    pub fn extend(&mut self, names: Names<'e>, slots: usize) -> u32 {
        let slots = u32::try_from(slots).unwrap_or(u32::MAX);
        let Some(size) = self.sizes.last_mut() else {
            return 0;
        };
        let first = *size;
        *size = size.saturating_add(slots);
        self.list.push(Scope {
            names,
            first,
            frame: false,
        });
        first
    }

    /// Leaves the innermost scope; if it began a frame, gives how many slots that has.
    pub fn leave(&mut self) -> u32 {
        match self.list.pop() {
            Some(Scope { frame: true, .. }) => self.sizes.pop().unwrap_or(0),
            _ => 0,
        }
    }

    /// How many scopes there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// The index of the innermost scope's first slot.
    pub fn innermost_first(&self) -> u32 {
        self.list.last().map_or(0, |scope| scope.first)
    }

    /// The slot of the variable `name` as seen from `skipped` scopes further out.
    pub fn find(&self, name: Symbol, skipped: usize) -> Option<SlotPlace> {
        self.places(skipped).find_map(|(scope, depth)| {
            let index = scope.first + scope.names.index_of(name)?;
            Some(SlotPlace { depth, index })
        })
    }

    /// The slots of the `with` around, innermost first.
    pub fn withs(&self, skipped: usize) -> Vec<SlotPlace> {
        self.places(skipped)
            .filter(|(scope, _)| matches!(scope.names, Names::With))
            .map(|(scope, depth)| SlotPlace {
                depth,
                index: scope.first,
            })
            .collect()
    }

    /// Whether any scope binds the name.
    pub fn binds(&self, name: Symbol) -> bool {
        self.list
            .iter()
            .any(|scope| scope.names.index_of(name).is_some())
    }

    /// All names, innermost first.
    pub fn names(&self) -> impl Iterator<Item = Symbol> {
        self.list.iter().rev().flat_map(|scope| scope.names.all())
    }

    fn places(&self, skipped: usize) -> impl Iterator<Item = (&Scope<'e>, u16)> {
        let mut depth = 0u16;
        let with_depth = move |scope: &'_ Scope<'e>| {
            let here = depth;
            depth = depth.saturating_add(u16::from(scope.frame));
            here
        };
        let mut with_depth = with_depth;
        self.list
            .iter()
            .rev()
            .map(move |scope| (scope, with_depth(scope)))
            .skip(skipped)
    }
}
