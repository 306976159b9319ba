//! The evaluator's state, and how values are made.

use std::collections::HashMap;

use bumpalo::Bump;
use cairn_store_path::derivation::ModuloHashes;

use crate::attrs::{Attr, Attrs, Shape};
use crate::builtin::Builtin;
use crate::environment::Environment;
use crate::error::{ErrorKind, EvalError, Result};
use crate::io::Io;
use crate::source::{Position, Sources};
use crate::string::{Context, ContextBuilder, ContextElement, NixPath, NixString};
use crate::symbol::{Symbol, SymbolTable};
use crate::value::{Generator, GeneratorKind, List, Slot, Value};

/// Limits and switches.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many calls may be in one another.
    pub max_call_depth: u32,
    /// How many bytes the arena may have.
    pub memory_limit: usize,
    /// Whether `|>` and `<|` are operators.
    pub pipe_operators: bool,
    /// Whether `fromTOML` reads dates and times, as sets that say so.
    pub toml_timestamps: bool,
    /// What messages of expressions do.
    pub messages: Messages,
    /// Folders whose files are a library's: short traces leave their frames out.
    pub libraries: Vec<std::path::PathBuf>,
}

/// What the builtins that tell something do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Messages {
    /// `traceVerbose` shows its message.
    pub verbose: bool,
    /// `warn` is an error, so that its chain shows where the warning comes from.
    pub warnings_are_errors: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_call_depth: 10_000,
            memory_limit: 16 << 30,
            pipe_operators: false,
            toml_timestamps: false,
            messages: Messages::default(),
            libraries: Vec::new(),
        }
    }
}

/// What an evaluation has cost so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Bytes in the arena; nothing is freed, so this is the peak.
    pub arena_bytes: usize,
    /// Calls of functions of the language.
    pub calls: u64,
    /// Calls of builtins.
    pub builtin_calls: u64,
    /// Thunks that were forced.
    pub forced: u64,
    /// Different names.
    pub symbols: usize,
    /// Sources that were read.
    pub sources: usize,
}

/// Bytes of stack that are kept free for what does not check.
const STACK_RESERVE: usize = 512 * 1024;

/// An evaluation: all its state but the arena.
pub struct Evaluator<'e> {
    pub(crate) arena: &'e Bump,
    pub(crate) symbols: &'e SymbolTable<'e>,
    pub(crate) sources: Sources<'e>,
    pub(crate) io: &'e dyn Io,
    pub(crate) options: Options,
    pub(crate) globals: HashMap<Symbol, Value<'e>>,
    pub(crate) builtins: Value<'e>,
    /// Files that were imported, by their resolved path.
    pub imports: HashMap<&'e [u8], &'e Slot<'e>>,
    /// Hashes of the derivations that were made or used, which name those that use them.
    pub(crate) hashes: ModuloHashes,
    pub(crate) call_depth: u32,
    /// Below this address no further recursion starts.
    stack_limit: usize,
    pub(crate) statistics: Statistics,
    pub(crate) root: &'e Environment<'e>,
    empty_list: &'e List<'e>,
    empty_attrs: &'e Attrs<'e>,
    empty_string: &'e NixString<'e>,
    symbol_strings: Vec<Option<Value<'e>>>,
    /// Regular expressions that were compiled.
    pub(crate) patterns: crate::builtins::Patterns,
}

