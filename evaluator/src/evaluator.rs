//! The evaluator's state, limits and names; `make` has how values are made.

use std::collections::HashMap;

use bumpalo::Bump;
use cairn_store_path::derivation::ModuloHashes;

use crate::attrs::{Attrs, Shape};
use crate::builtin::Builtin;
use crate::environment::Environment;
use crate::error::{ErrorKind, EvalError, Result};
use crate::io::Io;
use crate::source::Sources;
use crate::stack::stack_address;
use crate::string::NixString;
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
    pub(crate) empty_list: &'e List<'e>,
    pub(crate) empty_attrs: &'e Attrs<'e>,
    pub(crate) empty_string: &'e NixString<'e>,
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
        // The stack is memory too.
        let remaining = stacker::remaining_stack()
            .unwrap_or(1 << 20)
            .min(options.memory_limit);
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
            ("true", Value::bool(true)),
            ("false", Value::bool(false)),
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
}
