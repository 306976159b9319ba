//! What goes wrong with every writer alike: a full disk, a place that cannot be written to; and what is odd,
//! very large or very much, and goes right.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers fail by panicking, as the test does"
)]

mod oracle;
mod tree;

use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::process::Command;

use cairn_image_builder::iso::{DiscBoot, Iso, IsoError, IsoIdentifiers};
use cairn_image_builder::squashfs::Options;
use cairn_image_builder::{
    Content, Conversion, DiskFormat, LiveInitrd, Manifest, Node, TarCompression, convert, plan,
    write, write_folder, write_tarball,
};
use expect_test::expect;
use oracle::{disk, e2fsck, run, shape_of_grub};
use tree::{file, make_removable, noise};

const EPOCH: u32 = 1_700_000_000;

/// Makes an image of a tree at the second path; the first is a folder for what it needs.
type Writer = fn(&Manifest, &Path, &Path) -> Result<(), String>;

const WRITERS: [(&str, Writer); 13] = [
    ("disk", write_disk),
    ("qcow2", |tree, scratch, output| {
        converted(DiskFormat::Qcow2, tree, scratch, output)
    }),
    ("vmdk", |tree, scratch, output| {
        converted(DiskFormat::Vmdk, tree, scratch, output)
    }),
    ("vdi", |tree, scratch, output| {
        converted(DiskFormat::Vdi, tree, scratch, output)
    }),
    ("vhd", |tree, scratch, output| {
        converted(DiskFormat::Vhd, tree, scratch, output)
    }),
    ("ova", |tree, scratch, output| {
        converted(DiskFormat::Ova, tree, scratch, output)
    }),
    ("iso", write_iso),
    ("initrd", write_initrd),
    ("tar", |tree, _, output| {
        archived(TarCompression::None, tree, output)
    }),
    ("tar.gz", |tree, _, output| {
        archived(TarCompression::Gzip, tree, output)
    }),
    ("tar.xz", |tree, _, output| {
        archived(TarCompression::Xz, tree, output)
    }),
    ("tar.zst", |tree, _, output| {
        archived(TarCompression::Zstd, tree, output)
    }),
    ("folder", |tree, _, output| {
        write_folder(tree, output).map(drop).map_err(text)
    }),
];

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn write_disk(tree: &Manifest, _: &Path, output: &Path) -> Result<(), String> {
    let (esp, boot) = (Manifest::new(), shape_of_grub());
    let disk = disk(tree, &esp, &boot);
    let layout = plan(&disk).map_err(text)?;
    write(&disk, &layout, output, &mut |_| {}).map_err(text)
}

/// The raw disk is made first, and once.
fn converted(
    format: DiskFormat,
    tree: &Manifest,
    scratch: &Path,
    output: &Path,
) -> Result<(), String> {
    let raw = scratch.join("raw");
    if !raw.exists() {
        write_disk(tree, scratch, &raw)?;
    }
    let conversion = Conversion {
        raw: &raw,
        format,
        name: "machine",
        seed: &[7; 32],
        epoch: EPOCH,
    };
    convert(&conversion, output).map_err(text)
}

fn write_iso(tree: &Manifest, _: &Path, output: &Path) -> Result<(), String> {
    let mut hybrid_img = vec![0x11; 512];
    hybrid_img[510..].copy_from_slice(&[0x55, 0xaa]);
    let files = Manifest::new();
    let iso = Iso {
        system: tree,
        compression: Options::new(EPOCH),
        cache: None,
        files: &files,
        esp: None,
        label: "BAD",
        identifiers: IsoIdentifiers::from_seed(&[7; 32]),
        epoch: EPOCH,
    };
    let boot = || {
        Ok::<_, IsoError>(DiscBoot {
            hybrid_img,
            disc_img: vec![0xc3; 30_001],
        })
    };
    iso.write(output, boot).map_err(text)
}

fn write_initrd(tree: &Manifest, scratch: &Path, output: &Path) -> Result<(), String> {
    let initrd = scratch.join("of-the-system");
    fs::write(&initrd, "an initrd").unwrap();
    let live = LiveInitrd {
        system: tree,
        compression: Options::new(EPOCH),
        cache: None,
        initrd: &initrd,
        medium: LiveInitrd::medium_of(&[7; 32]),
    };
    live.write(output).map_err(text)
}

