//! Machines as people have them, and some that nobody should have.

use super::machine::Machine;

/// NVMe, encrypted, btrfs with subvolumes, UEFI.
pub fn laptop() -> Machine {
    let mut machine = Machine::new("GenuineIntel", "fpu vmx sse2");
    machine.file("sys/firmware/efi/fw_platform_size", "64");
    machine.file("sys/class/dmi/id/product_name", "20XW0026GE");
    machine.file("sys/class/dmi/id/sys_vendor", "LENOVO");
    machine.pci("0000:00:14.0", "0x0c0330", "xhci_pci");
    machine.pci("0000:00:0d.3", "0x0c0340", "thunderbolt");
    machine.pci("0000:00:02.0", "0x030000", "i915");
    machine.usb("1-3:1.0", ["0e", "01", "00"], "uvcvideo");
    machine.usb("1-4:1.0", ["08", "06", "50"], "usb_storage");
    machine.file(
        "sys/devices/pci0000:00/0000:00:14.3/net/wlan0/device/vendor",
        "0x8086",
    );
    machine.file("sys/class/net/wlan0/device/vendor", "0x8086");
    machine.file("sys/class/net/lo/mtu", "65536");
    machine.disk(
        &[
            ("pci0000:00", ""),
            ("0000:00:1d.0", ""),
            ("0000:01:00.0", "nvme"),
            ("nvme/nvme0", ""),
        ],
        "nvme0n1",
        259,
        &[
            ("nvme0n1p1", "12CE-A600"),
            ("nvme0n1p2", "6b3a7c39-8f5e-4f0d-9d0a-3a4c1e6f2b11"),
            ("nvme0n1p3", "1f0e8a52-0c53-4f0b-9f5d-7a1f5f0a3c22"),
            ("nvme0n1p4", "77cd1d1a-3bb2-4a54-b7bb-0a42b6e6d033"),
        ],
    );
    machine.mapped(
        "dm-0",
        "254:0",
        "root",
        "CRYPT-LUKS2-1f0e8a520c53-root",
        &["nvme0n1p3"],
    );
    machine.mapped(
        "dm-1",
        "254:1",
        "swap",
        "CRYPT-LUKS2-77cd1d1a3bb2-swap",
        &["nvme0n1p4"],
    );
    let btrfs = "a3f0b1c2-1111-4222-8333-444455556666";
    machine.holds("dm-0", btrfs);
    machine.file(&format!("sys/fs/btrfs/{btrfs}/devices/dm-0/size"), "1");
    for (folder, point, number) in [
        ("/root", "/mnt", 256),
        ("/home", "/mnt/home", 257),
        ("/nix", "/mnt/nix", 258),
    ] {
        machine.mount(&format!(
            "0:41 {folder} {point} rw,noatime shared:1 - btrfs /dev/mapper/root \
             rw,compress=zstd:1,ssd,discard=async,space_cache=v2,subvolid={number},subvol={folder}"
        ));
    }
    machine.mount("259:2 / /mnt/boot rw,relatime shared:2 - ext4 /dev/nvme0n1p2 rw");
    machine.mount(
        "259:1 / /mnt/boot/efi rw,relatime shared:3 - vfat /dev/nvme0n1p1 \
         rw,fmask=0077,dmask=0077,codepage=437,iocharset=ascii,shortname=mixed,utf8,errors=remount-ro",
    );
    machine.mount("0:23 / /mnt/proc rw shared:4 - proc proc rw");
    machine.mount("8:1 / /media/stick rw shared:5 - vfat /dev/sda1 rw");
    machine.swap("/dev/dm-1", "partition");
    machine.swap("/dev/zram0", "partition");
    machine
}

/// QEMU with a BIOS and a disk of virtio.
pub fn virtual_machine() -> Machine {
    let mut machine = Machine::new("AuthenticAMD", "fpu svm hypervisor");
    machine.file("sys/class/dmi/id/sys_vendor", "QEMU");
    machine.file(
        "sys/class/dmi/id/product_name",
        "Standard PC (i440FX + PIIX, 1996)",
    );
    machine.pci("0000:00:01.1", "0x010180", "ata_piix");
    machine.pci("0000:00:03.0", "0x020000", "virtio_pci");
    machine.file("sys/class/net/eth0/device/vendor", "0x1af4");
    machine.disk(
        &[
            ("pci0000:00", ""),
            ("0000:00:04.0", "virtio_pci"),
            ("virtio1", "virtio_blk"),
        ],
        "vda",
        253,
        &[
            ("vda1", ""),
            ("vda2", "8d4d2cd5-2ac5-4f49-9e5e-0d1c2f5a3c11"),
            ("vda3", ""),
        ],
    );
    machine.disk(
        &[
            ("pci0000:00", ""),
            ("0000:00:01.1", "ata_piix"),
            ("ata2", ""),
            ("host1", ""),
            ("1:0:0:0", "sr_mod"),
        ],
        "sr0",
        11,
        &[],
    );
    machine.mount("253:2 / /mnt rw,relatime shared:1 - ext4 /dev/vda2 rw");
    machine.mount("0:30 / /mnt/var/cache rw,nosuid,nodev shared:1 - tmpfs tmpfs rw,size=102400k,mode=755,inode64");
    // A disk's; what lies below is of the moment.
    machine.mount("253:2 /scratch /mnt/tmp rw,relatime shared:1 - ext4 /dev/vda2 rw");
    machine.mount("0:31 / /mnt/tmp/below rw,relatime shared:1 - tmpfs tmpfs rw");
    machine.mount("253:2 /var/www /mnt/srv/www ro,relatime shared:1 - ext4 /dev/vda2 rw");
    machine.mount(
        "253:2 /nix/store /mnt/nix/store ro,nosuid,nodev,relatime shared:1 - ext4 /dev/vda2 rw",
    );
    machine.swap("/mnt/var/swap\\040file", "file");
    machine.is_blank("vda3", "0d1c2f5a-9e5e-4f49-8000-3c118d4d2cd5");
    machine.mapped(
        "dm-0",
        "254:0",
        "dev-vda3",
        "CRYPT-PLAIN-dev-vda3",
        &["vda3"],
    );
    machine.swap("/dev/dm-0", "partition");
    machine
}

