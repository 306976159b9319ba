//! `blkid [--noraid]`: the file system or container on a block device, and its partition table or the partition that
//! it is.
//!
//! The node is opened without waiting for it, read only, and little of it is read. A drive with no medium in it is no
//! error: nothing is known of it. What a partition is called is said by the table of the disk around it, which is read
//! too.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use cairn_probe::partition::{self, Partition, Partitions, Scheme};
use cairn_probe::{Contents, LVM_MEMBER, RAID_MEMBER};
use nix::errno::Errno;
use nix::fcntl::OFlag;

use super::{invalid, put, words};
use crate::device::{Device, Properties};
use crate::event::Event;

/// File systems whose boot sector has code where an MBR has its table.
const WITH_BOOT_CODE: [&str; 3] = ["vfat", "exfat", "ntfs"];

/// What is found on the device of `event`.
///
/// # Errors
/// An argument is unknown; the node is not there or cannot be read.
pub(super) fn run(
    arguments: &[String],
    event: &Event,
    dev: &Path,
) -> io::Result<Option<Properties>> {
    let with_raid = is_with_raid(arguments)?;
    let device = &event.device;
    if device.subsystem() != Some("block") {
        return Ok(None);
    }
    match look(device, dev, with_raid) {
        Err(error) if is_without_data(&error, device) => Ok(None),
        found => found,
    }
}

fn look(device: &Device, dev: &Path, with_raid: bool) -> io::Result<Option<Properties>> {
    let Some(mut file) = open(device, dev)? else {
        return Ok(None);
    };
    let mut found = Properties::new();
    let contents = cairn_probe::contents(&mut file, size(device))?
        .filter(|contents| with_raid || ![RAID_MEMBER, LVM_MEMBER].contains(&contents.kind));
    if let Some(contents) = &contents {
        describe(&mut found, contents);
    }
    if device.kind() == Some("partition") {
        describe_partition(&mut found, device, dev)?;
    } else if let Some(table) = table(&mut file, device)? {
        let is_code = contents.is_some_and(|contents| WITH_BOOT_CODE.contains(&contents.kind));
        if table.scheme == Scheme::Gpt || !is_code {
            put(&mut found, "ID_PART_TABLE_TYPE", table.scheme.name());
            put(
                &mut found,
                "ID_PART_TABLE_UUID",
                table.uuid.unwrap_or_default(),
            );
        }
    }
    Ok(Some(found).filter(|found| !found.is_empty()))
}

/// Whether members of a RAID are looked for. Where a disc's last session begins is of no interest: what is known of a
/// disc is at its start.
fn is_with_raid(arguments: &[String]) -> io::Result<bool> {
    let mut with_raid = true;
    for argument in arguments {
        match argument.as_str() {
            "--noraid" => with_raid = false,
            "--offset=0" => {}
            hint if hint.starts_with("--hint=") => {}
            other => {
                let text = format!("blkid: unknown argument '{other}'; known is --noraid");
                return Err(invalid(text));
            }
        }
    }
    Ok(with_raid)
}

/// The node, opened; none if there is no medium.
fn open(device: &Device, dev: &Path) -> io::Result<Option<File>> {
    let Some(node) = device.node() else {
        return Ok(None);
    };
    let path = dev.join(node);
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(&path);
    match file {
        Ok(file) => Ok(Some(file)),
        Err(error) if is_empty(&error) => Ok(None),
        Err(error) => Err(io::Error::new(
            error.kind(),
            format!("{}: {error}", path.display()),
        )),
    }
}

fn is_empty(error: &io::Error) -> bool {
    let number = error.raw_os_error().map(Errno::from_raw);
    matches!(number, Some(Errno::ENOMEDIUM | Errno::ENXIO))
}

/// A drive that does not wait is opened without a disc too, and is found empty when it is read. Of a disc with music
/// nothing can be read either.
fn is_without_data(error: &io::Error, device: &Device) -> bool {
    let is_drive = device.name().starts_with("sr");
    is_empty(error) || (is_drive && error.raw_os_error() == Some(Errno::EIO as i32))
}

