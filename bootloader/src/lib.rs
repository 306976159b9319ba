//! Generations to boot entries; GRUB installed without root.

#![forbid(unsafe_code)]
