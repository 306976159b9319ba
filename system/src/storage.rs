//! What stage 1 opens before it can mount: encrypted devices, volume groups, arrays.

use serde::{Deserialize, Serialize};

use crate::file_system::Device;
use crate::name::MapperName;

/// Everything that is opened, each as soon as its devices are there.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Storage {
    /// Devices in LUKS.
    pub encrypted: Vec<EncryptedDevice>,
    /// A passphrase that has opened one device is tried on the others before somebody is asked.
    pub reuse_passphrases: bool,
    /// Volume groups of LVM are activated.
    pub volume_groups: bool,
    /// Arrays of software RAID are assembled.
    pub arrays: bool,
    /// Swap space that may hold the memory of this machine, which then goes on where it fell asleep.
    pub resume_device: Option<Device>,
}

/// A device in LUKS, as `boot.initrd.luks.devices.<name>` of NixOS describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EncryptedDevice {
    /// What it is called when it is open: `/dev/mapper/<name>`.
    pub name: MapperName,
    /// The device that is encrypted.
    pub device: Device,
    /// Where its header is, if that is another device or a file of the initrd.
    #[serde(default)]
    pub header: Option<Device>,
    /// What opens it without anybody's help.
    #[serde(default)]
    pub key_file: Option<KeyFile>,
    /// A TPM2 has a key for it.
    #[serde(default)]
    pub tpm2: Option<Tpm2>,
    /// The empty passphrase is tried first.
    #[serde(default)]
    pub try_empty_passphrase: bool,
    /// The disk is told which blocks are free, which others can then see.
    #[serde(default)]
    pub allow_discards: bool,
    /// Reads and writes are encrypted at once and not by the kernel's work queues.
    #[serde(default)]
    pub bypass_workqueues: bool,
}

/// A key that is read from a device, or from a file of the initrd.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeyFile {
    /// The device or the file.
    pub device: Device,
    /// Bytes of the key; all that there are if not set.
    #[serde(default)]
    pub size: Option<u64>,
    /// Bytes before the key.
    #[serde(default)]
    pub offset: u64,
    /// Seconds for which the device is waited for; as for all devices if not set.
    #[serde(default)]
    pub timeout_seconds: Option<u32>,
    /// Somebody is asked for a passphrase if the key is not there, or does not open the device.
    #[serde(default)]
    pub or_passphrase: bool,
}

/// A key that a TPM2 keeps, and the header of the device has sealed ([`crate::tpm2`]). Somebody is asked for a
/// passphrase if there is none, or it is not given out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tpm2 {
    /// Seconds for which the TPM is waited for.
    pub timeout_seconds: u32,
}
