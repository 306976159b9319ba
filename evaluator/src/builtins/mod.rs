//! The builtins, as tables that the evaluator registers.

mod core;

use crate::builtin::Builtin;

/// All tables.
pub const TABLES: &[&[Builtin]] = &[core::TABLE];
