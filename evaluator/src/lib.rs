//! The Nix language: source text to values and derivations.
//!
//! Pure: whatever touches the world goes through a trait that the caller implements. The way
//! through: bytes → [`ast`] → lowered code, whose variables are places ([`resolve`]) → values
//! ([`value`]), which the [`Evaluator`] computes when they are needed. Everything lives in one
//! arena that is freed as a whole.

#![forbid(unsafe_code)]

pub mod ast;
pub mod attrs;
pub mod builtin;
pub mod builtins;
mod call;
pub mod code;
mod coerce;
pub mod diagnostic;
mod environment;
mod equality;
pub mod error;
mod eval;
mod evaluator;
mod force;
pub mod io;
mod lexer;
pub mod load;
mod make;
mod operators;
mod parser;
pub mod print;
pub mod report;
pub mod resolve;
mod scope;
mod select;
mod sets;
mod show;
pub mod source;
mod span;
mod stack;
pub mod string;
pub mod suggest;
mod symbol;
pub mod value;

pub use coerce::{Coercion, float_as_text};
pub use error::{ErrorKind, EvalError, Result, Traced};
pub use evaluator::{Evaluator, Messages, Options, Statistics};
pub use parser::{Label, MAX_NESTING, ParseError, ParseOptions, comments, parse};
pub use show::{show, show_float, show_merged, show_name, show_string};
pub use source::{Origin, Place, Position};
pub use span::Span;
pub use stack::with_stack;
pub use symbol::{Symbol, SymbolTable, known};
