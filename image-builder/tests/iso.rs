//! Live media held against the tools that read them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers fail by panicking, as the test does"
)]

mod oracle;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::num::NonZero;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;

use cairn_image_builder::iso::{DiscBoot, Iso, IsoError, IsoIdentifiers};
use cairn_image_builder::squashfs::Options;
use cairn_image_builder::{Content, Manifest, Node};
use cairn_system::live::{DESCRIPTOR, DESCRIPTOR_SIZE, LiveMedium, MediaManifest};
use expect_test::expect;
use oracle::run;

const EPOCH: u32 = 1_700_000_000;

fn file(bytes: &[u8]) -> Node {
    Node::new(0o444, Content::Bytes(bytes.to_vec()))
}

/// Images of the shape of GRUB's, without code.
fn boot() -> DiscBoot {
    let mut hybrid_img = vec![0x11; 512];
    hybrid_img[510..].copy_from_slice(&[0x55, 0xaa]);
    DiscBoot {
        hybrid_img,
        disc_img: vec![0xc3; 30_001],
    }
}

fn write(iso: &Iso<'_>, image: &Path) -> Result<(), IsoError> {
    iso.write(image, || Ok(boot()))
}

struct Parts {
    system: Manifest,
    files: Manifest,
    esp: Manifest,
}

fn parts() -> Parts {
    let mut system = Manifest::new();
    system.insert_directories(Path::new("nix/store/a")).unwrap();
    let noise: Vec<u8> = (0u32..3_000_000)
        .map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[2])
        .collect();
    system.insert("nix/store/a/noise", file(&noise)).unwrap();
    system.insert("etc", Node::directory(0o755)).unwrap();
    let mut files = Manifest::new();
    files
        .insert_directories(Path::new("boot/grub/fonts"))
        .unwrap();
    files
        .insert("boot/grub/grub.cfg", file(b"menuentry x {}\n"))
        .unwrap();
    files
        .insert(
            "boot/kernel-of-a-long-name-with-6.1.0-42-amd64",
            file(&noise[..70_000]),
        )
        .unwrap();
    files.insert("boot/initrd", file(&noise[..8192])).unwrap();
    files.insert("empty", file(b"")).unwrap();
    // More records than one block has.
    files.insert("many", Node::directory(0o755)).unwrap();
    for number in 0..60 {
        let text = format!("{number}");
        files
            .insert(format!("many/file number {number}"), file(text.as_bytes()))
            .unwrap();
    }
    let mut esp = Manifest::new();
    esp.insert_directories(Path::new("EFI/BOOT")).unwrap();
    esp.insert("EFI/BOOT/BOOTX64.EFI", file(&noise[..600_000]))
        .unwrap();
    Parts { system, files, esp }
}

impl Parts {
    fn iso(&self) -> Iso<'_> {
        Iso {
            system: &self.system,
            compression: Options::new(EPOCH),
            cache: None,
            files: &self.files,
            esp: Some(&self.esp),
            label: "CAIRN_TEST",
            identifiers: IsoIdentifiers::from_seed(&[7; 32]),
            epoch: EPOCH,
        }
    }
}

fn xorriso(image: &Path, args: &[&str]) -> String {
    let mut all: Vec<&OsStr> = vec!["-indev".as_ref(), image.as_os_str()];
    all.extend(args.iter().map(|arg| OsStr::new(*arg)));
    run("xorriso", "xorriso", &all)
}

fn medium(image: &Path) -> LiveMedium {
    let mut sector = vec![0; DESCRIPTOR_SIZE];
    File::open(image)
        .unwrap()
        .read_exact_at(&mut sector, DESCRIPTOR)
        .unwrap();
    LiveMedium::from_descriptor(&sector).unwrap().unwrap()
}

