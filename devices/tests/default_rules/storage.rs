//! Disks, what is on them, and drives.

use std::fs;

use cairn_devices::device::Properties;
use expect_test::expect;

use crate::machine::{Machine, PCI};

/// The nodes of a disk with an MBR, and of a partition of it with a swap area.
fn write_disk(machine: &Machine) {
    fs::create_dir(machine.path("dev")).unwrap();
    let mut bytes = vec![0; 1 << 20];
    bytes[440..444].copy_from_slice(&0xCAFE_u32.to_le_bytes());
    bytes[450] = 0x82;
    bytes[454] = 8;
    bytes[458] = 100;
    bytes[510..512].copy_from_slice(&[0x55, 0xAA]);
    fs::write(machine.path("dev/vda"), &bytes).unwrap();
    let mut area = vec![0; 51200];
    area[4086..4096].copy_from_slice(b"SWAPSPACE2");
    area[1036..1052].fill(0xAB);
    area[1052..1059].copy_from_slice(b"my swap");
    fs::write(machine.path("dev/vda1"), &area).unwrap();
}

#[test]
fn a_disk_of_a_virtual_machine_and_its_partition() {
    let mut machine = Machine::new();
    write_disk(&machine);
    let disk = machine.add(&[
        PCI,
        ("0000:00:05.0", "pci", "", &[]),
        ("virtio1", "virtio", "", &[]),
        (
            "block/vda",
            "block",
            "MAJOR=254\nMINOR=0\nDEVNAME=vda\nDEVTYPE=disk\nDISKSEQ=9\n",
            &[("size", "2048"), ("serial", "root disk")],
        ),
    ]);
    machine.check(
        "add",
        &disk,
        &expect![[r#"
        group disk
        mode 0660
        watched true
        link disk/by-diskseq/9
        link disk/by-id/virtio-root_disk
        link disk/by-path/pci-0000:00:05.0
        property ID_PART_TABLE_TYPE=dos
        property ID_PART_TABLE_UUID=0000cafe
        property ID_PATH=pci-0000:00:05.0
        property ID_PATH_TAG=pci-0000_00_05_0
        property ID_SERIAL=root_disk
    "#]],
    );
    machine.recorded = Properties::from([
        ("ID_SERIAL".to_owned(), "root_disk".to_owned()),
        ("ID_PATH".to_owned(), "pci-0000:00:05.0".to_owned()),
        ("ID_FS_TYPE".to_owned(), "iso9660".to_owned()),
    ]);
    let partition = machine.add(&[
        PCI,
        (
            "0000:00:05.0/virtio1/block/vda/vda1",
            "block",
            "MAJOR=254\nMINOR=1\nDEVNAME=vda1\nDEVTYPE=partition\nPARTN=1\nDISKSEQ=9\n",
            &[("size", "100"), ("partition", "1")],
        ),
    ]);
    machine.check(
        "add",
        &partition,
        &expect![[r#"
        group disk
        mode 0660
        watched true
        link disk/by-diskseq/9-part1
        link disk/by-id/virtio-root_disk-part1
        link disk/by-label/my\x20swap
        link disk/by-partuuid/0000cafe-01
        link disk/by-path/pci-0000:00:05.0-part1
        link disk/by-uuid/abababab-abab-abab-abab-abababababab
        property ID_FS_LABEL=my_swap
        property ID_FS_LABEL_ENC=my\x20swap
        property ID_FS_TYPE=swap
        property ID_FS_USAGE=other
        property ID_FS_UUID=abababab-abab-abab-abab-abababababab
        property ID_FS_UUID_ENC=abababab-abab-abab-abab-abababababab
        property ID_PART_ENTRY_DISK=254:0
        property ID_PART_ENTRY_NUMBER=1
        property ID_PART_ENTRY_OFFSET=8
        property ID_PART_ENTRY_SCHEME=dos
        property ID_PART_ENTRY_SIZE=100
        property ID_PART_ENTRY_TYPE=0x82
        property ID_PART_ENTRY_UUID=0000cafe-01
        property ID_PATH=pci-0000:00:05.0
        property ID_SERIAL=root_disk
    "#]],
    );
    machine.check("remove", &partition, &expect![[r""]]);
}

#[test]
fn a_device_of_the_mapper_while_it_is_suspended() {
    let mut machine = Machine::new();
    let device = machine.add(&[(
        "virtual/block/dm-0",
        "block",
        "MAJOR=253\nMINOR=0\nDEVNAME=dm-0\nDEVTYPE=disk\nDISKSEQ=12\n",
        &[
            ("size", "2048"),
            ("dm/name", "vg-root"),
            ("dm/uuid", "LVM-abc"),
            ("dm/suspended", "1"),
        ],
    )]);
    machine.recorded = Properties::from([
        ("ID_FS_TYPE".to_owned(), "ext4".to_owned()),
        ("ID_FS_USAGE".to_owned(), "filesystem".to_owned()),
        ("ID_FS_UUID_ENC".to_owned(), "1234".to_owned()),
    ]);
    machine.check(
        "change",
        &device,
        &expect![[r#"
            watched true
            priority 50
            link disk/by-diskseq/12
            link disk/by-id/dm-name-vg-root
            link disk/by-id/dm-uuid-LVM-abc
            link disk/by-uuid/1234
            link mapper/vg-root
            property DM_NAME=vg-root
            property DM_SUSPENDED=1
            property DM_UUID=LVM-abc
            property ID_FS_TYPE=ext4
            property ID_FS_USAGE=filesystem
            property ID_FS_UUID_ENC=1234
        "#]],
    );
}

#[test]
fn a_drive_without_a_disc() {
    let mut machine = Machine::new();
    let drive = machine.add(&[
        PCI,
        ("0000:00:1f.2", "pci", "", &[]),
        ("ata3", "", "", &[("ata_port/ata3/port_no", "3")]),
        ("host2", "scsi", "DEVTYPE=scsi_host", &[]),
        ("target2:0:0", "scsi", "DEVTYPE=scsi_target", &[]),
        (
            "2:0:0:0",
            "scsi",
            "DEVTYPE=scsi_device",
            &[
                ("vendor", "QEMU"),
                ("model", "QEMU DVD-ROM"),
                ("rev", "2.5+"),
                ("type", "5"),
            ],
        ),
        (
            "block/sr0",
            "block",
            "MAJOR=11\nMINOR=0\nDEVNAME=sr0\nDEVTYPE=disk\n",
            &[("size", "0")],
        ),
    ]);
    fs::create_dir(machine.path("dev")).unwrap();
    fs::write(machine.path("dev/sr0"), "").unwrap();
    machine.check(
        "add",
        &drive,
        &expect![[r#"
        group cdrom
        mode 0660
        priority -100
        tags uaccess
        link cdrom
        link disk/by-id/ata-QEMU_DVD-ROM
        link disk/by-path/pci-0000:00:1f.2-ata-3
        link disk/by-path/pci-0000:00:1f.2-ata-3.0
        property ID_ATA=1
        property ID_BUS=ata
        property ID_CDROM=1
        property ID_MODEL=QEMU_DVD-ROM
        property ID_MODEL_ENC=QEMU\x20DVD-ROM\x20\x20\x20\x20
        property ID_PATH=pci-0000:00:1f.2-ata-3.0
        property ID_PATH_ATA_COMPAT=pci-0000:00:1f.2-ata-3
        property ID_PATH_TAG=pci-0000_00_1f_2-ata-3_0
        property ID_REVISION=2.5+
        property ID_SERIAL=QEMU_DVD-ROM
        property ID_TYPE=cd
    "#]],
    );
}