impl<'e> Evaluator<'e> {
    /// An evaluator whose values live in `arena`, and that uses the stack of the calling thread.
    ///
    /// `tables` are the builtins, as [`crate::builtins::TABLES`] has them.
    pub fn new(
        arena: &'e Bump,
        io: &'e dyn Io,
        options: Options,
        tables: &[&'static [Builtin]],
    ) -> Self {
        let symbols: &'e SymbolTable<'e> = arena.alloc(SymbolTable::new(arena));
        let root = arena.alloc(Environment {
            slots: &[],
            outer: None,
        });
        let empty_attrs: &'e Attrs<'e> =
            arena.alloc(Attrs::new(arena.alloc(Shape::new(&[], &[])), &[]));
        let remaining = stacker::remaining_stack().unwrap_or(1 << 20);
        let mut evaluator = Self {
            arena,
            symbols,
            sources: Sources::default(),
            io,
            options,
            globals: HashMap::new(),
            builtins: Value::Attrs(empty_attrs),
            imports: HashMap::new(),
            hashes: ModuloHashes::new(),
            call_depth: 0,
            stack_limit: stack_address().saturating_sub(remaining.saturating_sub(STACK_RESERVE)),
            statistics: Statistics::default(),
            root,
            empty_list: arena.alloc(List::new(&[])),
            empty_attrs,
            empty_string: arena.alloc(NixString::new(b"", None)),
            symbol_strings: Vec::new(),
            patterns: crate::builtins::Patterns::default(),
        };
        evaluator.register(tables);
        evaluator
    }

    /// Fills `builtins` and the global scope.
    fn register(&mut self, tables: &[&'static [Builtin]]) {
        let mut attrs = Vec::new();
        let mut globals = Vec::new();
        for builtin in tables.iter().copied().flatten() {
            let value = self.builtin_value(builtin);
            attrs.push(self.attr(builtin.name.as_bytes(), value));
            let global = if builtin.global {
                self.intern(builtin.name.as_bytes())
            } else {
                self.intern(format!("__{}", builtin.name).as_bytes())
            };
            globals.push((global, value));
        }
        for (name, value) in [
            ("true", Value::Bool(true)),
            ("false", Value::Bool(false)),
            ("null", Value::Null),
        ] {
            attrs.push(self.attr(name.as_bytes(), value));
            globals.push((self.intern(name.as_bytes()), value));
        }
        let itself: &'e Slot<'e> = self.arena.alloc(Slot::new(Value::Blackhole));
        attrs.push(self.attr(b"builtins", Value::Thunk(itself)));
        self.builtins = self.attrs(attrs);
        itself.set(self.builtins);
        self.globals.extend(globals);
        self.globals.insert(crate::known::BUILTINS, self.builtins);
    }

    fn builtin_value(&mut self, builtin: &'static Builtin) -> Value<'e> {
        let call = self.arena.alloc(crate::builtin::PartialCall {
            builtin,
            arguments: &[],
            strict: crate::builtin::strict_arguments(builtin.name),
        });
        let function = Value::Builtin(call);
        if builtin.arity > 0 {
            return function;
        }
        let generator = self.arena.alloc(Generator::new(GeneratorKind::Call {
            function,
            arguments: &[],
        }));
        Value::Thunk(self.arena.alloc(Slot::new(Value::Generated(generator))))
    }

    /// The arena in which all values live.
    #[must_use]
    pub fn arena(&self) -> &'e Bump {
        self.arena
    }

    /// The effects.
    #[must_use]
    pub fn io(&self) -> &'e dyn Io {
        self.io
    }

    /// Limits and switches.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// All sources, to read places.
    #[must_use]
    pub fn sources(&self) -> &Sources<'e> {
        &self.sources
    }

    /// The table of names.
    #[must_use]
    pub fn symbols(&self) -> &'e SymbolTable<'e> {
        self.symbols
    }

