//! All that an installation does to a disk, from the answers: computed first, shown whole, then done.

use std::fmt;
use std::path::{Path, PathBuf};

use cairn_system::Device;
use indicatif::HumanBytes;
use serde::Serialize;
use uuid::Uuid;

use super::answers::Answers;
use super::configuration_text::{self, FirmwareEntry};
use super::disks::{Content, Disk, Partition};
use super::guard;
use super::identifiers::Identifiers;
use super::layout::{Holds, LayoutError, NAMES, NewPartition, fat_serial, partitions};
use super::words::PasswordHash;
use crate::hardware::{FileSystem, Firmware, Hardware, SwapSpace, hardware_configuration};

/// Where a machine's configuration is, below its root.
pub const FOLDER: &str = "etc/nixos";

/// What the answers are applied to.
#[derive(Debug, Clone)]
pub struct Circumstances {
    /// The disk that the answers name.
    pub disk: Disk,
    /// The machine, without file systems.
    pub hardware: Hardware,
    /// Numbers for the new disk.
    pub identifiers: Identifiers,
    /// The files of a configuration that is ready, by their names in its folder.
    pub ready: Vec<PlannedFile>,
    /// The lock file that goes with the configuration.
    pub lock: Option<Vec<u8>>,
}

/// What is going to happen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// The only disk that is written to, as it is now.
    pub disk: Disk,
    /// GUID of the new table.
    pub guid: Uuid,
    /// The new partitions.
    pub partitions: Vec<NewPartition>,
    /// Files below [`FOLDER`].
    pub files: Vec<PlannedFile>,
    /// Passwords that are set, by the names of the users.
    #[serde(skip)]
    pub passwords: Vec<(String, PasswordHash)>,
}

/// A file that is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedFile {
    /// Its name below [`FOLDER`].
    pub name: PathBuf,
    /// What is in it.
    #[serde(serialize_with = "as_text")]
    pub content: Vec<u8>,
}

fn as_text<S: serde::Serializer>(content: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&String::from_utf8_lossy(content))
}

/// A mount of the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedMount {
    /// Where, seen from the new root.
    pub point: &'static str,
    /// What is mounted.
    pub device: PathBuf,
    /// The kernel's name of its type.
    pub fs_type: &'static str,
    /// How.
    pub options: Vec<String>,
}

/// Why nothing is planned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Somebody uses the disk.
    #[error("cannot install on {}: {}; nothing was written", disk.display(), uses.join("; "))]
    InUse {
        /// The disk.
        disk: PathBuf,
        /// By whom.
        uses: Vec<String>,
    },
    /// Something is on the disk.
    #[error(
        "cannot install on {}: {} would be lost; if it may be, say so with 'wipe = true' in the answers; \
         nothing was written",
        disk.display(),
        content
    )]
    Occupied {
        /// The disk.
        disk: PathBuf,
        /// What.
        content: String,
    },
    /// The firmware does not start such a disk.
    #[error(
        "cannot install on {}: it has sectors of {sector} bytes, and this machine was started by BIOS, which starts \
         no such disk; start it by UEFI, if it can; nothing was written",
        disk.display()
    )]
    Unbootable {
        /// The disk.
        disk: PathBuf,
        /// Bytes of its sectors.
        sector: u64,
    },
    /// The partitions are not to be had.
    #[error(transparent)]
    Layout(#[from] LayoutError),
}

impl Plan {
    /// What `answers` mean under these circumstances.
    ///
    /// # Errors
    /// See [`PlanError`].
    pub fn new(answers: &Answers, circumstances: Circumstances) -> Result<Self, PlanError> {
        let Circumstances {
            disk,
            hardware,
            identifiers,
            ready,
            lock,
        } = circumstances;
        if !disk.uses.is_empty() {
            return Err(PlanError::InUse {
                disk: disk.path,
                uses: disk.uses,
            });
        }
        if let (false, Some(content)) = (answers.wipe, loss(&disk.content)) {
            return Err(PlanError::Occupied {
                disk: disk.path,
                content,
            });
        }
        if hardware.firmware == Firmware::Bios && disk.sector != BIOS_SECTOR {
            return Err(PlanError::Unbootable {
                sector: disk.sector,
                disk: disk.path,
            });
        }
        let partitions = partitions(&disk, &answers.layout, &identifiers)?;
        let entry = firmware_entry(&hardware, &disk);
        let firmware = hardware.firmware;
        let hardware = described(hardware, &partitions);
        let mut files = ready;
        files.retain(|file| file.name.as_os_str() != HARDWARE);
        files.push(PlannedFile {
            name: HARDWARE.into(),
            content: hardware_configuration(&hardware).into_bytes(),
        });
        if answers.configuration.is_none() {
            let text = configuration_text::configuration(answers, firmware, entry);
            files.push(PlannedFile {
                name: crate::configuration::DEFAULT_FILE.into(),
                content: text.into_bytes(),
            });
        }
        let has_lock =
            |file: &PlannedFile| file.name.as_os_str() == crate::configuration::LOCK_FILE;
        if let (false, Some(content)) = (files.iter().any(has_lock), lock) {
            files.push(PlannedFile {
                name: crate::configuration::LOCK_FILE.into(),
                content,
            });
        }
        files.sort_by(|one, other| one.name.cmp(&other.name));
        let root = answers.root.hashed_password.iter();
        let root = root.map(|hash| ("root".to_owned(), hash.clone()));
        let users = answers.users.iter().filter_map(|user| {
            let hash = user.hashed_password.clone()?;
            Some((user.name.to_string(), hash))
        });
        Ok(Self {
            guid: identifiers.uuid("disk"),
            disk,
            partitions,
            files,
            passwords: root.chain(users).collect(),
        })
    }

