//! The builtins, as tables that the evaluator registers.

mod arithmetic;
mod context;
mod core;
mod data;
mod derivation;
mod fetch;
mod hashes;
mod import;
mod json;
mod lists;
mod messages;
mod paths;
mod patterns;
mod regex;
mod sets;
mod strings;
mod types;
mod versions;
mod world;

use crate::builtin::Builtin;

pub(crate) use patterns::Patterns;

/// All tables.
pub const TABLES: &[&[Builtin]] = &[
    arithmetic::TABLE,
    context::TABLE,
    core::TABLE,
    data::TABLE,
    derivation::TABLE,
    fetch::TABLE,
    hashes::TABLE,
    import::TABLE,
    lists::TABLE,
    messages::TABLE,
    paths::TABLE,
    patterns::TABLE,
    sets::TABLE,
    strings::TABLE,
    types::TABLE,
    versions::TABLE,
    world::TABLE,
];
