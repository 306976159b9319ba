//! The kernel's interfaces: the only crate with unsafe code.

#![allow(unsafe_code)]
