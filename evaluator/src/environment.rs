//! Environments: the slots of a scope's variables, and the scope around it.

use crate::value::{Slot, Value};

/// The variables of one scope at run time.
pub struct Environment<'e> {
    pub(crate) slots: &'e [Slot<'e>],
    pub(crate) outer: Option<&'e Environment<'e>>,
}

impl<'e> Environment<'e> {
    /// The environment `depth` scopes further out.
    #[inline]
    pub(crate) fn ancestor(&'e self, depth: u16) -> Option<&'e Environment<'e>> {
        let mut environment = self;
        for _ in 0..depth {
            environment = environment.outer?;
        }
        Some(environment)
    }

    /// The slot of a variable.
    #[inline]
    pub(crate) fn slot(&'e self, depth: u16, index: u32) -> Option<&'e Slot<'e>> {
        self.ancestor(depth)?.slots.get(index as usize)
    }

    /// A variable's value, unforced.
    #[inline]
    pub(crate) fn value(&'e self, depth: u16, index: u32) -> Option<Value<'e>> {
        self.slot(depth, index).map(Slot::value)
    }
}
