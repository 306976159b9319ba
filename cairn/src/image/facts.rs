//! What a configuration says of the disk that it is to be on: `config.system.build.imageFacts`.

use std::collections::BTreeMap;

use cairn_bootloader::Serial;
use cairn_system::Device;
use serde::Deserialize;

/// The facts. Everything that an image of the configuration depends on beside its toplevel.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Facts {
    /// `networking.hostName`: names the image's file.
    pub host_name: String,
    /// `fileSystems` by mount point: what is to be found on which device.
    pub file_systems: BTreeMap<String, FileSystemFacts>,
    /// `image.freeSpace`: MiB that the root file system has left.
    pub free_space: u64,
    /// `boot.loader`.
    pub boot_loader: BootLoaderFacts,
}

/// One file system.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FileSystemFacts {
    /// `fileSystems.<name>.device`.
    pub device: Device,
    /// `fileSystems.<name>.fsType`.
    pub fs_type: String,
    /// `fileSystems.<name>.options`.
    pub options: Vec<String>,
}

/// GRUB.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BootLoaderFacts {
    /// `boot.loader.grub.enable`.
    pub enable: bool,
    /// Whether the first serial port shows the menu too.
    pub serial: bool,
    /// The object with `boot.img` and `core.img` for a BIOS.
    pub bios: String,
    /// The object with `bin/grub-mkimage`.
    pub tools: String,
    /// The object with `lib/grub/x86_64-efi`.
    pub uefi: String,
}

impl BootLoaderFacts {
    /// The serial port that GRUB uses.
    #[must_use]
    pub fn serial(&self) -> Option<Serial> {
        self.serial.then_some(Serial::COM1)
    }
}
