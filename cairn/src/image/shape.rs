//! What a disk is like beside its content: how large its parts are, and what starts it.

use anyhow::{Result, bail, ensure};
use cairn_image_builder::{DiskError, SectorSize};

use super::EXT4_LIMIT;
use super::facts::Facts;

/// What starts a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Starts {
    /// A BIOS does.
    pub bios: bool,
    /// UEFI firmware does.
    pub uefi: bool,
}

/// MiB of the parts of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Left free in the root.
    pub root: u64,
    /// Left free in `/boot`, where it has a partition of its own.
    pub boot: u64,
    /// Of swap space, if there is to be some.
    pub swap: Option<u64>,
    /// Of the whole disk, where that is said.
    pub disk: Option<u64>,
    /// Not MiB, but what the disk is addressed in.
    pub sector: SectorSize,
}

/// What the configuration says of them.
pub(super) fn sizes(facts: &Facts) -> Result<Sizes> {
    for (option, size) in [
        ("image.freeSpace", facts.free_space),
        ("image.bootFreeSpace", facts.boot_free_space),
        ("image.swapSize", facts.swap_size.unwrap_or_default()),
        ("image.size", facts.size.unwrap_or_default()),
    ] {
        ensure!(
            size <= EXT4_LIMIT,
            "cannot make a disk with {option} = {size}: that is counted in MiB, and at most {EXT4_LIMIT} are possible"
        );
    }
    Ok(Sizes {
        root: facts.free_space,
        boot: facts.boot_free_space,
        swap: facts.swap_size,
        disk: facts.size,
        sector: match facts.sector_size {
            512 => SectorSize::Bytes512,
            4096 => SectorSize::Bytes4096,
            other => bail!(
                "cannot make a disk with sectors of {other} bytes; set image.sectorSize to 512 or 4096"
            ),
        },
    })
}

impl Sizes {
    /// What cannot be made, in the words of the configuration.
    pub(super) fn explain(&self, error: DiskError) -> anyhow::Error {
        match error {
            DiskError::TooSmall { size, needed } => {
                let (size, needed, free) = (size >> 20, needed >> 20, self.root);
                anyhow::anyhow!(
                    "cannot make a disk of image.size = {size} MiB: with image.freeSpace = {free} it takes {needed} MiB; \
                     raise image.size, or lower image.freeSpace"
                )
            }
            error => error.into(),
        }
    }
}

/// What starts the disk: what the configuration has GRUB for, and what can.
pub(super) fn starts(facts: &Facts, sector: SectorSize) -> Result<Starts> {
    let starts = Starts {
        bios: facts.bios && sector == SectorSize::Bytes512,
        uefi: facts.uefi,
    };
    ensure!(
        starts.bios || starts.uefi || facts.bios,
        "cannot make a disk that nothing starts: boot.loader.grub.device is \"nodev\", so that no BIOS does, and \
         boot.loader.grub.efiSupport is false; change one of them"
    );
    ensure!(
        starts.bios || starts.uefi,
        "cannot make a disk with sectors of 4096 bytes that no UEFI firmware starts, since no BIOS does; set \
         boot.loader.grub.efiSupport to true, or image.sectorSize to 512"
    );
    Ok(starts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_starts_a_disk_is_what_the_configuration_has() {
        let said = |bios: bool, uefi: bool, sector: SectorSize| {
            let facts = serde_json::json!({
                "hostName": "box", "fileSystems": {}, "freeSpace": 1, "bootFreeSpace": 1,
                "swapDevices": [], "swapSize": null, "size": null, "sectorSize": 512, "grub": null,
                "bios": bios, "uefi": uefi,
            });
            let facts: Facts = serde_json::from_value(facts).unwrap();
            match starts(&facts, sector) {
                Ok(Starts { bios, uefi }) => format!("BIOS: {bios}, UEFI: {uefi}"),
                Err(error) => error.to_string(),
            }
        };
        let large = SectorSize::Bytes4096;
        let all = [
            said(true, true, SectorSize::Bytes512),
            said(true, false, SectorSize::Bytes512),
            said(false, true, SectorSize::Bytes512),
            said(false, false, SectorSize::Bytes512),
            said(true, true, large),
            said(true, false, large),
        ];
        expect_test::expect![[r#"
            BIOS: true, UEFI: true
            BIOS: true, UEFI: false
            BIOS: false, UEFI: true
            cannot make a disk that nothing starts: boot.loader.grub.device is "nodev", so that no BIOS does, and boot.loader.grub.efiSupport is false; change one of them
            BIOS: false, UEFI: true
            cannot make a disk with sectors of 4096 bytes that no UEFI firmware starts, since no BIOS does; set boot.loader.grub.efiSupport to true, or image.sectorSize to 512"#]].assert_eq(&all.join("\n"));
    }

    #[test]
    fn room_that_no_disk_has_is_refused() {
        let said = |free: u64, boot: u64, swap: Option<u64>, whole: Option<u64>, sector: u64| {
            let facts = serde_json::json!({
                "hostName": "box", "fileSystems": {}, "freeSpace": free, "bootFreeSpace": boot,
                "swapDevices": [], "swapSize": swap, "size": whole, "sectorSize": sector, "grub": null,
                "bios": true, "uefi": true,
            });
            let facts: Facts = serde_json::from_value(facts).unwrap();
            sizes(&facts).map_or_else(|error| error.to_string(), |_| "good".to_owned())
        };
        // So many MiB are a multiple of 2^64 bytes.
        let none = 1 << 44;
        let all = [
            said(1024, 1, Some(1), Some(4096), 4096),
            said(none, 1, None, None, 512),
            said(1, none, None, None, 512),
            said(1, 1, Some(none), None, 512),
            said(1, 1, None, Some(none), 512),
            said(1, 1, None, None, 520),
        ];
        expect_test::expect![[r#"
            good
            cannot make a disk with image.freeSpace = 17592186044416: that is counted in MiB, and at most 16777216 are possible
            cannot make a disk with image.bootFreeSpace = 17592186044416: that is counted in MiB, and at most 16777216 are possible
            cannot make a disk with image.swapSize = 17592186044416: that is counted in MiB, and at most 16777216 are possible
            cannot make a disk with image.size = 17592186044416: that is counted in MiB, and at most 16777216 are possible
            cannot make a disk with sectors of 520 bytes; set image.sectorSize to 512 or 4096"#]].assert_eq(&all.join("\n"));
    }

    #[test]
    fn a_disk_that_is_too_small_is_refused_with_the_size_that_would_do() {
        let sizes = Sizes {
            root: 1024,
            boot: 1,
            swap: None,
            disk: Some(900),
            sector: SectorSize::Bytes512,
        };
        let error = sizes.explain(DiskError::TooSmall {
            size: 900 << 20,
            needed: 1400 << 20,
        });
        expect_test::expect![
            "cannot make a disk of image.size = 900 MiB: with image.freeSpace = 1024 it takes 1400 MiB; raise image.size, or lower image.freeSpace"
        ]
        .assert_eq(&error.to_string());
    }
}
