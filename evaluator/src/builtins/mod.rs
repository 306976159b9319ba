//! The builtins, as tables that the evaluator registers.

mod core;
pub mod regex;

use crate::builtin::Builtin;

/// All tables.
pub const TABLES: &[&[Builtin]] = &[core::TABLE];
