//! A partition of an image, as a configuration may name it.

use cairn_system::Device;
use uuid::Uuid;

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

/// A partition that a configuration may name.
pub(super) struct Part {
    /// Its number on the disk.
    pub(super) number: u32,
    /// Its label, if the configuration has none for it.
    pub(super) label: &'static str,
    /// What is said to a device that is not it.
    pub(super) elsewhere: &'static str,
}

impl Part {
    /// What it must bear for `device` to be it.
    pub(super) fn of(&self, device: &Device) -> Result<Named, &'static str> {
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
            Device::Path(path) if path.starts_with("/dev/mapper/") => {
                return Err(
                    "an image has neither encrypted devices nor logical volumes: each of its copies would have \
                     the same key; `cairn install` makes them on a machine",
                );
            }
            Device::Path(_) => return Err(self.elsewhere),
            Device::None(_) => {
                return Err("an image keeps it on the disk; name it by a label, \
                            or as a partition of a disk");
            }
        })
    }
}

fn parse(uuid: &str) -> Result<Uuid, &'static str> {
    Uuid::try_parse(uuid)
        .map_err(|_| "that is no UUID of an ext4 file system or of a GPT partition")
}

/// The number of the partition that a device node is: 1 for `/dev/sda1` and `/dev/nvme0n1p1`.
pub(super) fn partition_number(node: &str) -> Option<u32> {
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
