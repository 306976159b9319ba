//! A raw disk image: GPT, GRUB for BIOS, UEFI or both, and the root, and if they are wanted a partition for
//! `/boot` and one for swap.

use std::path::Path;

use cairn_bootloader::{BootSectorError, patch_boot_sector, patch_core_image};

use crate::ext4::Ext4;
use crate::fat::{Fat, Medium};
use crate::file_system::{FileSystemError, FileSystemWriter};
use crate::identifiers::Identifiers;
use crate::layout::{ALIGNMENT, Layout, Part, Partition, Parts, SECTOR, SectorSize};
use crate::manifest::Manifest;
use crate::output::{Output, OutputError};
use crate::partition_table::{Sectors, Table, partition_table};
use crate::region::Region;
use crate::swap;

/// What goes into a disk image.
#[derive(Debug, Clone)]
pub struct Disk<'a> {
    /// The root file system.
    pub root: &'a Manifest,
    /// The EFI system partition, files and directories only, if UEFI firmware is to start the disk.
    pub esp: Option<&'a Manifest>,
    /// `/boot`, where it is no part of the root.
    pub boot_files: Option<Ext4Part<'a>>,
    /// Swap space, if there is to be some.
    pub swap: Option<Swap<'a>>,
    /// The unit of the disk that it is written to.
    pub sector_size: SectorSize,
    /// GRUB for BIOS, if one is to start the disk; none starts one with sectors of 4096 bytes.
    pub boot: Option<&'a BiosBoot>,
    /// Label of the root file system, and name of its partition; at most 16 bytes.
    pub root_label: &'a str,
    /// What tells the disk and its parts from every other.
    pub identifiers: Identifiers,
    /// Bytes left free in the root file system, at the least.
    pub free_space: u64,
    /// Bytes of the whole disk, whole MiB, of which the root takes what the others leave; as few as can be where
    /// nothing is said.
    pub size: Option<u64>,
    /// Time of making that the file system records, in seconds since 1970.
    pub epoch: u32,
}

/// A file system, an ext4, on a partition of its own.
#[derive(Debug, Clone, Copy)]
pub struct Ext4Part<'a> {
    /// What is in it.
    pub tree: &'a Manifest,
    /// Its label, and the name of its partition; at most 16 bytes.
    pub label: &'a str,
    /// Bytes left free in it.
    pub free_space: u64,
}

/// A swap partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Swap<'a> {
    /// Label of the swap space, and name of its partition; at most 16 bytes.
    pub label: &'a str,
    /// Bytes.
    pub size: u64,
}

/// GRUB's images for BIOS, as they come from GRUB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BiosBoot {
    /// `boot.img`.
    pub boot_img: Vec<u8>,
    /// The core image, made for [`cairn_bootloader::Platform::Bios`].
    pub core_img: Vec<u8>,
}

impl BiosBoot {
    /// Both as they are on a disk with the core image in `partition`.
    fn placed(&self, partition: &Partition) -> Result<Placed, DiskError> {
        let core_lba = partition.start / SECTOR;
        let boot_code = patch_boot_sector(&self.boot_img, core_lba)?;
        let core = patch_core_image(&self.core_img, core_lba)?;
        if core.len() as u64 > partition.size {
            return Err(DiskError::CoreTooLarge {
                size: core.len(),
                room: partition.size,
            });
        }
        Ok(Placed { boot_code, core })
    }
}

/// GRUB for BIOS with the places of its parts.
struct Placed {
    boot_code: [u8; 440],
    core: Vec<u8>,
}

/// How far the writing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of contents written.
    pub written: u64,
    /// Bytes of contents in all.
    pub total: u64,
}

