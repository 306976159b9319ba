//! A machine that changes its own generation: switch, rollback, the boot menu, boots on trial.
//!
//! The image is that of `configurations/generations.nix`. In the guest, `/etc/nixos` has the same
//! configuration; a test writes what is to be different and runs `cairn switch` there, as an
//! operator does.

#![cfg(test)]

mod etc;
mod good;
mod guest;
mod menu;
mod mirror;
mod sealed_etc;
mod space;
mod switch;
