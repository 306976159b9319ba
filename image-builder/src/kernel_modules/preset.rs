//! Sets of modules for initrds that do not know the machine, and the modules of file systems.
//!
//! Only what leads to the root and to a shell in an emergency is here: networks, screens and the
//! rest of the machine wait for stage 2. Names of a preset that a kernel lacks, or has compiled in,
//! are passed over.

/// What a virtual machine may boot from, under QEMU, `VirtualBox`, `VMware`, Hyper-V, Xen
/// and in clouds.
pub const VIRTUAL_MACHINE: &[&str] = &[
    // Disks.
    "virtio_pci",
    "virtio_mmio",
    "virtio_blk",
    "virtio_scsi",
    "nvme",
    "ahci",
    "ata_piix",
    "mptspi",
    "mptsas",
    "vmw_pvscsi",
    "hv_storvsc",
    "xen_blkfront",
    "xen_scsifront",
    "sd_mod",
    "sr_mod",
    // Random numbers, console and keyboard.
    "virtio_rng",
    "virtio_console",
    "hv_vmbus",
    "i8042",
    "atkbd",
    "hyperv_keyboard",
    "hid_generic",
    "usbhid",
    "xhci_pci",
    "ehci_pci",
    "uhci_hcd",
    "usb_storage",
    "uas",
    // Watchdogs, and what keeps the log of a trial that fails.
    "i6300esb",
    "iTCO_wdt",
    "wdat_wdt",
    "softdog",
    "efi_pstore",
];

/// What a machine of any make may boot from: a stick, a disc, a disk.
pub const ANY_HARDWARE: &[&str] = &[
    // Disks and their controllers.
    "nvme",
    "ahci",
    "ahci_platform",
    "ata_piix",
    "ata_generic",
    "pata_acpi",
    "pata_marvell",
    "sata_nv",
    "sata_sil",
    "sata_sil24",
    "sata_via",
    "sata_sis",
    "sata_uli",
    "sata_promise",
    "pata_amd",
    "pata_atiixp",
    "pata_ali",
    "pata_it821x",
    "pata_jmicron",
    "pata_via",
    "megaraid_sas",
    "mpt3sas",
    "mptspi",
    "mptsas",
    "aacraid",
    "hpsa",
    "smartpqi",
    "isci",
    "arcmsr",
    "3w_9xxx",
    "3w_sas",
    "aic79xx",
    "sd_mod",
    "sr_mod",
    "sg",
    "vmd",
    "loop",
    "dm_mod",
    "dm_crypt",
    "dm_verity",
    "md_mod",
    "raid0",
    "raid1",
    "raid10",
    "raid456",
    // USB, FireWire, cards, docks.
    "xhci_pci",
    "xhci_hcd",
    "ehci_pci",
    "ehci_hcd",
    "ohci_pci",
    "ohci_hcd",
    "uhci_hcd",
    "usb_storage",
    "uas",
    "usbhid",
    "firewire_ohci",
    "firewire_sbp2",
    "thunderbolt",
    "mmc_block",
    "sdhci_pci",
    "sdhci_acpi",
    "rtsx_pci_sdmmc",
    "rtsx_usb_sdmmc",
    "ums_realtek",
    "xhci_pci_renesas",
    "dwc3_pci",
    "intel_lpss_pci",
    // Keyboards and pointers.
    "i8042",
    "atkbd",
    "hid_generic",
    "hid_apple",
    "hid_logitech_dj",
    "hid_logitech_hidpp",
    "hid_lenovo",
    "hid_microsoft",
    "hid_multitouch",
    "hid_cherry",
    "hid_roccat",
    "hid_corsair",
    "i2c_hid_acpi",
    "intel_lpss_acpi",
    "pinctrl_alderlake",
    "pinctrl_tigerlake",
    "pinctrl_sunrisepoint",
    "pinctrl_amd",
    "applespi",
    "surface_aggregator",
    "surface_hid",
    "surface_kbd",
    // Watchdogs, and what keeps the log of a trial that fails.
    "iTCO_wdt",
    "sp5100_tco",
    "wdat_wdt",
    "hpwdt",
    "i6300esb",
    "softdog",
    "efi_pstore",
    // Hypervisors.
    "virtio_pci",
    "virtio_mmio",
    "virtio_blk",
    "virtio_scsi",
    "virtio_console",
    "virtio_rng",
    "vmw_pvscsi",
    "hv_vmbus",
    "hv_storvsc",
    "hyperv_keyboard",
    "xen_blkfront",
];

/// Every file system that a root or a medium may have.
const FILE_SYSTEMS: &[&str] = &[
    "ext4", "vfat", "iso9660", "squashfs", "overlay", "udf", "erofs", "xfs", "btrfs", "f2fs",
];

/// The modules that mounting the file system type `fs_type` takes, beside those that they depend
/// on. Types that are part of every kernel take none.
#[must_use]
pub fn file_system_modules(fs_type: &str) -> Vec<&str> {
    match fs_type {
        "tmpfs" | "ramfs" | "none" | "bind" => Vec::new(),
        "auto" => FILE_SYSTEMS
            .iter()
            .flat_map(|fs_type| file_system_modules(fs_type))
            .collect(),
        "ext2" | "ext3" | "ext4" => vec!["ext4"],
        // The kernel's defaults, and what is common in options.
        "vfat" | "msdos" => vec![
            "vfat",
            "nls_cp437",
            "nls_ascii",
            "nls_utf8",
            "nls_iso8859_1",
        ],
        "iso9660" => vec!["isofs"],
        "9p" => vec!["9p", "9pnet_virtio"],
        // Its soft dependency, crc32, is hidden by a part of the kernel of the same name.
        "f2fs" => vec!["f2fs", "crc32_generic"],
        other => vec![other],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_of_file_systems() {
        assert_eq!(file_system_modules("ext3"), ["ext4"]);
        assert_eq!(file_system_modules("xfs"), ["xfs"]);
        assert_eq!(file_system_modules("iso9660"), ["isofs"]);
        assert_eq!(file_system_modules("f2fs"), ["f2fs", "crc32_generic"]);
        assert!(file_system_modules("tmpfs").is_empty());
        let all = file_system_modules("auto");
        assert!(
            ["ext4", "isofs", "nls_utf8", "btrfs"]
                .iter()
                .all(|name| all.contains(name))
        );
    }
}
