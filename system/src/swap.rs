//! Swap space.

use serde::{Deserialize, Serialize};

use crate::file_system::Device;

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