    /// The value of `builtins`.
    #[must_use]
    pub fn builtins(&self) -> Value<'e> {
        self.builtins
    }

    /// The names of the global scope with their values, in no order.
    pub fn globals(&self) -> impl Iterator<Item = (Symbol, Value<'e>)> {
        self.globals.iter().map(|(name, value)| (*name, *value))
    }

    /// What it has cost so far.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        Statistics {
            arena_bytes: self.arena.allocated_bytes(),
            symbols: self.symbols.len(),
            sources: self.sources.len(),
            ..self.statistics
        }
    }

    /// Fails if there is no room on the stack for deeper recursion. To be called by everything
    /// that recurses over values.
    ///
    /// # Errors
    /// [`ErrorKind::StackOverflow`]
    #[inline]
    pub fn check_stack(&self) -> Result<()> {
        if stack_address() < self.stack_limit {
            return Err(EvalError::new(
                ErrorKind::StackOverflow,
                "stack overflow; values or calls are nested too deeply",
            ));
        }
        Ok(())
    }

    /// Runs `f` one level deeper.
    ///
    /// # Errors
    /// [`ErrorKind::StackOverflow`], and those of `f`.
    #[inline]
    pub fn deeper<T>(&mut self, f: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.check_stack()?;
        f(self)
    }

    /// Fails if `more` bytes would exceed the memory limit.
    ///
    /// # Errors
    /// [`ErrorKind::Memory`]
    #[inline]
    pub fn check_memory(&self, more: usize) -> Result<()> {
        if self.arena.allocated_bytes().saturating_add(more) > self.options.memory_limit {
            return Err(self.out_of_memory());
        }
        Ok(())
    }

    #[cold]
    fn out_of_memory(&self) -> EvalError {
        EvalError::new(
            ErrorKind::Memory,
            format!(
                "out of memory: the evaluation needs more than its limit of {} MiB",
                self.options.memory_limit >> 20
            ),
        )
    }

    // ---- Names ----

    /// The symbol of a name.
    #[must_use]
    pub fn intern(&self, name: &[u8]) -> Symbol {
        self.symbols.intern(name)
    }

    /// The bytes of a name.
    #[must_use]
    pub fn name(&self, symbol: Symbol) -> &'e [u8] {
        self.symbols.name(symbol)
    }

    /// A name as text for messages.
    #[must_use]
    pub fn name_text(&self, symbol: Symbol) -> String {
        String::from_utf8_lossy(self.symbols.name(symbol)).into_owned()
    }

    /// A name as a string value, one for each name.
    pub fn symbol_string(&mut self, symbol: Symbol) -> Value<'e> {
        let index = symbol.index();
        if let Some(Some(value)) = self.symbol_strings.get(index) {
            return *value;
        }
        if self.symbol_strings.len() <= index {
            self.symbol_strings
                .resize((index + 1).max(self.symbols.len()), None);
        }
        let value = Value::String(
            self.arena
                .alloc(NixString::new(self.symbols.name(symbol), None)),
        );
        if let Some(place) = self.symbol_strings.get_mut(index) {
            *place = Some(value);
        }
        value
    }

    // ---- Making values ----

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

    // ---- Lazily made ----

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
        Value::Attrs(self.arena.alloc(Attrs::new(flat.shape(), slots)))
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

/// About where the stack ends now.
#[inline]
fn stack_address() -> usize {
    let marker = 0u8;
    std::ptr::from_ref(&marker).addr()
}

/// Runs `f` on a thread whose stack is as large as the system gives, up to `wanted` bytes. Pages
/// that are not touched cost nothing.
///
/// # Errors
/// Not even the smallest useful stack could be had.
pub fn with_stack<T: Send>(wanted: usize, f: impl FnOnce() -> T + Send) -> std::io::Result<T> {
    let mut size = wanted;
    let mut f = Some(f);
    loop {
        let job = std::sync::Mutex::new(&mut f);
        let outcome = std::thread::scope(|scope| {
            let run = || job.lock().ok().and_then(|mut job| job.take()).map(|f| f());
            match std::thread::Builder::new()
                .stack_size(size)
                .spawn_scoped(scope, run)
            {
                Ok(thread) => Ok(thread.join()),
                Err(error) => Err(error),
            }
        });
        match outcome {
            Ok(Ok(Some(result))) => return Ok(result),
            Ok(Ok(None)) => return Err(std::io::Error::other("the evaluation did not run")),
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            Err(error) if size < (64 << 20) => return Err(error),
            Err(_) => size /= 2,
        }
    }
}
