//! A closure and its boot entries to a bootable image, without root, loop devices or a VM.

#![forbid(unsafe_code)]

mod manifest;

pub use manifest::{Content, Manifest, ManifestError, Node};
