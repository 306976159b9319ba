//! The partition table: a protective MBR with GRUB's boot code, and a GPT.
//!
//! Source: UEFI specification 2.10, chapter 5; the Discoverable Partitions Specification for the
//! root partition's type and its flag 59 ('grow the file system to the partition's size').

use std::io::{self, Seek, SeekFrom, Write};

use gpt::disk::LogicalBlockSize;
use gpt::header::{Header, HeaderBuilder};
use gpt::mbr::ProtectiveMBR;
use gpt::partition::Partition as GptPartition;
use gpt::partition_types::{self, Type};
use uuid::Uuid;

use crate::layout::{Partition, PartitionKind, SECTOR, SectorSize};
use crate::pages::Pages;

/// The discoverable partition's flag that asks for growth.
const GROW_FILE_SYSTEM: u64 = 1 << 59;

/// Where the MBR's second entry lies, and one that is active, of type 0, and has the MBR alone.
const SECOND_PARTITION: u64 = 446 + 16;
const ACTIVE_DUMMY: [u8; 16] = [0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0];

/// Bytes of an entry.
const ENTRY: u64 = 128;

/// As many entries as lie between the header in sectors of 512 bytes and the one in sectors of 4096.
const FEW_ENTRIES: u32 = 24;

/// What is to be in the tables.
#[derive(Debug)]
pub(crate) struct Table<'a> {
    /// Bytes of the disk.
    pub size: u64,
    /// Its unit.
    pub sectors: Sectors,
    /// GUID of the disk.
    pub disk_guid: Uuid,
    /// Its partitions.
    pub partitions: &'a [Partition],
    /// Whether the MBR has a second partition, empty and of no type, that is active.
    pub active_dummy: bool,
}

/// The unit of the disk that the table comes to lie on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sectors {
    /// Known.
    Of(SectorSize),
    /// One of the two: each has a table of its own where it looks for one.
    ///
    /// ```text
    /// 0      MBR
    /// 512    header for 512 bytes, then its 24 entries
    /// 4096   header for 4096 bytes; its 128 entries at 8192
    /// 24576  partitions
    /// -20480 128 entries for 4096 bytes, then their header, and in what that leaves of its sector:
    /// -3584  24 entries for 512 bytes, and at -512 their header
    /// ```
    Any,
}

/// A whole disk of which only the tables are there: the first blocks, and the copy at the end.
pub(crate) fn partition_table(table: &Table<'_>, boot_code: &[u8; 440]) -> io::Result<Pages> {
    let mut pages = Pages::new(table.size);
    let unit = match table.sectors {
        Sectors::Of(unit) => unit,
        Sectors::Any => SectorSize::Bytes512,
    };
    let sectors = table.size / unit.bytes();
    let mut mbr = ProtectiveMBR::with_lb_size(u32::try_from(sectors - 1).unwrap_or(u32::MAX));
    mbr.set_bootcode(*boot_code);
    mbr.overwrite_lba0(&mut pages).map_err(io::Error::other)?;
    if table.active_dummy {
        pages.seek(SeekFrom::Start(SECOND_PARTITION))?;
        pages.write_all(&ACTIVE_DUMMY)?;
    }
    match table.sectors {
        Sectors::Of(unit) => {
            let (primary, backup) = headers(table, unit)?;
            write(table, unit, primary, backup, &mut pages)?;
        }
        Sectors::Any => {
            let (primary, backup) = headers(table, SectorSize::Bytes4096)?;
            let factor = SectorSize::Bytes4096.bytes() / SECTOR;
            let few = |header: Header| Header {
                first_usable: primary.first_usable * factor,
                last_usable: (primary.last_usable + 1) * factor - 1,
                num_parts: FEW_ENTRIES,
                ..header
            };
            let (small, copy) = headers(table, SectorSize::Bytes512)?;
            let (small, copy) = (few(small), few(copy));
            let copy = Header {
                part_start: copy.current_lba - u64::from(FEW_ENTRIES) * ENTRY / SECTOR,
                ..copy
            };
            write(table, SectorSize::Bytes4096, primary, backup, &mut pages)?;
            write(table, SectorSize::Bytes512, small, copy, &mut pages)?;
        }
    }
    Ok(pages)
}

/// The header at the beginning and the one at the end, at their usual places.
fn headers(table: &Table<'_>, unit: SectorSize) -> io::Result<(Header, Header)> {
    let mut builder = HeaderBuilder::new();
    builder
        .disk_guid(table.disk_guid)
        .backup_lba(table.size / unit.bytes() - 1);
    let unit = block_size(unit);
    let primary = builder.primary(true).build(unit);
    let backup = builder.primary(false).build(unit);
    primary
        .and_then(|primary| Ok((primary, backup?)))
        .map_err(io::Error::other)
}

/// Writes the entries in this unit, and the headers with their checksums.
fn write(
    table: &Table<'_>,
    unit: SectorSize,
    mut primary: Header,
    mut backup: Header,
    pages: &mut Pages,
) -> io::Result<()> {
    for header in [&primary, &backup] {
        write_entries(table, unit, header, pages)?;
    }
    let unit = block_size(unit);
    primary
        .write_primary(pages, unit)
        .and_then(|_| backup.write_backup(pages, unit))
        .map_err(io::Error::other)?;
    Ok(())
}

/// Gives each partition the place in the table that its number says.
fn write_entries(
    table: &Table<'_>,
    unit: SectorSize,
    header: &Header,
    pages: &mut Pages,
) -> io::Result<()> {
    let sector = unit.bytes();
    let unit = block_size(unit);
    let (start, size) = (header.part_start, header.part_size);
    let all = u64::from(header.num_parts);
    GptPartition::write_zero_entries_to_device(pages, 0, all, start, unit, size)?;
    table.partitions.iter().try_for_each(|partition| {
        let entry = GptPartition {
            part_type_guid: type_guid(partition.kind),
            part_guid: partition.guid,
            first_lba: partition.start / sector,
            last_lba: (partition.start + partition.size).div_ceil(sector) - 1,
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
        let index = u64::from(partition.number.saturating_sub(1));
        entry.write_to_device(pages, index, start, unit, size)
    })
}

fn block_size(unit: SectorSize) -> LogicalBlockSize {
    match unit {
        SectorSize::Bytes512 => LogicalBlockSize::Lb512,
        SectorSize::Bytes4096 => LogicalBlockSize::Lb4096,
    }
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
