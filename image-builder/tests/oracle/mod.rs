//! The field's own tools, run on our images; a missing one fails with the line that installs it.

#![allow(dead_code, reason = "each test binary uses some of it")]

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use cairn_image_builder::{BiosBoot, Disk, Identifiers, Manifest, Partition, SectorSize};

/// Runs `program`, which is in the Debian package `package`; its output if it succeeds.
pub fn run(package: &str, program: &str, args: &[&OsStr]) -> String {
    let output = Command::new(program)
        .args(args)
        .env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin")
        .env("LC_ALL", "C.UTF-8")
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}; apt-get install {package}"));
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{program} {args:?}: {text}");
    text
}

pub fn sgdisk_verify(image: &Path) {
    let text = run("gdisk", "sgdisk", &["-v".as_ref(), image.as_os_str()]);
    assert!(text.contains("No problems found"), "{text}");
}

/// What fdisk makes of a disk with sectors of so many bytes: sgdisk takes those of a file for 512 bytes.
pub fn partitions(image: &Path, sector: u32) -> String {
    let options = [
        format!("-lb{sector}"),
        "-oDevice,Start,End,Size,Type".to_owned(),
    ];
    let arguments: Vec<_> = options
        .iter()
        .map(OsStr::new)
        .chain([image.as_os_str()])
        .collect();
    let text = run("fdisk", "fdisk", &arguments);
    assert!(!text.contains("corrupt"), "{text}");
    let lines = text
        .lines()
        .filter_map(|line| line.strip_prefix(image.to_str()?));
    let words = lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    words.collect::<Vec<_>>().join("\n")
}

fn at(image: &Path, partition: &Partition) -> String {
    format!("{}?offset={}", image.display(), partition.start)
}

pub fn e2fsck(image: &Path, root: &Partition) {
    let image = at(image, root);
    run("e2fsprogs", "e2fsck", &["-fn".as_ref(), image.as_ref()]);
}

/// One command of debugfs on the root file system.
pub fn debugfs(image: &Path, root: &Partition, command: &str) -> String {
    let image = at(image, root);
    let args: [&OsStr; 3] = ["-R".as_ref(), command.as_ref(), image.as_ref()];
    run("e2fsprogs", "debugfs", &args)
}

/// The content of a file of the root file system.
pub fn debugfs_cat(image: &Path, root: &Partition, path: &str, scratch: &Path) -> Vec<u8> {
    let target = scratch.join("debugfs.out");
    debugfs(
        image,
        root,
        &format!("dump \"{path}\" {}", target.display()),
    );
    std::fs::read(target).unwrap()
}

/// A partition as a file of its own.
pub fn extract(image: &Path, partition: &Partition, to: &Path) -> PathBuf {
    let mut source = File::open(image).unwrap();
    source.seek(SeekFrom::Start(partition.start)).unwrap();
    let mut target = File::create(to).unwrap();
    std::io::copy(&mut source.take(partition.size), &mut target).unwrap();
    target.flush().unwrap();
    to.to_owned()
}

pub fn fsck_vfat(image: &Path, esp: &Partition, scratch: &Path) {
    let fat = extract(image, esp, &scratch.join("esp.img"));
    run("dosfstools", "fsck.vfat", &["-n".as_ref(), fat.as_os_str()]);
}

/// A command of mtools on the EFI system partition: `mdir -/ -b`.
pub fn mtools(image: &Path, esp: &Partition, command: &str, args: &[&str]) -> String {
    let device = format!("{}@@{}", image.display(), esp.start);
    let mut all: Vec<&OsStr> = vec!["-i".as_ref(), device.as_ref()];
    all.extend(args.iter().map(|arg| OsStr::new(*arg)));
    run("mtools", command, &all)
}

/// Images of the shape of GRUB's, without code.
pub fn shape_of_grub() -> BiosBoot {
    let mut boot_img = vec![0; 512];
    boot_img[0x66] = 0xeb;
    boot_img[510..].copy_from_slice(&[0x55, 0xaa]);
    let mut core_img = vec![0xc3; 3 * 512 + 7];
    core_img[0x1f4..0x200].copy_from_slice(&[2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0x20, 0x08]);
    BiosBoot { boot_img, core_img }
}

pub fn disk<'a>(root: &'a Manifest, esp: &'a Manifest, boot: &'a BiosBoot) -> Disk<'a> {
    Disk {
        root,
        esp: Some(esp),
        sector_size: SectorSize::Bytes512,
        boot: Some(boot),
        boot_files: None,
        swap: None,
        root_label: "root",
        identifiers: Identifiers::from_seed(&[7; 32]),
        free_space: 0,
        size: None,
        epoch: 1_700_000_000,
    }
}
