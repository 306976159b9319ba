//! What binds GRUB's images to their place on a BIOS disk.
//!
//! ```text
//! boot.img, 512 bytes, to LBA 0         core.img, to the BIOS boot partition at LBA P
//! 0x000..0x1b8  code                    0x1f4  u64  next sector to load    := P + 1
//! 0x05c  u64    core.img's LBA := P     0x1fc  u16  number of sectors      \ right as
//! 0x064  u8     boot drive, 0xff: asked 0x1fe  u16  segment to load to     / grub-mkimage made it
//! 0x066  2      drive check  := nop nop
//! ```
//!
//! On a disc, and a stick that has its image:
//!
//! ```text
//! boot_hybrid.img, to LBA 0 of a stick   disc.img, cdboot.img and the core, at block B of 2048
//! 0x1b0  u64  LBA to load := 4 B + 4     0x008  4 u32  boot information table: 16, B, length, sum
//!                                        0x9f4  u64    next sector to load := 4 B + 5
//! ```
//!
//! Source: GRUB 2.06, `include/grub/i386/pc/boot.h` (`GRUB_BOOT_MACHINE_KERNEL_SECTOR` 0x5c,
//! `GRUB_BOOT_MACHINE_DRIVE_CHECK` 0x66, `GRUB_BOOT_MACHINE_LIST_SIZE` 12) and
//! `util/setup.c`, which overwrites the jump at the drive check in the same way: some BIOSes hand
//! over a wrong drive number in `dl`, and the check would correct a right one. For discs,
//! `grub-core/boot/i386/pc/cdboot.S`, and `xorriso -as mkisofs`, `--grub2-mbr`, `--grub2-boot-info` and
//! `-boot-info-table` (isolinux's).

/// Size of a sector in bytes.
const SECTOR: usize = 512;
/// Length of the boot code in a master boot record, before its disk signature and table.
const CODE: usize = 440;
const KERNEL_SECTOR: usize = 0x5c;
const DRIVE_CHECK: usize = 0x66;
const BLOCK_LIST: usize = SECTOR - 12;
const HYBRID_SECTOR: usize = 0x1b0;
const BOOT_INFORMATION: usize = 8;
const BOOT_INFORMATION_END: usize = 64;
const DISC_SECTOR: usize = 2548;
/// The block of the primary volume descriptor on every disc.
const PRIMARY_DESCRIPTOR: u32 = 16;

/// Why an image of GRUB's is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BootSectorError {
    /// Not a boot sector of GRUB's.
    #[error("cannot use boot.img: {problem}; it should be GRUB's for i386-pc")]
    BootImage {
        /// What is wrong.
        problem: String,
    },
    /// Not GRUB's boot sector for sticks.
    #[error("cannot use boot_hybrid.img: {problem}; it should be GRUB's for i386-pc")]
    HybridImage {
        /// What is wrong.
        problem: String,
    },
    /// Not an image for discs.
    #[error(
        "cannot use GRUB's image for discs: {problem}; it should be from grub-mkimage -O i386-pc-eltorito"
    )]
    DiscImage {
        /// What is wrong.
        problem: String,
    },
    /// Not a core image for BIOS.
    #[error("cannot use core.img: {problem}; it should be from grub-mkimage -O i386-pc")]
    CoreImage {
        /// What is wrong.
        problem: String,
    },
}

/// The boot code for LBA 0, from GRUB's `boot.img`: it starts the core image at the sector
/// `core_lba`.
///
/// # Errors
/// `boot_img` is no boot sector of GRUB's.
pub fn patch_boot_sector(boot_img: &[u8], core_lba: u64) -> Result<[u8; CODE], BootSectorError> {
    let refused = |problem: String| BootSectorError::BootImage { problem };
    if boot_img.len() != SECTOR {
        return Err(refused(format!("it has {} bytes, not 512", boot_img.len())));
    }
    if boot_img.get(SECTOR - 2..) != Some(&[0x55, 0xaa]) {
        return Err(refused("its last bytes are not 55 aa".to_owned()));
    }
    // The drive check is a jump over the BIOS's value: `jmp` (eb) or, already patched, two nops.
    if !matches!(boot_img.get(DRIVE_CHECK), Some(0xeb | 0x90)) {
        return Err(refused("there is no drive check at 0x66".to_owned()));
    }
    let mut code = [0; CODE];
    code.iter_mut()
        .zip(boot_img)
        .for_each(|(to, from)| *to = *from);
    put(&mut code, KERNEL_SECTOR, &core_lba.to_le_bytes());
    put(&mut code, DRIVE_CHECK, &[0x90, 0x90]);
    Ok(code)
}

