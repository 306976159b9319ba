//! `cairn install` on a machine without a network: a live medium boots, installs on a disk, and the disk
//! boots alone. One installation is for every test run; the others are ignored there, and run by
//! `cargo xtask torture install`.

#![cfg(test)]

mod aborts;
mod alone;
mod installed;
mod layouts;
mod medium;
mod mounted;
mod refusals;
mod sectors;
