//! Where two images of one kind first differ: in which partition, and in which file of it, by the tools that
//! read such images.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context as _, ensure};
use cairn_system::live::{DESCRIPTOR, DESCRIPTOR_SIZE, LiveMedium, MediaManifest};
use serde::Deserialize;

/// Where `one` and `other`, images of the kind `format`, first differ; `None` if they are the same. The
/// folder `scratch` is empty and may be filled.
///
/// # Errors
/// They cannot be read.
pub fn difference(
    format: &str,
    one: &Path,
    other: &Path,
    scratch: &Path,
) -> anyhow::Result<Option<String>> {
    if one.is_dir() {
        let compared = match format {
            "directory" => Compared::Trees,
            _ => Compared::Contents,
        };
        return between_folders(one, other, compared);
    }
    let Some(at) = first_byte(one, other)? else {
        return Ok(None);
    };
    let file = match format {
        "disk" | "ami" => in_disk(one, at)?,
        "qcow2" | "vmdk" | "vdi" | "vhd" => in_converted(one, other, scratch)?,
        "iso" => in_medium(one, other, at, scratch)?,
        "ova" | "tarball" => in_archive(one, other, scratch)?,
        _ => None,
    };
    let file = file.unwrap_or_else(|| "no file, but what is around them".to_owned());
    Ok(Some(format!("{file} (byte {at} of the image)")))
}

/// The first byte that differs.
fn first_byte(one: &Path, other: &Path) -> anyhow::Result<Option<u64>> {
    let open = |path: &Path| {
        let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        anyhow::Ok(BufReader::with_capacity(1 << 20, file))
    };
    let (mut first, mut second) = (open(one)?, open(other)?);
    let mut at = 0;
    let (mut left, mut right) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    loop {
        let (read, also) = (fill(&mut first, &mut left)?, fill(&mut second, &mut right)?);
        let (one, other) = (left.get(..read), right.get(..also));
        // The place is looked for where there is one.
        if one != other {
            let bytes = left.iter().take(read).zip(right.iter().take(also));
            let same = bytes.take_while(|(one, other)| one == other).count();
            return Ok(Some(at + same as u64));
        }
        if read == 0 {
            return Ok(None);
        }
        at += read as u64;
    }
}

/// Reads until the buffer is full or there is no more.
fn fill(from: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match from.read(rest)? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

/// What is compared of two folders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compared {
    /// Names and contents: the folder is where files are, and their modes are whoever's made them.
    Contents,
    /// Modes and times too: the folder itself is the image. Its owner is who made it.
    Trees,
}

/// The first path that is not the same in both folders.
fn between_folders(one: &Path, other: &Path, compared: Compared) -> anyhow::Result<Option<String>> {
    let (left, right) = (paths(one)?, paths(other)?);
    for path in left.iter().chain(&right) {
        let place = path.display();
        if !left.contains(path) || !right.contains(path) {
            return Ok(Some(format!("{place} is in one of them only")));
        }
    }
    for path in &left {
        if let Some(what) = between_entries(&one.join(path), &other.join(path), compared)? {
            return Ok(Some(format!("{}, {what}", path.display())));
        }
    }
    Ok(None)
}

/// All paths below `folder`, in their order.
fn paths(folder: &Path) -> anyhow::Result<std::collections::BTreeSet<PathBuf>> {
    let mut found = std::collections::BTreeSet::new();
    let mut pending = vec![PathBuf::new()];
    while let Some(path) = pending.pop() {
        let place = folder.join(&path);
        let listing = fs::read_dir(&place);
        for entry in listing.with_context(|| format!("cannot list {}", place.display()))? {
            let entry = entry?;
            let path = path.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                pending.push(path.clone());
            }
            found.insert(path);
        }
    }
    Ok(found)
}

/// What two files, folders or links differ in.
fn between_entries(one: &Path, other: &Path, compared: Compared) -> anyhow::Result<Option<String>> {
    let look = |path: &Path| {
        let found = fs::symlink_metadata(path);
        found.with_context(|| format!("cannot look at {}", path.display()))
    };
    let (left, right) = (look(one)?, look(other)?);
    if left.file_type() != right.file_type() {
        return Ok(Some("its kind".to_owned()));
    }
    let time = |time: std::io::Result<SystemTime>| time.map_err(anyhow::Error::from);
    if left.is_symlink() {
        let differ = fs::read_link(one)? != fs::read_link(other)?;
        return Ok(differ.then(|| "its target".to_owned()));
    }
    if compared == Compared::Trees {
        if left.permissions().mode() != right.permissions().mode() {
            return Ok(Some("its mode".to_owned()));
        }
        if time(left.modified())? != time(right.modified())? {
            return Ok(Some("its time".to_owned()));
        }
    }
    if !left.is_file() {
        return Ok(None);
    }
    let at = first_byte(one, other)?;
    Ok(at.map(|at| format!("byte {at}")))
}

