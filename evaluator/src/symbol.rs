//! Names as numbers: one number a name, so that comparing names compares integers.
//!
//! A symbol's number says nothing of the order of names: what is seen outside is sorted by
//! [`SymbolTable::name`]. Names are bytes; the language does not require UTF-8.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use bumpalo::Bump;

/// A name of one [`SymbolTable`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Symbol(u32);

impl Symbol {
    /// Its number, for side tables.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// All names that were seen; their bytes live in the arena.
#[derive(Debug)]
pub struct SymbolTable<'e> {
    arena: &'e Bump,
    inner: RefCell<Inner<'e>>,
}

#[derive(Debug, Default)]
struct Inner<'e> {
    names: Vec<&'e [u8]>,
    numbers: HashMap<&'e [u8], Symbol, BuildHasherDefault<NameHasher>>,
}

impl<'e> SymbolTable<'e> {
    /// A table that knows the names of [`known`] alone.
    #[must_use]
    pub fn new(arena: &'e Bump) -> Self {
        let table = Self {
            arena,
            inner: RefCell::default(),
        };
        for name in known::NAMES {
            table.intern(name.as_bytes());
        }
        table
    }

    /// The symbol of this name; the same for the same bytes.
    pub fn intern(&self, name: &[u8]) -> Symbol {
        let mut inner = self.inner.borrow_mut();
        if let Some(&symbol) = inner.numbers.get(name) {
            return symbol;
        }
        let symbol = Symbol(u32::try_from(inner.names.len()).unwrap_or(u32::MAX));
        let name = &*self.arena.alloc_slice_copy(name);
        inner.names.push(name);
        inner.numbers.insert(name, symbol);
        symbol
    }

    /// The symbol of this name, if anything has that name.
    #[must_use]
    pub fn find(&self, name: &[u8]) -> Option<Symbol> {
        self.inner.borrow().numbers.get(name).copied()
    }

    /// The name of a symbol; empty for one of another table.
    #[must_use]
    pub fn name(&self, symbol: Symbol) -> &'e [u8] {
        let inner = self.inner.borrow();
        inner.names.get(symbol.index()).copied().unwrap_or_default()
    }

    /// How many names there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inner.borrow().names.len()
    }

    /// Never: the known names are there from the start.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A multiplicative hash of eight bytes at a time: names are short and not chosen by an enemy who
/// could gain more than slowness.
#[derive(Debug, Default)]
struct NameHasher(u64);

impl NameHasher {
    fn add(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
}

impl Hasher for NameHasher {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.add(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        for (to, from) in last.iter_mut().zip(rest) {
            *to = *from;
        }
        self.add(u64::from_le_bytes(last));
    }

    fn write_usize(&mut self, number: usize) {
        self.add(number as u64);
    }

    fn finish(&self) -> u64 {
        self.0.rotate_left(26)
    }
}

/// Names that the evaluator itself speaks of; they have the same symbol in every table.
pub mod known {
    use super::Symbol;

    macro_rules! known {
        ($($constant:ident = $name:literal,)*) => {
            /// The names, in the order of their symbols.
            pub(super) const NAMES: &[&str] = &[$($name),*];

            #[expect(non_camel_case_types, clippy::upper_case_acronyms, reason = "counts the constants")]
            #[derive(Clone, Copy)]
            enum Number { $($constant),* }

            $(
                #[doc = concat!("`", $name, "`")]
                pub const $constant: Symbol = Symbol(Number::$constant as u32);
            )*
        };
    }

    known! {
        EMPTY = "",
        BODY = "body",
        OR = "or",
        SUB = "__sub",
        MUL = "__mul",
        DIV = "__div",
        LESS_THAN = "__lessThan",
        FIND_FILE = "__findFile",
        NIX_PATH = "__nixPath",
        FUNCTOR = "__functor",
        TO_STRING = "__toString",
        OVERRIDES = "__overrides",
        STRUCTURED_ATTRS = "__structuredAttrs",
        IGNORE_NULLS = "__ignoreNulls",
        BUILTINS = "builtins",
        NAME = "name",
        VALUE = "value",
        TYPE = "type",
        KEY = "key",
        PATH = "path",
        PREFIX = "prefix",
        FILE = "file",
        LINE = "line",
        COLUMN = "column",
        SUCCESS = "success",
        RIGHT = "right",
        WRONG = "wrong",
        START_SET = "startSet",
        OPERATOR = "operator",
        OUT_PATH = "outPath",
        DRV_PATH = "drvPath",
        DRV_ATTRS = "drvAttrs",
        OUTPUT_NAME = "outputName",
        OUT = "out",
        ALL = "all",
        SYSTEM = "system",
        BUILDER = "builder",
        ARGS = "args",
        OUTPUTS = "outputs",
        OUTPUT_HASH = "outputHash",
        OUTPUT_HASH_ALGO = "outputHashAlgo",
        OUTPUT_HASH_MODE = "outputHashMode",
        META = "meta",
        DERIVATION = "derivation",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_symbol() {
        let arena = Bump::new();
        let symbols = SymbolTable::new(&arena);
        let name = symbols.intern(b"a\xffb");
        assert_eq!(symbols.intern(b"a\xffb"), name);
        assert_eq!(symbols.name(name), b"a\xffb");
        assert_ne!(symbols.intern(b"a\xffb\0"), name);
        assert_eq!(symbols.find(b"nobody"), None);
    }

    #[test]
    fn known_names_have_their_symbols() {
        let arena = Bump::new();
        let symbols = SymbolTable::new(&arena);
        assert_eq!(symbols.intern(b"__sub"), known::SUB);
        assert_eq!(symbols.intern(b"derivation"), known::DERIVATION);
        assert_eq!(symbols.len(), known::NAMES.len());
    }
}
