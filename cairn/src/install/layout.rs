//! How a disk is divided: one GPT that starts with a BIOS and with UEFI firmware.
//!
//! ```text
//! 1  bios   1 MiB     GRUB's core image
//! 2  esp    260 MiB   FAT: GRUB for UEFI         /boot/efi
//! 3  boot   1 GiB     ext4                       /boot       if GRUB does not read the root
//! 4  swap   as asked  swap space                             under a key of each boot, if the root is encrypted
//! 5  root   the rest  ext4, btrfs or xfs         /           in LUKS, if it is encrypted
//! ```
//!
//! GRUB's core image reads ext4 and FAT alone. The root is the last one, so that it can grow.

use std::path::{Path, PathBuf};

use cairn_system::Device;
use serde::Serialize;
use uuid::Uuid;

use super::answers::{Encryption, FileSystemKind, Layout};
use super::disks::{Disk, Partition};
use super::identifiers::Identifiers;
use crate::boot_loader::block;

const MIB: u64 = 1 << 20;

/// The smallest FAT32 on a disk whose sectors have 4096 bytes is a little smaller.
const ESP_MIB: u64 = 260;

/// Some kernels, each with its initrd.
const BOOT_MIB: u64 = 1024;

/// What the least of systems takes; whether this one fits is counted when it is known.
const LEAST_ROOT_MIB: u64 = 512;

/// MiB before the first partition and behind the last one: the table, and its copy.
const MARGIN_MIB: u64 = 2;

/// The name of the root's partition when the system on it is whole; until then it is [`Partition::UNFINISHED`].
pub const ROOT_NAME: &str = "cairn-root";

/// The names of the partitions that are made here, before they hold a system.
pub const NAMES: [&str; 5] = ["bios", "esp", "boot", "swap", Partition::UNFINISHED];

/// What an encrypted root is called when it is open.
pub const CONTAINER: &str = "cairn-root";

/// A partition that is to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewPartition {
    /// Its number.
    pub number: u32,
    /// Its node.
    pub path: PathBuf,
    /// Its name in the table.
    pub name: &'static str,
    /// GUID of its type.
    pub kind: Uuid,
    /// Its own GUID.
    pub guid: Uuid,
    /// Its length in MiB; the root's is what is left.
    pub mib: u64,
    /// What it holds.
    pub holds: Holds,
}

/// What a partition, or an open container, holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "type")]
pub enum Holds {
    /// Bytes that GRUB writes.
    Grub,
    /// FAT32.
    Fat {
        /// Its serial number.
        serial: u32,
        /// Where it is mounted.
        mount_point: &'static str,
    },
    /// Swap space.
    Swap {
        /// Its UUID.
        uuid: Uuid,
    },
    /// Swap space under a key that each boot makes anew. It has no identifier but its partition's.
    VolatileSwap,
    /// A file system.
    FileSystem {
        /// Which.
        kind: FileSystemKind,
        /// Its UUID.
        uuid: Uuid,
        /// Its label.
        label: &'static str,
        /// What of it is mounted where: the whole, or subvolumes.
        mounts: Vec<NewMount>,
    },
    /// An encrypted container, version 2 of LUKS.
    Luks {
        /// Its UUID.
        uuid: Uuid,
        /// What it is called when it is open.
        name: &'static str,
        /// What is in it.
        inside: Box<Holds>,
    },
}

/// A mount that is to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewMount {
    /// Where, seen from the new root.
    pub point: &'static str,
    /// The subvolume, if not the whole is mounted.
    pub subvolume: Option<&'static str>,
    /// Further options.
    pub options: Vec<&'static str>,
}

/// Why a disk cannot be divided as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// It is too small.
    #[error(
        "{} is too small: it has {has} MiB, and the partitions need at least {needs} MiB",
        disk.display()
    )]
    TooSmall {
        /// The disk.
        disk: PathBuf,
        /// Its size.
        has: u64,
        /// What it would need.
        needs: u64,
    },
}

