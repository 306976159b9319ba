//! What is known of disks, by attributes as machines show them.

use expect_test::{Expect, expect};

use super::*;
use crate::builtins::tree::{self, Tree};

fn check(tree: &Tree, devpath: &str, expected: &Expect) {
    expected.assert_eq(&tree::text(Some(find(&tree.open(devpath)))));
}

/// A disk below a SCSI device that is in `folder`.
fn scsi(folder: &str, attributes: &[(&str, &str)], pages: &[(&str, Vec<u8>)]) -> (Tree, String) {
    let tree = Tree::new();
    let scsi = format!("{folder}/host0/target0:0:0/0:0:0:0");
    tree.device(&scsi, Some("scsi"), "DEVTYPE=scsi_device");
    tree.attributes(&scsi, attributes);
    for (name, page) in pages {
        tree.bytes(&scsi, name, page);
    }
    let disk = format!("{scsi}/block/sda");
    tree.device(&disk, Some("block"), "DEVTYPE=disk\nDEVNAME=sda");
    (tree, disk)
}

const QEMU_ATA: [(&str, &str); 4] = [
    ("vendor", "ATA     "),
    ("model", "QEMU HARDDISK   "),
    ("rev", "2.5+"),
    ("type", "0"),
];

/// Page 89 with the words of IDENTIFY DEVICE that are of interest.
fn identify() -> Vec<u8> {
    let mut page = vec![0; 572];
    page[1] = 0x89;
    page[2..4].copy_from_slice(&568_u16.to_be_bytes());
    page[56] = 0xEC;
    let mut text = |word: usize, length: usize, text: &str| {
        let padded = format!("{text:length$}");
        for (place, pair) in padded.as_bytes().chunks(2).enumerate() {
            let start = 60 + (word + place) * 2;
            page[start..start + 2].copy_from_slice(&[pair[1], pair[0]]);
        }
    };
    text(10, 20, "            QM00001");
    text(23, 8, "2.5+");
    text(27, 40, "QEMU HARDDISK");
    for (word, value) in [
        (76, 0x000E_u16),
        (82, 0x4029),
        (83, 0x4000),
        (85, 0x4021),
        (87, 0x4100),
        (108, 0x5000),
        (109, 0xC500),
        (110, 0x1234),
        (111, 0xABCD),
        (217, 7200),
    ] {
        page[60 + word * 2..62 + word * 2].copy_from_slice(&value.to_le_bytes());
    }
    page
}

