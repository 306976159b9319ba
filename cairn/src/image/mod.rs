//! A toplevel to an image: [`facts`] are what the configuration says of it, [`placement`] is what
//! that means for the disk, [`disk`] lays the tree out and writes it.

pub mod disk;
pub mod facts;
pub mod placement;

pub use disk::{DiskImage, cached_disk_image, copy_sparse, empty_root};
pub use facts::Facts;
pub use placement::{Placement, PlacementError};