/// The partitions of `disk` as `layout` asks for them.
///
/// # Errors
/// See [`LayoutError`].
pub fn partitions(
    disk: &Disk,
    layout: &Layout,
    identifiers: &Identifiers,
) -> Result<Vec<NewPartition>, LayoutError> {
    let encrypted = layout.encryption.is_some();
    let swap = u64::from(layout.swap_mib);
    let mut parts: Vec<(&'static str, Uuid, u64, Holds)> = vec![
        ("bios", kinds::BIOS_BOOT, 1, Holds::Grub),
        (
            "esp",
            kinds::ESP,
            ESP_MIB,
            Holds::Fat {
                serial: identifiers.serial("EFI system partition"),
                mount_point: "/boot/efi",
            },
        ),
    ];
    if encrypted || layout.file_system != FileSystemKind::Ext4 {
        let boot = Holds::FileSystem {
            kind: FileSystemKind::Ext4,
            uuid: identifiers.uuid("file system of /boot"),
            label: "cairn-boot",
            mounts: vec![whole("/boot")],
        };
        parts.push(("boot", kinds::LINUX, BOOT_MIB, boot));
    }
    if swap > 0 {
        let holds = if encrypted {
            Holds::VolatileSwap
        } else {
            let uuid = identifiers.uuid("swap space");
            Holds::Swap { uuid }
        };
        parts.push(("swap", kinds::SWAP, swap, holds));
    }
    let fixed: u64 = parts.iter().map(|(_, _, mib, _)| mib).sum::<u64>() + MARGIN_MIB;
    let has = disk.bytes / MIB;
    let needs = fixed + LEAST_ROOT_MIB;
    if has < needs {
        let disk = disk.path.clone();
        return Err(LayoutError::TooSmall { disk, has, needs });
    }
    parts.push((
        Partition::UNFINISHED,
        kinds::LINUX,
        has - fixed,
        root(layout, identifiers),
    ));
    let node = block::Disk {
        node: disk.path.clone(),
        sector: disk.sector,
    };
    let numbered = (1_u32..).zip(parts);
    Ok(numbered
        .map(|(number, (name, kind, mib, holds))| NewPartition {
            number,
            path: node.partition_node(number),
            name,
            kind,
            guid: identifiers.uuid(&format!("partition {number}")),
            mib,
            holds,
        })
        .collect())
}

fn root(layout: &Layout, identifiers: &Identifiers) -> Holds {
    let mounts = match layout.file_system {
        FileSystemKind::Ext4 | FileSystemKind::Xfs => vec![whole("/")],
        FileSystemKind::Btrfs => [("/", "root"), ("/home", "home"), ("/nix", "nix")]
            .map(|(point, name)| NewMount {
                point,
                subvolume: Some(name),
                options: vec!["compress=zstd"],
            })
            .to_vec(),
    };
    let file_system = Holds::FileSystem {
        kind: layout.file_system,
        uuid: identifiers.uuid("root file system"),
        label: ROOT_NAME,
        mounts,
    };
    match &layout.encryption {
        None => file_system,
        Some(Encryption::Passphrase(_) | Encryption::PassphraseFile(_)) => Holds::Luks {
            uuid: identifiers.uuid("encrypted container"),
            name: CONTAINER,
            inside: Box::new(file_system),
        },
    }
}

fn whole(point: &'static str) -> NewMount {
    NewMount {
        point,
        subvolume: None,
        options: Vec::new(),
    }
}

impl Holds {
    /// Its type in words of a table.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Grub => "GRUB for a BIOS".to_owned(),
            Self::Fat { mount_point, .. } => format!("FAT, {mount_point}"),
            Self::Swap { .. } => "swap space".to_owned(),
            Self::VolatileSwap => "swap space, encrypted anew at each boot".to_owned(),
            Self::FileSystem { kind, mounts, .. } => {
                let points: Vec<&str> = mounts.iter().map(|mount| mount.point).collect();
                format!("{}, {}", kind.name(), points.join(" "))
            }
            Self::Luks { inside, .. } => format!("encrypted (LUKS): {}", inside.describe()),
        }
    }

    /// Whether `device` is a name of it, on the partition `partition`.
    #[must_use]
    pub fn has_name(&self, device: &Device, partition: &NewPartition) -> bool {
        match (self, device) {
            (Self::Luks { name, .. }, Device::Path(path)) => *path == format!("/dev/mapper/{name}"),
            (Self::Luks { inside, .. }, Device::Uuid(_) | Device::Label(_)) => {
                inside.has_name(device, partition)
            }
            (Self::FileSystem { uuid, .. } | Self::Swap { uuid }, Device::Uuid(found)) => {
                found.eq_ignore_ascii_case(&uuid.to_string())
            }
            (Self::Fat { serial, .. }, Device::Uuid(found)) => {
                found.eq_ignore_ascii_case(&fat_serial(*serial))
            }
            (Self::FileSystem { label, .. }, Device::Label(found)) => found == label,
            (_, Device::PartUuid(found)) => found.eq_ignore_ascii_case(&partition.guid.to_string()),
            (_, Device::PartLabel(found)) => {
                let name = match partition.name {
                    Partition::UNFINISHED => ROOT_NAME,
                    name => name,
                };
                found == name
            }
            (_, Device::Path(path)) => Path::new(path) == partition.path,
            _ => false,
        }
    }
}

/// A FAT's serial number as a UUID is written.
#[must_use]
pub fn fat_serial(serial: u32) -> String {
    format!("{:04X}-{:04X}", serial >> 16, serial & 0xffff)
}

/// Types of partitions.
///
/// Source: the Discoverable Partitions Specification; UEFI, table 5-7; GRUB's manual.
mod kinds {
    use uuid::{Uuid, uuid};

    pub const BIOS_BOOT: Uuid = uuid!("21686148-6449-6e6f-744e-656564454649");
    pub const ESP: Uuid = uuid!("c12a7328-f81f-11d2-ba4b-00a0c93ec93b");
    pub const LINUX: Uuid = uuid!("0fc63daf-8483-4772-8e79-3d69d8477de4");
    pub const SWAP: Uuid = uuid!("0657fd6d-a4ab-43c4-84e5-0933c84b4f4f");
}
