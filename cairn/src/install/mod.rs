//! A system onto a disk: `cairn install`.
//!
//! | module | noun or step |
//! |---|---|
//! | [`Answers`] | what is wanted: the file of an unattended installation |
//! | [`dialogue`] | the same, asked for on a terminal |
//! | [`Disk`] | what there is: a disk, and what is on it |
//! | `listing` | the disks as `lsblk` lists them |
//! | `signature` | what a device says that it holds |
//! | `unread` | partitions that the kernel does not show |
//! | [`Plan`] | what will be done, from both; pure, and shown before anything happens |
//! | `layout`, `commands`, `configuration_text` | its partitions, the tools that make them, what it writes |
//! | [`prepare`] | answers to a plan, and the system evaluated and counted |
//! | `apply` | the plan onto the disk |
//! | [`Mounted`] | the other way: into file systems that somebody has mounted |
//! | `members` | which devices a file system is on
//! | `system` | what both end in: store, generation, boot menu, boot loader |
//! | [`guard`] | nothing stays mounted or open, whatever ends an installation |
//! | [`nixos_install`] | the words of `nixos-install` |
//!
//! Invariants:
//! - no disk is written to but the one that the plan names, and that one only as it was when it was
//!   planned, and while nobody uses it;
//! - what cannot be finished is refused before anything is written: the system is evaluated and its size
//!   counted first;
//! - whatever step an installation is cut off in, the same command finishes it.

mod answers;
mod answers_text;
mod apply;
mod commands;
mod configuration_text;
pub mod dialogue;
mod disks;
pub mod guard;
mod identifiers;
mod layout;
mod listing;
mod medium;
mod members;
mod mounted;
pub mod nixos_install;
pub mod password;
mod plan;
#[cfg(test)]
mod plan_tests;
mod run;
mod signature;
mod step;
mod system;
mod unattended;
mod unread;
mod words;

pub use answers::{Account, Answers, Encryption, FileSystemKind, Layout, Root, Secret};
pub use answers_text::AnswersError;
pub use disks::{Content, Disk, Partition};
pub use layout::LayoutError;
pub use mounted::Mounted;
pub use plan::{Plan, PlanError};
pub use step::Step;
pub use system::{BootLoader, Installed};
pub use unattended::{Prepared, prepare};
pub use words::{FullName, HostName, Line, PasswordHash, SshKey, WordError};
