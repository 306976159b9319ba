//! Generations to boot entries; GRUB installed without root.
//!
//! | noun | what it is |
//! |---|---|
//! | [`Generation`] | one build of the system as the menu shows it |
//! | [`entries()`] | generations to the text of a GRUB menu, which decides what boots |
//! | [`Slot`] | where that text is kept so that a torn write never boots |
//! | [`EntryId`] | what names an entry in the menu, in GRUB's environment and to the kernel |
//! | [`BootState`] | what boots next, in GRUB's environment block |
//! | [`LiveMenu`] | the menu of a live medium |
//! | [`boot_file_name`] | kernels and initrds in `/boot`, named by their content |
//! | [`KernelFolders`] | where each slot has them |
//! | [`CoreImage`] | GRUB's own image, and how it is made |
//! | [`firmware`] | the entry for GRUB in the menu of a UEFI firmware |
//! | [`unified_config`], [`unified_args`] | one program with all that a system boots |
//! | [`patch_boot_sector`], [`patch_core_image`] | what binds GRUB's images to their place on a BIOS disk |
//!
//! Everything computes text and bytes from data; the functions with an effect are [`write_slot`] and
//! [`BootState::write`].
//!
//! Invariant: no clock, no environment: the same generations give the same bytes.

#![forbid(unsafe_code)]

mod boot_file;
mod boot_sector;
mod boot_state;
mod choice;
mod core_image;
mod date;
mod entry_id;
mod factory_reset;
pub mod firmware;
mod generation;
mod listing;
mod live;
mod menu;
mod options;
mod quote;
mod slot;
mod slot_file;
mod stub;
mod trial;
mod unified;

pub use boot_file::{
    BootFileKind, KernelFolders, Summed, boot_file_name, checksum_file, checksum_name, is_boot_file,
};
pub use boot_sector::{
    BootSectorError, patch_boot_sector, patch_core_image, patch_disc_image,
    patch_hybrid_boot_sector,
};
pub use boot_state::{BootState, BootStateError, Damage, Trial, Unfit};
pub use core_image::{CoreImage, Platform};
pub use entry_id::{EntryId, EntryIdError};
pub use generation::{BootFiles, Entry, EntryError, Generation};
pub use live::LiveMenu;
pub use menu::{Menu, entries};
pub use options::{DefaultEntry, ExtraPlace, Options, Serial, Timeout};
pub use slot::{Addition, Sequence, Slot, Slots, SlotsExhausted, next_slot};
pub use slot_file::{SlotFiles, WriteSlotError, write_slot};
pub use stub::{
    GRUB_DIRECTORY, GRUBENV, PartitionTable, Root, SIGNED_CONFIG, STUB, early_config, signed_config,
};
pub use unified::{UNIFIED_INITRD, UNIFIED_KERNEL, unified_args, unified_config};
