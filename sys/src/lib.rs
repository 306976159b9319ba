//! The kernel's interfaces: the only crate with unsafe code.

#![allow(unsafe_code)]

pub mod console;
pub mod kmsg;
pub mod module;
pub mod mount;
pub mod mount_options;
pub mod uevent;
