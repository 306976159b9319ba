//! Where the configuration's file systems are on an image's disk.
//!
//! An image has these partitions: 1 the root, 2 GRUB's core image for a BIOS, 3 the EFI system partition,
//! and if the configuration asks for them 4 `/boot` and 5 swap space. Names that the configuration uses for
//! them become theirs, so that the same configuration finds them again; one that cannot be theirs is
//! refused here, rather than not found at boot.

use std::collections::BTreeSet;

use cairn_image_builder::{BOOT_PARTITION, Identifiers, ROOT_PARTITION, SWAP_PARTITION};
use cairn_system::Device;
use uuid::Uuid;

use super::facts::{Facts, FileSystemFacts};
use super::partition::{Named, Part, partition_number};

/// Labels of what the configuration does not name by one.
const ROOT_LABEL: &str = "cairn-root";
const BOOT_LABEL: &str = "cairn-boot";
const SWAP_LABEL: &str = "cairn-swap";

/// What the EFI system partition, its file system and the partition of GRUB's core image are called.
const OWN_NAMES: [&str; 3] = ["esp", "ESP", "bios-boot"];

/// Mount points of the EFI system partition.
const ESP_MOUNT_POINTS: [&str; 2] = ["/boot/efi", "/efi"];

/// What the disk must bear for the configuration to find its parts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Placement {
    /// The root.
    pub root: Named,
    /// `/boot`, where it is no part of the root.
    pub boot: Option<Named>,
    /// The swap partition, if there is one.
    pub swap: Option<Named>,
}

/// Why a configuration cannot be on a disk of one image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlacementError {
    /// There is no root.
    #[error("cannot make a disk: the configuration has no root; define fileSystems.\"/\".device")]
    NoRoot,
    /// A file system is of a type that no image has.
    #[error(
        "cannot make a disk: fileSystems.\"{mount_point}\".fsType is {found}, and images have ext4; \
         write ext4 or leave it out, or have `cairn install` make it"
    )]
    Type {
        /// The mount point.
        mount_point: String,
        /// The type.
        found: String,
    },
    /// There is room for swap space that the configuration does not use.
    #[error(
        "cannot make a disk: image.swapSize is set, and no partition is in swapDevices; \
         add {{ device = \"LABEL={SWAP_LABEL}\"; }}"
    )]
    NoSwap,
    /// A disk with a verified store has no swap space.
    #[error(
        "cannot make a disk: image.swapSize is set, and a disk with image.verityStore.enable has no partition \
         for swap space; leave it out, or name a file in swapDevices"
    )]
    VerifiedSwap,
    /// The swap space is on a device that the disk does not have.
    #[error("cannot make a disk: swapDevices has {device}, but {problem}")]
    Swap {
        /// The device.
        device: String,
        /// Why it cannot be, and what could.
        problem: &'static str,
    },
    /// Two parts would be called the same.
    #[error(
        "cannot make a disk: two of its parts would have the {what} {name}, and a machine mounts neither; \
         give each a name of its own in fileSystems and swapDevices"
    )]
    SameName {
        /// What kind of name.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A file system is on a device that the disk does not have.
    #[error("cannot make a disk: fileSystems.\"{mount_point}\".device is {device}, but {problem}")]
    Device {
        /// The mount point.
        mount_point: String,
        /// The device.
        device: String,
        /// Why it cannot be, and what could.
        problem: &'static str,
    },
}

impl Placement {
    /// What `facts` ask of the disk.
    ///
    /// # Errors
    /// See [`PlacementError`].
    pub fn of(facts: &Facts) -> Result<Self, PlacementError> {
        let root = facts.file_systems.get("/").ok_or(PlacementError::NoRoot)?;
        let mut placement = Self {
            root: of_file_system("/", root, ROOT_PARTITION)?,
            boot: None,
            swap: of_swap(facts)?,
        };
        for (mount_point, file_system) in &facts.file_systems {
            match mount_point.as_str() {
                "/" => {}
                BOOT if !may_be_missing(file_system) => {
                    let boot = of_file_system(BOOT, file_system, BOOT_PARTITION)?;
                    placement.boot = Some(boot);
                }
                _ => check_other(mount_point, file_system, facts.uefi)?,
            }
        }
        placement.check_names()?;
        Ok(placement)
    }

    /// A machine mounts neither of two devices with one name.
    fn check_names(&self) -> Result<(), PlacementError> {
        let parts = || [Some(&self.root), self.boot.as_ref(), self.swap.as_ref()];
        let parts = || parts().into_iter().flatten();
        let labels = parts().map(|part| part.label.clone());
        let own = OWN_NAMES.map(str::to_owned);
        let uuids = parts().filter_map(|part| part.uuid);
        let partitions = parts().filter_map(|part| part.partition);
        let all: [(_, Vec<String>); 3] = [
            ("label", labels.chain(own).collect()),
            ("UUID", uuids.map(|uuid| uuid.to_string()).collect()),
            ("UUID", partitions.map(|uuid| uuid.to_string()).collect()),
        ];
        for (what, names) in all {
            let mut seen = BTreeSet::new();
            if let Some(name) = names.into_iter().find(|name| !seen.insert(name.clone())) {
                return Err(PlacementError::SameName { what, name });
            }
        }
        Ok(())
    }

