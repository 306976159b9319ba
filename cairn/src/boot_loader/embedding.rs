//! Which bytes a disk gets so that a BIOS starts GRUB.
//!
//! The room for a core image has two halves. The boot sector names the sector that the core begins at:
//! a core that differs goes into the half that is not named, and then the boot sector names that one.

use cairn_bootloader::{BootSectorError, patch_boot_sector, patch_core_image};

/// Where a disk has room for a core image, in sectors of 512 bytes: what a BIOS reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// The first sector.
    pub start: u64,
    /// How many there are.
    pub sectors: u64,
}

/// Bytes of a sector.
pub const SECTOR: u64 = 512;

/// Where the boot sector has the number of the core's first sector.
const CORE_SECTOR: std::ops::Range<usize> = 0x5c..0x64;

/// What is to be on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Embedding {
    /// The core's first sector.
    pub core_sector: u64,
    /// The core, bound to its place.
    pub core: Vec<u8>,
    /// The boot code: the first 440 bytes of the disk.
    pub boot_code: [u8; 440],
}

/// Why a core image cannot be on a disk.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum EmbeddingError {
    /// An image is none of GRUB's.
    #[error(transparent)]
    Image(#[from] BootSectorError),
    /// Two do not fit.
    #[error(
        "there is room for {room} bytes, and two core images of {size} bytes are to fit, so that a new one \
         never replaces the one that starts"
    )]
    NoRoom {
        /// Bytes of the room.
        room: u64,
        /// Bytes of a core image.
        size: usize,
    },
}

impl Room {
    /// The sectors that its halves begin at.
    fn halves(self) -> [u64; 2] {
        [self.start, self.start + self.sectors / 2]
    }

    /// The half that `boot_sector` starts, if it starts one.
    fn used(self, boot_sector: &[u8]) -> Option<u64> {
        let bytes = boot_sector.get(CORE_SECTOR)?;
        let sector = u64::from_le_bytes(bytes.try_into().ok()?);
        self.halves().into_iter().find(|half| *half == sector)
    }
}

/// What `room` is to hold beside what `boot_sector`, the disk's first one, starts now. `at` reads as many
/// bytes as asked for from a sector on.
///
/// # Errors
/// See [`EmbeddingError`].
pub fn embedding<E: From<EmbeddingError>>(
    room: Room,
    boot_sector: &[u8],
    boot_img: &[u8],
    core_img: &[u8],
    at: impl FnOnce(u64, usize) -> Result<Vec<u8>, E>,
) -> Result<Embedding, E> {
    let [first, second] = room.halves();
    let half = (second - first) * SECTOR;
    if core_img.len() as u64 > half {
        return Err(EmbeddingError::NoRoom {
            room: room.sectors * SECTOR,
            size: core_img.len(),
        }
        .into());
    }
    let bound = |core_sector| {
        Ok::<_, EmbeddingError>(Embedding {
            core_sector,
            core: patch_core_image(core_img, core_sector).map_err(EmbeddingError::Image)?,
            boot_code: patch_boot_sector(boot_img, core_sector).map_err(EmbeddingError::Image)?,
        })
    };
    let Some(used) = room.used(boot_sector) else {
        return Ok(bound(first)?);
    };
    let same = bound(used)?;
    if at(used, same.core.len())? == same.core {
        return Ok(same);
    }
    Ok(bound(if used == first { second } else { first })?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: Room = Room {
        start: 2048,
        sectors: 8,
    };

    fn boot_img() -> Vec<u8> {
        let mut image = vec![0x11; 512];
        image[0x66] = 0xeb;
        image[510..].copy_from_slice(&[0x55, 0xaa]);
        image
    }

    /// A core of `sectors` sectors whose text is `byte`.
    fn core_img(byte: u8, sectors: u8) -> Vec<u8> {
        let mut image = vec![byte; usize::from(sectors) * 512];
        image[500..512].copy_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, sectors - 1, 0, 0x20, 0x08]);
        image
    }

    /// A disk of sectors, changed as [`embedding`] says.
    struct Disk(Vec<u8>);

    impl Disk {
        fn install(&mut self, core: &[u8]) -> Result<u64, EmbeddingError> {
            let bytes = &self.0;
            let plan = embedding(ROOM, &bytes[..512], &boot_img(), core, |sector, length| {
                let start = usize::try_from(sector * SECTOR).unwrap();
                Ok::<_, EmbeddingError>(bytes[start..start + length].to_vec())
            })?;
            let start = usize::try_from(plan.core_sector * SECTOR).unwrap();
            self.0[start..start + plan.core.len()].copy_from_slice(&plan.core);
            self.0[..440].copy_from_slice(&plan.boot_code);
            Ok(plan.core_sector)
        }
    }

    #[test]
    fn a_new_core_never_goes_over_the_one_that_starts() {
        let mut disk = Disk(vec![0; 2056 * 512]);
        assert_eq!(disk.install(&core_img(1, 3)), Ok(2048));
        assert_eq!(disk.install(&core_img(1, 3)), Ok(2048), "nothing changes");
        assert_eq!(disk.install(&core_img(2, 3)), Ok(2052));
        assert_eq!(disk.install(&core_img(2, 3)), Ok(2052));
        assert_eq!(disk.install(&core_img(3, 4)), Ok(2048));
    }

    #[test]
    fn a_core_has_half_the_room() {
        let mut disk = Disk(vec![0; 2056 * 512]);
        assert_eq!(
            disk.install(&core_img(1, 5)),
            Err(EmbeddingError::NoRoom {
                room: 4096,
                size: 2560
            })
        );
    }
}
