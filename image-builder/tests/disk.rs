//! Disk images held against the tools that check and read them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers fail by panicking, as the test does"
)]

mod oracle;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use cairn_image_builder::{
    BiosBoot, Content, Disk, DiskError, Identifiers, Layout, Manifest, Node, OutputError,
    SectorSize, Swap, plan, write,
};
use oracle::*;

fn build(disk: &Disk<'_>, output: &Path) -> Layout {
    let layout = plan(disk).unwrap();
    let mut last = None;
    write(disk, &layout, output, &mut |progress| last = Some(progress)).unwrap();
    let written = last.map_or(0, |last| last.written);
    assert_eq!(written, layout.content);
    layout
}

fn check(image: &Path, layout: &Layout, scratch: &Path) {
    sgdisk_verify(image);
    e2fsck(image, &layout.root);
    if let Some(esp) = &layout.esp {
        fsck_vfat(image, esp, scratch);
    }
}

fn file(mode: u32, bytes: &[u8]) -> Node {
    Node::new(mode, Content::Bytes(bytes.to_vec()))
}

/// `cap_net_raw=ep` as the kernel stores it (`VFS_CAP_REVISION_2`).
const CAPABILITY: [u8; 20] = [
    1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];

fn sample(scratch: &Path) -> Manifest {
    let mut tree = Manifest::new();
    for directory in ["bin", "dev", "etc", "many", "sizes", "tmp"] {
        tree.insert(directory, Node::directory(0o755)).unwrap();
    }
    tree.insert("tmp/sticky", Node::directory(0o1777)).unwrap();
    tree.insert("bin/su", file(0o4755, b"setuid")).unwrap();
    let mut ping = file(0o755, b"ping");
    ping.xattrs = BTreeMap::from([(b"security.capability".to_vec(), CAPABILITY.to_vec())]);
    tree.insert("bin/ping", ping).unwrap();
    let mut big = file(0o600, b"x").owned(70_000, 100_001);
    big.mtime = 1_234_567_890;
    big.xattrs = BTreeMap::from([(b"user.big".to_vec(), vec![b'v'; 1500])]);
    tree.insert("etc/big-xattr", big).unwrap();
    tree.insert("bin/sh", Node::symlink("su")).unwrap();
    tree.insert("bin/long", Node::symlink("l/".repeat(500)))
        .unwrap();
    let null = Content::CharDevice { major: 1, minor: 3 };
    tree.insert("dev/null", Node::new(0o666, null)).unwrap();
    for number in 0..3000 {
        let name = format!("many/file-with-a-rather-long-name-{number:05}");
        tree.insert(name, file(0o444, format!("{number}").as_bytes()))
            .unwrap();
    }
    for size in [
        0,
        1,
        4095,
        4096,
        4097,
        (1 << 20) - 1,
        1 << 20,
        (3 << 20) + 5,
    ] {
        let path = scratch.join(format!("size-{size}"));
        let bytes: Vec<u8> = (0..size)
            .map(|at: usize| u8::try_from(at % 251).unwrap())
            .collect();
        fs::write(&path, bytes).unwrap();
        let size = size as u64;
        tree.insert(
            format!("sizes/{size}"),
            Node::new(0o444, Content::File { path, size }),
        )
        .unwrap();
    }
    tree
}

fn esp_sample() -> Manifest {
    let mut esp = Manifest::new();
    esp.insert_directories(Path::new("EFI/BOOT/deeper"))
        .unwrap();
    esp.insert("EFI/BOOT/BOOTX64.EFI", file(0o644, &vec![7; 700_001]))
        .unwrap();
    esp.insert(
        "EFI/BOOT/deeper/a long name with ümlaut.txt",
        file(0o644, b"hi"),
    )
    .unwrap();
    for number in 0..60 {
        esp.insert(
            format!("EFI/BOOT/deeper/file number {number}"),
            file(0o644, b"x"),
        )
        .unwrap();
    }
    esp.insert("empty", Node::directory(0o755)).unwrap();
    esp
}