    /// The root of a machine whose store is a file system of its own, if it is on the disk, and not in memory.
    ///
    /// # Errors
    /// See [`PlacementError`].
    pub fn of_state(facts: &Facts) -> Result<Option<Named>, PlacementError> {
        let root = facts.file_systems.get("/").ok_or(PlacementError::NoRoot)?;
        if facts.swap_size.is_some() {
            return Err(PlacementError::VerifiedSwap);
        }
        for (mount_point, file_system) in &facts.file_systems {
            if mount_point != "/" {
                check_other(mount_point, file_system, true)?;
            }
        }
        if let (Device::None(_), "tmpfs") = (&root.device, root.fs_type.as_str()) {
            return Ok(None);
        }
        let placement = Self {
            root: of_file_system("/", root, ROOT_PARTITION)?,
            ..Self::default()
        };
        placement.check_names()?;
        Ok(Some(placement.root))
    }

    /// `identifiers` with those that the configuration names.
    #[must_use]
    pub fn identifiers(&self, mut identifiers: Identifiers) -> Identifiers {
        let take = |named: &Named, partition: &mut Uuid, inside: &mut Uuid| {
            *partition = named.partition.unwrap_or(*partition);
            *inside = named.uuid.unwrap_or(*inside);
        };
        let names = &mut identifiers;
        take(
            &self.root,
            &mut names.root_partition,
            &mut names.root_file_system,
        );
        if let Some(boot) = &self.boot {
            take(boot, &mut names.boot_partition, &mut names.boot_file_system);
        }
        if let Some(swap) = &self.swap {
            take(swap, &mut names.swap_partition, &mut names.swap);
        }
        identifiers
    }
}

/// What has a partition of its own if the configuration says so.
const BOOT: &str = "/boot";

/// A file system on the partition with this number.
fn of_file_system(
    mount_point: &str,
    file_system: &FileSystemFacts,
    number: u32,
) -> Result<Named, PlacementError> {
    if !matches!(file_system.fs_type.as_str(), "auto" | "ext4") {
        return Err(PlacementError::Type {
            mount_point: mount_point.to_owned(),
            found: file_system.fs_type.clone(),
        });
    }
    let part = match number {
        ROOT_PARTITION => Part {
            number,
            label: ROOT_LABEL,
            elsewhere: "the root of an image is its first partition, such as /dev/sda1; \
                        or name it by a label",
        },
        _ => Part {
            number,
            label: BOOT_LABEL,
            elsewhere: "/boot of an image is its fourth partition, such as /dev/sda4; \
                        or name it by a label, or leave it out to have it on the root",
        },
    };
    part.of(&file_system.device)
        .map_err(|problem| refused(mount_point, file_system, problem))
}

/// The first partition that is swapped to, if the image is to have one.
fn of_swap(facts: &Facts) -> Result<Option<Named>, PlacementError> {
    if facts.swap_size.is_none() {
        return Ok(None);
    }
    let is_file =
        |device: &Device| matches!(device, Device::Path(path) if !path.starts_with("/dev/"));
    let device = facts.swap_devices.iter().find(|device| !is_file(device));
    let device = device.ok_or(PlacementError::NoSwap)?;
    let part = Part {
        number: SWAP_PARTITION,
        label: SWAP_LABEL,
        elsewhere: "swap space of an image is its fifth partition, such as /dev/sda5; \
                    or name it by a label",
    };
    let named = part.of(device).map_err(|problem| PlacementError::Swap {
        device: device.to_string(),
        problem,
    })?;
    Ok(Some(named))
}

/// Whether the boot goes on without it, or it is no device.
fn may_be_missing(file_system: &FileSystemFacts) -> bool {
    file_system
        .options
        .iter()
        .any(|option| matches!(option.as_str(), "bind" | "rbind" | "nofail" | "noauto"))
}

/// Another file system than the root: the EFI system partition, one without a device, or one that
/// may be missing; anything else would stop the boot.
fn check_other(
    mount_point: &str,
    file_system: &FileSystemFacts,
    has_esp: bool,
) -> Result<(), PlacementError> {
    let bound = may_be_missing(file_system);
    let esp = ESP_MOUNT_POINTS.contains(&mount_point);
    match &file_system.device {
        Device::None(_) => Ok(()),
        _ if bound => Ok(()),
        _ if esp && !has_esp => Err(refused(
            mount_point,
            file_system,
            "an image has no EFI system partition where boot.loader.grub.efiSupport is false; \
             leave it out, or give it the option nofail",
        )),
        Device::PartLabel(label) if esp && label == "esp" => Ok(()),
        Device::Path(path) if esp && partition_number(path) == Some(3) => Ok(()),
        _ if esp => Err(refused(
            mount_point,
            file_system,
            "the EFI system partition of an image is /dev/disk/by-partlabel/esp; \
             or give it the option nofail",
        )),
        _ => Err(refused(
            mount_point,
            file_system,
            "an image has no partition for it; it can be on the root (leave it out), \
             or on another disk with the option nofail",
        )),
    }
}

fn refused(
    mount_point: &str,
    file_system: &FileSystemFacts,
    problem: &'static str,
) -> PlacementError {
    PlacementError::Device {
        mount_point: mount_point.to_owned(),
        device: file_system.device.to_string(),
        problem,
    }
}

#[cfg(test)]
#[path = "placement_tests.rs"]
mod tests;
