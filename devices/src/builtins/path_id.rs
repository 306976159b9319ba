//! `path_id`: where a device is plugged in, from the bus's root to the device: a name that stays while the device is
//! replaced by another in the same place.
//!
//! Each bus on the way adds what it names its places by; one of them must be a bus whose names do not depend on the
//! order in which devices are found, or nothing is known.
//!
//! Covered: PCI, USB, SCSI, ATA, SAS and Fibre Channel, NVMe, virtio, platform, ACPI, AMBA, Xen, serio and CCW.
//! Left out: iSCSI, IEEE 1394, Hyper-V and CCISS, whose disks have no `ID_PATH` or that of any SCSI disk.

mod scsi;

use super::put;
use crate::device::{Device, Properties};

/// A path while it grows towards the root.
#[derive(Debug, Default)]
struct Path {
    /// Parts, the last one is nearest to the root.
    parts: Vec<String>,
    /// The same with the older name of an ATA disk; empty if there is none.
    ata_compatible: Option<String>,
    /// Whether one of the parts is a place whose name stays.
    is_anchored: bool,
    /// Whether one of the parts tells disks apart.
    has_transport: bool,
}

impl Path {
    fn add(&mut self, part: String) {
        self.parts.push(part);
    }

    fn text(&self, lowest: Option<&str>) -> String {
        let mut parts: Vec<&str> = self.parts.iter().map(String::as_str).rev().collect();
        if let (Some(lowest), Some(last)) = (lowest, parts.last_mut()) {
            *last = lowest;
        }
        parts.join("-")
    }
}

/// `ID_PATH`, `ID_PATH_TAG` and, for ATA, `ID_PATH_ATA_COMPAT`.
pub(super) fn find(device: &Device) -> Option<Properties> {
    let mut path = Path::default();
    let mut next = Some(device.clone());
    while let Some(current) = next {
        next = step(&mut path, current).parent();
    }
    let is_block = device.subsystem() == Some("block");
    if path.parts.is_empty() || !path.is_anchored || (is_block && !path.has_transport) {
        return None;
    }
    let text = path.text(None);
    let mut found = Properties::new();
    put(&mut found, "ID_PATH_TAG", tag(&text));
    put(&mut found, "ID_PATH", text);
    if let Some(older) = &path.ata_compatible {
        put(&mut found, "ID_PATH_ATA_COMPAT", path.text(Some(older)));
    }
    Some(found)
}

/// Adds what `device` adds to the path, and gives the device whose parent is next.
fn step(path: &mut Path, device: Device) -> Device {
    let Some(subsystem) = device.subsystem().map(str::to_owned) else {
        return device;
    };
    let name = device.name();
    match subsystem.as_str() {
        "scsi" => return scsi::step(path, device),
        "usb" => return usb(path, device),
        "block" => {
            // A namespace of NVMe; what it is plugged in with is PCI.
            if let Some(number) = device.attribute("nsid").filter(|nsid| is_number(nsid)) {
                path.add(format!("nvme-{number}"));
                path.has_transport = true;
            }
            return device;
        }
        "serio" => path.add(format!("serio-{}", device.number())),
        "pci" | "acpi" | "xen" => {
            path.add(format!("{subsystem}-{name}"));
            path.is_anchored = true;
        }
        "platform" | "amba" | "ccw" => {
            path.add(format!("{subsystem}-{name}"));
            (path.has_transport, path.is_anchored) = (true, true);
        }
        "virtio" => path.has_transport = true,
        _ => return device,
    }
    topmost(device, &subsystem)
}

/// Ports of hubs and the interface: `0:2.1:1.0`.
fn usb(path: &mut Path, device: Device) -> Device {
    let is_part = matches!(device.kind(), Some("usb_interface" | "usb_device"));
    let name = device.name();
    let Some((_, ports)) = name.split_once('-').filter(|_| is_part) else {
        return device;
    };
    path.add(format!("usb-0:{ports}"));
    path.has_transport = true;
    topmost(device, "usb")
}

