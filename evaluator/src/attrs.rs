//! Attribute sets: names sorted by symbol, slots in the same order, and layers for `//`.
//!
//! A set written as a literal shares its [`Shape`] (names and positions) with all sets that the
//! same expression makes. `a // b` lays `b` over `a` without copying: the layers' sizes fall
//! geometrically, so that a chain of `//` costs O(n log n) and a look-up O(log² n). What needs all
//! attributes in order calls [`Attrs::flat`], which merges the layers once and remembers it.

use std::cell::Cell;

use bumpalo::Bump;

use crate::source::Position;
use crate::symbol::{Symbol, SymbolTable, known};
use crate::value::{Slot, Value};

/// The names of a set with the places of their definitions, if any, in the order of the symbols.
pub struct Shape<'e> {
    names: &'e [Symbol],
    /// As many as names, or none.
    positions: &'e [Position],
    /// Indices in the order of the names' bytes, made when first asked for.
    by_name: Cell<Option<&'e [u32]>>,
    /// The same names without positions, made when first asked for.
    nowhere: Cell<Option<&'e Shape<'e>>>,
}

/// An attribute set.
pub struct Attrs<'e> {
    shape: &'e Shape<'e>,
    slots: &'e [Slot<'e>],
    rest: Cell<Rest<'e>>,
}

/// What a set has beside its own layer.
#[derive(Clone, Copy)]
enum Rest<'e> {
    /// Nothing.
    None,
    /// Another set, for attributes that are not in this layer.
    Below(&'e Attrs<'e>),
    /// All its attributes, those of this layer too.
    Merged(&'e Flat<'e>),
}

/// All attributes of a set: three slices of the same length, sorted by symbol.
#[derive(Clone, Copy)]
pub struct Flat<'e> {
    shape: &'e Shape<'e>,
    slots: &'e [Slot<'e>],
}

impl<'e> Shape<'e> {
    /// `names` must be sorted by symbol and free of duplicates, `positions` as long or empty.
    pub(crate) fn new(names: &'e [Symbol], positions: &'e [Position]) -> Self {
        debug_assert!(names.is_sorted());
        debug_assert!(positions.is_empty() || names.len() == positions.len());
        Self {
            names,
            positions,
            by_name: Cell::new(None),
            nowhere: Cell::new(None),
        }
    }

    /// The same names, defined nowhere: those of sets that a function computed.
    pub(crate) fn without_positions(&'e self, arena: &'e Bump) -> &'e Self {
        if self.positions.is_empty() {
            return self;
        }
        if let Some(shape) = self.nowhere.get() {
            return shape;
        }
        let shape: &'e Self = arena.alloc(Self::new(self.names, &[]));
        shape.by_name.set(self.by_name.get());
        self.nowhere.set(Some(shape));
        shape
    }

    fn position(&self, index: usize) -> Position {
        let position = self.positions.get(index).copied();
        position.unwrap_or(Position::NONE)
    }

    /// The names, sorted by symbol.
    #[must_use]
    pub fn names(&self) -> &'e [Symbol] {
        self.names
    }

    #[inline]
    pub(crate) fn index_of(&self, name: Symbol) -> Option<usize> {
        if self.names.len() <= 8 {
            return self.names.iter().position(|other| *other == name);
        }
        self.names.binary_search(&name).ok()
    }

    /// Indices in the order of the names' bytes.
    pub fn by_name(&self, symbols: &SymbolTable, arena: &'e Bump) -> &'e [u32] {
        if let Some(order) = self.by_name.get() {
            return order;
        }
        let mut named: Vec<(&[u8], u32)> = self
            .names
            .iter()
            .zip(0..)
            .map(|(name, index)| (symbols.name(*name), index))
            .collect();
        named.sort_unstable();
        let order: &'e [u32] = arena.alloc_slice_fill_iter(named.iter().map(|(_, index)| *index));
        self.by_name.set(Some(order));
        if let Some(shape) = self.nowhere.get() {
            shape.by_name.set(Some(order));
        }
        order
    }
}

impl<'e> Flat<'e> {
    /// How many attributes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The names with positions and the order of their bytes.
    #[must_use]
    pub fn shape(&self) -> &'e Shape<'e> {
        self.shape
    }

