//! The Nix language: source text to values and derivations.
//!
//! Pure: whatever touches the world goes through a trait that the caller implements. The way
//! through: bytes → [`ast`] → …

#![forbid(unsafe_code)]

pub mod ast;
pub mod io;
mod span;
mod symbol;

pub use span::Span;
pub use symbol::{Symbol, SymbolTable, known};
