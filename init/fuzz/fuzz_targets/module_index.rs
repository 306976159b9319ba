//! Any texts as `modules.alias`, `modules.dep` and their kin, and any alias that a device may have.

#![no_main]

#[path = "../../src/autoload"]
mod autoload {
    pub mod alias;
    pub mod catalogue;
    pub mod wildcard;
}

use std::collections::HashSet;

use autoload::catalogue::{Catalogue, Texts};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (String, String, String, String, String)| {
    let (dependencies, aliases, soft_dependencies, builtin, request) = input;
    let catalogue = Catalogue::parse(Texts {
        dependencies,
        soft_dependencies,
        builtin,
        aliases,
    });
    let plan = catalogue.plan(&request, &HashSet::new());
    drop(format!("{plan:?}"));
});
