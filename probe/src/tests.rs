//! Real images made by the field's own tools, with `blkid` as oracle; and hostile bytes.

mod hostile;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::table::{self, Table};
use super::{Contents, contents};

/// Runs a program that must be there and must succeed.
fn run(package: &str, program: &str, arguments: &[&str]) -> String {
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap());
    let output = Command::new(program)
        .args(arguments)
        .env("PATH", path)
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}; run: apt-get install {package}"));
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// An image of `megabytes` in a new folder.
fn image(megabytes: u64) -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("image");
    File::create(&path)
        .unwrap()
        .set_len(megabytes << 20)
        .unwrap();
    (folder, path)
}

fn blkid(image: &Path) -> BTreeMap<String, String> {
    run(
        "util-linux",
        "blkid",
        &["-p", "-o", "export", image.to_str().unwrap()],
    )
    .lines()
    .filter_map(|line| line.split_once('='))
    .map(|(key, value)| (key.to_owned(), value.replace("\\ ", " ")))
    .collect()
}

/// Our answer about an image is `blkid`'s.
fn agree(image: &Path, kind: &str) -> Contents {
    let size = fs::metadata(image).unwrap().len();
    let ours = contents(&mut File::open(image).unwrap(), size)
        .unwrap()
        .unwrap_or_else(|| panic!("{kind} was not recognised"));
    let theirs = blkid(image);
    assert_eq!(ours.kind, kind);
    assert_eq!(Some(&ours.kind.to_owned()), theirs.get("TYPE"), "type");
    assert_eq!(ours.label.as_ref(), theirs.get("LABEL"), "label of {kind}");
    if kind != "squashfs" {
        assert_eq!(ours.uuid.as_ref(), theirs.get("UUID"), "UUID of {kind}");
    }
    ours
}

#[test]
fn made_by_mke2fs() {
    for kind in ["ext2", "ext3", "ext4"] {
        let (_folder, image) = image(8);
        run(
            "e2fsprogs",
            "mke2fs",
            &[
                "-q",
                "-F",
                "-t",
                kind,
                "-L",
                "a root",
                image.to_str().unwrap(),
            ],
        );
        assert_eq!(agree(&image, kind).label.unwrap(), "a root");
    }
}

#[test]
fn made_by_mkfs_vfat() {
    for (bits, megabytes) in [("12", 4), ("16", 32), ("32", 64)] {
        for label in [&["-n", "ESP X"][..], &[]] {
            let (_folder, image) = image(megabytes);
            let mut arguments = vec!["-F", bits, "-i", "12ab00cd"];
            arguments.extend(label);
            arguments.push(image.to_str().unwrap());
            run("dosfstools", "mkfs.vfat", &arguments);
            assert_eq!(agree(&image, "vfat").uuid.unwrap(), "12AB-00CD");
        }
    }
}

/// As its maker's documents draw it, with a label that crosses the end of a sector.
#[test]
fn a_volume_of_ntfs() {
    let (_folder, image) = image(1);
    let mut bytes = fs::read(&image).unwrap();
    bytes[..11].copy_from_slice(b"\xeb\x52\x90NTFS    ");
    bytes[11..14].copy_from_slice(&[0, 2, 8]);
    bytes[21] = 0xF8;
    bytes[40..48].copy_from_slice(&2047_u64.to_le_bytes());
    bytes[48..56].copy_from_slice(&4_u64.to_le_bytes());
    bytes[56..64].copy_from_slice(&2_u64.to_le_bytes());
    bytes[64] = 0xF6; // records of 1 KiB
    bytes[68] = 1;
    bytes[72..80].copy_from_slice(&0x0123_4567_89AB_CDEF_u64.to_le_bytes());
    bytes[510..512].copy_from_slice(&[0x55, 0xAA]);
    for number in 0..4 {
        let record = &mut bytes[4 * 4096 + number * 1024..][..1024];
        record[..4].copy_from_slice(b"FILE");
        record[4..8].copy_from_slice(&[48, 0, 3, 0]);
        record[20..22].copy_from_slice(&56_u16.to_le_bytes());
        record[24..32].copy_from_slice(&[0, 2, 0, 0, 0, 4, 0, 0]); // used and size
        // One of another type before it.
        record[56..64].copy_from_slice(&[0x10, 0, 0, 0, 0x90, 1, 0, 0]);
        let name = &mut record[456..];
        name[..8].copy_from_slice(&[0x60, 0, 0, 0, 56, 0, 0, 0]);
        name[16..22].copy_from_slice(&[30, 0, 0, 0, 24, 0]);
        for (place, unit) in "windows & doors".encode_utf16().enumerate() {
            name[24 + place * 2..26 + place * 2].copy_from_slice(&unit.to_le_bytes());
        }
        name[56..60].fill(0xFF);
        // The marks at the ends of sectors, and what they stand in the place of.
        record.copy_within(510..512, 50);
        record[48] = 7;
        record[510..512].copy_from_slice(&[7, 0]);
        record[1022..1024].copy_from_slice(&[7, 0]);
    }
    fs::write(&image, bytes).unwrap();
    let found = agree(&image, "ntfs");
    assert_eq!(found.label.unwrap(), "windows & doors");
    assert_eq!(found.uuid.unwrap(), "0123456789ABCDEF");
}

