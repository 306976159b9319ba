//! From a source text to a value: reading it in, parsing, lowering, evaluating.

use bumpalo::Bump;

use crate::ast::Expr;
use crate::error::{ErrorKind, EvalError, Result};
use crate::evaluator::Evaluator;
use crate::parser::{ParseError, ParseOptions, parse};
use crate::resolve::OuterScope;
use crate::source::{Origin, Place};
use crate::value::{Slot, Suspension, Value};

/// A text that is to be evaluated.
pub struct Text<'a> {
    /// Where it came from.
    pub origin: Origin,
    /// Its bytes.
    pub bytes: &'a [u8],
    /// The absolute path of the folder that relative paths start from.
    pub base: &'a [u8],
    /// Whether it belongs to a library, whose frames are left out of short traces.
    pub library: bool,
}

impl<'e> Evaluator<'e> {
    /// Evaluates a text.
    ///
    /// # Errors
    /// It is not in the language, a variable is not defined, or whatever evaluating it meets.
    pub fn evaluate_text(&mut self, text: Text<'_>, outer: OuterScope<'e>) -> Result<Value<'e>> {
        // The syntax tree is needed no longer than until it is lowered.
        let tree = Bump::new();
        let (expr, source) = self.parse_text(text, &tree)?;
        let (code, environment) = self.lower(expr, source, outer)?;
        drop(tree);
        self.eval(self.arena.alloc(code), environment)
    }

    /// A text's value as a thunk: the text is read now, and evaluated when it is needed.
    ///
    /// # Errors
    /// It is not in the language, or a variable is not defined.
    pub fn delay_text(&mut self, text: Text<'_>, outer: OuterScope<'e>) -> Result<Value<'e>> {
        let tree = Bump::new();
        let (expr, source) = self.parse_text(text, &tree)?;
        let (code, environment) = self.lower(expr, source, outer)?;
        let code = self.arena.alloc(code);
        let suspension = self.arena.alloc(Suspension { code, environment });
        let slot = Slot::new(Value::Suspended(suspension));
        Ok(Value::Thunk(self.arena.alloc(slot)))
    }

    /// Parses a text and registers it as a source, whose index comes with the tree.
    ///
    /// # Errors
    /// It is not in the language.
    pub fn parse_text<'t>(
        &mut self,
        text: Text<'_>,
        tree: &'t Bump,
    ) -> Result<(&'t Expr<'t>, usize)> {
        self.check_memory(text.bytes.len())?;
        let bytes: &'e [u8] = self.arena.alloc_slice_copy(text.bytes);
        let source = self
            .sources
            .add(text.origin, bytes, text.library)
            .ok_or_else(|| EvalError::eval("the sources are larger than 4 GiB together"))?;
        let home = self.io.home().ok();
        let home = home
            .as_ref()
            .map(|home| std::os::unix::ffi::OsStrExt::as_bytes(home.as_os_str()));
        let options = ParseOptions {
            base: text.base,
            home,
            pipe_operators: self.options.pipe_operators,
        };
        match parse(bytes, &options, self.symbols, tree) {
            Ok(expr) => Ok((expr, source)),
            Err(error) => Err(self.parse_failed(error, source)),
        }
    }

    #[cold]
    fn parse_failed(&self, error: ParseError, source: usize) -> EvalError {
        let place = |span| {
            self.sources
                .get(source)
                .map_or(Place::NONE, |source| source.place(span))
        };
        let mut failure =
            EvalError::new(ErrorKind::Parse, format!("syntax error, {}", error.message))
                .at(place(error.span));
        for label in error.labels {
            failure = failure.label(label.text, place(label.span));
        }
        match error.hint {
            Some(hint) => failure.note(hint),
            None => failure,
        }
    }
}
