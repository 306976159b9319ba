//! The release program from outside: two users build the same bytes, the field's tools find nothing
//! wrong with them, and no damage, no full disk and no kill leaves anything half done.
//!
//! Slow: each build unpacks all packages of the demo. `cargo xtask test` runs it; by hand:
//!
//! ```text
//! cargo xtask build
//! cargo test --package cairn --test demo_image
//! ```
//!
//! `CAIRN_PROGRAMS` names another folder of programs. Packages come from the user's cache of
//! downloads, which the first run fills.

#![cfg(test)]

mod damaged;
mod differences;
mod full_disk;
mod killed;
mod lost;
mod namespace;
mod nix;
mod oracles;
mod partition;
mod reproducible;
mod run;
mod scratch;
