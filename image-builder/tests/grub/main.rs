//! Real GRUB on real images, under SeaBIOS and OVMF.
//!
//! The guest has no system: GRUB's own script commands, or a kernel of some hundred bytes that GRUB
//! loads like any other, write to the serial port what they saw.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers fail by panicking, as the test does"
)]

mod extra;
mod factory_reset;
mod guest;
mod kernel;
mod many;
mod menu;
#[path = "../oracle/mod.rs"]
mod oracle;
mod slots;
mod trial;
