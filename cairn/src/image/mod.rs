//! A toplevel to an image: [`facts`] are what the configuration says of it, [`placement`] is what
//! that means for the disk, [`disk`] lays the tree out and writes it; [`build_disk`] goes the whole
//! way.

mod build;
pub mod disk;
pub mod facts;
pub mod placement;

pub use build::{Built, build_disk};
pub use disk::{DiskImage, cached_disk_image, copy_sparse, empty_root};
pub use facts::Facts;
pub use placement::{Placement, PlacementError};
