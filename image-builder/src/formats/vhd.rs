//! VHD, fixed: the raw image and a footer of 512 bytes.
//!
//! Numbers are big-endian. Azure takes this kind only, of a whole number of MiB.
//!
//! Source: Virtual Hard Disk Image Format Specification, version 1.0.

use crate::region::Region;

use super::raw::Raw;
use super::{Conversion, Failure};

/// Seconds from 1970 to 2000, where the format's time begins.
const YEAR_2000: u32 = 946_684_800;
const FOOTER: u64 = 512;
/// Where the checksum is in the footer.
const CHECKSUM: std::ops::Range<usize> = 64..68;

/// Writes the image, and gives back its length.
pub(super) fn write(
    raw: &Raw,
    conversion: &Conversion<'_>,
    region: &Region<'_>,
) -> Result<u64, Failure> {
    raw.copy(region)?;
    region
        .write_at(&footer(raw.size, conversion), raw.size)
        .map_err(Failure::Write)?;
    Ok(raw.size + FOOTER)
}

fn footer(size: u64, conversion: &Conversion<'_>) -> Vec<u8> {
    let mut bytes = b"conectix".to_vec();
    // The reserved feature that is always set, and version 1.0.
    bytes.extend_from_slice(&2u32.to_be_bytes());
    bytes.extend_from_slice(&0x0001_0000u32.to_be_bytes());
    // No further header.
    bytes.extend_from_slice(&u64::MAX.to_be_bytes());
    let time = conversion.epoch.saturating_sub(YEAR_2000);
    bytes.extend_from_slice(&time.to_be_bytes());
    // Readers take the size for exact from the creators that they know; from others, the geometry,
    // which is smaller.
    bytes.extend_from_slice(b"win ");
    bytes.extend_from_slice(&0x000a_0000u32.to_be_bytes());
    bytes.extend_from_slice(b"Wi2k");
    bytes.extend_from_slice(&size.to_be_bytes());
    bytes.extend_from_slice(&size.to_be_bytes());
    bytes.extend_from_slice(&geometry(size / 512));
    // Fixed.
    bytes.extend_from_slice(&2u32.to_be_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(conversion.uuid("vhd").as_bytes());
    bytes.resize(512, 0);
    let sum: u32 = bytes.iter().map(|byte| u32::from(*byte)).sum();
    if let Some(place) = bytes.get_mut(CHECKSUM) {
        place.copy_from_slice(&(!sum).to_be_bytes());
    }
    bytes
}

/// Cylinders, heads and sectors of a disk of `total` sectors, by the specification's appendix.
fn geometry(total: u64) -> [u8; 4] {
    let total = total.min(65_535 * 16 * 255);
    let (heads, sectors) = if total >= 65_535 * 16 * 63 {
        (16, 255)
    } else {
        let heads = (total / 17).div_ceil(1024).max(4);
        if total / 17 < heads * 1024 && heads <= 16 {
            (heads, 17)
        } else if total / 31 < 16 * 1024 {
            (16, 31)
        } else {
            (16, 63)
        }
    };
    let cylinders = u16::try_from(total / sectors / heads).unwrap_or(u16::MAX);
    let [high, low] = cylinders.to_be_bytes();
    let small = |value: u64| u8::try_from(value).unwrap_or(u8::MAX);
    [high, low, small(heads), small(sectors)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn geometries_are_those_of_the_specification() {
        let found: Vec<String> = [1u64, 32, 127, 512, 1024, 40_960, 200_000, 3_000_000]
            .map(|mib| {
                let [high, low, heads, sectors] = geometry(mib * 2048);
                let cylinders = u16::from_be_bytes([high, low]);
                format!("{mib} MiB: {cylinders}/{heads}/{sectors}\n")
            })
            .to_vec();
        expect_test::expect![[r#"
            1 MiB: 30/4/17
            32 MiB: 963/4/17
            127 MiB: 1019/15/17
            512 MiB: 1040/16/63
            1024 MiB: 2080/16/63
            40960 MiB: 20560/16/255
            200000 MiB: 65535/16/255
            3000000 MiB: 65535/16/255
        "#]]
        .assert_eq(&found.concat());
    }
}