    /// The values, in the order of the names.
    #[must_use]
    pub fn slots(&self) -> &'e [Slot<'e>] {
        self.slots
    }

    /// Names and unforced values, sorted by symbol: the quickest order, which means nothing to
    /// users.
    pub fn iter(
        &self,
    ) -> impl DoubleEndedIterator<Item = (Symbol, Value<'e>)> + ExactSizeIterator + use<'e> {
        self.shape
            .names
            .iter()
            .copied()
            .zip(self.slots.iter().map(Slot::value))
    }

    /// Names, positions and unforced values, sorted by symbol.
    #[must_use]
    pub fn entries(&self) -> impl ExactSizeIterator<Item = Attr<'e>> + use<'e> {
        let shape = self.shape;
        let attrs = shape.names.iter().zip(self.slots).enumerate();
        attrs.map(move |(index, (name, slot))| Attr {
            name: *name,
            position: shape.position(index),
            value: slot.value(),
        })
    }

    /// Names and unforced values in the order of the names' bytes, as users see sets.
    pub fn sorted(
        &self,
        symbols: &SymbolTable,
        arena: &'e Bump,
    ) -> impl ExactSizeIterator<Item = (Symbol, Value<'e>)> + use<'e> {
        let (names, slots) = (self.shape.names, self.slots);
        let order = self.shape.by_name(symbols, arena);
        order.iter().map(move |index| {
            let index = *index as usize;
            let name = names.get(index).copied().unwrap_or(known::EMPTY);
            (name, slots.get(index).map_or(Value::Null, Slot::value))
        })
    }
}

/// One attribute, as sets are built from.
#[derive(Clone, Copy)]
pub struct Attr<'e> {
    /// Its name.
    pub name: Symbol,
    /// Where it was defined; `Position::NONE` if nowhere.
    pub position: Position,
    /// Its value, possibly a thunk.
    pub value: Value<'e>,
}

impl<'e> Attrs<'e> {
    /// A set without layers. `slots` must be as long as the shape.
    pub(crate) fn new(shape: &'e Shape<'e>, slots: &'e [Slot<'e>]) -> Self {
        debug_assert_eq!(shape.names.len(), slots.len());
        Self {
            shape,
            slots,
            rest: Cell::new(Rest::None),
        }
    }

    /// The unforced value of an attribute.
    #[inline]
    #[must_use]
    pub fn get(&self, name: Symbol) -> Option<Value<'e>> {
        self.slot(name).map(Slot::value)
    }

    /// The slot of an attribute.
    #[inline]
    #[must_use]
    pub fn slot(&self, name: Symbol) -> Option<&'e Slot<'e>> {
        let (flat, index) = self.find(name)?;
        flat.slots.get(index)
    }

    /// The topmost layer that has the attribute, and where.
    #[inline]
    fn find(&self, name: Symbol) -> Option<(Flat<'e>, usize)> {
        let mut layer = self;
        loop {
            let rest = layer.rest.get();
            if let Rest::Merged(flat) = rest {
                return Some((*flat, flat.shape.index_of(name)?));
            }
            if let Some(index) = layer.shape.index_of(name) {
                return Some((layer.own(), index));
            }
            match rest {
                Rest::Below(below) => layer = below,
                _ => return None,
            }
        }
    }

    /// This layer alone.
    fn own(&self) -> Flat<'e> {
        Flat {
            shape: self.shape,
            slots: self.slots,
        }
    }

    /// Where an attribute was defined.
    #[must_use]
    pub fn position(&self, name: Symbol) -> Option<Position> {
        let (flat, index) = self.find(name)?;
        Some(flat.shape.position(index))
    }

    /// Whether there are no attributes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty() && matches!(self.rest.get(), Rest::None)
    }

    /// Shape and slots, if the set has no layers or they were merged: what an inline cache may
    /// remember.
    #[inline]
    pub(crate) fn single_layer(&self) -> Option<(&'e Shape<'e>, &'e [Slot<'e>])> {
        match self.rest.get() {
            Rest::None => Some((self.shape, self.slots)),
            Rest::Merged(flat) => Some((flat.shape, flat.slots)),
            Rest::Below(_) => None,
        }
    }

    /// All attributes; merges the layers when first called.
    pub fn flat(&self, arena: &'e Bump) -> Flat<'e> {
        let mut rest = self.rest.get();
        match rest {
            Rest::None => return self.own(),
            Rest::Merged(flat) => return *flat,
            Rest::Below(_) => {}
        }
        let mut flat = self.own();
        while let Rest::Below(below) = rest {
            rest = below.rest.get();
            let lower = match rest {
                Rest::Merged(whole) => *whole,
                _ => below.own(),
            };
            flat = merge(flat, lower, arena);
        }
        self.rest.set(Rest::Merged(arena.alloc(flat)));
        flat
    }

    /// `self // upper`.
    pub(crate) fn update(&'e self, upper: &'e Attrs<'e>, arena: &'e Bump) -> &'e Attrs<'e> {
        if upper.is_empty() {
            return self;
        }
        if self.is_empty() {
            return upper;
        }
        let mut top = upper.flat(arena);
        let mut rest = Rest::Below(self);
        while let Rest::Below(next) = rest {
            let further = next.rest.get();
            let (lower, further) = match further {
                Rest::Merged(whole) => (*whole, Rest::None),
                further => (next.own(), further),
            };
            if lower.len() > 2 * top.len() {
                break;
            }
            top = merge(top, lower, arena);
            rest = further;
        }
        arena.alloc(Attrs {
            shape: top.shape,
            slots: top.slots,
            rest: Cell::new(rest),
        })
    }
}

