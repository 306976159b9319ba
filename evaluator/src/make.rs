//! How values are made: in the arena, and as lazily as the language has them.

use crate::attrs::{Attr, Attrs, Shape};
use crate::error::Result;
use crate::evaluator::Evaluator;
use crate::source::Position;
use crate::string::{Context, ContextBuilder, ContextElement, NixPath, NixString};
use crate::symbol::Symbol;
use crate::value::{Generator, GeneratorKind, List, Slot, Value};

impl<'e> Evaluator<'e> {
    /// A string without context.
    #[must_use]
    pub fn string(&self, bytes: impl AsRef<[u8]>) -> Value<'e> {
        let bytes = bytes.as_ref();
        if bytes.is_empty() {
            return Value::String(self.empty_string);
        }
        Value::String(
            self.arena
                .alloc(NixString::new(self.arena.alloc_slice_copy(bytes), None)),
        )
    }

    /// A string of bytes that are in the arena already.
    #[must_use]
    pub fn arena_string(&self, bytes: &'e [u8]) -> Value<'e> {
        Value::String(self.arena.alloc(NixString::new(bytes, None)))
    }

    /// A string with a context.
    #[must_use]
    pub fn string_with(&self, bytes: impl AsRef<[u8]>, context: ContextBuilder<'e>) -> Value<'e> {
        self.string_sharing(bytes, context.finish(self.arena))
    }

    pub(crate) fn string_sharing(
        &self,
        bytes: impl AsRef<[u8]>,
        context: Option<&'e Context<'e>>,
    ) -> Value<'e> {
        if context.is_none() {
            return self.string(bytes);
        }
        let bytes = self.arena.alloc_slice_copy(bytes.as_ref());
        Value::String(self.arena.alloc(NixString::new(bytes, context)))
    }

    /// A piece of `string`, with its whole context and without copying its bytes.
    #[must_use]
    pub fn substring(&self, string: &NixString<'e>, start: usize, end: usize) -> Value<'e> {
        let bytes = string.bytes().get(start..end).unwrap_or_default();
        Value::String(
            self.arena
                .alloc(NixString::new(bytes, string.shared_context())),
        )
    }

    /// A string whose context is this one element.
    #[must_use]
    pub fn string_of(&self, bytes: impl AsRef<[u8]>, element: ContextElement<'e>) -> Value<'e> {
        let mut context = ContextBuilder::new();
        context.insert(element);
        self.string_with(bytes, context)
    }

    /// A path, which must be canonical.
    #[must_use]
    pub fn path(&self, bytes: impl AsRef<[u8]>) -> Value<'e> {
        let bytes = self.arena.alloc_slice_copy(bytes.as_ref());
        Value::Path(self.arena.alloc(NixPath::new(bytes)))
    }

    /// A list of these values, which may be thunks.
    #[must_use]
    pub fn list(&self, values: &[Value<'e>]) -> Value<'e> {
        self.list_from(values.iter().copied())
    }

    /// A list of these values, which may be thunks.
    pub fn list_from<I>(&self, values: I) -> Value<'e>
    where
        I: IntoIterator<Item = Value<'e>>,
        I::IntoIter: ExactSizeIterator,
    {
        let slots = self
            .arena
            .alloc_slice_fill_iter(values.into_iter().map(Slot::new));
        self.slice(slots)
    }

    /// A list that shares these slots.
    #[must_use]
    pub fn slice(&self, slots: &'e [Slot<'e>]) -> Value<'e> {
        if slots.is_empty() {
            return Value::List(self.empty_list);
        }
        Value::List(self.arena.alloc(List::new(slots)))
    }

    /// An attribute without a place.
    #[must_use]
    pub fn attr(&self, name: &[u8], value: Value<'e>) -> Attr<'e> {
        Attr {
            name: self.intern(name),
            position: Position::NONE,
            value,
        }
    }

    /// A set of these attributes, in any order; of equal names the last one wins.
    #[must_use]
    pub fn attrs(&self, mut list: Vec<Attr<'e>>) -> Value<'e> {
        if list.is_empty() {
            return Value::Attrs(self.empty_attrs);
        }
        let strictly_sorted = list
            .iter()
            .zip(list.iter().skip(1))
            .all(|(first, second)| first.name < second.name);
        if !strictly_sorted {
            // Stable, and from behind, so that the last of equal names is the one that stays.
            list.reverse();
            list.sort_by_key(|attr| attr.name);
            list.dedup_by_key(|attr| attr.name);
        }
        let names = self
            .arena
            .alloc_slice_fill_iter(list.iter().map(|attr| attr.name));
        let positions = self
            .arena
            .alloc_slice_fill_iter(list.iter().map(|attr| attr.position));
        let slots = self
            .arena
            .alloc_slice_fill_iter(list.iter().map(|attr| Slot::new(attr.value)));
        let shape = self.arena.alloc(Shape::new(names, positions));
        Value::Attrs(self.arena.alloc(Attrs::new(shape, slots)))
    }

    /// A set with the names and positions of `shape` and the values in the same order.
    pub fn attrs_like<I>(&self, shape: &'e Shape<'e>, values: I) -> Value<'e>
    where
        I: IntoIterator<Item = Value<'e>>,
        I::IntoIter: ExactSizeIterator,
    {
        let slots: &'e [Slot<'e>] = self
            .arena
            .alloc_slice_fill_iter(values.into_iter().map(Slot::new));
        if slots.len() != shape.names().len() {
            debug_assert!(false, "a set's values are as many as its names");
            return Value::Attrs(self.empty_attrs);
        }
        Value::Attrs(self.arena.alloc(Attrs::new(shape, slots)))
    }

    /// All attributes of a set in the order of their names' bytes, unforced.
    pub fn sorted(
        &self,
        attrs: &'e Attrs<'e>,
    ) -> impl ExactSizeIterator<Item = (Symbol, Value<'e>)> + use<'e> {
        attrs.flat(self.arena).sorted(self.symbols, self.arena)
    }

    /// A thunk that calls `function` with `arguments` when it is forced.
    #[must_use]
    pub fn delay_call(&self, function: Value<'e>, arguments: &[Value<'e>]) -> Value<'e> {
        let arguments = self.arena.alloc_slice_copy(arguments);
        let generator = self.arena.alloc(Generator::new(GeneratorKind::Call {
            function,
            arguments,
        }));
        Value::Thunk(self.arena.alloc(Slot::new(Value::Generated(generator))))
    }

    /// `map function list`, each element computed when it is needed.
    #[must_use]
    pub fn lazy_map(&self, function: Value<'e>, list: &List<'e>) -> Value<'e> {
        let generator = self.arena.alloc(Generator::new(GeneratorKind::Map {
            function,
            items: list.slots(),
        }));
        self.slice(self.generated(list.len(), generator))
    }

    /// `genList function length`, each element computed when it is needed.
    ///
    /// # Errors
    /// The list would exceed the memory limit.
    pub fn lazy_gen_list(&self, function: Value<'e>, length: usize) -> Result<Value<'e>> {
        self.check_memory(length.saturating_mul(size_of::<Slot<'_>>()))?;
        let generator = self
            .arena
            .alloc(Generator::new(GeneratorKind::GenList { function }));
        Ok(self.slice(self.generated(length, generator)))
    }

    /// `mapAttrs function attrs`, each value computed when it is needed.
    #[must_use]
    pub fn lazy_map_attrs(&self, function: Value<'e>, attrs: &'e Attrs<'e>) -> Value<'e> {
        let flat = attrs.flat(self.arena);
        let generator = self
            .arena
            .alloc(Generator::new(GeneratorKind::MapAttrs { function, attrs }));
        let slots = self.generated(flat.len(), generator);
        let shape = flat.shape().without_positions(self.arena);
        Value::Attrs(self.arena.alloc(Attrs::new(shape, slots)))
    }

    fn generated(&self, length: usize, generator: &'e Generator<'e>) -> &'e [Slot<'e>] {
        let slots = self
            .arena
            .alloc_slice_fill_with(length, |_| Slot::new(Value::Generated(generator)));
        generator.slots.set(slots);
        slots
    }

    /// The set without attributes.
    #[must_use]
    pub fn no_attrs(&self) -> &'e Attrs<'e> {
        self.empty_attrs
    }

    pub(crate) fn empty_attrs(&self) -> Value<'e> {
        Value::Attrs(self.empty_attrs)
    }
}
