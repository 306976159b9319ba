//! A closure and its boot entries to a bootable image.

#![forbid(unsafe_code)]
