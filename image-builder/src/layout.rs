//! Where everything goes on the disk; fixed before the first byte is written.
//!
//! ```text
//! 0        protective MBR with GRUB's boot code, GPT
//! 1 MiB    BIOS boot partition   GRUB's core image for BIOS, if one is to start it; not with sectors of 4096 bytes
//! ...      EFI system partition  FAT, if UEFI is to start it
//! ...      /boot                 ext4, if the configuration has it apart
//! ...      swap                  if the configuration wants it
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
/// Number of the partition of `/boot`, where it has one.
pub const BOOT_PARTITION: u32 = 4;
/// Number of the swap partition, where there is one.
pub const SWAP_PARTITION: u32 = 5;
/// Bytes of a sector of most disks, and of what a BIOS reads.
pub const SECTOR: u64 = 512;

/// The unit that a disk is addressed in, and with it the partition table and the FAT upon it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SectorSize {
    /// What nearly all disks have, or show.
    #[default]
    Bytes512,
    /// `4Kn`; no BIOS boots from such a disk.
    Bytes4096,
}

impl SectorSize {
    /// Bytes of a sector.
    #[must_use]
    pub fn bytes(self) -> u64 {
        match self {
            Self::Bytes512 => SECTOR,
            Self::Bytes4096 => 4096,
        }
    }
}
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
    /// The unit of the disk.
    pub sector_size: SectorSize,
    /// GRUB's core image for BIOS; none on a disk that no BIOS boots from.
    pub bios_boot: Option<Partition>,
    /// The EFI system partition; none on a disk that no UEFI firmware boots from.
    pub esp: Option<Partition>,
    /// `/boot`, where it is no part of the root.
    pub boot: Option<Partition>,
    /// Swap space, if there is some.
    pub swap: Option<Partition>,
    /// The root.
    pub root: Partition,
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
    /// The file system of `/boot`.
    Boot,
    /// Swap space.
    Swap,
    /// The root file system.
    Root,
    /// What Linux reads, and mounts nowhere by itself.
    Data,
}

/// What a part of the disk is called, and how large it must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part<'a> {
    /// The partition's name.
    pub name: &'a str,
    /// Bytes of what is in it.
    pub size: u64,
}

/// The parts of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Parts<'a> {
    /// The unit of the disk.
    pub sector_size: SectorSize,
    /// Whether there is a BIOS boot partition.
    pub bios_boot: bool,
    /// Bytes of the EFI system partition, if there is one.
    pub esp_size: Option<u64>,
    /// `/boot`.
    pub boot: Option<Part<'a>>,
    /// Swap space.
    pub swap: Option<Part<'a>>,
    /// The root.
    pub root: Part<'a>,
}

impl Layout {
    /// The layout of these parts, which have `content` bytes of contents.
    pub(crate) fn new(identifiers: &Identifiers, parts: &Parts<'_>, content: u64) -> Self {
        let mut places = Places::default();
        let mut place = |number, kind, part: Part<'_>, guid, file_system| {
            places.take(number, kind, part, guid, file_system)
        };
        let bios_boot = Part {
            name: "bios-boot",
            size: BIOS_BOOT_SIZE,
        };
        let bios_boot = parts.bios_boot.then(|| {
            let guid = identifiers.bios_boot_partition;
            let kind = PartitionKind::BiosBoot;
            place(BIOS_BOOT_PARTITION, kind, bios_boot, guid, None)
        });
        let esp = parts.esp_size.map(|size| {
            let part = Part { name: "esp", size };
            let serial = fat_serial(identifiers.esp_serial);
            let guid = identifiers.esp_partition;
            place(ESP_PARTITION, PartitionKind::Esp, part, guid, Some(serial))
        });
        let boot = parts.boot.map(|part| {
            let uuid = identifiers.boot_file_system.to_string();
            let guid = identifiers.boot_partition;
            place(BOOT_PARTITION, PartitionKind::Boot, part, guid, Some(uuid))
        });
        let swap = parts.swap.map(|part| {
            let uuid = identifiers.swap.to_string();
            let guid = identifiers.swap_partition;
            place(SWAP_PARTITION, PartitionKind::Swap, part, guid, Some(uuid))
        });
        let root = place(
            ROOT_PARTITION,
            PartitionKind::Root,
            parts.root,
            identifiers.root_partition,
            Some(identifiers.root_file_system.to_string()),
        );
        Self {
            size: places.disk_size(),
            disk_guid: identifiers.disk,
            sector_size: parts.sector_size,
            bios_boot,
            esp,
            boot,
            swap,
            root,
            content,
        }
    }

    /// Its partitions in the order of their places.
    pub fn partitions(&self) -> impl Iterator<Item = &Partition> {
        self.bios_boot
            .iter()
            .chain(&self.esp)
            .chain(&self.boot)
            .chain(&self.swap)
            .chain([&self.root])
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
        self.partitions()
            .try_for_each(|partition| writeln!(f, "{partition}"))
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {:<10} {:>6} MiB at {:>4} MiB, PARTUUID={}",
            self.number,
            self.name,
            self.size >> 20,
            self.start >> 20,
            self.guid
        )?;
        match &self.file_system {
            Some(uuid) => write!(f, ", UUID={uuid}"),
            None => Ok(()),
        }
    }
}

