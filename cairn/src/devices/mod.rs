//! The device manager on this machine: `cairn devices`, which is `udevadm` by another name.
//!
//! Rules and what they decide are in `cairn_devices`; here is what people and scripts ask of them.

pub mod info;
pub mod monitor;
pub mod named;
pub mod serve;
pub mod settle;
pub mod test;
pub mod trigger;
pub mod verify;
