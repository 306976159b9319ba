//! A disk's partitions, and the room that it has for a core image.
//!
//! A GPT has room in its BIOS boot partition. The table of MS-DOS has it between itself and the first
//! partition, where boot loaders have always been.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};

use anyhow::{Context, Result};
use cairn_bootloader::PartitionTable;
use gpt::disk::LogicalBlockSize;
use gpt::partition_types::{BIOS, EFI};

use super::block::Disk;
use super::embedding::{Room, SECTOR};

/// Where the entries of the table of MS-DOS are in the first sector, and their length.
const ENTRIES: std::ops::Range<usize> = 446..510;
const ENTRY: usize = 16;
/// The type of the one entry beside a GPT.
const PROTECTIVE: u8 = 0xee;

/// What a disk's table says to a boot loader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its kind.
    pub kind: PartitionTable,
    /// The room for a core image, if a BIOS can start one from there.
    pub room: Option<Room>,
    /// The number of the EFI system partition.
    pub esp: Option<u32>,
}

/// Where a GPT has a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its first block.
    pub start: u64,
    /// How many blocks it has, in the disk's own size.
    pub blocks: u64,
    /// Its GUID, in the table's order of bytes.
    pub guid: [u8; 16],
}

impl Table {
    /// The table of `disk`.
    ///
    /// # Errors
    /// It has none that is whole.
    pub fn of(disk: &Disk) -> Result<Self> {
        let reading = || format!("cannot read the partition table of {}", disk.node.display());
        let mut file = File::open(&disk.node).with_context(reading)?;
        Self::read(&mut file, disk.sector).with_context(reading)
    }

    /// The table on a disk of sectors of `sector` bytes.
    fn read(
        device: &mut (impl Read + Write + Seek + std::fmt::Debug),
        sector: u64,
    ) -> Result<Self> {
        let mut first = [0; 512];
        device.seek(SeekFrom::Start(0))?;
        device.read_exact(&mut first)?;
        let entries = first.get(ENTRIES).unwrap_or_default();
        let signed = first.ends_with(&[0x55, 0xaa]);
        let is_gpt = entries
            .chunks_exact(ENTRY)
            .any(|entry| entry.get(4) == Some(&PROTECTIVE));
        if !is_gpt {
            anyhow::ensure!(signed, "it has none");
            return Ok(Self::msdos(entries, sector));
        }
        let table = gpt(device, sector)?;
        let of_type = |guid| {
            let partitions = table.partitions().iter();
            partitions
                .filter(|(_, partition)| partition.part_type_guid.guid == guid)
                .map(|(number, partition)| (*number, partition))
                .next()
        };
        let room = of_type(BIOS.guid).map(|(_, partition)| Room {
            start: partition.first_lba,
            sectors: (partition.last_lba + 1).saturating_sub(partition.first_lba),
        });
        Ok(Self {
            kind: PartitionTable::Gpt,
            // No BIOS starts a disk of other sectors.
            room: room.filter(|_| sector == SECTOR),
            esp: of_type(EFI.guid).map(|(number, _)| number),
        })
    }

    /// The partition of this number on `disk`.
    ///
    /// # Errors
    /// The disk has no GPT that is whole, or no such partition.
    pub fn place(disk: &Disk, number: u32) -> Result<Place> {
        let reading = || {
            format!(
                "cannot find partition {number} in a GPT of {}",
                disk.node.display()
            )
        };
        let file = File::open(&disk.node).with_context(reading)?;
        let table = gpt(file, disk.sector).with_context(reading)?;
        let partition = table.partitions().get(&number).with_context(reading)?;
        Ok(Place {
            start: partition.first_lba,
            blocks: (partition.last_lba + 1).saturating_sub(partition.first_lba),
            guid: partition.part_guid.to_bytes_le(),
        })
    }

    fn msdos(entries: &[u8], sector: u64) -> Self {
        let used: Vec<(u32, u8, u64)> = (1..)
            .zip(entries.chunks_exact(ENTRY))
            .filter_map(|(number, entry)| match entry {
                &[_, _, _, _, kind, _, _, _, a, b, c, d, ..] if kind != 0 => {
                    Some((number, kind, u32::from_le_bytes([a, b, c, d]).into()))
                }
                _ => None,
            })
            .collect();
        let first = used.iter().map(|(_, _, start)| *start).min();
        Self {
            kind: PartitionTable::Msdos,
            room: first
                .filter(|first| sector == SECTOR && *first > 1)
                .map(|first| Room {
                    start: 1,
                    sectors: first - 1,
                }),
            esp: used
                .iter()
                .find(|(_, kind, _)| *kind == 0xef)
                .map(|(number, _, _)| *number),
        }
    }
}

/// The GPT on a disk of sectors of `sector` bytes.
fn gpt<D: gpt::DiskDevice>(device: D, sector: u64) -> Result<gpt::GptDisk<D>> {
    let size = match sector {
        4096 => LogicalBlockSize::Lb4096,
        _ => LogicalBlockSize::Lb512,
    };
    let config = gpt::GptConfig::new()
        .writable(false)
        .logical_block_size(size);
    Ok(config.open_from_device(device)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;
    use std::process::{Command, Stdio};

    use proptest::prelude::*;

    /// The table that `sfdisk` makes of `script`.
    fn made_by_sfdisk(script: &str) -> Table {
        let folder = tempfile::tempdir().unwrap();
        let disk = folder.path().join("disk");
        File::create(&disk).unwrap().set_len(64 << 20).unwrap();
        let mut sfdisk = Command::new("/sbin/sfdisk")
            .args(["--quiet", "--no-reread"])
            .arg(&disk)
            .stdin(Stdio::piped())
            .spawn()
            .expect("sfdisk is missing: apt-get install fdisk");
        sfdisk
            .stdin
            .take()
            .unwrap()
            .write_all(script.as_bytes())
            .unwrap();
        assert!(sfdisk.wait().unwrap().success());
        Table::read(&mut File::open(&disk).unwrap(), 512).unwrap()
    }

    #[test]
    fn tables_of_sfdisk() {
        let bios = "21686148-6449-6E6F-744E-656564454649";
        let script = format!(
            "label: gpt\nstart=2048, size=2048, type={bios}\nsize=16384, type=uefi\ntype=linux\n"
        );
        assert_eq!(
            made_by_sfdisk(&script),
            Table {
                kind: PartitionTable::Gpt,
                room: Some(Room {
                    start: 2048,
                    sectors: 2048
                }),
                esp: Some(2),
            }
        );
        assert_eq!(
            made_by_sfdisk("label: gpt\ntype=linux\n"),
            Table {
                kind: PartitionTable::Gpt,
                room: None,
                esp: None,
            }
        );
        assert_eq!(
            made_by_sfdisk("label: dos\nsize=16384, type=83\ntype=ef\n"),
            Table {
                kind: PartitionTable::Msdos,
                room: Some(Room {
                    start: 1,
                    sectors: 2047
                }),
                esp: Some(2),
            }
        );
    }

    #[test]
    fn a_disk_without_a_table() {
        let refused = Table::read(&mut Cursor::new(vec![0; 4096]), 512).unwrap_err();
        assert_eq!(refused.to_string(), "it has none");
        Table::read(&mut Cursor::new(vec![0; 100]), 512).unwrap_err();
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(mut bytes in proptest::collection::vec(any::<u8>(), 0..4096), gpt: bool) {
            if gpt && bytes.len() > 512 {
                bytes[450] = PROTECTIVE;
                bytes[510..512].copy_from_slice(&[0x55, 0xaa]);
            }
            drop(Table::read(&mut Cursor::new(bytes), 512));
        }
    }
}
