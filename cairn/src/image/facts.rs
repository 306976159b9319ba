//! What a configuration says of the disk that it is to be on: `config.system.build.imageFacts`.

use std::collections::BTreeMap;

use cairn_system::Device;
use serde::Deserialize;

use crate::grub::GrubFacts;

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
    /// GRUB; none with `boot.loader.grub.enable = false`.
    pub grub: Option<GrubFacts>,
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