#[test]
fn ata() {
    let (tree, disk) = scsi(
        "/devices/pci0000:00/0000:00:1f.2/ata1",
        &QEMU_ATA,
        &[("vpd_pg89", identify())],
    );
    check(
        &tree,
        &disk,
        &expect![[r#"
        ID_ATA=1
        ID_ATA_FEATURE_SET_PM=1
        ID_ATA_FEATURE_SET_PM_ENABLED=0
        ID_ATA_FEATURE_SET_SMART=1
        ID_ATA_FEATURE_SET_SMART_ENABLED=1
        ID_ATA_ROTATION_RATE_RPM=7200
        ID_ATA_SATA=1
        ID_ATA_SATA_SIGNAL_RATE_GEN1=1
        ID_ATA_SATA_SIGNAL_RATE_GEN2=1
        ID_ATA_WRITE_CACHE=1
        ID_ATA_WRITE_CACHE_ENABLED=1
        ID_BUS=ata
        ID_MODEL=QEMU_HARDDISK
        ID_MODEL_ENC=QEMU\x20HARDDISK\x20\x20\x20\x20\x20\x20\x20\x20\x20\x20\x20\x20\x20\x20\x20\x20\x20\x20\x20\x20\x20\x20\x20\x20\x20\x20\x20
        ID_REVISION=2.5+
        ID_SERIAL=QEMU_HARDDISK_QM00001
        ID_SERIAL_SHORT=QM00001
        ID_TYPE=disk
        ID_WWN=0x5000c5001234abcd
        ID_WWN_WITH_EXTENSION=0x5000c5001234abcd
    "#]],
    );
}

#[test]
fn ata_of_a_kernel_that_shows_no_identify_data() {
    let mut names = vec![0, 0x83, 0, 72, 2, 1, 0, 68];
    names.extend(b"ATA     QEMU HARDDISK                           QM00001             ");
    let (tree, disk) = scsi(
        "/devices/pci0000:00/0000:00:1f.2/ata1",
        &QEMU_ATA,
        &[("vpd_pg83", names)],
    );
    check(
        &tree,
        &disk,
        &expect![[r#"
        ID_ATA=1
        ID_BUS=ata
        ID_MODEL=QEMU_HARDDISK
        ID_MODEL_ENC=QEMU\x20HARDDISK\x20\x20\x20\x20\x20\x20\x20\x20\x20\x20\x20\x20\x20\x20\x20\x20\x20\x20\x20\x20\x20\x20\x20\x20\x20\x20\x20
        ID_REVISION=2.5+
        ID_SERIAL=QEMU_HARDDISK_QM00001
        ID_SERIAL_SHORT=QM00001
        ID_TYPE=disk
    "#]],
    );
}

#[test]
fn scsi_by_a_name_of_the_makers() {
    let mut names = vec![0, 0x83, 0, 16, 2, 0, 0, 12];
    names.extend(b"drive-scsi0 ");
    let attributes = [
        ("vendor", "QEMU    "),
        ("model", "QEMU HARDDISK   "),
        ("rev", "2.5+"),
        ("type", "0"),
    ];
    let folder = "/devices/pci0000:00/0000:00:06.0/virtio2";
    let (tree, disk) = scsi(folder, &attributes, &[("vpd_pg83", names)]);
    check(
        &tree,
        &disk,
        &expect![[r#"
        ID_BUS=scsi
        ID_MODEL=QEMU_HARDDISK
        ID_MODEL_ENC=QEMU\x20HARDDISK\x20\x20\x20
        ID_REVISION=2.5+
        ID_SCSI=1
        ID_SERIAL=0QEMU_QEMU_HARDDISK_drive-scsi0
        ID_SERIAL_SHORT=drive-scsi0
        ID_TYPE=disk
        ID_VENDOR=QEMU
        ID_VENDOR_ENC=QEMU\x20\x20\x20\x20
    "#]],
    );
}

#[test]
fn scsi_by_a_name_of_the_worlds() {
    let mut names = vec![0, 0x83, 0, 32, 1, 0x93, 0, 8];
    names.extend([0x50, 0, 0, 0, 0, 0, 0, 1]); // the port's
    names.extend([
        1, 3, 0, 16, 0x60, 0x05, 0x07, 0x68, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
    ]);
    let serial = [&[0, 0x80, 0, 8][..], b"  S3RIAL"].concat();
    let attributes = [
        ("vendor", "IBM"),
        ("model", "2145"),
        ("rev", "0000"),
        ("type", "0"),
    ];
    let pages = [("vpd_pg83", names), ("vpd_pg80", serial)];
    let (tree, disk) = scsi("/devices/pci0000:00/0000:00:06.0", &attributes, &pages);
    check(
        &tree,
        &disk,
        &expect![[r#"
        ID_BUS=scsi
        ID_MODEL=2145
        ID_MODEL_ENC=2145\x20\x20\x20\x20\x20\x20\x20\x20\x20\x20\x20\x20
        ID_REVISION=0000
        ID_SCSI=1
        ID_SCSI_SERIAL=S3RIAL
        ID_SERIAL=3600507680102030405060708090a0b0c
        ID_SERIAL_SHORT=600507680102030405060708090a0b0c
        ID_TYPE=disk
        ID_VENDOR=IBM
        ID_VENDOR_ENC=IBM\x20\x20\x20\x20\x20
        ID_WWN=0x6005076801020304
        ID_WWN_VENDOR_EXTENSION=0x05060708090a0b0c
        ID_WWN_WITH_EXTENSION=0x600507680102030405060708090a0b0c
    "#]],
    );
}

#[test]
fn a_cd_drive() {
    let attributes = [
        ("vendor", "QEMU    "),
        ("model", "QEMU DVD-ROM    "),
        ("rev", "2.5+"),
        ("type", "5"),
    ];
    let (tree, disk) = scsi("/devices/pci0000:00/0000:00:1f.2/ata3", &attributes, &[]);
    check(
        &tree,
        &disk,
        &expect![[r#"
        ID_ATA=1
        ID_BUS=ata
        ID_CDROM=1
        ID_MODEL=QEMU_DVD-ROM
        ID_MODEL_ENC=QEMU\x20DVD-ROM\x20\x20\x20\x20
        ID_REVISION=2.5+
        ID_SERIAL=QEMU_DVD-ROM
        ID_TYPE=cd
    "#]],
    );
}

#[test]
fn nvme() {
    let tree = Tree::new();
    let nvme = "/devices/pci0000:00/0000:00:1d.0/nvme/nvme0";
    let disk = format!("{nvme}/nvme0n1");
    tree.device(nvme, Some("nvme"), "");
    tree.attributes(
        nvme,
        &[
            ("model", "Samsung SSD 970 EVO Plus 1TB            "),
            ("serial", "S4EWNX0R123456      "),
            ("firmware_rev", "2B2QEXM7"),
        ],
    );
    tree.device(&disk, Some("block"), "DEVTYPE=disk");
    tree.attributes(&disk, &[("wwid", "eui.0025385b01234567"), ("nsid", "1")]);
    check(
        &tree,
        &disk,
        &expect![[r#"
        ID_MODEL=Samsung SSD 970 EVO Plus 1TB
        ID_MODEL_ENC=Samsung\x20SSD\x20970\x20EVO\x20Plus\x201TB
        ID_NSID=1
        ID_REVISION=2B2QEXM7
        ID_SERIAL=Samsung_SSD_970_EVO_Plus_1TB_S4EWNX0R123456
        ID_SERIAL_SHORT=S4EWNX0R123456
        ID_WWN=eui.0025385b01234567
    "#]],
    );
}

#[test]
fn virtio_and_a_card() {
    let tree = Tree::new();
    let virtio = "/devices/pci0000:00/0000:00:05.0/virtio1";
    let disk = format!("{virtio}/block/vda");
    tree.device(virtio, Some("virtio"), "");
    tree.device(&disk, Some("block"), "DEVTYPE=disk");
    tree.attributes(&disk, &[("serial", "root disk/1")]);
    check(
        &tree,
        &disk,
        &expect![[r#"
        ID_SERIAL=root_disk_1
    "#]],
    );
    let card = "/devices/pci0000:00/0000:00:1a.0/mmc_host/mmc0/mmc0:0001";
    let disk = format!("{card}/block/mmcblk0");
    tree.device(card, Some("mmc"), "");
    tree.attributes(card, &[("name", "SU08G"), ("serial", "0x1292ed7c")]);
    tree.device(&disk, Some("block"), "DEVTYPE=disk");
    check(
        &tree,
        &disk,
        &expect![[r#"
        ID_NAME=SU08G
        ID_SERIAL=0x1292ed7c
    "#]],
    );
}

#[test]
fn what_is_made_of_others() {
    let tree = Tree::new();
    tree.device("/devices/virtual/block/dm-0", Some("block"), "DEVTYPE=disk");
    tree.attributes(
        "/devices/virtual/block/dm-0",
        &[
            ("dm/name", "vg-root"),
            ("dm/uuid", "LVM-abc"),
            ("dm/suspended", "0"),
        ],
    );
    check(
        &tree,
        "/devices/virtual/block/dm-0",
        &expect![[r#"
        DM_NAME=vg-root
        DM_SUSPENDED=0
        DM_UUID=LVM-abc
    "#]],
    );
    tree.device("/devices/virtual/block/md0", Some("block"), "DEVTYPE=disk");
    tree.attributes(
        "/devices/virtual/block/md0",
        &[
            ("md/level", "raid1"),
            ("md/raid_disks", "2"),
            ("md/metadata_version", "1.2"),
            ("md/uuid", "01234567-89ab-cdef-fedc-ba9876543210"),
        ],
    );
    check(
        &tree,
        "/devices/virtual/block/md0",
        &expect![[r#"
        MD_DEVICES=2
        MD_LEVEL=raid1
        MD_METADATA=1.2
        MD_UUID=01234567:89abcdef:fedcba98:76543210
    "#]],
    );
}