/// The serial number of a FAT, as `UUID=` has it.
pub(crate) fn fat_serial(serial: u32) -> String {
    format!("{:04X}-{:04X}", serial >> 16, serial & 0xffff)
}

/// Where the next partition begins.
#[derive(Debug)]
pub(crate) struct Places {
    end: u64,
}

impl Default for Places {
    /// Behind the partition table.
    fn default() -> Self {
        Self { end: ALIGNMENT }
    }
}

impl Places {
    /// A partition behind those before it.
    pub(crate) fn take(
        &mut self,
        number: u32,
        kind: PartitionKind,
        part: Part<'_>,
        guid: Uuid,
        file_system: Option<String>,
    ) -> Partition {
        let start = self.end;
        let size = part.size.next_multiple_of(ALIGNMENT);
        self.end += size;
        Partition {
            number,
            kind,
            name: part.name.to_owned(),
            guid,
            file_system,
            start,
            size,
        }
    }

    /// Bytes of the disk that ends behind the last one, with room for the copy of the table.
    pub(crate) fn disk_size(&self) -> u64 {
        self.end + ALIGNMENT
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn whole_layouts() {
        let identifiers = Identifiers::from_seed(&[7; 32]);
        let mut parts = Parts {
            sector_size: SectorSize::Bytes512,
            bios_boot: true,
            esp_size: Some(64 << 20),
            boot: None,
            swap: None,
            root: Part {
                name: "nixos",
                size: (600 << 20) - 4096,
            },
        };
        expect![[r#"
            disk 944232c2-11d2-8fa1-a8f6-936c0ab7a30b of 667 MiB
            2 bios-boot       1 MiB at    1 MiB, PARTUUID=306dd0a1-aebe-8892-8da8-a7acf9f747d7
            3 esp            64 MiB at    2 MiB, PARTUUID=fcf6b3b7-d7e4-8cf8-9af6-06e5e06988f8, UUID=2C07-51C6
            1 nixos         600 MiB at   66 MiB, PARTUUID=71f5e8a0-6b8c-8748-8a6e-bad137631304, UUID=397e55e7-c7d8-8823-8749-8b304cacefdb
        "#]].assert_eq(&Layout::new(&identifiers, &parts, 0).to_string());
        parts.boot = Some(Part {
            name: "boot",
            size: 300 << 20,
        });
        parts.swap = Some(Part {
            name: "swap",
            size: 1 << 30,
        });
        expect![[r#"
            disk 944232c2-11d2-8fa1-a8f6-936c0ab7a30b of 1991 MiB
            2 bios-boot       1 MiB at    1 MiB, PARTUUID=306dd0a1-aebe-8892-8da8-a7acf9f747d7
            3 esp            64 MiB at    2 MiB, PARTUUID=fcf6b3b7-d7e4-8cf8-9af6-06e5e06988f8, UUID=2C07-51C6
            4 boot          300 MiB at   66 MiB, PARTUUID=f5b5c0aa-3f16-85fc-8f1b-3df58852566c, UUID=e41361af-1e4d-89fa-9511-b6ab30a6415c
            5 swap         1024 MiB at  366 MiB, PARTUUID=bc687b4d-03ca-8103-bce0-9de4e3980191, UUID=7174d217-44ff-8e07-83b9-d29b5c0a157f
            1 nixos         600 MiB at 1390 MiB, PARTUUID=71f5e8a0-6b8c-8748-8a6e-bad137631304, UUID=397e55e7-c7d8-8823-8749-8b304cacefdb
        "#]].assert_eq(&Layout::new(&identifiers, &parts, 0).to_string());
        parts.bios_boot = false;
        parts.swap = None;
        expect![[r#"
            disk 944232c2-11d2-8fa1-a8f6-936c0ab7a30b of 966 MiB
            3 esp            64 MiB at    1 MiB, PARTUUID=fcf6b3b7-d7e4-8cf8-9af6-06e5e06988f8, UUID=2C07-51C6
            4 boot          300 MiB at   65 MiB, PARTUUID=f5b5c0aa-3f16-85fc-8f1b-3df58852566c, UUID=e41361af-1e4d-89fa-9511-b6ab30a6415c
            1 nixos         600 MiB at  365 MiB, PARTUUID=71f5e8a0-6b8c-8748-8a6e-bad137631304, UUID=397e55e7-c7d8-8823-8749-8b304cacefdb
        "#]].assert_eq(&Layout::new(&identifiers, &parts, 0).to_string());
        parts.bios_boot = true;
        parts.esp_size = None;
        expect![[r#"
            disk 944232c2-11d2-8fa1-a8f6-936c0ab7a30b of 903 MiB
            2 bios-boot       1 MiB at    1 MiB, PARTUUID=306dd0a1-aebe-8892-8da8-a7acf9f747d7
            4 boot          300 MiB at    2 MiB, PARTUUID=f5b5c0aa-3f16-85fc-8f1b-3df58852566c, UUID=e41361af-1e4d-89fa-9511-b6ab30a6415c
            1 nixos         600 MiB at  302 MiB, PARTUUID=71f5e8a0-6b8c-8748-8a6e-bad137631304, UUID=397e55e7-c7d8-8823-8749-8b304cacefdb
        "#]].assert_eq(&Layout::new(&identifiers, &parts, 0).to_string());
    }
}