/// In bytes.
fn size(device: &Device) -> u64 {
    let sectors: Option<u64> = device.attribute("size").and_then(|text| text.parse().ok());
    sectors.unwrap_or_default().saturating_mul(512)
}

fn table(file: &mut File, disk: &Device) -> io::Result<Option<Partitions>> {
    let sector = disk.attribute("queue/logical_block_size");
    let sector = sector.and_then(|text| text.parse().ok()).unwrap_or(512);
    partition::read(file, sector, size(disk))
}

fn describe(found: &mut Properties, contents: &Contents) {
    let usage = match contents.kind {
        RAID_MEMBER | LVM_MEMBER => "raid",
        "crypto_LUKS" => "crypto",
        "swap" | "swsuspend" | "jbd" => "other",
        _ => "filesystem",
    };
    put(found, "ID_FS_TYPE", contents.kind);
    put(found, "ID_FS_USAGE", usage);
    if let Some(uuid) = &contents.uuid {
        put(found, "ID_FS_UUID", words::label(uuid));
        put(found, "ID_FS_UUID_ENC", words::encoded(uuid));
    }
    if let Some(label) = &contents.label {
        put(found, "ID_FS_LABEL", words::label(label));
        put(found, "ID_FS_LABEL_ENC", words::encoded(label));
    }
}

fn describe_partition(found: &mut Properties, device: &Device, dev: &Path) -> io::Result<()> {
    let number = device.attribute("partition");
    let disk = device
        .parent()
        .filter(|disk| disk.subsystem() == Some("block"));
    let (Some(number), Some(disk)) = (number.and_then(|text| text.parse().ok()), disk) else {
        return Ok(());
    };
    let Some(mut file) = open(&disk, dev)? else {
        return Ok(());
    };
    let Some(table) = table(&mut file, &disk)? else {
        return Ok(());
    };
    put(found, "ID_PART_ENTRY_SCHEME", table.scheme.name());
    if let Some((major, minor)) = disk.numbers() {
        put(found, "ID_PART_ENTRY_DISK", format!("{major}:{minor}"));
    }
    if let Some(entry) = table.entry(number) {
        describe_entry(found, entry);
    }
    Ok(())
}

