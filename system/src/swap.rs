//! Swap space.

use serde::{Deserialize, Serialize};

use crate::file_system::Device;
use crate::name::MapperName;

/// One swap space, as `swapDevices` of NixOS describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SwapDevice {
    /// A block device, or the path of a file.
    pub device: Device,
    /// The file is made with this size in MiB, and anew if it has another.
    #[serde(default)]
    pub size_mib: Option<u32>,
    /// The higher one is filled first; the kernel chooses if absent.
    #[serde(default)]
    pub priority: Option<u16>,
    /// Which free space a solid-state disk is told of.
    #[serde(default)]
    pub discard: Option<Discard>,
    /// The device is made, encrypted with a key of the moment, on another one.
    #[serde(default)]
    pub random_encryption: Option<RandomEncryption>,
}

/// Swap space that nobody can read once the machine is off: `swapDevices.*.randomEncryption` of NixOS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RandomEncryption {
    /// What is encrypted. All that is on it is lost; what has a file system is refused.
    pub device: Device,
    /// The last part of the swap space's own device, `/dev/mapper/<name>`.
    pub name: MapperName,
    /// `cryptsetup`, absolute.
    pub program: String,
    /// The cipher by the kernel's name: `aes-xts-plain64`.
    pub cipher: String,
    /// Bits of the key; the program chooses if absent.
    #[serde(default)]
    pub key_bits: Option<u32>,
    /// Bytes that are encrypted together.
    #[serde(default)]
    pub sector_bytes: Option<u32>,
    /// Where the key is read from.
    pub source: String,
    /// The disk is told which blocks are free.
    #[serde(default)]
    pub allow_discards: bool,
}

/// Which free space a disk is told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Discard {
    /// All of it, once, when swapping begins.
    Once,
    /// Each page that becomes free.
    Pages,
    /// Both.
    Both,
}
