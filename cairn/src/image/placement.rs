//! Where the configuration's file systems are on an image's disk.
//!
//! An image has these partitions: 1 the root, 2 GRUB's core image for a BIOS, 3 the EFI system partition,
//! and if the configuration asks for them 4 `/boot` and 5 swap space. Names that the configuration uses for
//! them become theirs, so that the same configuration finds them again; one that cannot be theirs is
//! refused here, rather than not found at boot.

use cairn_image_builder::{BOOT_PARTITION, Identifiers, ROOT_PARTITION, SWAP_PARTITION};
use cairn_system::Device;
use uuid::Uuid;

use super::facts::{Facts, FileSystemFacts};

/// Labels of what the configuration does not name by one.
const ROOT_LABEL: &str = "cairn-root";
const BOOT_LABEL: &str = "cairn-boot";
const SWAP_LABEL: &str = "cairn-swap";

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

/// How a partition and what is in it are called.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Named {
    /// The label of what is in it, and the partition's name.
    pub label: String,
    /// The UUID of what is in it.
    pub uuid: Option<Uuid>,
    /// The GUID of the partition.
    pub partition: Option<Uuid>,
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
                _ => check_other(mount_point, file_system)?,
            }
        }
        Ok(placement)
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
                check_other(mount_point, file_system)?;
            }
        }
        match (&root.device, root.fs_type.as_str()) {
            (Device::None(_), "tmpfs") => Ok(None),
            _ => of_file_system("/", root, ROOT_PARTITION).map(Some),
        }
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

/// A partition that a configuration may name.
struct Part {
    number: u32,
    /// Its label, if the configuration has none for it.
    label: &'static str,
    /// What is said to a device that is not it.
    elsewhere: &'static str,
}