/// Why a disk image cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// A file system cannot be written.
    #[error(transparent)]
    FileSystem(#[from] FileSystemError),
    /// The output cannot be written.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// GRUB's images are of the wrong kind.
    #[error(transparent)]
    Boot(#[from] BootSectorError),
    /// The core image is larger than its partition.
    #[error("cannot place GRUB's core image of {size} bytes in a partition of {room}")]
    CoreTooLarge {
        /// Bytes of the core image.
        size: usize,
        /// Bytes of the partition.
        room: u64,
    },
    /// The whole does not fit into the size that is asked for.
    #[error("cannot make the disk image of {size} bytes: what goes into it needs {needed}")]
    TooSmall {
        /// Bytes that are asked for.
        size: u64,
        /// Bytes that would do.
        needed: u64,
    },
    /// [`write()`] got a layout that [`plan()`] did not make for this disk.
    #[error("cannot write the disk image: its layout was planned for another disk")]
    OtherLayout,
}

/// The layout of `disk`; nothing is read or written.
///
/// # Errors
/// A tree has what its file system cannot hold, the label is too long, or the disk is too small.
pub fn plan(disk: &Disk<'_>) -> Result<Layout, DiskError> {
    let identifiers = &disk.identifiers;
    let boot = match &disk.boot_files {
        Some(files) => Some(Part {
            name: files.label,
            size: boot_files(disk, files.label).size(files.tree, files.free_space)?,
        }),
        None => None,
    };
    let parts = Parts {
        sector_size: disk.sector_size,
        bios_boot: bios_boot(disk).is_some(),
        esp_size: match disk.esp {
            Some(files) => Some(esp(disk.sector_size, identifiers).size(files, 0)?),
            None => None,
        },
        boot,
        swap: disk.swap.map(|swap| Part {
            name: swap.label,
            size: swap.size,
        }),
        root: Part {
            name: disk.root_label,
            size: root(disk).size(disk.root, disk.free_space)?,
        },
    };
    let apart = [disk.esp, disk.boot_files.map(|files| files.tree)];
    let apart: u64 = apart
        .into_iter()
        .flatten()
        .map(Manifest::content_size)
        .sum();
    let content = disk.root.content_size() + apart;
    let mut layout = Layout::new(identifiers, &parts, content);
    if let Some(size) = disk.size {
        layout.root.size = last_part(size, layout.root.start, |room| {
            root(disk).size_from(disk.root, disk.free_space, room)
        })?;
        layout.size = size;
    }
    Ok(layout)
}

/// Bytes of the last partition on a disk of `size`, which begins at `start` and holds a file system that needs,
/// of so much room, what `needed` says.
pub(crate) fn last_part(
    size: u64,
    start: u64,
    needed: impl FnOnce(u64) -> Result<u64, FileSystemError>,
) -> Result<u64, DiskError> {
    let others = start + ALIGNMENT;
    let room = size.saturating_sub(others);
    let room = room - room % ALIGNMENT;
    let needed = needed(room)?;
    if needed > room {
        let needed = others + needed.next_multiple_of(ALIGNMENT);
        return Err(DiskError::TooSmall { size, needed });
    }
    Ok(room)
}

/// Writes `disk` by its `layout` to `output`, and calls `progress` as it goes. The output appears
/// when it is whole and durable; an image that was there before stays until then.
///
/// # Errors
/// See [`DiskError`]. Nothing is left behind.
pub fn write(
    disk: &Disk<'_>,
    layout: &Layout,
    output: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), DiskError> {
    if plan(disk)? != *layout {
        return Err(DiskError::OtherLayout);
    }
    let identifiers = &disk.identifiers;
    let bios = layout.bios_boot.as_ref().zip(bios_boot(disk));
    let bios = bios
        .map(|(place, boot)| Ok::<_, DiskError>((place, boot.placed(place)?)))
        .transpose()?;
    let boot_code = bios.as_ref().map_or([0; 440], |(_, bios)| bios.boot_code);

    let total = layout.content;
    let partitions: Vec<_> = layout.partitions().cloned().collect();
    let table = Table {
        size: layout.size,
        sectors: Sectors::Of(layout.sector_size),
        disk_guid: layout.disk_guid,
        partitions: &partitions,
        active_dummy: false,
    };
    let output = partitioned(output, &table, &boot_code, total)?;
    let failed = |error| DiskError::Output(output.failure(error, total));
    if let Some((place, bios)) = &bios {
        region(&output, place)
            .write_at(&bios.core, 0)
            .map_err(failed)?;
    }

    let mut written = 0;
    let mut count = |bytes| {
        written += bytes;
        progress(Progress { written, total });
    };
    let file_system = |error| match error {
        FileSystemError::Write { source, .. } => failed(source),
        error => error.into(),
    };
    if let (Some(files), Some(place)) = (disk.esp, &layout.esp) {
        esp(disk.sector_size, identifiers)
            .write(files, &region(&output, place), &mut count)
            .map_err(file_system)?;
    }
    if let (Some(files), Some(place)) = (&disk.boot_files, &layout.boot) {
        boot_files(disk, files.label)
            .write(files.tree, &region(&output, place), &mut count)
            .map_err(file_system)?;
    }
    if let (Some(swap), Some(place)) = (&disk.swap, &layout.swap) {
        swap::write(&region(&output, place), identifiers.swap, swap.label).map_err(failed)?;
    }
    root(disk)
        .write(disk.root, &region(&output, &layout.root), &mut count)
        .map_err(file_system)?;
    output.finish()?;
    Ok(())
}

/// An output of which `needed` bytes will be written, with its partition table.
pub(crate) fn partitioned<'a>(
    output: &'a Path,
    table: &Table<'_>,
    boot_code: &[u8; 440],
    needed: u64,
) -> Result<Output<'a>, DiskError> {
    let output = Output::create(output, table.size, needed)?;
    let whole = Region::new(output.file(), 0, table.size);
    partition_table(table, boot_code)
        .and_then(|pages| whole.write_pages(&pages))
        .map_err(|error| output.failure(error, needed))?;
    Ok(output)
}

pub(crate) fn region<'a>(output: &'a Output<'_>, partition: &Partition) -> Region<'a> {
    Region::new(output.file(), partition.start, partition.size)
}

pub(crate) fn esp(sector_size: SectorSize, identifiers: &Identifiers) -> Fat {
    Fat {
        medium: Medium::Fixed,
        sector_size,
        serial: identifiers.esp_serial,
        label: *b"ESP        ",
    }
}

/// GRUB for BIOS, where a BIOS can start the disk.
fn bios_boot<'a>(disk: &Disk<'a>) -> Option<&'a BiosBoot> {
    disk.boot
        .filter(|_| disk.sector_size == SectorSize::Bytes512)
}

fn root(disk: &Disk<'_>) -> Ext4 {
    Ext4 {
        label: disk.root_label.to_owned(),
        uuid: disk.identifiers.root_file_system,
        epoch: disk.epoch,
    }
}

fn boot_files(disk: &Disk<'_>, label: &str) -> Ext4 {
    Ext4 {
        label: label.to_owned(),
        uuid: disk.identifiers.boot_file_system,
        epoch: disk.epoch,
    }
}
