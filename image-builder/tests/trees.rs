//! Trees as tarballs and folders, read back by tar, bsdtar and our own eyes.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers fail by panicking, as the test does"
)]

mod oracle;
mod tree;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use cairn_image_builder::{
    Content, Manifest, Node, Omitted, TarCompression, write_folder, write_tarball,
};
use expect_test::expect;
use oracle::run;
use tree::{Sight, file, found, is_root, make_removable, sample, similar, wanted, with_xattrs};

const ALL: [TarCompression; 4] = [
    TarCompression::None,
    TarCompression::Gzip,
    TarCompression::Xz,
    TarCompression::Zstd,
];

fn sight() -> Sight {
    if is_root() {
        Sight::All
    } else {
        println!("owners, devices and attributes: need root, which this test was not given");
        Sight::Own
    }
}

/// The tree, and what makes archives of it larger than a header: a long path with attributes, a hard link
/// to that, and targets that a tidy library would change.
fn rich(scratch: &Path) -> Manifest {
    let mut tree = sample(scratch);
    let long = format!("deep/{}/{}", "d".repeat(120), "f".repeat(200));
    tree.insert_directories(Path::new(&long).parent().unwrap())
        .unwrap();
    let node = with_xattrs(
        file(0o640, b"far away"),
        &[("user.note", b"binary \0\xff\n")],
    );
    tree.insert(&long, node).unwrap();
    tree.insert("a-short-name-of-it", Node::hard_link(&long))
        .unwrap();
    tree.insert("untidy", Node::symlink("./a//b/./../c/"))
        .unwrap();
    // Longer than a header's place, and tidied it would fit.
    let long = format!("x/{}/y", "./".repeat(60));
    tree.insert("long-and-untidy", Node::symlink(long)).unwrap();
    tree.insert("longest", Node::symlink("t".repeat(4095)))
        .unwrap();
    tree
}

/// Without what a tarball cannot be extracted with by a user, or is not told apart by one.
fn extracted(tarball: &Path, folder: &Path, package: &str, program: &str, args: &[&str]) -> String {
    fs::create_dir(folder).unwrap();
    let mut all: Vec<&OsStr> = args.iter().map(OsStr::new).collect();
    all.extend(["-xpf".as_ref(), tarball.as_os_str()]);
    all.extend(["-C".as_ref(), folder.as_os_str()]);
    if sight() == Sight::Own {
        all.extend(["--exclude", "dev/*"].map(OsStr::new));
    }
    run(package, program, &all);
    // The folder itself was there before, and its time is the last entry's.
    let listing = found(folder, sight());
    let listing = below_root(&listing).to_owned();
    make_removable(folder);
    fs::remove_dir_all(folder).unwrap();
    listing
}

fn below_root(listing: &str) -> &str {
    listing.split_once('\n').map_or("", |(_, rest)| rest)
}

#[test]
fn tar_and_bsdtar_read_tarballs_back() {
    let scratch = tempfile::tempdir().unwrap();
    let tree = rich(scratch.path());
    let wanted = wanted(&tree, sight());
    let wanted = below_root(&wanted);
    for compression in ALL {
        let tarball = scratch
            .path()
            .join(format!("tree.{}", compression.extension()));
        write_tarball(&tree, compression, &tarball).unwrap();
        let out = scratch.path().join("out");
        let gnu = [
            "--xattrs",
            "--xattrs-include=*",
            "--numeric-owner",
            "--delay-directory-restore",
        ];
        similar(wanted, &extracted(&tarball, &out, "tar", "tar", &gnu));
        let bsd = ["--xattrs", "--numeric-owner"];
        similar(
            wanted,
            &extracted(&tarball, &out, "libarchive-tools", "bsdtar", &bsd),
        );
    }
}

