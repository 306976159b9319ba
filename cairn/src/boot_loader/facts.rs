//! What a configuration says of where GRUB is to be: `config.system.build.bootLoader`.

use serde::{Deserialize, Serialize};

use crate::grub::{GrubFacts, UefiName};

/// The facts; the configuration has `null` without GRUB.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BootLoaderFacts {
    /// Its packages.
    pub grub: GrubFacts,
    /// `boot.loader.grub.efiSupport`.
    pub uefi: bool,
    /// `boot.loader.grub.efiInstallAsRemovable`: the name under which GRUB lies there.
    pub uefi_name: UefiName,
    /// What the firmware's menu calls the machine, where `boot.loader.efi.canTouchEfiVariables` lets it have
    /// an entry.
    pub firmware_entry: Option<String>,
    /// `/boot`, and its mirrors.
    pub places: Vec<PlaceFacts>,
}

/// A folder that GRUB boots from, and where GRUB is that does it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlaceFacts {
    /// `/boot`, or a mirror's path.
    pub folder: String,
    /// Disks whose boot sectors start it. `nodev` is none; without any, it is the folder's own disk.
    pub devices: Vec<String>,
    /// Where the EFI system partition is mounted, if it is; otherwise it is looked for on the folder's
    /// disk.
    pub efi_system_partition: Option<String>,
}