fn archived(kind: TarCompression, tree: &Manifest, output: &Path) -> Result<(), String> {
    write_tarball(tree, kind, output).map_err(text)
}

/// Three MiB that nothing makes smaller.
fn sample() -> Manifest {
    let mut tree = Manifest::new();
    for number in 0..3 {
        let node = file(0o444, &noise(number, 1 << 20));
        tree.insert(format!("noise-{number}"), node).unwrap();
    }
    tree
}

fn names(folder: &Path) -> Vec<OsString> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    names
}

/// Each writer's complaint about `output`, which is made anew by `place`; nothing but that may be left.
fn complaints(place: impl Fn(&str) -> std::path::PathBuf, hidden: &Path) -> String {
    complaints_about(&sample(), place, hidden)
}

fn complaints_about(
    tree: &Manifest,
    place: impl Fn(&str) -> std::path::PathBuf,
    hidden: &Path,
) -> String {
    let mut report = String::new();
    for (name, writer) in WRITERS {
        let scratch = tempfile::tempdir().unwrap();
        let output = place(name);
        let before = output
            .parent()
            .map(|parent| parent.is_dir().then(|| names(parent)));
        let error = writer(tree, scratch.path(), &output).unwrap_err();
        let after = output
            .parent()
            .map(|parent| parent.is_dir().then(|| names(parent)));
        assert_eq!(before, after, "{name} leaves something");
        let error = error.replace(hidden.to_str().unwrap(), "PLACE");
        writeln!(report, "{name}: {error}").unwrap();
    }
    report
}

