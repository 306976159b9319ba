//! Evaluation: the evaluator's effects on this machine, and the commands around it.

mod arguments;
mod attribute_path;
mod child;
mod command;
mod derivations;
mod fetch;
mod nix_instantiate;
mod objects;
mod print;
mod record;
mod recorder;
mod repl;
pub mod request;
mod run;
mod search_path;
mod session;
mod world;

pub use child::{Side, describe_signal, mark, split};
pub use command::{AlreadyTold, eval, nix_instantiate, output_of};
pub use fetch::Downloads;
pub use objects::{Objects, Place, Realise, Writing};
pub use record::Record;
pub use recorder::Recorder;
pub use repl::repl;
pub use request::Request;
pub use run::run;
pub use search_path::search_path;
pub use session::{Failure, Session, VARIABLES, holds, with_session};
pub use world::World;