impl Part {
    /// What it must bear for `device` to be it.
    fn of(&self, device: &Device) -> Result<Named, &'static str> {
        let labelled = |label: &str| Named {
            label: label.to_owned(),
            ..Named::default()
        };
        let named = labelled(self.label);
        Ok(match device {
            Device::Label(label) | Device::PartLabel(label) => {
                if label.len() > 16 {
                    return Err("a label of ext4 or of swap space has at most 16 bytes");
                }
                labelled(label)
            }
            Device::Uuid(uuid) => Named {
                uuid: Some(parse(uuid)?),
                ..named
            },
            Device::PartUuid(uuid) => Named {
                partition: Some(parse(uuid)?),
                ..named
            },
            Device::Path(path) if partition_number(path) == Some(self.number) => named,
            Device::Path(_) => return Err(self.elsewhere),
            Device::None(_) => {
                return Err("an image keeps it on the disk; name it by a label, \
                            or as a partition of a disk");
            }
        })
    }
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
fn check_other(mount_point: &str, file_system: &FileSystemFacts) -> Result<(), PlacementError> {
    let bound = may_be_missing(file_system);
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
            "grub": null, "swapDevices": ["LABEL=swap"], "swapSize": null, "bootFreeSpace": 1,
            "sectorSize": 512,
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
    fn beside_a_verified_store() {
        let check = |file_systems: &serde_json::Value, expected: &Expect| {
            let text = match Placement::of_state(&facts(file_systems)) {
                Ok(root) => format!("{root:?}"),
                Err(error) => error.to_string(),
            };
            expected.assert_eq(&text);
        };
        let with_root = |device: &str, fs_type: &str| {
            json!({
                "/": {"device": device, "fsType": fs_type, "options": []},
                "/nix/store": {"device": "verity-store", "fsType": "squashfs", "options": ["ro"]},
            })
        };
        check(&with_root("tmpfs", "tmpfs"), &expect!["None"]);
        check(
            &with_root("LABEL=state", "ext4"),
            &expect![[r#"Some(Named { label: "state", uuid: None, partition: None })"#]],
        );
        check(
            &with_root("LABEL=state", "xfs"),
            &expect![[
                r#"cannot make a disk: fileSystems."/".fsType is xfs, and images have ext4; write ext4 or leave it out, or have `cairn install` make it"#
            ]],
        );
        let mut separate = with_root("tmpfs", "tmpfs");
        separate["/boot"] = json!({"device": "LABEL=boot", "fsType": "ext4", "options": []});
        check(
            &separate,
            &expect![[
                r#"cannot make a disk: fileSystems."/boot".device is LABEL=boot, but an image has no partition for it; it can be on the root (leave it out), or on another disk with the option nofail"#
            ]],
        );
        let mut swapping = facts(&with_root("tmpfs", "tmpfs"));
        swapping.swap_size = Some(64);
        let error = Placement::of_state(&swapping).unwrap_err();
        expect!["cannot make a disk: image.swapSize is set, and a disk with image.verityStore.enable has no partition for swap space; leave it out, or name a file in swapDevices"].assert_eq(&error.to_string());
    }

    #[test]
    fn roots() {
        check(
            &root("/dev/sda1"),
            &expect![[
                r#"Placement { root: Named { label: "cairn-root", uuid: None, partition: None }, boot: None, swap: None }"#
            ]],
        );
        check(
            &root("/dev/nvme0n1p1"),
            &expect![[
                r#"Placement { root: Named { label: "cairn-root", uuid: None, partition: None }, boot: None, swap: None }"#
            ]],
        );
        check(
            &root("/dev/disk/by-label/nixos"),
            &expect![[
                r#"Placement { root: Named { label: "nixos", uuid: None, partition: None }, boot: None, swap: None }"#
            ]],
        );
        check(
            &root("UUID=01234567-89ab-8cde-8f01-23456789abcd"),
            &expect![[
                r#"Placement { root: Named { label: "cairn-root", uuid: Some(01234567-89ab-8cde-8f01-23456789abcd), partition: None }, boot: None, swap: None }"#
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
                r#"cannot make a disk: fileSystems."/".device is tmpfs, but an image keeps it on the disk; name it by a label, or as a partition of a disk"#
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
                r#"cannot make a disk: fileSystems."/".fsType is btrfs, and images have ext4; write ext4 or leave it out, or have `cairn install` make it"#
            ]],
        );
    }

    #[test]
    fn boot_and_swap() {
        let with = |boot: &str, swap: &[&str]| {
            let mut facts = facts(&json!({
                "/": {"device": "/dev/sda1", "fsType": "auto", "options": []},
                "/boot": {"device": boot, "fsType": "auto", "options": []},
            }));
            facts.swap_size = Some(512);
            facts.swap_devices = serde_json::from_value(json!(swap)).unwrap();
            facts
        };
        let uuid = "UUID=01234567-89ab-8cde-8f01-23456789abcd";
        for (facts, expected) in [
            (
                with("LABEL=boot", &["/var/swap", uuid]),
                expect![[r#"
                Placement {
                    root: Named {
                        label: "cairn-root",
                        uuid: None,
                        partition: None,
                    },
                    boot: Some(
                        Named {
                            label: "boot",
                            uuid: None,
                            partition: None,
                        },
                    ),
                    swap: Some(
                        Named {
                            label: "cairn-swap",
                            uuid: Some(
                                01234567-89ab-8cde-8f01-23456789abcd,
                            ),
                            partition: None,
                        },
                    ),
                }"#]],
            ),
            (
                with("/dev/vda4", &["/dev/vda5"]),
                expect![[r#"
                Placement {
                    root: Named {
                        label: "cairn-root",
                        uuid: None,
                        partition: None,
                    },
                    boot: Some(
                        Named {
                            label: "cairn-boot",
                            uuid: None,
                            partition: None,
                        },
                    ),
                    swap: Some(
                        Named {
                            label: "cairn-swap",
                            uuid: None,
                            partition: None,
                        },
                    ),
                }"#]],
            ),
            (
                with("/dev/sda2", &["/dev/vda5"]),
                expect![[
                    r#"cannot make a disk: fileSystems."/boot".device is /dev/sda2, but /boot of an image is its fourth partition, such as /dev/sda4; or name it by a label, or leave it out to have it on the root"#
                ]],
            ),
            (
                with("/dev/sda4", &["/var/swap"]),
                expect![[
                    r#"cannot make a disk: image.swapSize is set, and no partition is in swapDevices; add { device = "LABEL=cairn-swap"; }"#
                ]],
            ),
            (
                with("/dev/sda4", &["/dev/sda2"]),
                expect![
                    "cannot make a disk: swapDevices has /dev/sda2, but swap space of an image is its fifth partition, such as /dev/sda5; or name it by a label"
                ],
            ),
        ] {
            let text = match Placement::of(&facts) {
                Ok(placement) => format!("{placement:#?}"),
                Err(error) => error.to_string(),
            };
            expected.assert_eq(&text);
        }
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