/// Two disks in a RAID, one with logical volumes on top.
pub fn server() -> Machine {
    let mut machine = Machine::new("AuthenticAMD", "fpu svm");
    machine.file("sys/firmware/efi/fw_platform_size", "64");
    machine.file("sys/class/dmi/id/sys_vendor", "Supermicro");
    machine.file("sys/class/net/eth0/device/vendor", "0x8086");
    machine.file("sys/class/net/eth1/device/vendor", "0x8086");
    machine.file("sys/class/net/br0/mtu", "1500");
    machine.usb("1-1:1.0", ["03", "01", "01"], "usbhid");
    for (number, disk) in [(8, "sda"), (65, "sdb")] {
        let partitions: Vec<String> = (1..=3).map(|number| format!("{disk}{number}")).collect();
        let efi = if disk == "sda" {
            "AAAA-0001"
        } else {
            "AAAA-0002"
        };
        machine.disk(
            &[
                ("pci0000:00", ""),
                ("0000:02:00.0", "mpt3sas"),
                ("host0", ""),
                (&format!("0:0:{number}:0"), "sd_mod"),
            ],
            disk,
            number,
            &[
                (&partitions[0], efi),
                (&partitions[1], "raid-a"),
                (&partitions[2], "raid-b"),
            ],
        );
    }
    for (name, number, partition) in [("md0", "9:0", 2), ("md1", "9:1", 3)] {
        machine.stacked(
            name,
            number,
            &[&format!("sda{partition}"), &format!("sdb{partition}")],
        );
        machine.file(&format!("sys/class/block/{name}/md/level"), "raid1");
    }
    machine.holds("md0", "2c4d6e8f-0000-4000-8000-0123456789ab");
    machine.mapped("dm-0", "254:0", "data-srv", "LVM-abcdef", &["md1"]);
    machine.mapped("dm-1", "254:1", "data-swap", "LVM-fedcba", &["md1"]);
    machine.mount("9:0 / /mnt rw,relatime - xfs /dev/md0 rw,attr2,inode64,logbufs=8,noquota");
    machine.mount(
        "254:0 / /mnt/srv rw,noatime - xfs /dev/mapper/data-srv rw,attr2,discard,inode64,noquota",
    );
    machine.mount("8:1 / /mnt/boot/efi rw - vfat /dev/sda1 rw,fmask=0022,dmask=0022");
    machine.mount("0:50 / /mnt/backup rw,relatime - nfs4 backup.example.org:/box rw,vers=4.2");
    machine.swap("/dev/dm-1", "partition");
    machine
}

/// Names that would be something else than a name, if they were not quoted.
pub fn hostile() -> Machine {
    let mut machine = Machine::new("GenuineIntel", "fpu");
    machine.file("sys/class/net/eth0/device/vendor", "0x1af4");
    machine.file("sys/class/net/a${b}\"/device/vendor", "0x1af4");
    machine.disk(
        &[
            ("pci0000:00", ""),
            ("0000:00:1f.2", "ahci"),
            ("0:0:0:0", "sd_mod"),
        ],
        "sda",
        8,
        &[
            ("sda1", "0d9bd9c3-0000-4000-8000-0123456789ab"),
            ("sda2", "no\"uuid"),
        ],
    );
    machine.mapped(
        "dm-0",
        "254:0",
        "a\"; boot.x = ${y}",
        "CRYPT-LUKS1-x",
        &["sda2"],
    );
    machine.mount("8:1 / /mnt rw - ext4 /dev/sda1 rw");
    machine.mount("254:0 / /mnt/a\"b${c}\\012\\040d\\134 rw - ext4 /dev/mapper/x rw");
    machine.mount("8:1 /srv/\";\\012x /mnt/bound\\011tab rw - ext4 /dev/sda1 rw");
    machine
}

/// What no configuration can say.
pub fn odd() -> Machine {
    let mut machine = Machine::new("GenuineIntel", "fpu");
    machine.disk(
        &[("pci0000:00", ""), ("0:0:0:0", "sd_mod")],
        "sda",
        8,
        &[("sda1", "")],
    );
    machine.stacked("loop0", "7:0", &[]);
    machine.file("sys/class/block/loop0/loop/backing_file", "/srv/image file");
    machine.mapped("dm-0", "254:0", "cached", "CACHE-x", &["sda"]);
    machine.mount("0:31 / /mnt rw - overlay overlay rw,lowerdir=/a");
    machine.mount("7:0 / /mnt/image ro - ext4 /dev/loop0 ro");
    machine.mount("8:1 /only/this /mnt/part rw - ext4 /dev/sda1 rw");
    machine.mount("0:32 / /mnt/remote rw - fuse.sshfs a:/b rw");
    machine.mount("254:0 / /mnt/cached rw - ext4 /dev/mapper/cached rw");
    machine.swap("/dev/gone", "partition");
    machine
}
