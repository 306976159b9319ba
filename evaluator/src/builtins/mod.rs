//! The builtins, as tables that the evaluator registers.

mod context;
mod core;
mod derivation;
mod fetch;
mod import;
mod paths;
pub mod regex;
mod world;

use crate::builtin::Builtin;

/// All tables.
pub const TABLES: &[&[Builtin]] = &[
    context::TABLE,
    core::TABLE,
    derivation::TABLE,
    fetch::TABLE,
    import::TABLE,
    paths::TABLE,
    world::TABLE,
];
