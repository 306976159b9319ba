//! The operator's command, and the one place that composes the steps.
//!
//! | module | step |
//! |---|---|
//! | [`sources`] | the modules and our own programs as store objects |
//! | [`supply`] | the mirrors, and the cache of what they gave |
//! | [`lock_file`] | which packages, in which versions |
//! | [`configuration`] | a configuration file to what is built of it: the whole way |
//! | [`packages`] | what a lock means for the store |
//! | [`realise`] | derivations to objects of the store |
//! | [`builders`] | what derivations name as `builtin:…` |
//! | [`boot_loader`] | GRUB itself, on the disks of a machine |
//! | [`image`] | a toplevel to a disk image |
//! | [`install`] | a system onto the disk of a machine: `cairn install` |
//! | [`diff`] | what changes between two systems |
//! | [`vm`] | a toplevel in QEMU, with the host's store and no image |
//! | [`evaluate`] | expressions to values and derivations: `cairn eval`, `nix-instantiate`, `cairn repl` |
//! | [`generations`] | `cairn generations`, `delete-generations`, `gc` |
//! | [`factory_reset`] | what a machine is asked to forget: `cairn factory-reset` |
//! | [`options`] | the option reference: `cairn options`, man page, web page |
//! | [`mod@format`] | files of the Nix language in the common layout: `cairn fmt` |
//! | [`fhs`] | a program that finds packages below `/usr` |
//! | [`assessment`] | whether the generation that was booted is good: `cairn assess` |
//! | [`hardware`] | what a machine has, as its configuration says it: `cairn generate-config` |
//! | [`tpm2`] | a disk's key, kept by the machine's TPM: `cairn tpm2` |
//! | [`service_control`] | `cairn status` and its kin, on the running system |

#![forbid(unsafe_code)]

pub mod assessment;
pub mod boot_loader;
pub mod builders;
pub mod configuration;
pub mod devices;
pub mod diff;
pub mod evaluate;
pub mod factory_reset;
pub mod fhs;
pub mod format;
pub mod generations;
mod grub;
pub mod hardware;
pub mod image;
pub mod install;
pub mod lock_file;
mod message;
mod nix_text;
pub mod options;
pub mod packages;
mod place;
mod program;
mod progress;
pub mod realise;
pub mod service_control;
pub mod sources;
mod steps;
pub mod supply;
pub mod switch;
pub mod time_zone;
pub mod tpm2;
pub mod vm;

pub use grub::Grub;
pub use message::message;
pub use place::{Place, is_system};
