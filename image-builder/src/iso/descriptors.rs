//! What firmware and kernels read first: volume descriptors, path tables, the boot catalog.
//!
//! Source: ECMA-119, 8.4 (primary volume descriptor), 8.2 (boot record), 9.4 (path tables); El
//! Torito 1.0, section 2 (catalog), and UEFI 2.10, 13.3.2.1 (its entry for platform 0xef).

use cairn_system::live::{APPLICATION_USE, APPLICATION_USE_SIZE, DESCRIPTOR_SIZE, Extent};

use super::date::long_date;
use super::layout::{BLOCK, Layout};
use super::record::{both16, both32, number, root_record};
use super::tree::Tree;

/// One block, filled field by field.
struct Block(Vec<u8>);

impl Block {
    fn new(kind: u8) -> Self {
        let mut block = Self(vec![0; DESCRIPTOR_SIZE]);
        block.put(0, &[kind]);
        block.put(1, b"CD001\x01");
        block
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        let to = self.0.iter_mut().skip(at);
        to.zip(bytes).for_each(|(to, from)| *to = *from);
    }

    /// `text` in a field of `length` bytes, filled up with blanks.
    fn put_text(&mut self, at: usize, length: usize, text: &str) {
        let bytes = text.bytes().chain(std::iter::repeat(b' ')).take(length);
        self.put(at, &bytes.collect::<Vec<_>>());
    }
}

/// What the primary volume descriptor says beside the layout.
pub(crate) struct Volume<'a> {
    /// The label.
    pub label: &'a str,
    /// What tells the medium from others.
    pub id: &'a str,
    /// The text for stage 1.
    pub application: &'a str,
    /// Bytes up to the end of the last file.
    pub size: u64,
    /// The time that it bears.
    pub epoch: u32,
}

/// The primary volume descriptor.
pub(crate) fn primary(volume: &Volume<'_>, tree: &Tree, layout: &Layout) -> Vec<u8> {
    let mut block = Block::new(1);
    block.put_text(8, 32, "LINUX");
    block.put_text(40, 32, volume.label);
    block.put(80, &both32(number(volume.size / BLOCK)));
    for at in [120, 124] {
        block.put(at, &both16(1)); // volume 1 of 1
    }
    block.put(128, &both16(2048));
    block.put(132, &both32(number(layout.path_table_size)));
    block.put(140, &number(layout.little_path_table).to_le_bytes());
    block.put(148, &number(layout.big_path_table).to_be_bytes());
    let root = tree
        .directories
        .first()
        .and_then(|root| root.entries.first());
    if let (Some(root), Some(extent)) = (root, layout.directories.first()) {
        block.put(156, &root_record(root, *extent, volume.epoch));
    }
    block.put_text(190, 128, volume.id);
    block.put_text(318, 128, "");
    block.put_text(446, 128, "CAIRN");
    block.put_text(574, 128, "CAIRN");
    for at in [702, 739, 776] {
        block.put_text(at, 37, "");
    }
    let date = long_date(volume.epoch);
    block.put(813, &date); // made
    block.put(830, &date); // changed
    block.put(847, b"0000000000000000\0"); // never obsolete
    block.put(864, &date); // valid
    block.put(881, &[1]);
    block.put_text(APPLICATION_USE, APPLICATION_USE_SIZE, volume.application);
    block.0
}

/// The boot record that names El Torito's catalog.
pub(crate) fn boot_record(catalog: u64) -> Vec<u8> {
    let mut block = Block::new(0);
    block.put(7, b"EL TORITO SPECIFICATION");
    block.put(71, &number(catalog).to_le_bytes());
    block.0
}

/// The end of the descriptors.
pub(crate) fn terminator() -> Vec<u8> {
    Block::new(255).0
}

/// The path table in one order of bytes.
pub(crate) fn path_table(tree: &Tree, layout: &Layout, order: Order) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (directory, extent) in tree.directories.iter().zip(&layout.directories) {
        let block = number(extent.offset / BLOCK);
        let parent = u16::try_from(directory.parent + 1).unwrap_or(u16::MAX);
        bytes.push(u8::try_from(directory.identifier.len()).unwrap_or(u8::MAX));
        bytes.push(0);
        match order {
            Order::Little => {
                bytes.extend(block.to_le_bytes());
                bytes.extend(parent.to_le_bytes());
            }
            Order::Big => {
                bytes.extend(block.to_be_bytes());
                bytes.extend(parent.to_be_bytes());
            }
        }
        bytes.extend(&directory.identifier);
        if directory.identifier.len() % 2 == 1 {
            bytes.push(0);
        }
    }
    bytes
}

/// The order of bytes.
#[derive(Clone, Copy)]
pub(crate) enum Order {
    /// Least significant first.
    Little,
    /// Most significant first.
    Big,
}

/// El Torito's catalog: GRUB's image for a BIOS, of which four sectors are loaded, and the EFI
/// system partition for UEFI.
pub(crate) fn boot_catalog(bios: Extent, esp: Option<Extent>) -> Vec<u8> {
    const BOOTABLE: u8 = 0x88;
    const LAST_SECTION: u8 = 0x91;
    const EFI: u8 = 0xef;
    let mut block = Block(vec![0; DESCRIPTOR_SIZE]);
    // The sum of its 16-bit words is 0.
    block.put(0, &[1]);
    block.put(28, &[0xaa, 0x55, 0x55, 0xaa]);
    block.put(32, &[BOOTABLE, 0, 0, 0, 0, 0, 4, 0]);
    block.put(40, &number(bios.offset / BLOCK).to_le_bytes());
    if let Some(esp) = esp {
        block.put(64, &[LAST_SECTION, EFI, 1, 0]);
        // A count that does not fit means: to the end.
        let sectors = u16::try_from(esp.length / 512).unwrap_or(0);
        block.put(96, &[BOOTABLE, 0, 0, 0, 0, 0]);
        block.put(102, &sectors.to_le_bytes());
        block.put(104, &number(esp.offset / BLOCK).to_le_bytes());
    }
    block.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalog_is_valid() {
        let extent = |block: u64, length| Extent {
            offset: block * BLOCK,
            length,
        };
        let catalog = boot_catalog(extent(30, 99), Some(extent(512, 4 << 20)));
        let sum = catalog[..32].chunks(2).fold(0u16, |sum, word| {
            sum.wrapping_add(u16::from_le_bytes([word[0], word[1]]))
        });
        assert_eq!(sum, 0);
        assert_eq!(&catalog[30..32], [0x55, 0xaa]);
        assert_eq!(&catalog[102..108], [0, 32, 0, 2, 0, 0]);
        assert!(
            boot_catalog(extent(30, 99), None)[64..]
                .iter()
                .all(|byte| *byte == 0)
        );
    }
}
