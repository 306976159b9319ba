//! The prompt's help while a line is typed: names that fit, and whether the line is finished.

use std::cell::RefCell;

use bumpalo::Bump;
use cairn_evaluator::{ParseOptions, SymbolTable, parse};
use rustyline::completion::Completer;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Helper};

use super::line::{self, Line};
use super::state::State;

/// What the line editor asks.
pub struct Prompt<'p, 's, 'a, 'e> {
    pub state: &'p RefCell<State<'s, 'a, 'e>>,
}

impl Completer for Prompt<'_, '_, '_, '_> {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let before = line.get(..position).unwrap_or(line);
        let start = word_start(before);
        let word = before.get(start..).unwrap_or_default();
        let from = start + word.rfind('.').map_or(0, |dot| dot + 1);
        Ok((from, self.state.borrow_mut().completions(word)))
    }
}

/// Where the path of names before the cursor begins.
fn word_start(before: &str) -> usize {
    let inner = |c: char| c.is_alphanumeric() || "_'-.\"".contains(c);
    before
        .char_indices()
        .rev()
        .take_while(|(_, c)| inner(*c))
        .last()
        .map_or(before.len(), |(index, _)| index)
}

impl Validator for Prompt<'_, '_, '_, '_> {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let text = match line::parse(context.input()) {
            Line::Empty | Line::Command(_, "") | Line::Command("l" | "load", _) => {
                return Ok(ValidationResult::Valid(None));
            }
            Line::Command(_, text) | Line::Binding(_, text) | Line::Expression(text) => text,
        };
        Ok(if is_unfinished(text) {
            ValidationResult::Incomplete
        } else {
            ValidationResult::Valid(None)
        })
    }
}

/// Whether the text lacks nothing but its end.
fn is_unfinished(text: &str) -> bool {
    let arena = Bump::new();
    let symbols = SymbolTable::new(&arena);
    let options = ParseOptions {
        pipe_operators: true,
        home: Some(b"/"),
        ..ParseOptions::default()
    };
    parse(text.as_bytes(), &options, &symbols, &arena).is_err_and(|error| error.is_incomplete())
}

impl Hinter for Prompt<'_, '_, '_, '_> {
    type Hint = String;
}

impl Highlighter for Prompt<'_, '_, '_, '_> {}

impl Helper for Prompt<'_, '_, '_, '_> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unfinished_lines_are_known() {
        for text in [
            "{ a =",
            "\"abc",
            "''x",
            "[ 1",
            "let x = 1;",
            "1 +",
            "/* c",
            "if true then 1",
            "a.b or",
        ] {
            assert!(is_unfinished(text), "{text}");
        }
        for text in ["1", "1 )", "{ a = 1 }", "x y", "<"] {
            assert!(!is_unfinished(text), "{text}");
        }
    }

    #[test]
    fn the_word_before_the_cursor() {
        assert_eq!(word_start("f (a.b"), 3);
        assert_eq!(word_start("f "), 2);
        assert_eq!(word_start("größe.x"), 0);
    }
}