#[test]
fn the_fields_tools_know_it() {
    let scratch = tempfile::tempdir().unwrap();
    let image = scratch.path().join("live.iso");
    let parts = parts();
    write(&parts.iso(), &image).unwrap();

    oracle::sgdisk_verify(&image);
    let kind = run("file", "file", &["-b".as_ref(), image.as_os_str()]);
    assert!(
        kind.contains("bootable") && kind.contains("CAIRN_TEST"),
        "{kind}"
    );
    let report = xorriso(
        &image,
        &["-report_el_torito", "plain", "-report_system_area", "plain"],
    );
    let wanted = [
        "Volume id",
        "El Torito",
        "System area",
        "MBR part",
        "GPT part",
        "GPT disk",
        "GPT type",
    ];
    let lines: Vec<_> = report
        .lines()
        .filter(|line| wanted.iter().any(|word| line.starts_with(word)))
        .map(str::trim_end)
        .collect();
    expect![[r#"
        El Torito catalog  : 31  1
        El Torito images   :   N  Pltf  B   Emul  Ld_seg  Hdpt  Ldsiz         LBA
        El Torito boot img :   1  BIOS  y   none  0x0000  0x00      4          32
        El Torito boot img :   2  UEFI  y   none  0x0000  0x00   8192         512
        El Torito img path :   1  /boot/grub/bios.img
        El Torito img opts :   1  boot-info-table grub2-boot-info
        El Torito img path :   2  /boot/grub/efi.img
        System area options: 0x00004201
        System area summary: MBR protective-msdos-label grub2-mbr cyl-align-off GPT
        MBR partition table:   N Status  Type        Start       Blocks
        MBR partition      :   1   0x00  0xee            1        14335
        MBR partition      :   2   0x80  0x00            0            1
        GPT disk GUID      :      234b60d42e8ff68ca34a21abb44bb52d
        GPT partition name :   1  660069006c0065007300
        GPT partname local :   1  files
        GPT partition GUID :   1  2e7115c2714a5382b7e1c3a87e3d6154
        GPT type GUID      :   1  af3dc60f838472478e793d69d8477de4
        GPT partition flags:   1  0x0000000000000000
        GPT partition name :   2  650073007000
        GPT partname local :   2  esp
        GPT partition GUID :   2  ed82527056ce068d85da7bb91763a4a6
        GPT type GUID      :   2  28732ac11ff8d211ba4b00a0c93ec93b
        GPT partition flags:   2  0x0000000000000000
        GPT partition path :   2  /boot/grub/efi.img
        GPT partition name :   3  730079007300740065006d00
        GPT partname local :   3  system
        GPT partition GUID :   3  7f8766a302bba388b7c512fbe668d83d
        GPT type GUID      :   3  af3dc60f838472478e793d69d8477de4
        GPT partition flags:   3  0x0000000000000000
        GPT partition path :   3  /cairn/system.squashfs
        Volume id    : 'CAIRN_TEST'
    "#]]
    .assert_eq(&(lines.join("\n") + "\n"));
}

#[test]
fn every_file_comes_back() {
    let scratch = tempfile::tempdir().unwrap();
    let image = scratch.path().join("live.iso");
    let parts = parts();
    write(&parts.iso(), &image).unwrap();

    // By name and content, as two other readers see them.
    let tree = scratch.path().join("tree");
    fs::create_dir(&tree).unwrap();
    let into = [image.as_os_str(), "-C".as_ref(), tree.as_os_str()];
    run(
        "libarchive-tools",
        "bsdtar",
        &["-xf".as_ref(), into[0], into[1], into[2]],
    );
    for (path, node) in parts.files.entries() {
        if let Content::Bytes(bytes) = &node.content {
            assert!(
                fs::read(tree.join(path)).unwrap() == *bytes,
                "{}",
                path.display()
            );
        }
    }
    let listing = run(
        "genisoimage",
        "isoinfo",
        &[
            "-R".as_ref(),
            "-f".as_ref(),
            "-i".as_ref(),
            image.as_os_str(),
        ],
    );
    let mut listed: Vec<_> = listing
        .lines()
        .filter(|line| !line.starts_with("/many/"))
        .collect();
    listed.sort_unstable();
    expect![[r#"
        /boot
        /boot/grub
        /boot/grub/bios.img
        /boot/grub/efi.img
        /boot/grub/fonts
        /boot/grub/grub.cfg
        /boot/initrd
        /boot/kernel-of-a-long-name-with-6.1.0-42-amd64
        /cairn
        /cairn/782a7cda-0255-8fa6-8b2f-4a5e488210b8
        /cairn/manifest
        /cairn/system.squashfs
        /empty
        /many
    "#]]
    .assert_eq(&(listed.join("\n") + "\n"));
    assert_eq!(
        listing
            .lines()
            .filter(|line| line.starts_with("/many/"))
            .count(),
        60
    );

    let squashfs = tree.join("cairn/system.squashfs");
    let list = run(
        "squashfs-tools",
        "unsquashfs",
        &["-lc".as_ref(), squashfs.as_os_str()],
    );
    assert!(list.contains("squashfs-root/nix/store/a/noise"), "{list}");
    let esp = tree.join("boot/grub/efi.img");
    run("dosfstools", "fsck.vfat", &["-n".as_ref(), esp.as_os_str()]);
    let out = scratch.path().join("out.efi");
    let source: &OsStr = "::EFI/BOOT/BOOTX64.EFI".as_ref();
    run(
        "mtools",
        "mcopy",
        &["-i".as_ref(), esp.as_os_str(), source, out.as_os_str()],
    );
    assert_eq!(fs::metadata(out).unwrap().len(), 600_000);
}

#[test]
fn stage_1_finds_what_it_is_told() {
    let scratch = tempfile::tempdir().unwrap();
    let image = scratch.path().join("live.iso");
    let mut parts = parts();
    for odd in [&b"boot/two\nlines"[..], b"boot/\xff\xfe latin"] {
        let node = file(b"it has a name");
        parts.files.insert(OsStr::from_bytes(odd), node).unwrap();
    }
    write(&parts.iso(), &image).unwrap();
    let medium = medium(&image);
    assert_eq!(medium.id, IsoIdentifiers::from_seed(&[7; 32]).medium_id());
    let bytes = fs::read(&image).unwrap();
    let part = |offset: u64, length: u64| {
        &bytes[usize::try_from(offset).unwrap()..][..usize::try_from(length).unwrap()]
    };
    assert!(part(medium.system.offset, 4) == b"hsqs");
    let text = part(medium.manifest.offset, medium.manifest.length);
    assert_eq!(blake3::hash(text).to_hex().as_str(), medium.manifest_hash);
    let manifest = MediaManifest::parse(std::str::from_utf8(text).unwrap()).unwrap();
    let mut covered = 0;
    for piece in &manifest.pieces {
        let hash = blake3::hash(part(piece.extent.offset, piece.extent.length));
        assert_eq!(hash.to_hex().as_str(), piece.hash, "{}", piece.path);
        assert!(piece.extent.offset >= covered, "{} overlaps", piece.path);
        covered = piece.extent.offset + piece.extent.length;
    }
    let paths: Vec<_> = manifest
        .pieces
        .iter()
        .map(|piece| piece.path.as_str())
        .collect();
    for path in [
        "(directories)",
        "boot/initrd",
        "boot/two\\nlines",
        "boot/\\xff\\xfe latin",
        "boot/grub/efi.img",
        "cairn/system.squashfs",
    ] {
        assert!(paths.contains(&path), "{path}: {paths:?}");
    }
}

#[test]
fn the_same_bytes_with_any_number_of_threads() {
    let scratch = tempfile::tempdir().unwrap();
    let parts = parts();
    let hashes: Vec<_> = [1, 2, 8]
        .map(|threads| {
            let image = scratch.path().join(format!("{threads}.iso"));
            let mut iso = parts.iso();
            iso.compression.threads = NonZero::new(threads).unwrap();
            write(&iso, &image).unwrap();
            blake3::hash(&fs::read(image).unwrap())
        })
        .into();
    assert_eq!(hashes, vec![hashes[0]; 3]);
}

/// A stick has sectors of 512 bytes, or of 4096: each finds the same partitions.
#[test]
fn it_has_a_table_for_each_size_of_sectors() {
    let scratch = tempfile::tempdir().unwrap();
    let image = scratch.path().join("stick.iso");
    write(&parts().iso(), &image).unwrap();
    let tables = [512, 4096].map(|sector| oracle::partitions(&image, sector));
    expect![[r#"
        1 64 2047 992K Linux filesystem
        2 2048 10239 4M EFI System
        3 10240 10399 80K Linux filesystem

        1 8 255 992K Linux filesystem
        2 256 1279 4M EFI System
        3 1280 1299 80K Linux filesystem"#]]
    .assert_eq(&tables.join("\n\n"));
}

#[test]
fn without_uefi_it_has_no_partition_for_it() {
    let scratch = tempfile::tempdir().unwrap();
    let image = scratch.path().join("bios.iso");
    let parts = parts();
    let iso = Iso {
        esp: None,
        ..parts.iso()
    };
    write(&iso, &image).unwrap();
    oracle::sgdisk_verify(&image);
    let report = xorriso(&image, &["-report_el_torito", "plain"]);
    assert!(
        report.contains("BIOS") && !report.contains("UEFI"),
        "{report}"
    );
}

#[test]
fn what_cannot_be_made_leaves_nothing() {
    let scratch = tempfile::tempdir().unwrap();
    let image = scratch.path().join("live.iso");
    let parts = parts();
    for label in ["", "ünicode", "a label that is longer than is allowed"] {
        let iso = Iso {
            label,
            ..parts.iso()
        };
        assert!(
            matches!(write(&iso, &image), Err(IsoError::Label(_))),
            "{label}"
        );
    }
    let mut other = DiscBoot {
        hybrid_img: vec![0; 512],
        ..boot()
    };
    let error = |boot: &DiscBoot| {
        let made = parts
            .iso()
            .write(&image, || Ok::<_, IsoError>(boot.clone()));
        made.unwrap_err().to_string()
    };
    expect![
        "cannot use boot_hybrid.img: its last bytes are not 55 aa; it should be GRUB's for i386-pc"
    ]
    .assert_eq(&error(&other));
    other = DiscBoot {
        disc_img: vec![0; 100],
        ..boot()
    };
    expect!["cannot use GRUB's image for discs: it has 100 bytes only; it should be from grub-mkimage -O i386-pc-eltorito"]
        .assert_eq(&error(&other));
    other = DiscBoot {
        disc_img: vec![0; 600_000],
        ..boot()
    };
    expect!["cannot use GRUB's image for discs: it has 600000 bytes, and there is room for 524288; it should be from grub-mkimage -O i386-pc-eltorito"]
        .assert_eq(&error(&other));
    let none = parts.iso().write(&image, || {
        Err(Box::<dyn std::error::Error>::from("no GRUB"))
    });
    expect!["no GRUB"].assert_eq(&none.unwrap_err().to_string());
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
}
