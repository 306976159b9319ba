//! What changes between two systems: [`packages`] of their closures, and values: of options between
//! two configurations, of the system's description between two built systems.

pub mod packages;
pub mod side;
pub mod values;

pub use packages::{PackageChange, Packages};
pub use side::{Kind, Seen, Side};
pub use values::{ValueChange, changes};