/// Both layers as one; `upper` wins. Values are copied, computations referred to.
fn merge<'e>(upper: Flat<'e>, lower: Flat<'e>, arena: &'e Bump) -> Flat<'e> {
    let capacity = upper.len() + lower.len();
    let mut names = Vec::with_capacity(capacity);
    let mut positions = Vec::with_capacity(capacity);
    let mut values = Vec::with_capacity(capacity);
    let mut push = |attr: Attr<'e>| {
        names.push(attr.name);
        positions.push(attr.position);
        values.push(attr.value);
    };
    let mut above = upper.entries().peekable();
    for attr in lower.entries() {
        while let Some(first) = above.next_if(|upper| upper.name < attr.name) {
            push(first);
        }
        match above.next_if(|upper| upper.name == attr.name) {
            Some(same) => push(same),
            None => push(attr),
        }
    }
    above.for_each(push);
    let shape = if names.len() == upper.len() {
        upper.shape
    } else {
        arena.alloc(Shape::new(
            arena.alloc_slice_copy(&names),
            arena.alloc_slice_copy(&positions),
        ))
    };
    let slots = arena.alloc_slice_fill_iter(values.into_iter().map(Slot::new));
    Flat { shape, slots }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn set<'e>(names: &[Symbol], arena: &'e Bump, first: i64) -> &'e Attrs<'e> {
        let values: BTreeMap<Symbol, i64> = names.iter().copied().zip(first..).collect();
        let names = arena.alloc_slice_fill_iter(values.keys().copied());
        let positions = arena.alloc_slice_fill_copy(names.len(), Position::NONE);
        let slots = values.values().map(|value| Slot::new(Value::Int(*value)));
        let slots = arena.alloc_slice_fill_iter(slots.collect::<Vec<_>>());
        arena.alloc(Attrs::new(arena.alloc(Shape::new(names, positions)), slots))
    }

    fn number(value: Value<'_>) -> i64 {
        match value {
            Value::Int(number) => number,
            _ => -1,
        }
    }

    proptest! {
        /// Whatever is laid over one another, and whenever it is looked at in between: look-ups,
        /// order and sizes are those of a map.
        #[test]
        fn layers_are_a_map(
            updates in prop::collection::vec((prop::collection::vec(0u8..40, 0..12), any::<bool>()), 1..30)
        ) {
            let arena = Bump::new();
            let symbols = SymbolTable::new(&arena);
            let symbol = |index: u8| {
                symbols.intern(format!("name{}", u32::from(index) * 7 % 41).as_bytes())
            };
            let mut attrs = set(&[], &arena, 0);
            let mut map: BTreeMap<Vec<u8>, i64> = BTreeMap::new();
            for ((names, looked_at), first) in updates.into_iter().zip((0i64..).step_by(100)) {
                let names: Vec<Symbol> = names.into_iter().map(symbol).collect();
                let upper = set(&names, &arena, first);
                for (name, value) in upper.flat(&arena).iter() {
                    map.insert(symbols.name(name).to_vec(), number(value));
                }
                attrs = attrs.update(upper, &arena);
                if looked_at {
                    prop_assert_eq!(attrs.flat(&arena).len(), map.len());
                }
                for index in 0..41 {
                    let name = symbol(index);
                    let found = attrs.get(name).map(number);
                    prop_assert_eq!(found, map.get(symbols.name(name)).copied());
                    prop_assert_eq!(attrs.position(name).is_some(), found.is_some());
                }
            }
            let sorted = attrs.flat(&arena).sorted(&symbols, &arena);
            let sorted: Vec<_> =
                sorted.map(|(name, value)| (symbols.name(name).to_vec(), number(value))).collect();
            prop_assert_eq!(sorted, map.into_iter().collect::<Vec<_>>());
        }
    }

    /// A set that grows by one attribute at a time has few layers.
    #[test]
    fn layers_are_few() {
        let arena = Bump::new();
        let symbols = SymbolTable::new(&arena);
        let mut attrs = set(&[], &arena, 0);
        let mut most = 0;
        for index in 0..10_000 {
            let name = symbols.intern(index.to_string().as_bytes());
            attrs = attrs.update(set(&[name], &arena, index), &arena);
            let layers = std::iter::successors(Some(attrs), |attrs| match attrs.rest.get() {
                Rest::Below(below) => Some(below),
                _ => None,
            });
            let layers = layers.count();
            most = most.max(layers);
        }
        assert!(most <= 14, "{most} layers");
        assert_eq!(attrs.flat(&arena).len(), 10_000);
    }
}
