//! From the kernel's devices to names, rights and properties, by udev's rules.
//!
//! An event of the kernel's makes an [`event::Event`] of a [`device::Device`]; [`rules`] decide about it, with what
//! [`builtins`] find out; then names, rights and record of the device are made so, and whoever listens is told.
//!
//! Invariant: what devices say of themselves is untrusted, and bounded in what is read of it.
//!
//! Source: `udev(7)`.

#![forbid(unsafe_code)]

mod beginning;
pub mod broadcast;
pub mod builtins;
mod control;
pub mod daemon;
pub mod device;
pub mod dry_run;
pub mod enumerate;
pub mod event;
mod handling;
mod interface;
mod links;
mod lock;
mod machine;
mod node;
mod path;
pub mod places;
mod program;
mod queue;
pub mod record;
pub mod rules;
pub mod ruleset;
mod running;
mod seen;
mod static_nodes;
mod watch;

pub use handling::Wanted;
