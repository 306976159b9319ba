//! The numbers that tell a disk and its parts from every other, derived from one seed.
//!
//! They are known before anything of the image is: GRUB's early configuration and the kernel's
//! parameters name the root file system by its UUID.

use uuid::Uuid;

/// All identifiers of one disk image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identifiers {
    /// GUID of the disk.
    pub disk: Uuid,
    /// GUID of the BIOS boot partition.
    pub bios_boot_partition: Uuid,
    /// GUID of the EFI system partition.
    pub esp_partition: Uuid,
    /// GUID of the root partition: `PARTUUID=`.
    pub root_partition: Uuid,
    /// UUID of the root file system: `UUID=`.
    pub root_file_system: Uuid,
    /// GUID of the partition of `/boot`, where it has one.
    pub boot_partition: Uuid,
    /// UUID of its file system.
    pub boot_file_system: Uuid,
    /// GUID of the swap partition, where there is one.
    pub swap_partition: Uuid,
    /// UUID of the swap space in it.
    pub swap: Uuid,
    /// Serial number of the EFI system partition's FAT: `UUID=XXXX-XXXX`.
    pub esp_serial: u32,
}

impl Identifiers {
    /// Those of the image with `seed`, which should be a hash of what goes into the image.
    ///
    /// UUIDs are of version 8 (RFC 9562, section 5.8: vendor-specific).
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let derive = |purpose: &str| derive("disk image", purpose, seed);
        let uuid = |purpose| Uuid::new_v8(derive(purpose));
        let [a, b, c, d, ..] = derive("EFI system partition serial");
        Self {
            disk: uuid("disk"),
            bios_boot_partition: uuid("BIOS boot partition"),
            esp_partition: uuid("EFI system partition"),
            root_partition: uuid("root partition"),
            root_file_system: uuid("root file system"),
            boot_partition: uuid("boot partition"),
            boot_file_system: uuid("boot file system"),
            swap_partition: uuid("swap partition"),
            swap: uuid("swap space"),
            esp_serial: u32::from_le_bytes([a, b, c, d]),
        }
    }
}

/// An identifier of a medium of this kind: a BLAKE3 hash of `seed`, keyed by its purpose.
pub(crate) fn derive(kind: &str, purpose: &str, seed: &[u8; 32]) -> [u8; 16] {
    let mut bytes = [0; 16];
    blake3::Hasher::new_derive_key(&format!("cairn 2026 {kind}: {purpose}"))
        .update(seed)
        .finalize_xof()
        .fill(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn they_are_fixed_by_the_seed_and_differ() {
        let identifiers = Identifiers::from_seed(&[7; 32]);
        expect![[r#"
            Identifiers {
                disk: 944232c2-11d2-8fa1-a8f6-936c0ab7a30b,
                bios_boot_partition: 306dd0a1-aebe-8892-8da8-a7acf9f747d7,
                esp_partition: fcf6b3b7-d7e4-8cf8-9af6-06e5e06988f8,
                root_partition: 71f5e8a0-6b8c-8748-8a6e-bad137631304,
                root_file_system: 397e55e7-c7d8-8823-8749-8b304cacefdb,
                boot_partition: f5b5c0aa-3f16-85fc-8f1b-3df58852566c,
                boot_file_system: e41361af-1e4d-89fa-9511-b6ab30a6415c,
                swap_partition: bc687b4d-03ca-8103-bce0-9de4e3980191,
                swap: 7174d217-44ff-8e07-83b9-d29b5c0a157f,
                esp_serial: 738677190,
            }
        "#]]
        .assert_debug_eq(&identifiers);
        let uuids = [
            identifiers.disk,
            identifiers.bios_boot_partition,
            identifiers.esp_partition,
            identifiers.root_partition,
            identifiers.root_file_system,
            identifiers.boot_partition,
            identifiers.boot_file_system,
            identifiers.swap_partition,
            identifiers.swap,
        ];
        for (index, uuid) in uuids.iter().enumerate() {
            assert!(!uuids[index + 1..].contains(uuid));
        }
        assert_ne!(identifiers, Identifiers::from_seed(&[8; 32]));
    }
}