/// The core image to be written at the sector `core_lba`: its first sector loads the rest from
/// the sectors that follow.
///
/// # Errors
/// `core_img` is no core image for BIOS.
pub fn patch_core_image(core_img: &[u8], core_lba: u64) -> Result<Vec<u8>, BootSectorError> {
    let refused = |problem: String| BootSectorError::CoreImage { problem };
    let field = |at: usize| match core_img.get(at..at + 2) {
        Some(&[low, high]) => Some(usize::from(u16::from_le_bytes([low, high]))),
        _ => None,
    };
    let (Some(sectors), Some(segment)) = (field(BLOCK_LIST + 8), field(BLOCK_LIST + 10)) else {
        return Err(refused(format!("it has {} bytes only", core_img.len())));
    };
    let following = core_img.len().div_ceil(SECTOR) - 1;
    if sectors != following || segment != 0x820 {
        return Err(refused(format!(
            "it asks for {sectors} sectors at segment {segment:#x} and has {following}"
        )));
    }
    let mut core = core_img.to_vec();
    put(&mut core, BLOCK_LIST, &(core_lba + 1).to_le_bytes());
    Ok(core)
}

/// The boot code of a stick that has a disc's image, from GRUB's `boot_hybrid.img`: it starts the
/// image for discs that lies at the sector `image_lba`, past that image's own first 2048 bytes.
///
/// # Errors
/// `hybrid_img` is no boot sector of GRUB's.
pub fn patch_hybrid_boot_sector(
    hybrid_img: &[u8],
    image_lba: u64,
) -> Result<[u8; CODE], BootSectorError> {
    let refused = |problem: String| BootSectorError::HybridImage { problem };
    if hybrid_img.len() != SECTOR {
        let length = hybrid_img.len();
        return Err(refused(format!("it has {length} bytes, not 512")));
    }
    if hybrid_img.get(SECTOR - 2..) != Some(&[0x55, 0xaa]) {
        return Err(refused("its last bytes are not 55 aa".to_owned()));
    }
    let mut code = [0; CODE];
    code.iter_mut()
        .zip(hybrid_img)
        .for_each(|(to, from)| *to = *from);
    put(&mut code, HYBRID_SECTOR, &(image_lba + 4).to_le_bytes());
    Ok(code)
}

/// GRUB's image for discs, to lie at the block `block` of 2048 bytes: it knows its own place, and
/// its length and sum by the boot information table.
///
/// # Errors
/// `disc_img` is no such image.
pub fn patch_disc_image(disc_img: &[u8], block: u64) -> Result<Vec<u8>, BootSectorError> {
    let refused = |problem: String| BootSectorError::DiscImage { problem };
    let length = disc_img.len();
    if length < DISC_SECTOR + 8 {
        return Err(refused(format!("it has {length} bytes only")));
    }
    let short = |number: u64, what: &str| {
        u32::try_from(number).map_err(|_| refused(format!("its {what} is too large")))
    };
    let (lba, bytes) = (short(block, "place")?, short(length as u64, "length")?);
    let mut image = disc_img.to_vec();
    image.resize(length.next_multiple_of(4), 0);
    put(&mut image, DISC_SECTOR, &(block * 4 + 5).to_le_bytes());
    let sum = image
        .get(BOOT_INFORMATION_END..)
        .unwrap_or_default()
        .chunks_exact(4)
        .fold(0u32, |sum, word| match *word {
            [a, b, c, d] => sum.wrapping_add(u32::from_le_bytes([a, b, c, d])),
            _ => sum,
        });
    put(
        &mut image,
        BOOT_INFORMATION,
        &[0; BOOT_INFORMATION_END - BOOT_INFORMATION],
    );
    for (index, word) in [PRIMARY_DESCRIPTOR, lba, bytes, sum]
        .into_iter()
        .enumerate()
    {
        put(
            &mut image,
            BOOT_INFORMATION + 4 * index,
            &word.to_le_bytes(),
        );
    }
    image.truncate(length);
    Ok(image)
}

