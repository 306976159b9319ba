//! A raw disk image for UEFI alone, whose store the kernel verifies as it reads it.
//!
//! ```text
//! 0        protective MBR, GPT
//! 1 MiB    EFI system partition  FAT: the one program that the firmware verifies and starts
//! ...      store                 a file system that is never written, and its hash tree
//! ...      root                  ext4, if what the machine writes is to be kept; last, so that it can grow
//! end      one MiB that ends with the copy of the GPT
//! ```
//!
//! Whoever has the root hash finds the store: it is in the GUID of its partition.

use std::fmt;
use std::path::Path;

use uuid::Uuid;

use crate::disk::{DiskError, Ext4Part, Progress, esp, last_part, partitioned, region};
use crate::ext4::Ext4;
use crate::file_system::{FileSystemError, FileSystemWriter};
use crate::fill::{Filler, Span};
use crate::identifiers::Identifiers;
use crate::layout::{
    Part, Partition, PartitionKind, Places, ROOT_PARTITION, SectorSize, fat_serial,
};
use crate::manifest::{Content, Manifest};
use crate::partition_table::{Sectors, Table};
use crate::region::Region;

const ESP_PARTITION: u32 = 2;
/// Beside a root; without one it is the first, since numbers have no gaps.
const STORE_PARTITION: u32 = 3;

/// No BIOS starts such a disk.
const NO_BOOT_CODE: [u8; 440] = [0; 440];

/// What goes into such an image.
#[derive(Debug, Clone)]
pub struct VerifiedDisk<'a> {
    /// The EFI system partition: files and directories only.
    pub esp: &'a Manifest,
    /// Bytes left free in it.
    pub esp_free_space: u64,
    /// The file with the store and its hash tree.
    pub store: &'a Path,
    /// Its size in bytes.
    pub store_size: u64,
    /// The GUID of the store's partition.
    pub store_partition: Uuid,
    /// The root file system, if it is on the disk: what the machine writes.
    pub root: Option<Ext4Part<'a>>,
    /// The unit of the disk that it is written to.
    pub sector_size: SectorSize,
    /// What tells the disk and its parts from every other.
    pub identifiers: Identifiers,
    /// Bytes of the whole disk, whole MiB, of which the root takes what the others leave; as few as can be where
    /// nothing is said.
    pub size: Option<u64>,
    /// Time of making that the root records, in seconds since 1970.
    pub epoch: u32,
}

/// The plan of such an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedLayout {
    /// Size of the whole image in bytes.
    pub size: u64,
    /// GUID of the disk.
    pub disk_guid: Uuid,
    /// The EFI system partition.
    pub esp: Partition,
    /// The store and its hash tree.
    pub store: Partition,
    /// The root, if it is on the disk.
    pub root: Option<Partition>,
}

impl VerifiedLayout {
    /// Its partitions in the order of their places.
    pub fn partitions(&self) -> impl Iterator<Item = &Partition> {
        [&self.esp, &self.store].into_iter().chain(&self.root)
    }
}

impl fmt::Display for VerifiedLayout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "disk {} of {} MiB", self.disk_guid, self.size >> 20)?;
        self.partitions()
            .try_for_each(|partition| writeln!(f, "{partition}"))
    }
}