#[test]
fn made_by_mkfs_exfat() {
    let (_folder, image) = image(8);
    run("exfatprogs", "mkfs.exfat", &[image.to_str().unwrap()]);
    assert_eq!(agree(&image, "exfat").label, None);
    let arguments = ["-L", "my card 1", image.to_str().unwrap()];
    run("exfatprogs", "mkfs.exfat", &arguments);
    assert_eq!(agree(&image, "exfat").label.unwrap(), "my card 1");
}

#[test]
fn made_by_mkswap() {
    let (_folder, image) = image(2);
    run(
        "util-linux",
        "mkswap",
        &["-L", "swap one", image.to_str().unwrap()],
    );
    agree(&image, "swap");
    // As the kernel leaves it when it writes memory to it.
    let mut bytes = fs::read(&image).unwrap();
    bytes[4086..4096].copy_from_slice(b"S1SUSPEND\0");
    fs::write(&image, bytes).unwrap();
    agree(&image, "swsuspend");
}

/// Superblocks as the field's documents draw them; the array's own bytes, which an ext4 begins,
/// are before the one at the end.
#[test]
fn members_of_a_raid_are_recognised_before_what_they_hold() {
    const SIZE: usize = 4 << 20;
    let uuid: [u8; 16] = *b"\x01\x23\x45\x67\x89\xab\xcd\xef\xfe\xdc\xba\x98\x76\x54\x32\x10";
    for (version, place) in [
        ("1.0", SIZE - 8192),
        ("1.1", 0),
        ("1.2", 4096),
        ("0.90", SIZE - 65536),
    ] {
        let (_folder, path) = image(4);
        run(
            "e2fsprogs",
            "mke2fs",
            &["-q", "-F", "-t", "ext4", path.to_str().unwrap()],
        );
        let mut bytes = fs::read(&path).unwrap();
        let superblock = &mut bytes[place..place + 256];
        superblock.fill(0);
        superblock[..4].copy_from_slice(&0xa92b_4efc_u32.to_le_bytes());
        if version == "0.90" {
            superblock[8..12].copy_from_slice(&90_u32.to_le_bytes());
            superblock[20..24].copy_from_slice(&uuid[..4]);
            superblock[52..64].copy_from_slice(&uuid[4..]);
        } else {
            superblock[4] = 1;
            superblock[16..32].copy_from_slice(&uuid);
            superblock[32..38].copy_from_slice(b"host:0");
            superblock[144..152].copy_from_slice(&(place as u64 / 512).to_le_bytes());
        }
        fs::write(&path, &bytes).unwrap();
        let found = contents(&mut File::open(&path).unwrap(), SIZE as u64)
            .unwrap()
            .unwrap();
        let expected = Contents {
            kind: "linux_raid_member",
            label: (version != "0.90").then(|| "host:0".to_owned()),
            uuid: Some("01234567-89ab-cdef-fedc-ba9876543210".to_owned()),
        };
        assert_eq!(found, expected, "{version}");
        // One that is at another place than it says is of another device.
        if version == "1.0" {
            let found = contents(&mut bytes.as_slice(), SIZE as u64 + 65536).unwrap();
            assert_eq!(found.unwrap().kind, "ext4");
        }
    }
}

#[test]
fn a_physical_volume_is_recognised() {
    let (_folder, path) = image(1);
    let mut bytes = fs::read(&path).unwrap();
    bytes[512..520].copy_from_slice(b"LABELONE");
    bytes[520] = 1; // the sector
    bytes[532..536].copy_from_slice(&32_u32.to_le_bytes());
    bytes[536..544].copy_from_slice(b"LVM2 001");
    bytes[544..576].copy_from_slice(b"0123456789abcdefghijKLMNOPQRSTUV");
    let found = contents(&mut bytes.as_slice(), 1 << 20).unwrap().unwrap();
    assert_eq!(found.kind, "LVM2_member");
    assert_eq!(
        found.uuid.unwrap(),
        "012345-6789-abcd-efgh-ijKL-MNOP-QRSTUV"
    );
}

#[test]
fn made_by_mkfs_xfs_btrfs_and_f2fs() {
    let (_folder, path) = image(320);
    run(
        "xfsprogs",
        "mkfs.xfs",
        &["-q", "-f", "-L", "xfs root", path.to_str().unwrap()],
    );
    agree(&path, "xfs");
    let (_folder, path) = image(128);
    run(
        "btrfs-progs",
        "mkfs.btrfs",
        &["-q", "-L", "butter", path.to_str().unwrap()],
    );
    agree(&path, "btrfs");
    let (_folder, path) = image(64);
    run(
        "f2fs-tools",
        "mkfs.f2fs",
        &["-q", "-l", "flash x", path.to_str().unwrap()],
    );
    agree(&path, "f2fs");
}

