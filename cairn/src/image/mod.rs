//! A toplevel to an image: [`facts`] are what the configuration says of it, [`placement`] is what that means
//! for the disk and each [`partition`], and its [`shape`], [`disk`], [`verified`] and [`iso`] lay the tree out and write it, [`cache`]
//! keeps what was written, [`output`] is where it is copied to; [`build()`] goes the whole way, to an image of any [`Format`].

mod boot;
mod build;
pub mod cache;
pub mod disk;
pub mod facts;
mod format;
pub mod iso;
pub mod netboot;
pub mod output;
pub mod partition;
mod placed;
pub mod placement;
pub(crate) mod root;
pub mod shape;
pub mod verified;

/// MiB that an ext4 with blocks of 4096 bytes can have.
pub(crate) const EXT4_LIMIT: u64 = 16 << 20;

pub use build::{Built, build};
pub use disk::DiskImage;
pub use facts::Facts;
pub use format::Format;
pub use placement::{Placement, PlacementError};
pub use root::empty_root;
