//! udev's rules: read once, then asked about each event.
//!
//! A rule is one line of parts. Those that compare are all to be so; then those that assign have their effect, in
//! udev's own order. A rule that cannot be understood is left out as a whole, and all others count.
//!
//! Invariants: a file's text and a device's words, whatever they are, bring about no panic, no endless loop (a `GOTO`
//! leads down only) and no more than [`VALUE_BYTES`] in a value or [`ENTRIES`] in a list; what a device says of itself
//! never becomes another argument of a command, another line of its record, or a name outside `/dev`.
//!
//! Source: `udev(7)`.

mod apply;
mod assign;
mod attribute;
mod compare;
mod compile;
mod expand;
mod key;
mod late;
mod line;
mod list;
mod pattern;
mod problem;
mod rule;
mod safe;
mod static_node;
mod template;
#[cfg(test)]
mod tests;
mod words;

pub use key::Operator;
pub use problem::{Fault, Problem, Severity};
pub use static_node::StaticNode;

use rule::Rule;

/// The most bytes of a value once its substitutions are made; a longer one is not assigned.
pub const VALUE_BYTES: usize = 4 << 10;

/// The most links, tags and commands of a device each, and properties that rules give it.
pub const ENTRIES: usize = 1024;

/// Whether `text` is what `pattern` stands for, as in a rule.
#[must_use]
pub fn matches(pattern: &str, text: &str) -> bool {
    pattern::Pattern::parse(pattern, pattern::Case::Counts).matches(text)
}

/// The rules of all files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    rules: Vec<Rule>,
}

impl Rules {
    /// The rules of these files, of which each has a name and a text, in the order in which they are to count (that of
    /// their base names), and what is wrong with them.
    #[must_use]
    pub fn parse(files: &[(impl AsRef<str>, impl AsRef<[u8]>)]) -> (Self, Vec<Problem>) {
        let mut rules = Self::default();
        let mut problems = Vec::new();
        for (name, text) in files {
            let text = String::from_utf8_lossy(text.as_ref());
            list::read(name.as_ref(), &text, &mut rules.rules, &mut problems);
        }
        (rules, problems)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}