    /// The root's partition.
    #[must_use]
    pub fn root(&self) -> Option<&NewPartition> {
        self.partitions.last()
    }

    /// What is mounted where, in that order.
    #[must_use]
    pub fn mounts(&self) -> Vec<PlannedMount> {
        let parts = self.partitions.iter();
        let mut mounts: Vec<_> = parts
            .flat_map(|part| mounts(&part.holds, part.path.clone()))
            .collect();
        mounts.sort_by_key(|mount| mount.point);
        mounts
    }

    /// Whether a configuration that has `device` at `mount_point` finds it on the new disk.
    #[must_use]
    pub fn provides(&self, mount_point: &str, device: &Device) -> bool {
        self.partitions.iter().any(|part| {
            let mounted = mounts(&part.holds, part.path.clone());
            mounted.iter().any(|mount| mount.point == mount_point)
                && part.holds.has_name(device, part)
        })
    }
}

/// Bytes of the sectors that a BIOS reads.
const BIOS_SECTOR: u64 = 512;

/// The file that is written anew for every machine.
const HARDWARE: &str = "hardware-configuration.nix";

/// What is lost with the content of a disk; nothing if that is nothing.
fn loss(content: &Content) -> Option<String> {
    match content {
        Content::Nothing => None,
        Content::Unknown => Some("data of an unknown kind".to_owned()),
        Content::Whole(kind) => Some(format!("what is on it ({kind})")),
        Content::Partitions { partitions, .. } => {
            if partitions.is_empty() || is_unfinished(partitions) {
                return None;
            }
            let shown: Vec<String> = partitions.iter().map(in_words).collect();
            Some(shown.join(", "))
        }
    }
}

/// Whether an installation was cut off here, and there is nothing but what it has made: one that was cut off
/// at its very end may have been a machine since, and somebody may have finished it by hand.
fn is_unfinished(partitions: &[Partition]) -> bool {
    let is_ours = |part: &Partition| {
        let name = part.name.as_deref().unwrap_or_default();
        NAMES.contains(&name) && elsewhere(part).is_none()
    };
    partitions.iter().any(Partition::is_unfinished) && partitions.iter().all(is_ours)
}

/// Where a partition was mounted last, if that was not by an installation.
fn elsewhere(part: &Partition) -> Option<&str> {
    let place = part.last_mount.as_deref()?;
    (!Path::new(place).starts_with(guard::FOLDER)).then_some(place)
}

fn in_words(part: &Partition) -> String {
    let mounted = elsewhere(part).map(|place| format!("last mounted on {place}"));
    let words = [
        &part.name,
        &part.file_system,
        &part.label,
        &part.kind,
        &mounted,
    ];
    let mut shown: Vec<&str> = Vec::new();
    for word in words.into_iter().flatten() {
        if !shown.contains(&word.as_str()) {
            shown.push(word);
        }
    }
    format!(
        "{} ({}{}{})",
        part.path.display(),
        HumanBytes(part.bytes),
        if shown.is_empty() { "" } else { ", " },
        shown.join(", ")
    )
}

