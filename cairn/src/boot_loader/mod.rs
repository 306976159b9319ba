//! GRUB itself, on the disks of a machine: the boot sector and core image for a BIOS, the program for
//! UEFI with its entry in the firmware's menu. Menus and kernels are another matter ([`crate::switch`]).
//!
//! | module | noun or step |
//! |---|---|
//! | [`facts`] | what a configuration wants |
//! | [`block`] | what the kernel says of disks and partitions |
//! | [`folder`] | the file system that GRUB finds its menu on |
//! | [`table`] | a disk's partitions, and the room that it has for a core image |
//! | [`embedding`] | which bytes a disk gets for a BIOS |
//! | [`firmware`] | the variables in which UEFI firmware keeps its menu |
//! | [`plan`] | all that is to be written, from what the machine has |
//! | [`apply`] | the writing |
//!
//! Invariant: a machine that loses power at any write starts the old core image or the new one. A core
//! image is never written over the one that starts: it goes into the other half of its room, and one
//! sector, the boot sector, says which half that is.

pub mod apply;
pub mod block;
pub mod embedding;
pub mod facts;
pub mod firmware;
pub mod folder;
pub mod plan;
pub mod table;

use std::path::Path;

use anyhow::Result;
use cairn_store::Store;

pub use facts::BootLoaderFacts;
pub use plan::{Plan, Step};

/// Where a configuration says where GRUB is to be.
pub const FACTS: &str = "config.system.build.bootLoader";

/// Writes GRUB to all places of `facts`, of the system whose file systems are mounted at `root`, with
/// the packages that are in `store`. What is there already is not written. Gives what was written, for
/// people.
///
/// # Errors
/// A place cannot be written, or there is none; then nothing was changed, or each disk starts what it
/// started before, or the new GRUB.
pub fn install(root: &Path, store: &Store, facts: &BootLoaderFacts) -> Result<Vec<String>> {
    let plan = Plan::new(root, store, facts)?;
    let done = apply::apply(&plan)?;
    Ok(done.into_iter().map(ToString::to_string).collect())
}
