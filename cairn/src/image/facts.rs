//! What a configuration says of the disk that it is to be on: `config.system.build.imageFacts`.

use std::collections::BTreeMap;

use cairn_image_builder::TarCompression;
use cairn_system::Device;
use serde::Deserialize;

use super::verified::VerityFacts;
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
    /// `image.bootFreeSpace`: MiB that `/boot` has left, where it has a partition of its own.
    pub boot_free_space: u64,
    /// Devices in `swapDevices`.
    pub swap_devices: Vec<Device>,
    /// `image.swapSize`: MiB of the swap partition, if there is to be one.
    pub swap_size: Option<u64>,
    /// `image.size`: MiB of the whole disk, if it is to have a size of its own.
    pub size: Option<u64>,
    /// `image.sectorSize`: bytes of a sector of the disk.
    pub sector_size: u64,
    /// Whether a BIOS is to start the disk: not with `nodev` as `boot.loader.grub.device`.
    pub bios: bool,
    /// `boot.loader.grub.efiSupport`.
    pub uefi: bool,
    /// GRUB; none with `boot.loader.grub.enable = false`.
    pub grub: Option<GrubFacts>,
    /// With `image.verityStore.enable`, how the store is verified and who signs.
    #[serde(default)]
    pub verity_store: Option<VerityFacts>,
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

/// What a configuration says of its tarball: `config.system.build.images.tarball.facts`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TreeFacts {
    /// `networking.hostName`: names the archive.
    pub host_name: String,
    /// `image.tarballCompression`.
    pub compression: CompressionFact,
}

/// How an archive is compressed, as the option has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CompressionFact {
    /// Not at all.
    None,
    /// gzip.
    Gzip,
    /// xz.
    Xz,
    /// zstd.
    Zstd,
}

impl From<CompressionFact> for TarCompression {
    fn from(fact: CompressionFact) -> Self {
        match fact {
            CompressionFact::None => Self::None,
            CompressionFact::Gzip => Self::Gzip,
            CompressionFact::Xz => Self::Xz,
            CompressionFact::Zstd => Self::Zstd,
        }
    }
}