#[derive(Debug, Deserialize)]
struct Tables {
    partitiontable: Table,
}

#[derive(Debug, Deserialize)]
struct Table {
    sectorsize: u64,
    partitions: Vec<Partition>,
}

#[derive(Debug, Deserialize)]
struct Partition {
    start: u64,
    size: u64,
    name: String,
}

/// The partition of the disk that has the byte `at`, and the file there.
fn in_disk(disk: &Path, at: u64) -> anyhow::Result<Option<String>> {
    let text = run("sfdisk", &["--json".as_ref(), disk.as_os_str()])?;
    let tables: Tables = serde_json::from_str(&text).context("cannot read sfdisk's answer")?;
    let table = tables.partitiontable;
    for partition in &table.partitions {
        let start = partition.start * table.sectorsize;
        if (start..start + partition.size * table.sectorsize).contains(&at) {
            let file = in_ext4(disk, start, at - start).unwrap_or_default();
            let name = &partition.name;
            return Ok(Some(format!("{file}of the partition {name}")));
        }
    }
    Ok(None)
}

/// The file that has the byte `at` of the ext4 that begins at `start`; an error if it is no such thing.
fn in_ext4(disk: &Path, start: u64, at: u64) -> anyhow::Result<String> {
    const BLOCK: u64 = 4096;
    let volume = format!("{}?offset={start}", disk.display());
    let ask = |request: &str| {
        let arguments: [&OsStr; 3] = ["-R".as_ref(), request.as_ref(), volume.as_ref()];
        let answer = run("debugfs", &arguments)?;
        let last = answer.lines().last().and_then(|line| line.split_once('\t'));
        anyhow::Ok(last.map(|(_, found)| found.to_owned()))
    };
    let inode = ask(&format!("icheck {}", at / BLOCK))?.context("no answer")?;
    let path = ask(&format!("ncheck {inode}"))?.context("no file")?;
    Ok(format!("{path} "))
}

/// Of disks in another format, the place in the raw disk.
fn in_converted(one: &Path, other: &Path, scratch: &Path) -> anyhow::Result<Option<String>> {
    let [left, right] = ["one", "other"].map(|name| scratch.join(name));
    for (from, to) in [(one, &left), (other, &right)] {
        let arguments = [
            "convert".as_ref(),
            "-Oraw".as_ref(),
            from.as_os_str(),
            to.as_os_str(),
        ];
        run("qemu-img", &arguments)?;
    }
    match first_byte(&left, &right)? {
        Some(at) => in_disk(&left, at),
        None => Ok(None),
    }
}

/// The piece of a live medium that has the byte `at`, and of the system in it the file.
fn in_medium(one: &Path, other: &Path, at: u64, scratch: &Path) -> anyhow::Result<Option<String>> {
    let file = File::open(one).with_context(|| format!("cannot open {}", one.display()))?;
    let read = |offset: u64, length: u64| {
        let mut bytes = vec![0; usize::try_from(length)?];
        file.read_exact_at(&mut bytes, offset)?;
        anyhow::Ok(bytes)
    };
    let sector = read(DESCRIPTOR, DESCRIPTOR_SIZE as u64)?;
    let medium = LiveMedium::from_descriptor(&sector)?.context("the image is no live medium")?;
    let text = read(medium.manifest.offset, medium.manifest.length)?;
    let manifest = MediaManifest::parse(std::str::from_utf8(&text)?)?;
    let piece = manifest.pieces.iter().find(|piece| {
        let extent = piece.extent;
        (extent.offset..extent.offset + extent.length).contains(&at)
    });
    let Some(piece) = piece else { return Ok(None) };
    if piece.extent.offset < medium.system.offset {
        return Ok(Some(piece.path.clone()));
    }
    let [left, right] = ["one", "other"].map(|name| scratch.join(name));
    for (from, to) in [(one, &left), (other, &right)] {
        let offset = medium.system.offset.to_string();
        let arguments = ["-no-progress", "-no-xattrs", "-o", &offset, "-d"].map(OsStr::new);
        let places = [to.as_os_str(), from.as_os_str()];
        run("unsquashfs", &[&arguments[..], &places[..]].concat())?;
    }
    let inside = between_folders(&left, &right, Compared::Trees)?;
    let inside = inside.unwrap_or_else(|| "what is around its files".to_owned());
    Ok(Some(format!("{}: {inside}", piece.path)))
}