/// Writes `bytes` at `at`, which is inside of `image`.
fn put(image: &mut [u8], at: usize, bytes: &[u8]) {
    image
        .iter_mut()
        .skip(at)
        .zip(bytes)
        .for_each(|(to, from)| *to = *from);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boot_img() -> Vec<u8> {
        let mut image = vec![0x11; SECTOR];
        image[DRIVE_CHECK] = 0xeb;
        image[SECTOR - 2..].copy_from_slice(&[0x55, 0xaa]);
        image
    }

    fn core_img() -> Vec<u8> {
        let mut image = vec![0x22; 3 * SECTOR + 1];
        image[BLOCK_LIST..SECTOR].copy_from_slice(&[2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0x20, 8]);
        image
    }

    #[test]
    fn only_the_documented_bytes_change() {
        let lba = 0x0102_0304_0506_0708;
        let sector = patch_boot_sector(&boot_img(), lba).unwrap();
        for (at, byte) in sector.iter().enumerate() {
            let wanted = match at {
                0x5c..0x64 => 8 - u8::try_from(at - 0x5c).unwrap(),
                0x66 | 0x67 => 0x90,
                _ => 0x11,
            };
            assert_eq!(*byte, wanted, "{at:#x}");
        }
        let core_image = patch_core_image(&core_img(), lba).unwrap();
        for (at, (byte, was)) in core_image.iter().zip(core_img()).enumerate() {
            let wanted = match at {
                0x1f4 => 9,
                0x1f5..0x1fc => 8 - u8::try_from(at - 0x1f4).unwrap(),
                _ => was,
            };
            assert_eq!(*byte, wanted, "{at:#x}");
        }
    }

    #[test]
    fn other_images_are_refused() {
        let mut no_check = boot_img();
        no_check[DRIVE_CHECK] = 0;
        for (image, problem) in [
            (Vec::new(), "it has 0 bytes, not 512"),
            (vec![0; SECTOR], "its last bytes are not 55 aa"),
            (no_check, "there is no drive check at 0x66"),
        ] {
            let message = patch_boot_sector(&image, 1).unwrap_err().to_string();
            assert_eq!(
                message,
                format!("cannot use boot.img: {problem}; it should be GRUB's for i386-pc")
            );
        }
        for (image, problem) in [
            (Vec::new(), "it has 0 bytes only"),
            (
                vec![0; 600],
                "it asks for 0 sectors at segment 0x0 and has 1",
            ),
        ] {
            let message = patch_core_image(&image, 1).unwrap_err().to_string();
            assert_eq!(
                message,
                format!(
                    "cannot use core.img: {problem}; it should be from grub-mkimage -O i386-pc"
                )
            );
        }
    }

    #[test]
    fn a_discs_image_knows_its_place() {
        let image: Vec<u8> = (0..30_001u32).map(|n| n.to_le_bytes()[0]).collect();
        let patched = patch_disc_image(&image, 32).unwrap();
        assert_eq!(patched.len(), image.len());
        let word = |at: usize| u32::from_le_bytes(patched[at..at + 4].try_into().unwrap());
        assert_eq!([word(8), word(12), word(16)], [16, 32, 30_001]);
        let mut padded = patched.clone();
        padded.resize(30_004, 0);
        let sum = padded[64..].chunks(4).fold(0u32, |sum, word| {
            sum.wrapping_add(u32::from_le_bytes(word.try_into().unwrap()))
        });
        assert_eq!(word(20), sum);
        assert!(patched[24..64].iter().all(|byte| *byte == 0));
        assert_eq!(patched[2548..2556], 133u64.to_le_bytes());
        let error = patch_disc_image(&image[..2000], 32).unwrap_err();
        assert!(error.to_string().contains("2000 bytes only"));
        assert!(patch_disc_image(&image, 1 << 40).is_err());
    }

    #[test]
    fn a_sticks_boot_sector_starts_the_discs_image() {
        let code = patch_hybrid_boot_sector(&boot_img(), 128).unwrap();
        assert_eq!(code[0x1b0..], 132u64.to_le_bytes());
        assert_eq!(code[..DRIVE_CHECK], boot_img()[..DRIVE_CHECK]);
        let mut image = boot_img();
        image[SECTOR - 1] = 0;
        assert!(patch_hybrid_boot_sector(&image, 128).is_err());
        assert!(patch_hybrid_boot_sector(&image[..511], 128).is_err());
    }
}
