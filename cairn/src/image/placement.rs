//! Where the configuration's file systems are on an image's disk.
//!
//! An image has three partitions: 1 the root, 2 GRUB's core image for a BIOS, 3 the EFI system
//! partition. Names that the configuration uses for root and EFI system partition become theirs, so
//! that the same configuration finds them again; one that cannot be theirs is refused here, rather
//! than not found at boot.

use cairn_image_builder::Identifiers;
use cairn_system::Device;
use uuid::Uuid;

use super::facts::{Facts, FileSystemFacts};

/// The label of a root whose configuration names it otherwise.
const ROOT_LABEL: &str = "cairn-root";

/// Mount points of the EFI system partition.
const ESP_MOUNT_POINTS: [&str; 2] = ["/boot/efi", "/efi"];

/// What the disk must bear for the configuration to find its parts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Placement {
    /// The label of the root file system, and the name of its partition.
    pub root_label: String,
    /// The UUID of the root file system.
    pub root_uuid: Option<Uuid>,
    /// The GUID of the root partition.
    pub root_partition: Option<Uuid>,
}

/// Why a configuration cannot be on a disk of one image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlacementError {
    /// There is no root.
    #[error("cannot make a disk: the configuration has no root; define fileSystems.\"/\".device")]
    NoRoot,
    /// The root is of a type that no image has.
    #[error(
        "cannot make a disk: fileSystems.\"/\".fsType is {found}, and images have ext4; \
         write ext4 or leave it out"
    )]
    RootType {
        /// The type.
        found: String,
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
        if !matches!(root.fs_type.as_str(), "auto" | "ext4") {
            return Err(PlacementError::RootType {
                found: root.fs_type.clone(),
            });
        }
        let placement =
            Self::of_root(&root.device).map_err(|problem| refused("/", root, problem))?;
        for (mount_point, file_system) in &facts.file_systems {
            if mount_point != "/" {
                check_other(mount_point, file_system)?;
            }
        }
        Ok(placement)
    }

    fn of_root(device: &Device) -> Result<Self, &'static str> {
        let labelled = |label: &str| Self {
            root_label: label.to_owned(),
            ..Self::default()
        };
        let placement = labelled(ROOT_LABEL);
        Ok(match device {
            Device::Label(label) | Device::PartLabel(label) => {
                if label.len() > 16 {
                    return Err("a label of ext4 has at most 16 bytes");
                }
                labelled(label)
            }
            Device::Uuid(uuid) => Self {
                root_uuid: Some(parse(uuid)?),
                ..placement
            },
            Device::PartUuid(uuid) => Self {
                root_partition: Some(parse(uuid)?),
                ..placement
            },
            Device::Path(path) if partition_number(path) == Some(1) => placement,
            Device::Path(_) => {
                return Err(
                    "the root of an image is its first partition, such as /dev/sda1; \
                            or name it by a label",
                );
            }
            Device::None(_) => {
                return Err("an image keeps its root on the disk; name it by a label, \
                            or as the first partition of a disk");
            }
        })
    }

    /// `identifiers` with those that the configuration names.
    #[must_use]
    pub fn identifiers(&self, mut identifiers: Identifiers) -> Identifiers {
        if let Some(uuid) = self.root_uuid {
            identifiers.root_file_system = uuid;
        }
        if let Some(uuid) = self.root_partition {
            identifiers.root_partition = uuid;
        }
        identifiers
    }
}