/// The file of an archive.
fn in_archive(one: &Path, other: &Path, scratch: &Path) -> anyhow::Result<Option<String>> {
    let [left, right] = ["one", "other"].map(|name| scratch.join(name));
    for (from, to) in [(one, &left), (other, &right)] {
        fs::create_dir(to).with_context(|| format!("cannot make {}", to.display()))?;
        let arguments = [
            "-xpf".as_ref(),
            from.as_os_str(),
            "-C".as_ref(),
            to.as_os_str(),
        ];
        run("bsdtar", &arguments)?;
    }
    between_folders(&left, &right, Compared::Trees)
}

/// What a program says, if it ends well.
fn run(program: &str, arguments: &[&OsStr]) -> anyhow::Result<String> {
    let output = Command::new(program)
        .args(arguments)
        .env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin")
        .env("LC_ALL", "C.UTF-8")
        .output()
        .with_context(|| format!("cannot run {program}"))?;
    ensure!(
        output.status.success(),
        "{program} ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_image_builder::{
        BiosBoot, Content, Conversion, Disk, DiskFormat, Identifiers, Manifest, Node, SectorSize,
        TarCompression, convert, plan, write, write_folder, write_tarball,
    };
    use expect_test::expect;

    /// A tree with this text in one of its files.
    fn tree(text: &str) -> Manifest {
        let mut tree = Manifest::new();
        tree.insert_directories(Path::new("etc/deep")).unwrap();
        for (name, text) in [("etc/a", "a"), ("etc/deep/text", text), ("etc/z", "z")] {
            let content = Content::Bytes(text.repeat(500).into_bytes());
            tree.insert(name, Node::new(0o644, content)).unwrap();
        }
        tree
    }

    fn disk(text: &str, output: &Path) {
        let mut boot_img = vec![0; 512];
        boot_img[0x66] = 0xeb;
        boot_img[510..].copy_from_slice(&[0x55, 0xaa]);
        let mut core_img = vec![0xc3; 3 * 512];
        core_img[0x1f4..0x200].copy_from_slice(&[2, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0x20, 0x08]);
        let (root, esp) = (tree(text), Manifest::new());
        let disk = Disk {
            root: &root,
            esp: Some(&esp),
            boot_files: None,
            swap: None,
            sector_size: SectorSize::Bytes512,
            boot: Some(&BiosBoot { boot_img, core_img }),
            root_label: "root",
            identifiers: Identifiers::from_seed(&[7; 32]),
            free_space: 0,
            size: None,
            epoch: 1,
        };
        write(&disk, &plan(&disk).unwrap(), output, &mut |_| {}).unwrap();
    }

    /// What is said of two images that `make` makes of two trees; of the same tree, nothing is.
    fn said(format: &str, make: impl Fn(&str, &Path)) -> String {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        let scratch = place("scratch");
        fs::create_dir(&scratch).unwrap();
        for (text, name) in [("same", "one"), ("same", "two"), ("such", "other")] {
            make(text, &place(name));
        }
        let between =
            |other: &str| difference(format, &place("one"), &place(other), &scratch).unwrap();
        assert_eq!(between("two"), None, "{format}");
        let said = between("other").unwrap();
        // Where it is in the image is the image's own affair.
        said.split(" (byte ").next().unwrap().to_owned()
    }

    #[test]
    fn the_first_file_that_differs_is_named() {
        let convert_to = |kind| {
            move |text: &str, output: &Path| {
                let raw = output.with_extension("raw");
                disk(text, &raw);
                let conversion = Conversion {
                    raw: &raw,
                    format: kind,
                    name: "machine",
                    seed: &[7; 32],
                    epoch: 1,
                };
                convert(&conversion, output).unwrap();
            }
        };
        expect!["/etc/deep/text of the partition root"].assert_eq(&said("disk", disk));
        expect!["/etc/deep/text of the partition root"]
            .assert_eq(&said("vdi", convert_to(DiskFormat::Vdi)));
        expect!["machine-disk1.vmdk"].assert_eq(
            said("ova", convert_to(DiskFormat::Ova))
                .split(',')
                .next()
                .unwrap(),
        );
        expect!["etc/deep/text, byte 1"].assert_eq(&said("tarball", |text, output| {
            write_tarball(&tree(text), TarCompression::Zstd, output).unwrap();
        }));
        expect!["etc/deep/text, byte 1"].assert_eq(&said("directory", |text, output| {
            write_folder(&tree(text), output).unwrap();
        }));
    }
}
