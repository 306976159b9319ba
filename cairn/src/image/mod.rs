//! A toplevel to an image: [`facts`] are what the configuration says of it, [`placement`] is what
//! that means for the disk, [`disk`] lays the tree out and writes it, [`cache`] keeps what was
//! written; [`build()`] goes the whole way, to an image of any [`Format`].

mod build;
pub mod cache;
pub mod disk;
pub mod facts;
mod format;
pub mod placement;

pub use build::{Built, build};
pub use cache::copy_sparse;
pub use disk::{DiskImage, empty_root};
pub use facts::Facts;
pub use format::Format;
pub use placement::{Placement, PlacementError};
