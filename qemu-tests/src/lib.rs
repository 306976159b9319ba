//! Boots images in QEMU: the driver, the demo, the benchmarks and the tests.
//!
//! A [`Blueprint`] says what machine to build; [`Blueprint::start`] runs it as a [`Machine`], with
//! a serial [`console`], QEMU's monitor ([`qmp`]) and an [`agent`] in the guest. Whatever waits is
//! woken by an event and ends at a deadline. Each machine leaves its serial log in
//! `target/vm-tests/<name>/`, and a screenshot when its test fails; both ends of a test that fails
//! say where.
//!
//! Invariant: nothing here looks into the guest other than through console, agent and disk.
//! Invariant: a disk image that is given is never written to.
//! Invariant: no QEMU outlives the program that started it.

#![forbid(unsafe_code)]

pub mod agent;
mod arguments;
pub mod artefacts;
pub mod blueprint;
pub mod console;
pub mod difference;
pub mod disk;
pub mod firmware;
pub mod freeze;
pub mod guest;
mod hung_disk;
pub mod images;
pub mod live;
pub mod machine;
pub mod power_cut;
mod process;
pub mod qmp;
pub mod reproducible;
pub mod shell;
mod sockets;
pub mod timeline;
mod tpm;
pub mod transcript;

pub use cairn::vm::Accelerator;

pub use blueprint::{Blueprint, Boot, DirectKernel, Interactive};
pub use disk::{Bus, Disk, Writes};
pub use hung_disk::HUNG_DISK;
pub use machine::Machine;