/// A file system in memory is the disk; only a namespace of users may mount it for everybody.
#[test]
fn a_full_disk_is_named_and_nothing_is_left_on_it() {
    let place = tempfile::tempdir().unwrap();
    let script = "mount -t tmpfs -o size=1m full \"$1\"; shift; exec \"$@\"";
    let program = env::current_exe().unwrap();
    let inner = ["--exact", "--ignored", "--nocapture", "on_a_full_disk"];
    let output = Command::new("unshare")
        .args([
            "--user",
            "--map-root-user",
            "--mount",
            "sh",
            "-ec",
            script,
            "sh",
        ])
        .arg(place.path())
        .arg(program)
        .args(inner)
        .env(FULL, place.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{complaint}");
    assert!(said.contains("1 passed"), "{said}{complaint}");
}

/// Where the full disk is.
const FULL: &str = "CAIRN_TEST_FULL_DISK";

#[test]
#[ignore = "run by the test before it, on a disk that is full"]
fn on_a_full_disk() {
    let full = env::var_os(FULL).expect("a full disk");
    let full = Path::new(&full);
    // Images that are there stay, too.
    let old = |name: &str| full.join(format!("old-{name}"));
    let report = complaints(
        |name| {
            let output = old(name);
            if name != "folder" {
                fs::write(&output, "old").unwrap();
            }
            output
        },
        full,
    );
    for (name, _) in WRITERS.iter().filter(|(name, _)| *name != "folder") {
        assert_eq!(fs::read(old(name)).unwrap(), b"old", "{name}");
    }
    // How many bytes each needs, and how many there are, is its own affair.
    let plain: String = report.chars().filter(|c| !c.is_ascii_digit()).collect();
    expect![[r#"
        disk: cannot write 'PLACE/old-disk': it needs  bytes, and its file system has  free
        qcow: cannot write 'PLACE/old-qcow': it needs  bytes, and its file system has  free
        vmdk: cannot write 'PLACE/old-vmdk': it needs  bytes, and its file system has  free
        vdi: cannot write 'PLACE/old-vdi': it needs  bytes, and its file system has  free
        vhd: cannot write 'PLACE/old-vhd': it needs  bytes, and its file system has  free
        ova: cannot write 'PLACE/old-ova': it needs  bytes, and its file system has  free
        iso: cannot write 'PLACE/old-iso': it needs  bytes, and its file system has  free
        initrd: cannot write 'PLACE/old-initrd': it needs  bytes, and its file system has  free
        tar: cannot write 'PLACE/old-tar': it needs  bytes, and its file system has  free
        tar.gz: cannot write 'PLACE/old-tar.gz': it needs  bytes, and its file system has  free
        tar.xz: cannot write 'PLACE/old-tar.xz': it needs  bytes, and its file system has  free
        tar.zst: cannot write 'PLACE/old-tar.zst': it needs  bytes, and its file system has  free
        folder: cannot write 'PLACE/old-folder': it needs  bytes, and its file system has  free
    "#]]
    .assert_eq(&plain);
}

#[test]
fn a_place_that_cannot_be_written_to_is_named() {
    let scratch = tempfile::tempdir().unwrap();
    let scratch = scratch.path();
    fs::write(scratch.join("file"), "").unwrap();
    fs::create_dir_all(scratch.join("folder/full")).unwrap();
    let missing = complaints(|_| scratch.join("missing/image"), scratch);
    let below_a_file = complaints(|_| scratch.join("file/image"), scratch);
    let occupied = complaints(|_| scratch.join("folder"), scratch);
    expect![[r#"
        disk: cannot write 'PLACE/missing/image': No such file or directory (os error 2)
        qcow2: cannot write 'PLACE/missing/image': No such file or directory (os error 2)
        vmdk: cannot write 'PLACE/missing/image': No such file or directory (os error 2)
        vdi: cannot write 'PLACE/missing/image': No such file or directory (os error 2)
        vhd: cannot write 'PLACE/missing/image': No such file or directory (os error 2)
        ova: cannot write 'PLACE/missing/image': No such file or directory (os error 2)
        iso: cannot write 'PLACE/missing/image': No such file or directory (os error 2)
        initrd: cannot write 'PLACE/missing/image': No such file or directory (os error 2)
        tar: cannot write 'PLACE/missing/image': No such file or directory (os error 2)
        tar.gz: cannot write 'PLACE/missing/image': No such file or directory (os error 2)
        tar.xz: cannot write 'PLACE/missing/image': No such file or directory (os error 2)
        tar.zst: cannot write 'PLACE/missing/image': No such file or directory (os error 2)
        folder: cannot write 'PLACE/missing/image': No such file or directory (os error 2)

        disk: cannot write 'PLACE/file/image': Not a directory (os error 20)
        qcow2: cannot write 'PLACE/file/image': Not a directory (os error 20)
        vmdk: cannot write 'PLACE/file/image': Not a directory (os error 20)
        vdi: cannot write 'PLACE/file/image': Not a directory (os error 20)
        vhd: cannot write 'PLACE/file/image': Not a directory (os error 20)
        ova: cannot write 'PLACE/file/image': Not a directory (os error 20)
        iso: cannot write 'PLACE/file/image': Not a directory (os error 20)
        initrd: cannot write 'PLACE/file/image': Not a directory (os error 20)
        tar: cannot write 'PLACE/file/image': Not a directory (os error 20)
        tar.gz: cannot write 'PLACE/file/image': Not a directory (os error 20)
        tar.xz: cannot write 'PLACE/file/image': Not a directory (os error 20)
        tar.zst: cannot write 'PLACE/file/image': Not a directory (os error 20)
        folder: cannot write 'PLACE/file/image': Not a directory (os error 20)

        disk: cannot write 'PLACE/folder': Is a directory (os error 21)
        qcow2: cannot write 'PLACE/folder': Is a directory (os error 21)
        vmdk: cannot write 'PLACE/folder': Is a directory (os error 21)
        vdi: cannot write 'PLACE/folder': Is a directory (os error 21)
        vhd: cannot write 'PLACE/folder': Is a directory (os error 21)
        ova: cannot write 'PLACE/folder': Is a directory (os error 21)
        iso: cannot write 'PLACE/folder': Is a directory (os error 21)
        initrd: cannot write 'PLACE/folder': Is a directory (os error 21)
        tar: cannot write 'PLACE/folder': Is a directory (os error 21)
        tar.gz: cannot write 'PLACE/folder': Is a directory (os error 21)
        tar.xz: cannot write 'PLACE/folder': Is a directory (os error 21)
        tar.zst: cannot write 'PLACE/folder': Is a directory (os error 21)
        folder: cannot make the folder 'PLACE/folder': it is there, and not empty; name another, or remove it
    "#]].assert_eq(&[missing, below_a_file, occupied].join("\n"));
}

/// A file of the tree was removed, or has become another one, since the tree was put together.
#[test]
fn what_is_not_there_any_more_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let source = folder.join("source");
    fs::write(&source, noise(9, 100_000)).unwrap();
    fs::create_dir(folder.join("made")).unwrap();
    let report = |size: u64, path: &Path| {
        let mut tree = Manifest::new();
        let content = Content::File {
            path: path.to_owned(),
            size,
        };
        tree.insert("of-a-file", Node::new(0o444, content)).unwrap();
        complaints_about(&tree, |name| folder.join("made").join(name), folder)
    };
    let gone = report(1, &folder.join("gone"));
    let shorter = report(100_001, &source);
    let longer = report(99_999, &source);
    expect![[r#"
        disk: cannot read 'PLACE/gone' for the image: No such file or directory (os error 2)
        qcow2: cannot read 'PLACE/gone' for the image: No such file or directory (os error 2)
        vmdk: cannot read 'PLACE/gone' for the image: No such file or directory (os error 2)
        vdi: cannot read 'PLACE/gone' for the image: No such file or directory (os error 2)
        vhd: cannot read 'PLACE/gone' for the image: No such file or directory (os error 2)
        ova: cannot read 'PLACE/gone' for the image: No such file or directory (os error 2)
        iso: cannot read 'PLACE/gone' for the image: No such file or directory (os error 2)
        initrd: cannot read 'PLACE/gone' for the image: No such file or directory (os error 2)
        tar: cannot read 'PLACE/gone' for the image: No such file or directory (os error 2)
        tar.gz: cannot read 'PLACE/gone' for the image: No such file or directory (os error 2)
        tar.xz: cannot read 'PLACE/gone' for the image: No such file or directory (os error 2)
        tar.zst: cannot read 'PLACE/gone' for the image: No such file or directory (os error 2)
        folder: cannot read 'PLACE/gone' for the image: No such file or directory (os error 2)

        disk: cannot read 'PLACE/source' for the image: it has 100000 bytes, and had 100001
        qcow2: cannot read 'PLACE/source' for the image: it has 100000 bytes, and had 100001
        vmdk: cannot read 'PLACE/source' for the image: it has 100000 bytes, and had 100001
        vdi: cannot read 'PLACE/source' for the image: it has 100000 bytes, and had 100001
        vhd: cannot read 'PLACE/source' for the image: it has 100000 bytes, and had 100001
        ova: cannot read 'PLACE/source' for the image: it has 100000 bytes, and had 100001
        iso: cannot read 'PLACE/source' for the image: it has 100000 bytes, and had 100001
        initrd: cannot read 'PLACE/source' for the image: it has 100000 bytes, and had 100001
        tar: cannot read 'PLACE/source' for the image: it has 100000 bytes, and had 100001
        tar.gz: cannot read 'PLACE/source' for the image: it has 100000 bytes, and had 100001
        tar.xz: cannot read 'PLACE/source' for the image: it has 100000 bytes, and had 100001
        tar.zst: cannot read 'PLACE/source' for the image: it has 100000 bytes, and had 100001
        folder: cannot read 'PLACE/source' for the image: it has 100000 bytes, and had 100001

        disk: cannot read 'PLACE/source' for the image: it has 100000 bytes, and had 99999
        qcow2: cannot read 'PLACE/source' for the image: it has 100000 bytes, and had 99999
        vmdk: cannot read 'PLACE/source' for the image: it has 100000 bytes, and had 99999
        vdi: cannot read 'PLACE/source' for the image: it has 100000 bytes, and had 99999
        vhd: cannot read 'PLACE/source' for the image: it has 100000 bytes, and had 99999
        ova: cannot read 'PLACE/source' for the image: it has 100000 bytes, and had 99999
        iso: cannot read 'PLACE/source' for the image: it has 100000 bytes, and had 99999
        initrd: cannot read 'PLACE/source' for the image: it has 100000 bytes, and had 99999
        tar: cannot read 'PLACE/source' for the image: it has 100000 bytes, and had 99999
        tar.gz: cannot read 'PLACE/source' for the image: it has 100000 bytes, and had 99999
        tar.xz: cannot read 'PLACE/source' for the image: it has 100000 bytes, and had 99999
        tar.zst: cannot read 'PLACE/source' for the image: it has 100000 bytes, and had 99999
        folder: cannot read 'PLACE/source' for the image: it has 100000 bytes, and had 99999
    "#]]
    .assert_eq(&[gone, shorter, longer].join("\n"));
}

#[test]
fn any_name_will_do() {
    let scratch = tempfile::tempdir().unwrap();
    let name = OsString::from_vec(b" -a\nb'\"\\$x\xff.img".to_vec());
    let tree = sample();
    for (kind, writer) in WRITERS {
        let folder = scratch.path().join(kind).join(&name);
        fs::create_dir_all(&folder).unwrap();
        let output = folder.join(&name);
        writer(&tree, scratch.path(), &output).unwrap();
        assert_eq!(names(&folder), std::slice::from_ref(&name), "{kind}");
    }
}

/// Five GiB in which there are some bytes here and there.
fn five_gib(scratch: &Path) -> Manifest {
    let path = scratch.join("five-gib");
    let size = (5 << 30) + 12_345;
    let source = File::create(&path).unwrap();
    source.set_len(size).unwrap();
    for at in [0, 4 << 30, size - 4] {
        source.write_all_at(b"data", at).unwrap();
    }
    let mut tree = Manifest::new();
    let content = Content::File { path, size };
    tree.insert("large", Node::new(0o444, content)).unwrap();
    tree.insert("small", file(0o444, b"behind it")).unwrap();
    tree
}

#[test]
#[ignore = "long: cargo xtask torture media"]
fn a_file_of_five_gib() {
    let scratch = tempfile::tempdir().unwrap();
    let scratch = scratch.path();
    let tree = five_gib(scratch);
    for (name, writer) in WRITERS {
        // It has every byte, and xz takes minutes for them.
        if matches!(name, "tar" | "tar.xz") {
            continue;
        }
        let output = scratch.join(name);
        writer(&tree, scratch, &output).unwrap();
        let read = match name {
            "folder" => fs::metadata(output.join("large")).unwrap().len(),
            _ if name.starts_with("tar") => {
                let args = ["-tvf".as_ref(), output.as_os_str()];
                let listing = run("libarchive-tools", "bsdtar", &args);
                let line = listing
                    .lines()
                    .find(|line| line.ends_with("large"))
                    .unwrap();
                line.split_whitespace().nth(4).unwrap().parse().unwrap()
            }
            _ => 5 << 30,
        };
        assert!(read >= 5 << 30, "{name}: {read}");
        let used = match name {
            "folder" => fs::metadata(output.join("large")).unwrap().blocks(),
            _ => fs::metadata(&output).unwrap().blocks(),
        };
        assert!(used * 512 < 64 << 20, "{name} takes {used} blocks");
        if output.is_dir() {
            fs::remove_dir_all(&output).unwrap();
        } else {
            fs::remove_file(&output).unwrap();
        }
    }
}

#[test]
#[ignore = "long: cargo xtask torture media"]
fn two_hundred_thousand_files() {
    const COUNT: usize = 200_000;
    let scratch = tempfile::tempdir().unwrap();
    let scratch = scratch.path();
    let mut tree = Manifest::new();
    tree.insert("many", Node::directory(0o755)).unwrap();
    for number in 0..COUNT {
        let node = file(0o444, number.to_string().as_bytes());
        tree.insert(format!("many/{number:06}"), node).unwrap();
    }
    for (name, writer) in WRITERS {
        let output = scratch.join(name);
        writer(&tree, scratch, &output).unwrap();
        let listed = match name {
            "disk" => {
                let (esp, boot) = (Manifest::new(), shape_of_grub());
                let layout = plan(&disk(&tree, &esp, &boot)).unwrap();
                e2fsck(&output, &layout.root);
                let listing = oracle::debugfs(&output, &layout.root, "ls -p /many");
                let files = listing.lines().filter(|line| line.contains("/100444/"));
                files.count()
            }
            "folder" => names(&output.join("many")).len(),
            _ if name.starts_with("tar") => {
                let args = ["-tf".as_ref(), output.as_os_str()];
                let listing = run("libarchive-tools", "bsdtar", &args);
                let files = listing.lines().filter(|line| !line.ends_with('/'));
                files.count()
            }
            "iso" => {
                let args = [
                    "-xOf".as_ref(),
                    output.as_os_str(),
                    OsStr::new("cairn/system.squashfs"),
                ];
                let squashfs = Command::new("bsdtar").args(args).output().unwrap().stdout;
                let place = scratch.join("squashfs");
                fs::write(&place, squashfs).unwrap();
                let args = ["-l".as_ref(), place.as_os_str()];
                let listing = run("squashfs-tools", "unsquashfs", &args);
                listing.lines().count() - 2
            }
            _ => COUNT,
        };
        assert_eq!(listed, COUNT, "{name}");
        if output.is_dir() {
            make_removable(&output);
            fs::remove_dir_all(&output).unwrap();
        } else {
            fs::remove_file(&output).unwrap();
        }
    }
}