fn mounts(holds: &Holds, device: PathBuf) -> Vec<PlannedMount> {
    match holds {
        Holds::Grub | Holds::Swap { .. } | Holds::VolatileSwap => Vec::new(),
        Holds::Fat { mount_point, .. } => vec![PlannedMount {
            point: mount_point,
            device,
            fs_type: "vfat",
            options: vec!["umask=0077".to_owned()],
        }],
        Holds::FileSystem { kind, mounts, .. } => {
            let mounts = mounts.iter();
            mounts
                .map(|mount| {
                    let subvolume = mount.subvolume.map(|name| format!("subvol={name}"));
                    let options = mount.options.iter().map(|option| (*option).to_owned());
                    PlannedMount {
                        point: mount.point,
                        device: device.clone(),
                        fs_type: kind.name(),
                        options: subvolume.into_iter().chain(options).collect(),
                    }
                })
                .collect()
        }
        Holds::Luks { name, inside, .. } => mounts(inside, super::commands::mapped(name)),
    }
}

/// The machine with the file systems that it is going to have.
fn described(mut hardware: Hardware, partitions: &[NewPartition]) -> Hardware {
    for part in partitions {
        let mut holds = &part.holds;
        if let Holds::Luks { uuid, name, inside } = holds {
            let device = format!("/dev/disk/by-uuid/{uuid}");
            hardware.encrypted.insert((*name).to_owned(), device);
            holds = inside;
        }
        let identifier = match holds {
            Holds::VolatileSwap => {
                let device = format!("/dev/disk/by-partuuid/{}", part.guid);
                hardware.swap_spaces.push(SwapSpace::Volatile(device));
                continue;
            }
            Holds::Grub | Holds::Luks { .. } => continue,
            Holds::Fat { serial, .. } => fat_serial(*serial),
            Holds::Swap { uuid } | Holds::FileSystem { uuid, .. } => uuid.to_string(),
        };
        let named = mounts(&part.holds, part.path.clone());
        let device = match &part.holds {
            Holds::Luks { name, .. } => super::commands::mapped(name).display().to_string(),
            _ => format!("/dev/disk/by-uuid/{identifier}"),
        };
        if matches!(holds, Holds::Swap { .. }) {
            hardware.swap_spaces.push(SwapSpace::Kept(device.clone()));
        }
        hardware
            .file_systems
            .extend(named.into_iter().map(|mount| FileSystem {
                mount_point: mount.point.to_owned(),
                device: device.clone(),
                fs_type: mount.fs_type.to_owned(),
                options: mount.options,
            }));
    }
    hardware
        .file_systems
        .sort_by(|one, other| one.mount_point.cmp(&other.mount_point));
    hardware
}

/// A stick is started by whatever machine it is put into.
fn firmware_entry(hardware: &Hardware, disk: &Disk) -> FirmwareEntry {
    match (hardware.firmware, disk.transport.as_deref()) {
        (Firmware::Bios, _) | (_, Some("usb")) => FirmwareEntry::None,
        (Firmware::Uefi | Firmware::SecureUefi, _) => FirmwareEntry::Written,
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the disk: {}", self.disk.describe())?;
        match &self.disk.content {
            Content::Nothing => writeln!(f, "on it now: nothing")?,
            Content::Unknown => writeln!(f, "on it now, and lost then: data of an unknown kind")?,
            Content::Whole(kind) => writeln!(f, "on it now, and lost then: {kind}")?,
            Content::Partitions { table, partitions } => {
                let what = if partitions.is_empty() {
                    "on it now: a table without partitions"
                } else if is_unfinished(partitions) {
                    "on it now: an installation that was not finished, which is begun anew"
                } else {
                    "on it now, and lost then:"
                };
                writeln!(f, "{what} ({table})")?;
                for part in partitions {
                    writeln!(f, "  {}", in_words(part))?;
                }
            }
        }
        let firmware = if self.disk.sector == BIOS_SECTOR {
            "BIOS and UEFI"
        } else {
            "UEFI"
        };
        writeln!(f, "partitions (GPT, for {firmware}):")?;
        for part in &self.partitions {
            let name = match part.name {
                Partition::UNFINISHED => super::layout::ROOT_NAME,
                name => name,
            };
            writeln!(
                f,
                "  {} {name:<11}{:>11}  {}",
                part.number,
                HumanBytes(part.mib << 20).to_string(),
                part.holds.describe()
            )?;
        }
        writeln!(f, "files:")?;
        for file in &self.files {
            let size = HumanBytes(file.content.len() as u64);
            writeln!(f, "  /{FOLDER}/{} ({size})", file.name.display())?;
        }
        if !self.passwords.is_empty() {
            let names: Vec<&str> = self.passwords.iter().map(|(name, _)| &**name).collect();
            writeln!(f, "passwords: {}", names.join(", "))?;
        }
        writeln!(f, "the boot loader: GRUB, on this disk")
    }
}