#[test]
fn checkers_are_content_and_nothing_is_lost() {
    let scratch = tempfile::tempdir().unwrap();
    let scratch = scratch.path();
    let (root, esp, boot) = (sample(scratch), esp_sample(), shape_of_grub());
    let image = scratch.join("disk.img");
    let layout = build(&disk(&root, &esp, &boot), &image);
    check(&image, &layout, scratch);

    let stat = |path: &str| debugfs(&image, &layout.root, &format!("stat {path}"));
    for (path, wanted) in [
        (
            "/bin/su",
            &["Mode:  04755", "User:     0", "Type: regular"][..],
        ),
        ("/tmp/sticky", &["Mode:  01777", "Type: directory"]),
        ("/dev/null", &["Type: character special", "01:03"]),
        (
            "/etc/big-xattr",
            &["User: 70000", "Group: 100001", "mtime: 0x499602d2"],
        ),
        ("/bin/sh", &["Type: symlink", "Fast link dest: \"su\""]),
    ] {
        let text = stat(path);
        for wanted in wanted {
            assert!(text.contains(wanted), "{path}: no {wanted:?} in {text}");
        }
    }
    let value = scratch.join("value");
    for (path, name, wanted) in [
        ("/bin/ping", "security.capability", &CAPABILITY[..]),
        ("/etc/big-xattr", "user.big", &[b'v'; 1500]),
    ] {
        let command = format!("ea_get -f {} {path} {name}", value.display());
        debugfs(&image, &layout.root, &command);
        assert_eq!(fs::read(&value).unwrap(), wanted, "{path}");
    }
    for (path, node) in root.entries() {
        let wanted = match &node.content {
            Content::Bytes(bytes) if !path.starts_with("many") => bytes.clone(),
            Content::File { path, .. } => fs::read(path).unwrap(),
            _ => continue,
        };
        let found = debugfs_cat(
            &image,
            &layout.root,
            &format!("/{}", path.display()),
            scratch,
        );
        assert!(found == wanted, "{}", path.display());
    }
    assert_eq!(
        debugfs_cat(
            &image,
            &layout.root,
            "/many/file-with-a-rather-long-name-02999",
            scratch
        ),
        b"2999"
    );

    let listing = mtools(
        &image,
        layout.esp.as_ref().unwrap(),
        "mdir",
        &["-/", "-b", "::/"],
    );
    assert!(listing.contains("::/EFI/BOOT/BOOTX64.EFI\n"), "{listing}");
    assert!(
        listing.contains("::/EFI/BOOT/deeper/a long name with ümlaut.txt\n"),
        "{listing}"
    );
    let out = scratch.join("efi");
    let text = out.to_str().unwrap();
    mtools(
        &image,
        layout.esp.as_ref().unwrap(),
        "mcopy",
        &["::/EFI/BOOT/BOOTX64.EFI", text],
    );
    assert_eq!(fs::read(out).unwrap(), vec![7; 700_001]);
}

#[test]
fn partitions_are_where_and_what_they_should_be() {
    let scratch = tempfile::tempdir().unwrap();
    let (root, esp, boot) = (Manifest::new(), Manifest::new(), shape_of_grub());
    let image = scratch.path().join("disk.img");
    let layout = build(&disk(&root, &esp, &boot), &image);
    check(&image, &layout, scratch.path());
    for partition in layout.partitions() {
        let number = partition.number;
        let option = format!("-i{number}");
        let text = run("gdisk", "sgdisk", &[option.as_ref(), image.as_os_str()]);
        let guid = partition.guid.to_string().to_uppercase();
        assert!(
            text.contains(&format!("Partition unique GUID: {guid}")),
            "{text}"
        );
        assert!(
            text.contains(&format!("Partition name: '{}'", partition.name)),
            "{text}"
        );
        assert!(
            text.contains(&format!("First sector: {} ", partition.start / 512)),
            "{text}"
        );
        assert!(
            text.contains(&format!("Last sector: {} ", partition.end() / 512 - 1)),
            "{text}"
        );
    }
    let file = File::open(&image).unwrap();
    let mut sector = [0; 512];
    file.read_exact_at(&mut sector, 0).unwrap();
    assert_eq!(sector[0x5c..0x64], 2048_u64.to_le_bytes());
    assert_eq!(sector[0x66..0x68], [0x90, 0x90]);
    file.read_exact_at(&mut sector, layout.bios_boot.unwrap().start)
        .unwrap();
    assert_eq!(sector[0x1f4..0x1fc], 2049_u64.to_le_bytes());
}