#[test]
fn made_by_image_tools() {
    let folder = TempDir::new().unwrap();
    let tree = folder.path().join("tree");
    fs::create_dir(&tree).unwrap();
    fs::write(tree.join("file"), "content").unwrap();
    let tree = tree.to_str().unwrap();
    let image = folder.path().join("squashfs");
    run(
        "squashfs-tools",
        "mksquashfs",
        &[tree, image.to_str().unwrap(), "-quiet", "-no-progress"],
    );
    agree(&image, "squashfs");
    let image = folder.path().join("erofs");
    run(
        "erofs-utils",
        "mkfs.erofs",
        &[
            "-Uabcdef01-2345-6789-abcd-ef0123456789",
            image.to_str().unwrap(),
            tree,
        ],
    );
    assert_eq!(
        agree(&image, "erofs").uuid.unwrap(),
        "abcdef01-2345-6789-abcd-ef0123456789"
    );
    let image = folder.path().join("iso");
    run(
        "xorriso",
        "xorriso",
        &[
            "-as",
            "mkisofs",
            "-quiet",
            "-V",
            "CAIRN_LIVE",
            "-o",
            image.to_str().unwrap(),
            tree,
        ],
    );
    assert_eq!(agree(&image, "iso9660").label.unwrap(), "CAIRN_LIVE");
}

#[test]
fn luks_is_recognised() {
    let mut head = vec![0; 4096];
    head[..8].copy_from_slice(b"LUKS\xba\xbe\0\x02");
    head[24..29].copy_from_slice(b"crypt");
    head[168..204].copy_from_slice(b"0e4b9a0c-5a0c-4a0c-8a0c-000000000001");
    let contents = contents(&mut head.as_slice(), 1 << 20).unwrap().unwrap();
    assert_eq!(
        contents,
        Contents {
            kind: "crypto_LUKS",
            label: Some("crypt".to_owned()),
            uuid: Some("0e4b9a0c-5a0c-4a0c-8a0c-000000000001".to_owned()),
        }
    );
}

const SIZE: u64 = 16;

fn gpt_disk() -> (TempDir, PathBuf) {
    let (folder, path) = image(SIZE);
    run(
        "gdisk",
        "sgdisk",
        &[
            "-n1:2048:4095",
            "-c1:BIOS boot",
            "-t1:ef02",
            "-u1:11111111-2222-3333-4444-5555deadbeef",
            "-n3:4096:8191",
            "-c3:wurzel ä",
            "-u3:00000000-0000-0000-0000-0000000000AB",
            path.to_str().unwrap(),
        ],
    );
    (folder, path)
}

fn check_gpt(disk: &[u8]) {
    let table = table::read(&mut &*disk, 512, SIZE << 20).unwrap().unwrap();
    let first = table.partition(1).unwrap();
    assert_eq!(first.uuid, "11111111-2222-3333-4444-5555deadbeef");
    assert_eq!(first.label.unwrap(), "BIOS boot");
    assert_eq!(table.partition(2), None);
    let third = table.partition(3).unwrap();
    assert_eq!(third.uuid, "00000000-0000-0000-0000-0000000000ab");
    assert_eq!(third.label.unwrap(), "wurzel ä");
    assert_eq!(table.partition(0), None);
    assert_eq!(table.partition(u32::MAX), None);
}

#[test]
fn gpt_and_its_backup() {
    let (_folder, path) = gpt_disk();
    let mut disk = fs::read(&path).unwrap();
    check_gpt(&disk);
    disk[512 + 60] ^= 1; // the primary header's checksum is wrong now
    check_gpt(&disk);
    let mut disk = fs::read(&path).unwrap();
    disk[2 * 512 + 5] ^= 1; // and here that of its entries
    check_gpt(&disk);
    let backup = disk.len() - 512;
    disk[backup] ^= 1; // both are damaged
    assert_eq!(table::read(&mut &*disk, 512, SIZE << 20).unwrap(), None);
}

#[test]
fn a_gpt_without_protective_mbr_is_a_leftover() {
    let (_folder, path) = gpt_disk();
    let mut disk = fs::read(path).unwrap();
    disk[450] = 0x83;
    disk[440..444].copy_from_slice(&0x1234_abcd_u32.to_le_bytes());
    let table = table::read(&mut &*disk, 512, SIZE << 20).unwrap().unwrap();
    assert_eq!(table, Table::Mbr(0x1234_abcd));
    assert_eq!(table.partition(5).unwrap().uuid, "1234abcd-05");
}

#[test]
fn the_checksum_is_the_standard_one() {
    assert_eq!(table::crc32(b"123456789"), 0xCBF4_3926);
}
