//! The generations of a machine: what they are, which of them go, and the space that comes of it.
//!
//! | module | noun or step |
//! |---|---|
//! | [`Listing`] | every generation, and what is known of it: `cairn generations` |
//! | [`mod@table`] | a listing for people |
//! | [`Selection`] | which generations the operator names |
//! | [`Deletion`] | which of them go, which stay and why: `cairn delete-generations` |
//! | [`Collection`] | what nobody needs any more: `cairn gc` |
//! | [`version`] | `nixos-version` |
//!
//! Each takes the root of the machine that it is about: `/`, or where another system is mounted.

mod collection;
mod deletion;
mod listing;
mod selection;
mod table;
pub mod version;

pub use collection::{Collected, Collection, delete};
pub use deletion::Deletion;
pub(crate) use listing::read_bootspec;
pub use listing::{Entry, Listed, Listing, Mark};
pub use selection::{Selection, SelectionError};
pub use table::{local_date, table};
