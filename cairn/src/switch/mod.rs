//! From one generation to another, on the machine itself.
//!
//! | module | noun or step |
//! |---|---|
//! | [`Wish`], [`Action`], [`Target`] | what is asked for, how far, and to what |
//! | [`lock`] | one change at a time |
//! | [`detached`] | a change outlives whoever asked for it |
//! | [`apply`] | the order of a change |
//! | [`Machine`], [`BootFolder`] | what is changed |
//! | [`boot_files`], [`kernels`] | what `/boot` needs, and how it gets there |
//! | [`menu`] | the boot entries |
//! | [`live`] | services and activation |
//! | [`commit`] | what boots next |
//! | [`once`] | what boots once |
//! | [`preview`] | what a change would do |
//! | [`rebuild`] | the words of `nixos-rebuild` |

mod action;
pub mod apply;
pub mod boot_files;
mod boot_folder;
pub mod commit;
pub mod detached;
pub mod kernels;
pub mod live;
pub mod lock;
pub mod machine;
pub mod menu;
pub mod once;
mod preview;
pub mod rebuild;
mod tale;
mod target;
mod wish;

pub use action::Action;
pub use boot_folder::BootFolder;
pub use machine::{Machine, Showing};
pub use preview::Preview;
pub use target::{Existing, Target};
pub use wish::{Source, Wish, boot_once};