/// Another file system than the root: the EFI system partition, one without a device, or one that
/// may be missing; anything else would stop the boot.
fn check_other(mount_point: &str, file_system: &FileSystemFacts) -> Result<(), PlacementError> {
    let bound = file_system
        .options
        .iter()
        .any(|option| matches!(option.as_str(), "bind" | "rbind" | "nofail" | "noauto"));
    let esp = ESP_MOUNT_POINTS.contains(&mount_point);
    match &file_system.device {
        Device::None(_) => Ok(()),
        Device::PartLabel(label) if esp && label == "esp" => Ok(()),
        Device::Path(path) if esp && partition_number(path) == Some(3) => Ok(()),
        _ if bound => Ok(()),
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

fn parse(uuid: &str) -> Result<Uuid, &'static str> {
    Uuid::try_parse(uuid)
        .map_err(|_| "that is no UUID of an ext4 file system or of a GPT partition")
}

/// The number of the partition that a device node is: 1 for `/dev/sda1` and `/dev/nvme0n1p1`.
fn partition_number(node: &str) -> Option<u32> {
    let name = node.strip_prefix("/dev/")?;
    let disk = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let number = name.strip_prefix(disk)?;
    let letters = |disk: &str, prefix: &str| {
        disk.strip_prefix(prefix)
            .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_lowercase()))
    };
    let by_letter = ["sd", "vd", "xvd", "hd"]
        .iter()
        .any(|prefix| letters(disk, prefix));
    let numbered = ["nvme", "mmcblk", "loop"]
        .iter()
        .any(|prefix| disk.starts_with(prefix) && disk.ends_with('p'));
    (by_letter || numbered)
        .then(|| number.parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};
    use serde_json::json;

    fn facts(file_systems: &serde_json::Value) -> Facts {
        serde_json::from_value(json!({
            "hostName": "box", "fileSystems": file_systems, "freeSpace": 1,
            "grub": null,
        }))
        .unwrap()
    }

    fn check(file_systems: &serde_json::Value, expected: &Expect) {
        let text = match Placement::of(&facts(file_systems)) {
            Ok(placement) => format!("{placement:?}"),
            Err(error) => error.to_string(),
        };
        expected.assert_eq(&text);
    }

    fn root(device: &str) -> serde_json::Value {
        json!({"/": {"device": device, "fsType": "auto", "options": []}})
    }

    #[test]
    fn roots() {
        check(
            &root("/dev/sda1"),
            &expect![[
                r#"Placement { root_label: "cairn-root", root_uuid: None, root_partition: None }"#
            ]],
        );
        check(
            &root("/dev/nvme0n1p1"),
            &expect![[
                r#"Placement { root_label: "cairn-root", root_uuid: None, root_partition: None }"#
            ]],
        );
        check(
            &root("/dev/disk/by-label/nixos"),
            &expect![[
                r#"Placement { root_label: "nixos", root_uuid: None, root_partition: None }"#
            ]],
        );
        check(
            &root("UUID=01234567-89ab-8cde-8f01-23456789abcd"),
            &expect![[
                r#"Placement { root_label: "cairn-root", root_uuid: Some(01234567-89ab-8cde-8f01-23456789abcd), root_partition: None }"#
            ]],
        );
        check(
            &root("UUID=AB12-CD34"),
            &expect![[
                r#"cannot make a disk: fileSystems."/".device is UUID=AB12-CD34, but that is no UUID of an ext4 file system or of a GPT partition"#
            ]],
        );
        check(
            &root("/dev/sda2"),
            &expect![[
                r#"cannot make a disk: fileSystems."/".device is /dev/sda2, but the root of an image is its first partition, such as /dev/sda1; or name it by a label"#
            ]],
        );
        check(
            &root("/dev/mapper/root"),
            &expect![[
                r#"cannot make a disk: fileSystems."/".device is /dev/mapper/root, but the root of an image is its first partition, such as /dev/sda1; or name it by a label"#
            ]],
        );
        check(
            &root("tmpfs"),
            &expect![[
                r#"cannot make a disk: fileSystems."/".device is tmpfs, but an image keeps its root on the disk; name it by a label, or as the first partition of a disk"#
            ]],
        );
        check(
            &json!({}),
            &expect![[
                r#"cannot make a disk: the configuration has no root; define fileSystems."/".device"#
            ]],
        );
        check(
            &json!({"/": {"device": "/dev/sda1", "fsType": "btrfs", "options": []}}),
            &expect![[
                r#"cannot make a disk: fileSystems."/".fsType is btrfs, and images have ext4; write ext4 or leave it out"#
            ]],
        );
    }

    #[test]
    fn others() {
        let with = |mount_point: &str, device: &str, options: &[&str]| {
            let mut all = root("/dev/sda1");
            all[mount_point] = json!({"device": device, "fsType": "auto", "options": options});
            all
        };
        for (mount_point, device, options) in [
            ("/tmp", "tmpfs", &[][..]),
            ("/boot/efi", "PARTLABEL=esp", &[]),
            ("/boot/efi", "/dev/sda3", &[]),
            ("/boot/efi", "LABEL=whatever", &["nofail"]),
            ("/srv", "/var/srv", &["bind"]),
            ("/data", "/dev/sdb1", &["nofail"]),
        ] {
            Placement::of(&facts(&with(mount_point, device, options))).unwrap();
        }
        check(
            &with("/home", "/dev/sda4", &[]),
            &expect![[
                r#"cannot make a disk: fileSystems."/home".device is /dev/sda4, but an image has no partition for it; it can be on the root (leave it out), or on another disk with the option nofail"#
            ]],
        );
        check(
            &with("/boot/efi", "/dev/sda2", &[]),
            &expect![[
                r#"cannot make a disk: fileSystems."/boot/efi".device is /dev/sda2, but the EFI system partition of an image is /dev/disk/by-partlabel/esp; or give it the option nofail"#
            ]],
        );
    }
}
