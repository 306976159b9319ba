//! Where everything goes on the medium; fixed before the first byte is written, but for the length
//! of the system, which is known when it is compressed.
//!
//! ```text
//! 0         MBR with GRUB's boot code, GPTs for sectors of 512 and of 4096 bytes
//! 32 KiB    volume descriptors: primary, El Torito, terminator
//!           path tables, directories, boot catalog
//!           files: GRUB's image for a BIOS, menu, kernel, initrd
//! n MiB     EFI system partition   FAT; also a file
//! m MiB     system                 squashfs; also a file
//!           manifest
//! end       one MiB that ends with the copies of the GPTs
//! ```
//!
//! A disc's firmware finds GRUB by El Torito, a stick's by MBR and GPT: the same bytes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cairn_bootloader::BootSectorError;
use cairn_system::live::Extent;

use super::tree::{Entry, Tree};
use crate::layout::ALIGNMENT;

/// Bytes of a logical block of ISO 9660.
pub(crate) const BLOCK: u64 = 2048;
/// The blocks of the descriptors: the primary one, El Torito's, and the terminator.
pub(crate) const PRIMARY: u64 = 16;
pub(crate) const BOOT_RECORD: u64 = 17;
pub(crate) const TERMINATOR: u64 = 18;
const FIRST_FREE: u64 = 19;

/// Contents begin at multiples of this: what is copied to a page's end reaches into no other.
const CONTENT: u64 = 4096;

/// The largest extent that a directory record can have: whole blocks, below 4 GiB.
pub(crate) const LARGEST_EXTENT: u64 = 0xffff_f800;

/// GRUB's image for a BIOS that boots from a disc.
pub(crate) const BIOS_IMAGE: &str = "boot/grub/bios.img";
/// Bytes that are kept for it: its length is known late.
pub(crate) const BIOS_ROOM: u64 = 512 << 10;
/// The EFI system partition.
pub(crate) const ESP_IMAGE: &str = "boot/grub/efi.img";
/// The squashfs.
pub(crate) const SYSTEM: &str = "cairn/system.squashfs";
/// The hashes of all pieces; every medium has them there.
pub const MANIFEST: &str = "cairn/manifest";

/// The plan of everything before the system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Places of the directories, in the order of [`Tree::directories`].
    pub directories: Vec<Extent>,
    /// Bytes of a path table.
    pub path_table_size: u64,
    /// Block of the path table in little-endian order.
    pub little_path_table: u64,
    /// Block of the path table in big-endian order.
    pub big_path_table: u64,
    /// Block of El Torito's boot catalog.
    pub catalog: u64,
    /// The files, by path; [`SYSTEM`] and [`MANIFEST`] are not among them.
    pub files: BTreeMap<PathBuf, Extent>,
    /// Where the system begins.
    pub system: u64,
}

impl Layout {
    /// The layout of `tree`, where the system has at most `largest_system` bytes.
    pub fn new(tree: &Tree, largest_system: u64) -> Self {
        let mut next = Allocator(FIRST_FREE * BLOCK);
        let path_table_size = tree.path_table_size();
        let little_path_table = next.take(path_table_size).offset / BLOCK;
        let big_path_table = next.take(path_table_size).offset / BLOCK;
        let directories = tree
            .directories
            .iter()
            .map(|directory| {
                let blocks = blocks_of_records(
                    directory
                        .entries
                        .iter()
                        .flat_map(|entry| record_lengths(tree, entry, largest_system)),
                );
                next.take(blocks * BLOCK)
            })
            .collect();
        let catalog = next.take(BLOCK).offset / BLOCK;
        let mut files = BTreeMap::new();
        for (path, size) in tree.files().filter(|(path, _)| !is_placed_later(path)) {
            if path == Path::new(ESP_IMAGE) {
                continue;
            }
            next.align(CONTENT);
            files.insert(path.to_owned(), next.take(size));
        }
        if let Some((path, size)) = tree.files().find(|(path, _)| *path == Path::new(ESP_IMAGE)) {
            next.align(ALIGNMENT);
            files.insert(path.to_owned(), next.take(size));
        }
        next.align(ALIGNMENT);
        Self {
            directories,
            path_table_size,
            little_path_table,
            big_path_table,
            catalog,
            files,
            system: next.0,
        }
    }

    /// GRUB's image for a BIOS has `length` bytes.
    ///
    /// # Errors
    /// There is no room for it.
    pub fn place_bios_image(&mut self, length: u64) -> Result<(), BootSectorError> {
        if length > BIOS_ROOM {
            let problem = format!("it has {length} bytes, and there is room for {BIOS_ROOM}");
            return Err(BootSectorError::DiscImage { problem });
        }
        if let Some(place) = self.files.get_mut(Path::new(BIOS_IMAGE)) {
            place.length = length;
        }
        Ok(())
    }

    /// The place of a file.
    pub fn file(&self, path: &str) -> Option<Extent> {
        self.files.get(Path::new(path)).copied()
    }
}

/// Whether the file at `path` lies behind everything else.
fn is_placed_later(path: &Path) -> bool {
    path == Path::new(SYSTEM) || path == Path::new(MANIFEST)
}

/// Bytes of the image when its file systems end at `end`: room for the copy of the GPT.
pub(crate) fn size_with_table(end: u64) -> u64 {
    end.next_multiple_of(ALIGNMENT) + ALIGNMENT
}

/// Hands out whole blocks, one after the other.
struct Allocator(u64);

impl Allocator {
    fn take(&mut self, length: u64) -> Extent {
        let extent = Extent {
            offset: self.0,
            length,
        };
        self.0 += length.next_multiple_of(BLOCK);
        extent
    }

    fn align(&mut self, alignment: u64) {
        self.0 = self.0.next_multiple_of(alignment);
    }
}

/// The lengths of an entry's records: one for each extent of a file.
fn record_lengths(
    tree: &Tree,
    entry: &Entry,
    largest_system: u64,
) -> impl Iterator<Item = usize> + use<> {
    let size = if entry.path == Path::new(SYSTEM) {
        largest_system
    } else {
        tree.size(entry)
    };
    let records = usize::try_from(size.div_ceil(LARGEST_EXTENT).max(1)).unwrap_or(usize::MAX);
    std::iter::repeat_n(entry.record_length(), records)
}

/// Blocks that records of these lengths take: none lies across the border of two.
fn blocks_of_records(lengths: impl Iterator<Item = usize>) -> u64 {
    let block = 2048;
    let (mut blocks, mut used) = (1, 0);
    for length in lengths {
        if used + length > block {
            blocks += 1;
            used = 0;
        }
        used += length;
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_do_not_cross_blocks() {
        assert_eq!(blocks_of_records([].into_iter()), 1);
        assert_eq!(blocks_of_records([1000, 1000, 48].into_iter()), 1);
        assert_eq!(blocks_of_records([1000, 1000, 49].into_iter()), 2);
    }
}