fn describe_entry(found: &mut Properties, entry: &Partition) {
    put(found, "ID_PART_ENTRY_NUMBER", entry.number.to_string());
    put(found, "ID_PART_ENTRY_TYPE", entry.kind.as_str());
    put(
        found,
        "ID_PART_ENTRY_UUID",
        entry.uuid.clone().unwrap_or_default(),
    );
    let name = entry.label.as_deref().unwrap_or_default();
    put(found, "ID_PART_ENTRY_NAME", words::encoded(name));
    put(found, "ID_PART_ENTRY_OFFSET", entry.first.to_string());
    put(found, "ID_PART_ENTRY_SIZE", entry.sectors.to_string());
    if entry.flags != 0 {
        put(found, "ID_PART_ENTRY_FLAGS", format!("{:#x}", entry.flags));
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use expect_test::{Expect, expect};

    use super::super::tree::{Tree, text};
    use super::*;

    const DISK: &str = "/devices/pci0000:00/0000:00:05.0/virtio1/block/vda";

    /// A disk of 1 MiB with an MBR that has a partition from sector 8 on, with a swap area.
    fn machine() -> Tree {
        let tree = Tree::new();
        let part = format!("{DISK}/vda1");
        tree.device(
            DISK,
            Some("block"),
            "MAJOR=254\nMINOR=0\nDEVNAME=vda\nDEVTYPE=disk\n",
        );
        tree.attributes(
            DISK,
            &[("size", "2048"), ("queue/logical_block_size", "512")],
        );
        tree.device(
            &part,
            Some("block"),
            "MAJOR=254\nMINOR=1\nDEVNAME=vda1\nDEVTYPE=partition\n",
        );
        tree.attributes(&part, &[("size", "1000"), ("partition", "1")]);
        let mut area = vec![0; 1000 * 512];
        area[4086..4096].copy_from_slice(b"SWAPSPACE2");
        area[1036..1052].copy_from_slice(&[0xAB; 16]);
        area[1052..1060].copy_from_slice(b"my swap/");
        let mut disk = vec![0; 1 << 20];
        disk[440..444].copy_from_slice(&0xCAFE_u32.to_le_bytes());
        disk[446] = 0x80;
        disk[450] = 0x82;
        disk[454] = 8;
        disk[458..460].copy_from_slice(&1000_u16.to_le_bytes());
        disk[510..512].copy_from_slice(&[0x55, 0xAA]);
        disk[4096..4096 + area.len()].copy_from_slice(&area);
        fs::write(tree.path().join("vda"), disk).unwrap();
        fs::write(tree.path().join("vda1"), area).unwrap();
        tree
    }

    fn check(devpath: &str, arguments: &[&str], expected: &Expect) {
        let tree = machine();
        let arguments: Vec<String> = arguments.iter().map(|&word| word.to_owned()).collect();
        let found = run(&arguments, &tree.event(devpath), tree.path());
        expected.assert_eq(&found.map_or_else(|error| error.to_string(), text));
    }

    #[test]
    fn a_disk_has_a_table() {
        check(
            DISK,
            &["--noraid"],
            &expect![[r"
                ID_PART_TABLE_TYPE=dos
                ID_PART_TABLE_UUID=0000cafe
            "]],
        );
    }

    #[test]
    fn a_partition_has_contents_and_an_entry() {
        check(
            &format!("{DISK}/vda1"),
            &[],
            &expect![[r"
                ID_FS_LABEL=my_swap/
                ID_FS_LABEL_ENC=my\x20swap\x2f
                ID_FS_TYPE=swap
                ID_FS_USAGE=other
                ID_FS_UUID=abababab-abab-abab-abab-abababababab
                ID_FS_UUID_ENC=abababab-abab-abab-abab-abababababab
                ID_PART_ENTRY_DISK=254:0
                ID_PART_ENTRY_FLAGS=0x80
                ID_PART_ENTRY_NUMBER=1
                ID_PART_ENTRY_OFFSET=8
                ID_PART_ENTRY_SCHEME=dos
                ID_PART_ENTRY_SIZE=1000
                ID_PART_ENTRY_TYPE=0x82
                ID_PART_ENTRY_UUID=0000cafe-01
            "]],
        );
    }

    #[test]
    fn what_is_not_known_is_said() {
        check(
            DISK,
            &["--all"],
            &expect!["blkid: unknown argument '--all'; known is --noraid"],
        );
        let tree = machine();
        fs::remove_file(tree.path().join("vda")).unwrap();
        let error = run(&[], &tree.event(DISK), tree.path()).unwrap_err();
        assert!(error.to_string().contains("vda: No such file"), "{error}");
    }

    #[test]
    fn a_drive_without_medium_is_no_error() {
        assert!(is_empty(&io::Error::from_raw_os_error(123)));
        assert!(!is_empty(&io::Error::from_raw_os_error(5)));
        let named = |name: &str| {
            Device::of_event(
                Path::new("/sys"),
                &format!("/devices/x/{name}"),
                &Properties::new(),
            )
        };
        let (drive, disk) = (named("sr0").unwrap(), named("sda").unwrap());
        for (number, of_drive, of_disk) in [(5, true, false), (123, true, true), (13, false, false)]
        {
            let error = io::Error::from_raw_os_error(number);
            assert_eq!(is_without_data(&error, &drive), of_drive, "{number}");
            assert_eq!(is_without_data(&error, &disk), of_disk, "{number}");
        }
    }
}
