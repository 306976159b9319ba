//! VDI, dynamic: blocks of 1 MiB, each with data stored once and in order.
//!
//! ```text
//! header, 512 bytes | u32 place of each block | zeros to 1 MiB | blocks
//! ```
//! Numbers are little-endian.
//!
//! Source: block/vdi.c of QEMU; `VDICore.h` of VirtualBox.

use crate::region::Region;

use super::raw::Raw;
use super::{Conversion, Failure, u32_of};

const BLOCK: u64 = 1 << 20;
const MAP: u32 = 512;
/// The place of a block that has no data.
const FREE: u32 = u32::MAX;
const TEXT: &[u8] = b"<<< Oracle VM VirtualBox Disk Image >>>\n";

/// Writes the image, and gives back its length.
pub(super) fn write(
    raw: &Raw,
    conversion: &Conversion<'_>,
    region: &Region<'_>,
) -> Result<u64, Failure> {
    let count = u32_of(raw.size.div_ceil(BLOCK))?;
    let data = (u64::from(MAP) + 4 * u64::from(count)).next_multiple_of(BLOCK);
    let blocks = raw.copy_units(region, BLOCK, data)?;
    let mut bytes = vec![0; 64];
    if let Some(text) = bytes.get_mut(..TEXT.len()) {
        text.copy_from_slice(TEXT);
    }
    let mut put = |values: &[u32]| {
        for value in values {
            bytes.extend_from_slice(&value.to_le_bytes());
        }
    };
    // Signature, version 1.1, bytes of the header from its length on, dynamic, no flags.
    put(&[0xbeda_107f, 0x0001_0001, 400, 1, 0]);
    // No description.
    put(&[0; 64]);
    // Places, then the old geometry with its sectors of 512 bytes.
    put(&[MAP, u32_of(data)?, 0, 0, 0, 512, 0]);
    bytes.extend_from_slice(&raw.size.to_le_bytes());
    for value in [u32_of(BLOCK)?, 0, count, u32_of(blocks.len() as u64)?] {
        bytes.extend_from_slice(&value.to_le_bytes());
    }
    for purpose in ["vdi", "vdi last change"] {
        bytes.extend_from_slice(&conversion.uuid(purpose).to_bytes_le());
    }
    // Neither linked to another image nor a child of one; no geometry.
    bytes.resize(512, 0);
    let mut used = blocks.iter().zip(0u32..).peekable();
    for block in 0..u64::from(count) {
        let place = used.next_if(|(used, _)| **used == block);
        bytes.extend_from_slice(&place.map_or(FREE, |(_, place)| place).to_le_bytes());
    }
    region.write_at(&bytes, 0).map_err(Failure::Write)?;
    Ok(data + blocks.len() as u64 * BLOCK)
}
