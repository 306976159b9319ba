//! The partition table: a protective MBR with GRUB's boot code, and a GPT.
//!
//! Source: UEFI specification 2.10, chapter 5; the Discoverable Partitions Specification for the
//! root partition's type and its flag 59 ('grow the file system to the partition's size').

use std::collections::BTreeMap;
use std::io::{self, Seek, SeekFrom, Write};

use gpt::disk::LogicalBlockSize;
use gpt::header::Header;
use gpt::mbr::ProtectiveMBR;
use gpt::partition::Partition as GptPartition;
use gpt::partition_types::{self, Type};
use uuid::Uuid;

use crate::layout::{Partition, PartitionKind, SectorSize};
use crate::pages::Pages;

/// The discoverable partition's flag that asks for growth.
const GROW_FILE_SYSTEM: u64 = 1 << 59;

/// Where the MBR's second entry lies, and one that is active, of type 0, and has the MBR alone.
const SECOND_PARTITION: u64 = 446 + 16;
const ACTIVE_DUMMY: [u8; 16] = [0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0];

/// What is to be in the tables.
#[derive(Debug)]
pub(crate) struct Table<'a> {
    /// Bytes of the disk.
    pub size: u64,
    /// Its unit.
    pub sector_size: SectorSize,
    /// GUID of the disk.
    pub disk_guid: Uuid,
    /// Its partitions.
    pub partitions: &'a [Partition],
    /// Whether the MBR has a second partition, empty and of no type, that is active.
    pub active_dummy: bool,
}

/// A whole disk of which only the tables are there: the first blocks, and the copy at the end.
pub(crate) fn partition_table(table: &Table<'_>, boot_code: &[u8; 440]) -> io::Result<Pages> {
    let mut pages = Pages::new(table.size);
    let sector = table.sector_size.bytes();
    let sectors = table.size / sector;
    let mut mbr = ProtectiveMBR::with_lb_size(u32::try_from(sectors - 1).unwrap_or(u32::MAX));
    mbr.set_bootcode(*boot_code);
    mbr.overwrite_lba0(&mut pages).map_err(io::Error::other)?;
    if table.active_dummy {
        pages.seek(SeekFrom::Start(SECOND_PARTITION))?;
        pages.write_all(&ACTIVE_DUMMY)?;
    }

    let partitions: BTreeMap<_, _> = table
        .partitions
        .iter()
        .map(|partition| {
            let entry = GptPartition {
                part_type_guid: type_guid(partition.kind),
                part_guid: partition.guid,
                first_lba: partition.start / sector,
                last_lba: (partition.start + partition.size) / sector - 1,
                flags: match partition.kind {
                    PartitionKind::Root => GROW_FILE_SYSTEM,
                    PartitionKind::BiosBoot
                    | PartitionKind::Esp
                    | PartitionKind::Boot
                    | PartitionKind::Swap
                    | PartitionKind::Data => 0,
                },
                name: partition.name.clone(),
            };
            (partition.number, entry)
        })
        .collect();
    let unit = match table.sector_size {
        SectorSize::Bytes512 => LogicalBlockSize::Lb512,
        SectorSize::Bytes4096 => LogicalBlockSize::Lb4096,
    };
    let mut gpt = gpt::GptConfig::new()
        .writable(true)
        .logical_block_size(unit)
        .create_from_device(pages, Some(table.disk_guid))
        .map_err(io::Error::other)?;
    gpt.update_partitions(partitions.clone())
        .map_err(io::Error::other)?;
    gpt.write_inplace().map_err(io::Error::other)?;
    let mut headers = [
        gpt.primary_header().map_err(io::Error::other)?.clone(),
        gpt.backup_header().map_err(io::Error::other)?.clone(),
    ];
    let mut pages = gpt.take_device();
    for header in &mut headers {
        number(&partitions, header, unit, &mut pages)?;
    }
    let [primary, backup] = &mut headers;
    primary
        .write_primary(&mut pages, unit)
        .and_then(|_| backup.write_backup(&mut pages, unit))
        .map_err(io::Error::other)?;
    Ok(pages)
}

/// Gives each partition the place in the table that its number says. The library writes them in a row,
/// whatever their numbers are, and then a disk with swap space and no `/boot` has it as number 4.
fn number(
    partitions: &BTreeMap<u32, GptPartition>,
    header: &Header,
    unit: LogicalBlockSize,
    pages: &mut Pages,
) -> io::Result<()> {
    let (start, size) = (header.part_start, header.part_size);
    let all = u64::from(header.num_parts);
    GptPartition::write_zero_entries_to_device(pages, 0, all, start, unit, size)?;
    partitions.iter().try_for_each(|(number, partition)| {
        let index = u64::from(number.saturating_sub(1));
        partition.write_to_device(pages, index, start, unit, size)
    })
}

fn type_guid(kind: PartitionKind) -> Type {
    match kind {
        PartitionKind::BiosBoot => partition_types::BIOS,
        PartitionKind::Esp => partition_types::EFI,
        PartitionKind::Boot | PartitionKind::Data => partition_types::LINUX_FS,
        PartitionKind::Swap => partition_types::LINUX_SWAP,
        PartitionKind::Root => Type {
            guid: ROOT_X86_64,
            os: partition_types::OperatingSystem::Linux,
        },
    }
}

/// 'Root partition, x86-64' of the Discoverable Partitions Specification.
const ROOT_X86_64: Uuid = Uuid::from_u128(0x4f68_bce3_e8cd_4db1_96e7_fbca_f984_b709);