impl VerifiedDisk<'_> {
    /// The layout; nothing is read or written.
    ///
    /// # Errors
    /// A tree has what its file system cannot hold, the label is too long, or the disk is too small.
    pub fn plan(&self) -> Result<VerifiedLayout, DiskError> {
        let identifiers = &self.identifiers;
        let mut places = Places::default();
        let esp = Part {
            name: "esp",
            size: esp(self.sector_size, identifiers).size(self.esp, self.esp_free_space)?,
        };
        let serial = fat_serial(identifiers.esp_serial);
        let esp = places.take(
            ESP_PARTITION,
            PartitionKind::Esp,
            esp,
            identifiers.esp_partition,
            Some(serial),
        );
        let number = match self.root {
            Some(_) => STORE_PARTITION,
            None => ROOT_PARTITION,
        };
        let store = Part {
            name: "store",
            size: self.store_size,
        };
        let store = places.take(
            number,
            PartitionKind::Data,
            store,
            self.store_partition,
            None,
        );
        let root = match self.root {
            Some(root) => {
                let size = self.ext4(root).size(root.tree, root.free_space)?;
                let part = Part {
                    name: root.label,
                    size,
                };
                let uuid = identifiers.root_file_system.to_string();
                Some(places.take(
                    ROOT_PARTITION,
                    PartitionKind::Root,
                    part,
                    identifiers.root_partition,
                    Some(uuid),
                ))
            }
            None => None,
        };
        let mut layout = VerifiedLayout {
            size: places.disk_size(),
            disk_guid: identifiers.disk,
            esp,
            store,
            root,
        };
        if let Some(size) = self.size {
            match (self.root, &mut layout.root) {
                (Some(root), Some(place)) => {
                    place.size = last_part(size, place.start, |room| {
                        self.ext4(root).size_from(root.tree, root.free_space, room)
                    })?;
                }
                _ if layout.size > size => {
                    let needed = layout.size;
                    return Err(DiskError::TooSmall { size, needed });
                }
                _ => {}
            }
            layout.size = size;
        }
        Ok(layout)
    }

    /// Writes it by its `layout` to `output`, and calls `progress` as it goes. The output appears when it is
    /// whole and durable; an image that was there before stays until then.
    ///
    /// # Errors
    /// See [`DiskError`]. Nothing is left behind.
    pub fn write(
        &self,
        layout: &VerifiedLayout,
        output: &Path,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), DiskError> {
        if self.plan()? != *layout {
            return Err(DiskError::OtherLayout);
        }
        let of_root = self.root.map_or(0, |root| root.tree.content_size());
        let total = self.esp.content_size() + self.store_size + of_root;
        let partitions: Vec<_> = layout.partitions().cloned().collect();
        let table = Table {
            size: layout.size,
            sectors: Sectors::Of(self.sector_size),
            disk_guid: layout.disk_guid,
            partitions: &partitions,
            active_dummy: false,
        };
        let output = partitioned(output, &table, &NO_BOOT_CODE, total)?;
        let failed = |error| DiskError::Output(output.failure(error, total));

        let mut written = 0;
        let mut count = |bytes| {
            written += bytes;
            progress(Progress { written, total });
        };
        let file_system = |error| match error {
            FileSystemError::Write { source, .. } => failed(source),
            error => error.into(),
        };
        esp(self.sector_size, &self.identifiers)
            .write(self.esp, &region(&output, &layout.esp), &mut count)
            .map_err(file_system)?;
        self.write_store(&region(&output, &layout.store), &mut count)
            .map_err(file_system)?;
        if let (Some(root), Some(place)) = (self.root, &layout.root) {
            self.ext4(root)
                .write(root.tree, &region(&output, place), &mut count)
                .map_err(file_system)?;
        }
        output.finish()?;
        Ok(())
    }

    fn write_store(
        &self,
        region: &Region<'_>,
        written: &mut dyn FnMut(u64),
    ) -> Result<(), FileSystemError> {
        let content = Content::File {
            path: self.store.to_owned(),
            size: self.store_size,
        };
        let whole = Span {
            offset: 0,
            length: self.store_size,
        };
        let mut filler = Filler::new("store's", region, written);
        filler.fill(&content, [whole].into_iter())?;
        filler.finish()
    }

    fn ext4(&self, root: Ext4Part<'_>) -> Ext4 {
        Ext4 {
            label: root.label.to_owned(),
            uuid: self.identifiers.root_file_system,
            epoch: self.epoch,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn whole_layouts() {
        let (esp, root) = (Manifest::new(), Manifest::new());
        let mut disk = VerifiedDisk {
            esp: &esp,
            esp_free_space: 40 << 20,
            store: Path::new("/nowhere"),
            store_size: (100 << 20) + 4096,
            store_partition: Uuid::from_u128(7),
            root: None,
            sector_size: SectorSize::Bytes512,
            identifiers: Identifiers::from_seed(&[7; 32]),
            size: None,
            epoch: 0,
        };
        expect![[r#"
            disk 944232c2-11d2-8fa1-a8f6-936c0ab7a30b of 167 MiB
            2 esp            64 MiB at    1 MiB, PARTUUID=fcf6b3b7-d7e4-8cf8-9af6-06e5e06988f8, UUID=2C07-51C6
            1 store         101 MiB at   65 MiB, PARTUUID=00000000-0000-0000-0000-000000000007
        "#]].assert_eq(&disk.plan().unwrap().to_string());
        disk.root = Some(Ext4Part {
            tree: &root,
            label: "state",
            free_space: 64 << 20,
        });
        expect![[r#"
            disk 944232c2-11d2-8fa1-a8f6-936c0ab7a30b of 237 MiB
            2 esp            64 MiB at    1 MiB, PARTUUID=fcf6b3b7-d7e4-8cf8-9af6-06e5e06988f8, UUID=2C07-51C6
            3 store         101 MiB at   65 MiB, PARTUUID=00000000-0000-0000-0000-000000000007
            1 state          70 MiB at  166 MiB, PARTUUID=71f5e8a0-6b8c-8748-8a6e-bad137631304, UUID=397e55e7-c7d8-8823-8749-8b304cacefdb
        "#]].assert_eq(&disk.plan().unwrap().to_string());
        let mut sizes = Vec::new();
        for root in [disk.root, None] {
            disk.root = root;
            for mebibytes in [166, 237, 1000] {
                disk.size = Some(mebibytes << 20);
                sizes.push(match disk.plan() {
                    Ok(layout) => layout.to_string(),
                    Err(error) => format!("{error}\n"),
                });
            }
        }
        expect![[r#"
            cannot make the disk image of 174063616 bytes: what goes into it needs 248512512
            disk 944232c2-11d2-8fa1-a8f6-936c0ab7a30b of 237 MiB
            2 esp            64 MiB at    1 MiB, PARTUUID=fcf6b3b7-d7e4-8cf8-9af6-06e5e06988f8, UUID=2C07-51C6
            3 store         101 MiB at   65 MiB, PARTUUID=00000000-0000-0000-0000-000000000007
            1 state          70 MiB at  166 MiB, PARTUUID=71f5e8a0-6b8c-8748-8a6e-bad137631304, UUID=397e55e7-c7d8-8823-8749-8b304cacefdb
            disk 944232c2-11d2-8fa1-a8f6-936c0ab7a30b of 1000 MiB
            2 esp            64 MiB at    1 MiB, PARTUUID=fcf6b3b7-d7e4-8cf8-9af6-06e5e06988f8, UUID=2C07-51C6
            3 store         101 MiB at   65 MiB, PARTUUID=00000000-0000-0000-0000-000000000007
            1 state         833 MiB at  166 MiB, PARTUUID=71f5e8a0-6b8c-8748-8a6e-bad137631304, UUID=397e55e7-c7d8-8823-8749-8b304cacefdb
            cannot make the disk image of 174063616 bytes: what goes into it needs 175112192
            disk 944232c2-11d2-8fa1-a8f6-936c0ab7a30b of 237 MiB
            2 esp            64 MiB at    1 MiB, PARTUUID=fcf6b3b7-d7e4-8cf8-9af6-06e5e06988f8, UUID=2C07-51C6
            1 store         101 MiB at   65 MiB, PARTUUID=00000000-0000-0000-0000-000000000007
            disk 944232c2-11d2-8fa1-a8f6-936c0ab7a30b of 1000 MiB
            2 esp            64 MiB at    1 MiB, PARTUUID=fcf6b3b7-d7e4-8cf8-9af6-06e5e06988f8, UUID=2C07-51C6
            1 store         101 MiB at   65 MiB, PARTUUID=00000000-0000-0000-0000-000000000007
        "#]].assert_eq(&sizes.concat());
    }
}