/// A number that the disk does not have leaves those of the others as they are.
#[test]
fn swap_space_has_its_number_without_a_boot_partition() {
    let scratch = tempfile::tempdir().unwrap();
    let (root, esp, boot) = (Manifest::new(), Manifest::new(), shape_of_grub());
    let mut wanted = disk(&root, &esp, &boot);
    wanted.swap = Some(Swap {
        label: "swap",
        size: 1 << 20,
    });
    let image = scratch.path().join("disk.img");
    let layout = build(&wanted, &image);
    check(&image, &layout, scratch.path());
    let text = run("gdisk", "sgdisk", &["-i5".as_ref(), image.as_os_str()]);
    assert!(text.contains("Partition name: 'swap'"), "{text}");
    let text = run("gdisk", "sgdisk", &["-i4".as_ref(), image.as_os_str()]);
    assert!(text.contains("does not exist"), "{text}");
}

/// For a BIOS alone, for UEFI alone, and for neither: numbers of partitions are as ever.
#[test]
fn what_starts_a_disk_has_its_partition() {
    let scratch = tempfile::tempdir().unwrap();
    let (root, esp, boot) = (Manifest::new(), esp_sample(), shape_of_grub());
    let listing = |starts: (Option<&Manifest>, Option<&BiosBoot>)| {
        let wanted = Disk {
            esp: starts.0,
            boot: starts.1,
            ..disk(&root, &esp, &boot)
        };
        let image = scratch.path().join("disk.img");
        let layout = build(&wanted, &image);
        check(&image, &layout, scratch.path());
        let mut sector = [0; 512];
        let file = File::open(&image).unwrap();
        file.read_exact_at(&mut sector, 0).unwrap();
        let has_code = sector[..440].iter().any(|byte| *byte != 0);
        assert_eq!(has_code, starts.1.is_some(), "boot code");
        oracle::partitions(&image, 512)
    };
    expect_test::expect![[r#"
        1 4096 36863 16M Linux root (x86-64)
        2 2048 4095 1M BIOS boot"#]]
    .assert_eq(&listing((None, Some(&boot))));
    expect_test::expect![[r#"
        1 133120 165887 16M Linux root (x86-64)
        3 2048 133119 64M EFI System"#]]
    .assert_eq(&listing((Some(&esp), None)));
    expect_test::expect!["1 2048 34815 16M Linux root (x86-64)"].assert_eq(&listing((None, None)));
}

/// What a disk with sectors of 4096 bytes shows: its table and its FAT are in that unit.
#[test]
fn a_disk_with_large_sectors() {
    let scratch = tempfile::tempdir().unwrap();
    let (root, esp, boot) = (sample(scratch.path()), esp_sample(), shape_of_grub());
    let mut wanted = disk(&root, &esp, &boot);
    wanted.sector_size = SectorSize::Bytes4096;
    let image = scratch.path().join("disk.img");
    let layout = build(&wanted, &image);
    assert_eq!(layout.bios_boot, None);
    let file = File::open(&image).unwrap();
    let mut block = [0; 4096];
    file.read_exact_at(&mut block, 0).unwrap();
    assert!(block[..440].iter().all(|byte| *byte == 0), "no boot code");
    assert_eq!(block[510..512], [0x55, 0xaa]);
    file.read_exact_at(&mut block, 4096).unwrap();
    assert_eq!(block[..8], *b"EFI PART");

    expect_test::expect![[r#"
        1 66816 72447 22M Linux root (x86-64)
        3 256 66815 260M EFI System"#]]
    .assert_eq(&oracle::partitions(&image, 4096));

    fsck_vfat(&image, layout.esp.as_ref().unwrap(), scratch.path());
    let esp = scratch.path().join("esp.img");
    let kind = run("file", "file", &["-b".as_ref(), esp.as_os_str()]);
    assert!(kind.contains("Bytes/sector 4096"), "{kind}");
    assert!(kind.contains("FAT (32 bit)"), "{kind}");
    let target = scratch.path().join("out.efi");
    mtools(
        &image,
        layout.esp.as_ref().unwrap(),
        "mcopy",
        &["::/EFI/BOOT/BOOTX64.EFI", target.to_str().unwrap()],
    );
    assert_eq!(fs::read(target).unwrap(), vec![7; 700_001]);
    e2fsck(&image, &layout.root);
}

#[test]
fn two_builds_are_one_to_the_byte() {
    let scratch = tempfile::tempdir().unwrap();
    let (root, esp, boot) = (sample(scratch.path()), esp_sample(), shape_of_grub());
    // The same contents in another folder, with other times, modes and holes.
    let other = tempfile::tempdir().unwrap();
    let other_root = sample(other.path());
    for entry in fs::read_dir(other.path()).unwrap() {
        let path = entry.unwrap().path();
        let file = File::options().write(true).open(path).unwrap();
        file.set_modified(std::time::SystemTime::UNIX_EPOCH)
            .unwrap();
    }
    let hash = |image: &Path| blake3::hash(&fs::read(image).unwrap());
    let [first, second] = ["a.img", "b.img"].map(|name| scratch.path().join(name));
    build(&disk(&root, &esp, &boot), &first);
    std::thread::sleep(std::time::Duration::from_millis(1100));
    build(&disk(&other_root, &esp, &boot), &second);
    assert_eq!(hash(&first), hash(&second));
    let blocks = |path: &Path| fs::metadata(path).unwrap().blocks();
    assert!(blocks(&first).abs_diff(blocks(&second)) < 64);

    let mut seeded = disk(&root, &esp, &boot);
    seeded.identifiers = Identifiers::from_seed(&[8; 32]);
    build(&seeded, &second);
    assert_ne!(hash(&first), hash(&second));
}

#[test]
fn holes_stay_holes_and_large_files_fit() {
    let scratch = tempfile::tempdir().unwrap();
    let scratch = scratch.path();
    let path = scratch.join("sparse");
    let size = (5 << 30) + 12_345;
    let mut source = File::create(&path).unwrap();
    source.set_len(size).unwrap();
    for (at, text) in [(0, "start"), (4_300_000_000, "middle"), (size - 3, "end")] {
        source.seek(SeekFrom::Start(at)).unwrap();
        source.write_all(text.as_bytes()).unwrap();
    }
    let mut root = Manifest::new();
    root.insert(
        "large",
        Node::new(
            0o444,
            Content::File {
                path: path.clone(),
                size,
            },
        ),
    )
    .unwrap();
    let (esp, boot) = (Manifest::new(), shape_of_grub());
    let image = scratch.join("disk.img");
    let mut wanted = disk(&root, &esp, &boot);
    wanted.free_space = 1 << 30;
    let layout = plan(&wanted).unwrap();
    write(&wanted, &layout, &image, &mut |_| {}).unwrap();
    sgdisk_verify(&image);
    e2fsck(&image, &layout.root);
    let used = fs::metadata(&image).unwrap().blocks() * 512;
    assert!(used < 16 << 20, "{used} bytes are written");

    // The extents tell where each block is; the three written ones must hold their text.
    let file = File::open(&image).unwrap();
    for (block, offset, text) in [
        (0, 0, "start"),
        (4_300_000_000 / 4096, 4_300_000_000 % 4096, "middle"),
        ((size - 3) / 4096, (size - 3) % 4096, "end"),
    ] {
        let answer = debugfs(&image, &layout.root, &format!("bmap /large {block}"));
        let physical: u64 = answer
            .lines()
            .find_map(|line| line.trim().parse().ok())
            .unwrap();
        let mut bytes = vec![0; text.len()];
        file.read_exact_at(&mut bytes, layout.root.start + physical * 4096 + offset)
            .unwrap();
        assert_eq!(bytes, text.as_bytes());
    }
}

/// What `debugfs` says of the root's file system.
fn statistic(image: &Path, layout: &Layout, name: &str) -> u64 {
    let text = debugfs(image, &layout.root, "stats -h");
    let value = text.lines().find_map(|line| line.strip_prefix(name));
    value.unwrap().trim().parse().unwrap()
}

/// A disk of a size takes it whole, whatever steps a journal's size has; one that is too small says what would do.
#[test]
fn a_disk_has_the_size_that_is_asked_for() {
    let scratch = tempfile::tempdir().unwrap();
    let (root, esp, boot) = (sample(scratch.path()), Manifest::new(), shape_of_grub());
    let image = scratch.path().join("disk.img");
    let mut wanted = disk(&root, &esp, &boot);
    wanted.free_space = 10 << 20;
    let smallest = plan(&wanted).unwrap().size;

    let size = smallest - (1 << 20);
    wanted.size = Some(size);
    let error = plan(&wanted).unwrap_err().to_string();
    let words =
        format!("cannot make the disk image of {size} bytes: what goes into it needs {smallest}");
    assert_eq!(error, words);

    for size in [smallest, smallest + (1 << 20), 300 << 20, 1200 << 20] {
        wanted.size = Some(size);
        let layout = build(&wanted, &image);
        assert_eq!(fs::metadata(&image).unwrap().len(), size);
        // The copy of the table is in the last MiB.
        assert_eq!(layout.root.end(), size - (1 << 20));
        let free = statistic(&image, &layout, "Free blocks:") * 4096;
        assert!(free >= wanted.free_space, "{free} bytes are free");
        // As many files as mke2fs makes room for, however large the content is.
        let inodes = statistic(&image, &layout, "Inode count:");
        assert!(inodes >= layout.root.size / 16_384, "{inodes} inodes");
    }
}

#[test]
fn free_space_is_there() {
    let scratch = tempfile::tempdir().unwrap();
    let (root, esp, boot) = (sample(scratch.path()), Manifest::new(), shape_of_grub());
    for free in [0, 10 << 20, 1 << 30] {
        let mut wanted = disk(&root, &esp, &boot);
        wanted.free_space = free;
        let image = scratch.path().join("disk.img");
        let layout = build(&wanted, &image);
        let found = statistic(&image, &layout, "Free blocks:") * 4096;
        assert!(found >= free, "{found} of {free} bytes are free");
        assert!(
            found <= free + free / 50 + (8 << 20),
            "{found} for {free} bytes is too much"
        );
    }
}

#[test]
fn hostile_names_come_back_or_are_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let (esp, boot) = (Manifest::new(), shape_of_grub());
    let mut root = Manifest::new();
    let names = [
        "-rf",
        "a b",
        "new\nline",
        "it's",
        "\"quoted\"",
        "back\\slash",
        "\u{1b}[2J",
        "ünï",
        "$HOME",
        "*",
        "...",
        &"n".repeat(255),
    ];
    for name in names {
        root.insert(name, file(0o644, name.as_bytes())).unwrap();
    }
    let image = scratch.path().join("disk.img");
    let layout = build(&disk(&root, &esp, &boot), &image);
    check(&image, &layout, scratch.path());
    let target = scratch.path().join("dumped");
    fs::create_dir(&target).unwrap();
    debugfs(
        &image,
        &layout.root,
        &format!("rdump / {}", target.display()),
    );
    for name in names {
        assert_eq!(fs::read(target.join(name)).unwrap(), name.as_bytes());
    }

    for (name, problem) in [
        (
            PathBuf::from("n".repeat(256)),
            "invalid: name length 256 (must be 1..=255)",
        ),
        (bytes_path(b"latin1-\xfc"), "its name is not UTF-8"),
        (
            PathBuf::from("lost+found"),
            "every ext4 file system has its own",
        ),
    ] {
        let mut root = Manifest::new();
        root.insert(&name, file(0o644, b"")).unwrap();
        let message = failure(&disk(&root, &esp, &boot), &scratch.path().join("no.img"));
        let wanted = format!(
            "cannot store '{}' in the ext4 file system: {problem}",
            name.display()
        );
        assert_eq!(message, wanted);
    }
    for (name, node, problem) in [
        (
            "a*b",
            file(0o644, b""),
            "File name contains unsupported characters",
        ),
        (
            "link",
            Node::symlink("x"),
            "FAT has files and directories only",
        ),
        (
            "COPY",
            file(0o644, b""),
            "another name differs from it only in case",
        ),
        (
            "LONG-N~1.TXT",
            file(0o644, b""),
            "another name has this one as its short form",
        ),
        (
            "LONG-N~1.TXT",
            Node::directory(0o755),
            "another name has this one as its short form",
        ),
    ] {
        let mut esp = Manifest::new();
        esp.insert("copy", file(0o644, b"")).unwrap();
        esp.insert("LONG-NAME-1.TXT", file(0o644, b"")).unwrap();
        esp.insert(name, node).unwrap();
        let root = Manifest::new();
        let message = failure(&disk(&root, &esp, &boot), &scratch.path().join("no.img"));
        assert!(message.starts_with("cannot store '"), "{message}");
        assert!(message.ends_with(problem), "{message}");
    }
    assert!(!scratch.path().join("no.img").exists());
}

/// What is long takes a short form that is still free.
#[test]
fn short_names_come_first() {
    let scratch = tempfile::tempdir().unwrap();
    let (root, boot) = (Manifest::new(), shape_of_grub());
    let mut esp = Manifest::new();
    for name in ["LONG-N~1.TXT", "long-name-1.txt", "long-name-2.txt"] {
        esp.insert(name, file(0o644, name.as_bytes())).unwrap();
    }
    let image = scratch.path().join("disk.img");
    let layout = build(&disk(&root, &esp, &boot), &image);
    check(&image, &layout, scratch.path());
    for name in ["LONG-N~1.TXT", "long-name-1.txt", "long-name-2.txt"] {
        let path = format!("::/{name}");
        assert_eq!(
            mtools(&image, layout.esp.as_ref().unwrap(), "mtype", &[&path]),
            name
        );
    }
}

fn bytes_path(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    PathBuf::from(std::ffi::OsStr::from_bytes(bytes))
}

/// The message of the failure to write `disk`, after which only what was there is there.
fn failure(disk: &Disk<'_>, output: &Path) -> String {
    let folder = output.parent().unwrap();
    let before = fs::read_dir(folder).unwrap().count();
    let error = plan(disk)
        .and_then(|layout| write(disk, &layout, output, &mut |_| {}))
        .unwrap_err();
    assert_eq!(fs::read_dir(folder).unwrap().count(), before);
    error.to_string()
}

#[test]
fn sources_that_change_are_noticed() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("source");
    let (esp, boot) = (Manifest::new(), shape_of_grub());
    let mut root = Manifest::new();
    let content = Content::File {
        path: path.clone(),
        size: 5,
    };
    root.insert("file", Node::new(0o444, content)).unwrap();
    let output = scratch.path().join("disk.img");
    let name = path.display();

    let message = failure(&disk(&root, &esp, &boot), &output);
    assert_eq!(
        message,
        format!("cannot read '{name}' for the image: No such file or directory (os error 2)")
    );
    fs::write(&path, "1234").unwrap();
    let message = failure(&disk(&root, &esp, &boot), &output);
    assert_eq!(
        message,
        format!("cannot read '{name}' for the image: it has 4 bytes, and had 5")
    );
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
    let message = failure(&disk(&root, &esp, &boot), &output);
    assert!(
        message.contains("Too many levels of symbolic links"),
        "{message}"
    );
}

#[test]
fn an_old_image_stays_until_the_new_one_is_whole() {
    let scratch = tempfile::tempdir().unwrap();
    let (esp, boot) = (Manifest::new(), shape_of_grub());
    let output = scratch.path().join("disk.img");
    fs::write(&output, "old").unwrap();
    let mut root = Manifest::new();
    let content = Content::File {
        path: "/nonexistent".into(),
        size: 5,
    };
    root.insert("file", Node::new(0o444, content)).unwrap();
    failure(&disk(&root, &esp, &boot), &output);
    assert_eq!(fs::read(&output).unwrap(), b"old");
    let root = Manifest::new();
    build(&disk(&root, &esp, &boot), &output);
    assert!(fs::metadata(&output).unwrap().len() > 64 << 20);
}

#[test]
fn a_disk_without_room_is_told_before_writing() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("huge");
    File::create(&path).unwrap().set_len(1 << 43).unwrap();
    let mut root = Manifest::new();
    let content = Content::File {
        path,
        size: 1 << 43,
    };
    root.insert("huge", Node::new(0o444, content)).unwrap();
    let (esp, boot) = (Manifest::new(), shape_of_grub());
    let wanted = disk(&root, &esp, &boot);
    let layout = plan(&wanted).unwrap();
    let output = scratch.path().join("disk.img");
    let error = write(&wanted, &layout, &output, &mut |_| {}).unwrap_err();
    let DiskError::Output(OutputError::Full {
        needed, available, ..
    }) = error
    else {
        panic!("{error}");
    };
    assert_eq!(needed, 1 << 43);
    assert!(available < needed);
    assert!(!output.exists());
}

#[test]
fn impossible_disks_are_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let output = scratch.path().join("disk.img");
    let (root, esp, boot) = (Manifest::new(), Manifest::new(), shape_of_grub());
    let mut labelled = disk(&root, &esp, &boot);
    labelled.root_label = "seventeen letters";
    assert_eq!(
        failure(&labelled, &output),
        "cannot make the ext4 file system 'seventeen letters' of 4096 bytes: \
         invalid: the label is longer than 16 bytes"
    );
    let mut large = shape_of_grub();
    large.core_img.resize((1 << 20) + 1, 0);
    large.core_img[0x1fc..0x1fe].copy_from_slice(&2048_u16.to_le_bytes());
    assert_eq!(
        failure(&disk(&root, &esp, &large), &output),
        "cannot place GRUB's core image of 1048577 bytes in a partition of 1048576"
    );
    let wanted = disk(&root, &esp, &boot);
    let mut other = disk(&root, &esp, &boot);
    other.free_space = 1 << 30;
    let error = write(&wanted, &plan(&other).unwrap(), &output, &mut |_| {}).unwrap_err();
    assert!(matches!(error, DiskError::OtherLayout));
}
