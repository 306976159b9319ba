//! Where everything goes on the disk; fixed before the first byte is written.
//!
//! ```text
//! 0        protective MBR with GRUB's boot code, GPT
//! 1 MiB    BIOS boot partition   GRUB's core image for BIOS
//! 2 MiB    EFI system partition  FAT
//! ...      root                  ext4; last, so that it can grow
//! end      one MiB that ends with the copy of the GPT
//! ```
//!
//! The root is number 1 in the table, wherever it lies: `/dev/sda1` is what people call a disk's
//! first partition.

use std::fmt;

use uuid::Uuid;

use crate::identifiers::Identifiers;

/// Number of the root partition.
pub const ROOT_PARTITION: u32 = 1;
const BIOS_BOOT_PARTITION: u32 = 2;
const ESP_PARTITION: u32 = 3;
/// Bytes of a sector.
pub const SECTOR: u64 = 512;
/// Partitions begin and end at multiples of one MiB, which suits every disk's physical blocks.
pub(crate) const ALIGNMENT: u64 = 1 << 20;
const BIOS_BOOT_SIZE: u64 = 1 << 20;

/// The plan of a disk image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Size of the whole image in bytes.
    pub size: u64,
    /// GUID of the disk.
    pub disk_guid: Uuid,
    /// Partitions in the order of their places.
    pub partitions: [Partition; 3],
    /// Bytes of contents in the file systems: what the image needs on disk, at the least.
    pub content: u64,
}

/// One partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Its number in the table: the 1 of `/dev/sda1`.
    pub number: u32,
    /// What it is for.
    pub kind: PartitionKind,
    /// Its name in the table: `PARTLABEL=`.
    pub name: String,
    /// Its GUID: `PARTUUID=`.
    pub guid: Uuid,
    /// UUID or serial number of the file system in it, as `UUID=` has it.
    pub file_system: Option<String>,
    /// First byte.
    pub start: u64,
    /// Bytes.
    pub size: u64,
}

/// What a partition is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartitionKind {
    /// GRUB's core image for BIOS, without a file system.
    BiosBoot,
    /// The EFI system partition.
    Esp,
    /// The root file system.
    Root,
    /// What Linux reads, and mounts nowhere by itself.
    Data,
}

impl Layout {
    /// The layout for file systems of these sizes in bytes.
    pub(crate) fn new(
        identifiers: &Identifiers,
        root_label: &str,
        esp_size: u64,
        root_size: u64,
        content: u64,
    ) -> Self {
        let bios_boot = Partition {
            number: BIOS_BOOT_PARTITION,
            kind: PartitionKind::BiosBoot,
            name: "bios-boot".to_owned(),
            guid: identifiers.bios_boot_partition,
            file_system: None,
            start: ALIGNMENT,
            size: BIOS_BOOT_SIZE,
        };
        let serial = identifiers.esp_serial;
        let esp = Partition {
            number: ESP_PARTITION,
            kind: PartitionKind::Esp,
            name: "esp".to_owned(),
            guid: identifiers.esp_partition,
            file_system: Some(format!("{:04X}-{:04X}", serial >> 16, serial & 0xffff)),
            start: bios_boot.end(),
            size: esp_size.next_multiple_of(ALIGNMENT),
        };
        let root = Partition {
            number: ROOT_PARTITION,
            kind: PartitionKind::Root,
            name: root_label.to_owned(),
            guid: identifiers.root_partition,
            file_system: Some(identifiers.root_file_system.to_string()),
            start: esp.end(),
            size: root_size.next_multiple_of(ALIGNMENT),
        };
        Self {
            size: root.end() + ALIGNMENT,
            disk_guid: identifiers.disk,
            partitions: [bios_boot, esp, root],
            content,
        }
    }

    /// The BIOS boot partition.
    #[must_use]
    pub fn bios_boot(&self) -> &Partition {
        let [bios_boot, _, _] = &self.partitions;
        bios_boot
    }

    /// The EFI system partition.
    #[must_use]
    pub fn esp(&self) -> &Partition {
        let [_, esp, _] = &self.partitions;
        esp
    }

    /// The root partition.
    #[must_use]
    pub fn root(&self) -> &Partition {
        let [_, _, root] = &self.partitions;
        root
    }
}

impl Partition {
    /// The byte after the last one.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.start + self.size
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "disk {} of {} MiB", self.disk_guid, self.size >> 20)?;
        for partition in &self.partitions {
            write!(
                f,
                "{} {:<10} {:>6} MiB at {:>4} MiB, PARTUUID={}",
                partition.number,
                partition.name,
                partition.size >> 20,
                partition.start >> 20,
                partition.guid
            )?;
            match &partition.file_system {
                Some(uuid) => writeln!(f, ", UUID={uuid}")?,
                None => writeln!(f)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn whole_layout() {
        let identifiers = Identifiers::from_seed(&[7; 32]);
        let layout = Layout::new(&identifiers, "nixos", 64 << 20, (600 << 20) - 4096, 0);
        expect![[r#"
            disk 944232c2-11d2-8fa1-a8f6-936c0ab7a30b of 667 MiB
            2 bios-boot       1 MiB at    1 MiB, PARTUUID=306dd0a1-aebe-8892-8da8-a7acf9f747d7
            3 esp            64 MiB at    2 MiB, PARTUUID=fcf6b3b7-d7e4-8cf8-9af6-06e5e06988f8, UUID=2C07-51C6
            1 nixos         600 MiB at   66 MiB, PARTUUID=71f5e8a0-6b8c-8748-8a6e-bad137631304, UUID=397e55e7-c7d8-8823-8749-8b304cacefdb
        "#]].assert_eq(&layout.to_string());
    }
}
