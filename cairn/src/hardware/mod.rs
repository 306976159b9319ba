//! What a machine has, and the part of its configuration that says so: `cairn generate-config`.
//!
//! | module | noun or step |
//! |---|---|
//! | [`Hardware`] | all that is found; [`scan`] reads it |
//! | `processor`, `hypervisor`, `drivers`, `interfaces` | parts of it, from `/sys` and `/proc` |
//! | `kernel`, `blobs` | the running kernel's modules, and firmware that they miss |
//! | `mount_table`, `file_systems`, `swap_spaces`, `block` | what is mounted, and what it lies on |
//! | `probe` | identifiers of what devices hold |
//! | `render` | [`hardware_configuration`]: `hardware-configuration.nix` |
//! | `template` | [`configuration`]: a first `configuration.nix` |
//! | [`generate`] | the files that the command writes |
//!
//! Invariant: scanning changes nothing. All of it but [`probe`](Probe) reads below a root directory,
//! so that tests bring machines of their own.
//!
//! Source: Documentation/ABI of Linux, `proc_pid_mountinfo(5)`, `proc_swaps(5)`.

mod blobs;
mod block;
mod drivers;
mod file_systems;
pub mod generate;
mod hypervisor;
mod interfaces;
mod kernel;
pub(crate) mod mount_table;
mod probe;
mod processor;
mod read;
mod render;
mod swap_spaces;
mod template;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

pub use hypervisor::Hypervisor;
pub(crate) use probe::first;
pub use probe::{Blkid, Identifiers, Probe};
pub use processor::{Processor, Vendor};
pub use read::HardwareError;
pub use render::hardware_configuration;
pub(crate) use template::SECURE_BOOT as SECURE_BOOT_LINES;
pub use template::configuration;

/// What a machine has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hardware {
    /// Its processors.
    pub processor: Processor,
    /// What it runs in, if it is a virtual machine.
    pub hypervisor: Option<Hypervisor>,
    /// How its firmware has started it.
    pub firmware: Firmware,
    /// Modules that lead to its disks and keyboards.
    pub drivers: BTreeSet<String>,
    /// Network interfaces that are devices, in the order of their names.
    pub interfaces: Vec<String>,
    /// Drivers that ask for firmware which is not here.
    pub without_firmware: BTreeSet<String>,
    /// What is mounted below the root, in the order of the mount points.
    pub file_systems: Vec<FileSystem>,
    /// What it swaps to.
    pub swap_spaces: Vec<SwapSpace>,
    /// Encrypted devices below these: the device that holds each, by the name of the open one.
    pub encrypted: BTreeMap<String, String>,
    /// Whether logical volumes are below these.
    pub has_volumes: bool,
    /// Whether software RAIDs are below these.
    pub has_arrays: bool,
    /// The disk that all of the root file system is on, if it is one.
    pub root_disk: Option<String>,
    /// What was found and cannot be described, as sentences.
    pub notes: Vec<String>,
}

/// What a machine swaps to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SwapSpace {
    /// A device, or a file, that is swap space at each boot.
    Kept(String),
    /// A device that each boot encrypts with a new key.
    Volatile(String),
}

/// How a machine starts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Firmware {
    /// By a boot sector.
    #[default]
    Bios,
    /// By a file of the EFI system partition.
    Uefi,
    /// The same, and only by what is signed: Secure Boot is on.
    SecureUefi,
}

/// Whether Secure Boot is on: four bytes of attributes, and one that is 1 then.
///
/// Source: UEFI specification 2.10, 3.3.
const SECURE_BOOT: &str =
    "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";

impl Firmware {
    /// Of the machine whose `/sys` lies below `machine`.
    ///
    /// # Errors
    /// The variable is there, and cannot be read.
    pub fn of(machine: &Path) -> Result<Self, HardwareError> {
        if !machine.join("sys/firmware/efi").exists() {
            return Ok(Self::Bios);
        }
        let variable = read::bytes(&machine.join(SECURE_BOOT))?;
        Ok(match variable.as_deref() {
            Some([_, _, _, _, 1, ..]) => Self::SecureUefi,
            _ => Self::Uefi,
        })
    }
}

/// A mounted file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSystem {
    /// Where it is, seen from the root that was asked for.
    pub mount_point: String,
    /// What is mounted: a device, or a folder.
    pub device: String,
    /// The type by the kernel's name; `none` for a folder.
    pub fs_type: String,
    /// Options that it would not have by itself.
    pub options: Vec<String>,
}

/// What the running machine has, with the file systems that are mounted below `root`, as they are
/// seen from there.
///
/// # Errors
/// The kernel's files cannot be read, or `blkid` is missing.
pub fn scan(root: &Path) -> Result<Hardware, HardwareError> {
    scan_machine(Path::new("/"), Some(root), &Blkid)
}

/// The machine whose `/sys` and `/proc` lie below `machine`, with what is mounted below `root`, or
/// without file systems and swap spaces.
///
/// # Errors
/// The files cannot be read, or the probe fails.
pub fn scan_machine(
    machine: &Path,
    root: Option<&Path>,
    probe: &dyn Probe,
) -> Result<Hardware, HardwareError> {
    let mut hardware = Hardware {
        processor: processor::read(machine)?,
        hypervisor: hypervisor::read(machine)?,
        firmware: Firmware::of(machine)?,
        drivers: drivers::read(machine)?,
        interfaces: interfaces::read(machine)?,
        without_firmware: blobs::missing(machine)?,
        ..Hardware::default()
    };
    if let Some(root) = root {
        file_systems::add(machine, root, probe, &mut hardware)?;
        swap_spaces::add(machine, root, probe, &mut hardware)?;
    }
    Ok(hardware)
}
