//! A factory reset, asked for on the machine itself: `cairn factory-reset`.
//!
//! | module | noun |
//! |---|---|
//! | [`plan`] | what the next boot would remove and keep, and who refuses |
//! | [`request`] | the file that asks stage 1 for it |
//!
//! Invariants: nothing is asked of a system that would not obey at once; a request is on the disk whole or not
//! at all; one that stage 1 has begun to obey is not written over.

pub mod plan;
pub mod request;

pub use plan::{Plan, Refused};
pub use request::{Request, RequestError, Standing};