/// The last one above `device` without one of another subsystem between.
fn topmost(device: Device, subsystem: &str) -> Device {
    let last = device
        .lineage()
        .take_while(|above| above.subsystem() == Some(subsystem))
        .last();
    last.unwrap_or(device)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The path as a tag: with letters, digits and single underscores alone.
fn tag(path: &str) -> String {
    let mut tag = String::with_capacity(path.len());
    for letter in path.chars() {
        if letter.is_ascii_alphanumeric() || letter == '-' {
            tag.push(letter);
        } else if !tag.is_empty() && !tag.ends_with('_') {
            tag.push('_');
        }
    }
    tag.trim_end_matches('_').to_owned()
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::super::tree::{Tree, text};
    use super::*;

    /// The path of the last one of `devices`, each given by what it adds to the path, its subsystem and what the kernel
    /// says of it.
    fn check(devices: &[(&str, &str, &str)], attributes: &[(&str, &str)], expected: &Expect) {
        let tree = Tree::new();
        let mut devpath = "/devices".to_owned();
        for (name, subsystem, uevent) in devices {
            devpath = format!("{devpath}/{name}");
            tree.device(
                &devpath,
                Some(subsystem).filter(|name| !name.is_empty()).copied(),
                uevent,
            );
        }
        for (name, value) in attributes {
            tree.bytes("/devices", name, value.as_bytes());
        }
        expected.assert_eq(&text(find(&tree.open(&devpath))));
    }

    const BUS: (&str, &str, &str) = ("pci0000:00", "", "");

    #[test]
    fn disks_of_ata() {
        check(
            &[
                BUS,
                ("0000:00:1f.2", "pci", ""),
                ("ata1", "", ""),
                ("host0", "scsi", "DEVTYPE=scsi_host"),
                ("target0:0:0", "scsi", "DEVTYPE=scsi_target"),
                ("0:0:0:0", "scsi", "DEVTYPE=scsi_device"),
                ("block/sda", "block", "DEVTYPE=disk"),
            ],
            &[("pci0000:00/0000:00:1f.2/ata1/ata_port/ata1/port_no", "1\n")],
            &expect![[r"
                ID_PATH=pci-0000:00:1f.2-ata-1.0
                ID_PATH_ATA_COMPAT=pci-0000:00:1f.2-ata-1
                ID_PATH_TAG=pci-0000_00_1f_2-ata-1_0
            "]],
        );
    }

    #[test]
    fn disks_of_usb() {
        check(
            &[
                BUS,
                ("0000:00:14.0", "pci", ""),
                ("usb1", "usb", "DEVTYPE=usb_device"),
                ("1-2", "usb", "DEVTYPE=usb_device"),
                ("1-2:1.0", "usb", "DEVTYPE=usb_interface"),
                ("host6", "scsi", "DEVTYPE=scsi_host"),
                ("target6:0:0", "scsi", "DEVTYPE=scsi_target"),
                ("6:0:0:0", "scsi", "DEVTYPE=scsi_device"),
                ("block/sdb", "block", "DEVTYPE=disk"),
            ],
            &[],
            &expect![[r"
                ID_PATH=pci-0000:00:14.0-usb-0:2:1.0-scsi-0:0:0:0
                ID_PATH_TAG=pci-0000_00_14_0-usb-0_2_1_0-scsi-0_0_0_0
            "]],
        );
    }

    #[test]
    fn disks_of_sas_and_of_a_fabric() {
        check(
            &[
                BUS,
                ("0000:03:00.0", "pci", ""),
                ("host0", "scsi", "DEVTYPE=scsi_host"),
                ("port-0:0", "", ""),
                ("end_device-0:0", "", ""),
                ("target0:0:0", "scsi", "DEVTYPE=scsi_target"),
                ("0:0:0:0", "scsi", "DEVTYPE=scsi_device"),
                ("block/sda", "block", "DEVTYPE=disk"),
            ],
            &[
                (
                    "pci0000:00/0000:03:00.0/host0/port-0:0/sas_port/port-0:0/num_phys",
                    "1\n",
                ),
                (
                    "pci0000:00/0000:03:00.0/host0/port-0:0/end_device-0:0/sas_device/end_device-0:0/phy_identifier",
                    "3\n",
                ),
            ],
            &expect![[r"
                ID_PATH=pci-0000:03:00.0-sas-phy3-lun-0
                ID_PATH_TAG=pci-0000_03_00_0-sas-phy3-lun-0
            "]],
        );
        check(
            &[
                BUS,
                ("0000:05:00.0", "pci", ""),
                ("host2", "scsi", "DEVTYPE=scsi_host"),
                ("rport-2:0-1", "", ""),
                ("target2:0:1", "scsi", "DEVTYPE=scsi_target"),
                ("2:0:1:256", "scsi", "DEVTYPE=scsi_device"),
                ("block/sdc", "block", "DEVTYPE=disk"),
            ],
            &[(
                "pci0000:00/0000:05:00.0/host2/rport-2:0-1/target2:0:1/fc_transport/target2:0:1/port_name",
                "0x5006016041e0a59e\n",
            )],
            &expect![[r"
                ID_PATH=pci-0000:05:00.0-fc-0x5006016041e0a59e-lun-0x0100000000000000
                ID_PATH_TAG=pci-0000_05_00_0-fc-0x5006016041e0a59e-lun-0x0100000000000000
            "]],
        );
    }

    #[test]
    fn disks_of_nvme_and_virtio() {
        check(
            &[
                BUS,
                ("0000:00:1d.0", "pci", ""),
                ("0000:3d:00.0", "pci", ""),
                ("nvme/nvme0", "nvme", ""),
                ("nvme0n1", "block", "DEVTYPE=disk"),
            ],
            &[(
                "pci0000:00/0000:00:1d.0/0000:3d:00.0/nvme/nvme0/nvme0n1/nsid",
                "1\n",
            )],
            &expect![[r"
                ID_PATH=pci-0000:3d:00.0-nvme-1
                ID_PATH_TAG=pci-0000_3d_00_0-nvme-1
            "]],
        );
        check(
            &[
                BUS,
                ("0000:00:05.0", "pci", ""),
                ("virtio1", "virtio", ""),
                ("block/vda", "block", "DEVTYPE=disk"),
            ],
            &[],
            &expect![[r"
                ID_PATH=pci-0000:00:05.0
                ID_PATH_TAG=pci-0000_00_05_0
            "]],
        );
        check(
            &[
                BUS,
                ("0000:00:06.0", "pci", ""),
                ("virtio2", "virtio", ""),
                ("host3", "scsi", "DEVTYPE=scsi_host"),
                ("target3:0:1", "scsi", "DEVTYPE=scsi_target"),
                ("3:0:1:0", "scsi", "DEVTYPE=scsi_device"),
                ("block/sda", "block", "DEVTYPE=disk"),
            ],
            &[],
            &expect![[r"
                ID_PATH=pci-0000:00:06.0-scsi-0:0:1:0
                ID_PATH_TAG=pci-0000_00_06_0-scsi-0_0_1_0
            "]],
        );
    }

    #[test]
    fn what_is_no_disk() {
        check(
            &[
                ("platform", "", ""),
                ("i8042", "platform", ""),
                ("serio0", "serio", ""),
                ("input/input1", "input", ""),
                ("event1", "input", ""),
            ],
            &[],
            &expect![[r"
                ID_PATH=platform-i8042-serio-0
                ID_PATH_TAG=platform-i8042-serio-0
            "]],
        );
        check(
            &[
                ("LNXSYSTM:00", "acpi", ""),
                ("LNXPWRBN:00", "acpi", ""),
                ("input/input0", "input", ""),
            ],
            &[],
            &expect![[r"
                ID_PATH=acpi-LNXPWRBN:00
                ID_PATH_TAG=acpi-LNXPWRBN_00
            "]],
        );
    }

    #[test]
    fn places_that_do_not_stay_are_none() {
        check(
            &[("virtual", "", ""), ("block/loop0", "block", "")],
            &[],
            &expect![["none\n"]],
        );
        // An SD card behind PCI: the host's name depends on the order.
        check(
            &[
                BUS,
                ("0000:00:1a.0", "pci", ""),
                ("mmc0/mmc0:0001/block/mmcblk0", "block", ""),
            ],
            &[],
            &expect![["none\n"]],
        );
    }

    #[test]
    fn tags_are_plain() {
        assert_eq!(tag("pci-0000:00:1f.2"), "pci-0000_00_1f_2");
        assert_eq!(tag("::a::b::"), "a_b");
    }
}
