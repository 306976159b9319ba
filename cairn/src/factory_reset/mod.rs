//! A factory reset, asked for on the machine itself: `cairn factory-reset`.
//!
//! | module | noun |
//! |---|---|
//! | [`plan`] | what the next boot would remove and keep, and who refuses |
//! | [`request`] | the file that asks stage 1 for it |
//!
//! Invariants: nothing is asked of a system that would not obey at once; a request is on the disk whole or not
//! at all; one that stage 1 has begun to obey is not written over.

use std::path::Path;

use anyhow::Result;

pub mod plan;
pub mod request;

pub use plan::{Plan, Refused};
pub use request::{Request, RequestError, Standing};

/// What is to be said of a request that waits, if one of those that may boot next would not obey it.
///
/// # Errors
/// It cannot be found out.
pub fn forgone(root: &Path) -> Result<Option<String>> {
    if Request::of(root).standing()? == Standing::Nothing {
        return Ok(None);
    }
    match Plan::of(root) {
        Ok(_) => Ok(None),
        Err(error) => match error.downcast::<Refused>() {
            Ok(Refused { system }) => Ok(Some(format!(
                "a factory reset is waiting, and {system} would take it back instead: it has \
                 boot.factoryReset.enable off; `cairn factory-reset --cancel` takes it back now"
            ))),
            Err(error) => Err(error),
        },
    }
}
