//! Evaluation: the evaluator's effects on this machine, and the commands around it.

mod fetch;
mod objects;
mod search_path;
mod world;

pub use fetch::Downloads;
pub use objects::{Objects, Place, Realise, Writing};
pub use search_path::search_path;
pub use world::World;