#[test]
fn a_whole_listing() {
    let scratch = tempfile::tempdir().unwrap();
    let mut tree = Manifest::new();
    tree.insert("bin", Node::directory(0o555)).unwrap();
    tree.insert("bin/su", file(0o4755, b"setuid").owned(0, 42))
        .unwrap();
    tree.insert("again", Node::hard_link("bin/su")).unwrap();
    tree.insert("sh", Node::symlink("/bin/su")).unwrap();
    tree.insert(
        "null",
        Node::new(0o666, Content::CharDevice { major: 1, minor: 3 }),
    )
    .unwrap();
    let tarball = scratch.path().join("tree.tar");
    write_tarball(&tree, TarCompression::None, &tarball).unwrap();
    let args: Vec<&OsStr> = ["--utc", "--full-time", "--numeric-owner", "-tvf"]
        .iter()
        .map(OsStr::new)
        .chain([tarball.as_os_str()])
        .collect();
    expect![[r#"
        drwxr-xr-x 0/0               0 1970-01-01 00:00:01 ./
        -rwsr-xr-x 0/42              6 1970-01-01 00:00:01 again
        dr-xr-xr-x 0/0               0 1970-01-01 00:00:01 bin/
        h--------- 0/0               0 1970-01-01 00:00:00 bin/su link to again
        crw-rw-rw- 0/0             1,3 1970-01-01 00:00:01 null
        lrwxrwxrwx 0/0               0 1970-01-01 00:00:01 sh -> /bin/su
    "#]]
    .assert_eq(&run("tar", "tar", &args));
}

#[test]
fn a_folder_is_the_tree() {
    let scratch = tempfile::tempdir().unwrap();
    let tree = rich(scratch.path());
    let out = scratch.path().join("out");
    let omitted = write_folder(&tree, &out).unwrap();
    if is_root() {
        assert_eq!(omitted, Omitted::default());
        similar(&wanted(&tree, Sight::All), &found(&out, Sight::All));
    } else {
        assert!(omitted.owners > 0 && omitted.devices == 3 && omitted.attributes > 0);
        // Nobody gets the rights of whoever made it.
        assert_eq!(
            fs::metadata(out.join("bin/su")).unwrap().mode() & 0o7777,
            0o755
        );
    }
    let error = write_folder(&tree, &out).unwrap_err().to_string();
    assert_eq!(
        error,
        format!(
            "cannot make the folder '{}': it is there, and not empty; name another, or remove it",
            out.display()
        )
    );
    make_removable(&out);
}

#[test]
fn what_a_killed_process_has_left_of_a_folder_is_removed() {
    let scratch = tempfile::tempdir().unwrap();
    let mut tree = Manifest::new();
    tree.insert("a", Node::directory(0o555)).unwrap();
    let out = scratch.path().join("out");
    let names = || names(scratch.path());
    let name = ".cairn-image-".to_owned() + &blake3::hash(b"out").to_hex()[..16];
    let left = scratch.path().join(&name);
    fs::create_dir_all(left.join("a/b")).unwrap();
    fs::set_permissions(left.join("a"), PermissionsExt::from_mode(0o555)).unwrap();
    // Somebody is at work.
    let held = fs::File::open(&left).unwrap();
    held.try_lock().unwrap();
    let error = write_folder(&tree, &out).unwrap_err().to_string();
    let expected = format!(
        "cannot write '{}': another process is making it",
        out.display()
    );
    assert_eq!(error, expected);
    assert_eq!(names(), [name]);
    // Another test may be starting a process just now, which has the descriptor for a moment.
    held.unlock().unwrap();
    write_folder(&tree, &out).unwrap();
    assert_eq!(names(), ["out"]);
    make_removable(&out);
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_folder_that_fails_leaves_nothing() {
    let scratch = tempfile::tempdir().unwrap();
    let mut tree = Manifest::new();
    tree.insert("a", Node::directory(0o555)).unwrap();
    tree.insert("a/b", file(0o444, b"b")).unwrap();
    let gone = Content::File {
        path: scratch.path().join("gone"),
        size: 1,
    };
    tree.insert("z", Node::new(0o444, gone)).unwrap();
    let out = scratch.path().join("out");
    let error = write_folder(&tree, &out).unwrap_err().to_string();
    let gone = scratch.path().join("gone");
    assert_eq!(
        error,
        format!(
            "cannot read '{}' for the image: No such file or directory (os error 2)",
            gone.display()
        )
    );
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
    // An empty folder that is there is taken.
    fs::create_dir(&out).unwrap();
    fs::set_permissions(&out, PermissionsExt::from_mode(0o700)).unwrap();
    let mut tree = Manifest::new();
    tree.insert("b", file(0o444, b"b")).unwrap();
    write_folder(&tree, &out).unwrap();
    assert_eq!(fs::read(out.join("b")).unwrap(), b"b");
    assert_eq!(fs::metadata(&out).unwrap().mode() & 0o7777, 0o755);
}
