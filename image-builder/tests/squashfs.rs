//! squashfs held against the tools and the kernel that read it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers fail by panicking, as the test does"
)]

mod oracle;
mod tree;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::num::NonZero;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use cairn_image_builder::squashfs::{self, Options};
use cairn_image_builder::{Content, Manifest, Node, Region};
use oracle::run;
use tree::{Sight, found, is_root, wanted};

fn options() -> Options {
    Options {
        threads: NonZero::new(3).unwrap(),
        ..Options::new(1_700_000_000)
    }
}

/// Writes `tree` to a new file, which begins with it.
fn build_with(tree: &Manifest, options: &Options, output: &Path) -> u64 {
    let file = File::create_new(output).unwrap();
    let plan = squashfs::plan(tree, options).unwrap();
    let limit = plan.size_limit();
    let mut content = 0;
    let region = Region::new(&file, 0, limit);
    let written = squashfs::write(&plan, &region, &mut |bytes| content += bytes).unwrap();
    assert_eq!(content, tree.content_size());
    assert!(written.size <= limit, "{} of {limit}", written.size);
    file.set_len(written.size).unwrap();
    written.size
}

fn build(tree: &Manifest, output: &Path) -> u64 {
    build_with(tree, &options(), output)
}

fn file(mode: u32, bytes: &[u8]) -> Node {
    Node::new(mode, Content::Bytes(bytes.to_vec()))
}

/// Bytes that zstd cannot make smaller.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes());
    hasher.finalize_xof().fill(&mut bytes);
    bytes
}

fn text(length: usize) -> Vec<u8> {
    let line = b"the quick brown fox jumps over the lazy dog\n";
    line.iter().copied().cycle().take(length).collect()
}

/// Reads all back by unsquashfs, and by the kernel, and compares.
fn check(tree: &Manifest, image: &Path, scratch: &Path) {
    let out = scratch.join("extracted");
    let sight = if is_root() {
        Sight::All
    } else {
        println!("owners, devices and attributes: need root, which this test was not given");
        Sight::Own
    };
    let mut args = vec!["-quiet", "-no-progress"];
    if sight == Sight::Own {
        args.extend(["-no-xattrs", "-no-exit-code"]);
    }
    args.push("-dest");
    let mut args: Vec<&OsStr> = args.into_iter().map(OsStr::new).collect();
    args.extend([out.as_os_str(), image.as_os_str()]);
    run("squashfs-tools", "unsquashfs", &args);
    similar(&wanted(tree, sight), &found(&out, sight));
    make_removable(&out);
    fs::remove_dir_all(&out).unwrap();
    if let Some(mounted) = Mounted::new(image, &scratch.join("mounted")) {
        similar(&wanted(tree, Sight::All), &found(&mounted.0, Sight::All));
    }
}

/// Asserts that two listings are equal, and shows their first difference only.
fn similar(wanted: &str, found: &str) {
    let mut lines = wanted.lines().zip(found.lines());
    if let Some((wanted, found)) = lines.find(|(one, other)| one != other) {
        panic!("wanted {wanted}\n found {found}");
    }
    assert_eq!(wanted.lines().count(), found.lines().count());
}

fn make_removable(folder: &Path) {
    let args: [&OsStr; 3] = ["-R".as_ref(), "u+rwX".as_ref(), folder.as_os_str()];
    run("coreutils", "chmod", &args);
}

/// An image that the kernel reads; only root can have it.
struct Mounted(PathBuf);

impl Mounted {
    fn new(image: &Path, place: &Path) -> Option<Self> {
        if !is_root() || !Path::new("/dev/loop-control").exists() {
            println!(
                "the kernel's view: needs root and loop devices, which this test was not given"
            );
            return None;
        }
        fs::create_dir(place).unwrap();
        let args: [&OsStr; 6] = [
            "-t".as_ref(),
            "squashfs".as_ref(),
            "-o".as_ref(),
            "loop,ro".as_ref(),
            image.as_os_str(),
            place.as_os_str(),
        ];
        run("mount", "mount", &args);
        Some(Self(place.to_owned()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        run("mount", "umount", &[self.0.as_os_str()]);
        fs::remove_dir(&self.0).unwrap();
    }
}

/// `cap_net_raw=ep` as the kernel stores it (`VFS_CAP_REVISION_2`).
const CAPABILITY: [u8; 20] = [
    1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];

fn with_xattrs(node: Node, xattrs: &[(&str, &[u8])]) -> Node {
    let xattrs = xattrs
        .iter()
        .map(|(name, value)| (name.as_bytes().to_vec(), value.to_vec()));
    Node {
        xattrs: xattrs.collect(),
        ..node
    }
}

fn sample(scratch: &Path) -> Manifest {
    let mut tree = Manifest::new();
    for directory in ["bin", "dev", "empty", "etc", "names", "sizes"] {
        tree.insert(directory, Node::directory(0o755)).unwrap();
    }
    tree.insert("tmp", Node::directory(0o1777).owned(3, 4))
        .unwrap();
    tree.insert("bin/su", file(0o4755, b"setuid")).unwrap();
    let capable = [("security.capability", &CAPABILITY[..])];
    tree.insert("bin/ping", with_xattrs(file(0o755, b"ping"), &capable))
        .unwrap();
    tree.insert("bin/ping6", Node::hard_link("bin/ping"))
        .unwrap();
    tree.insert("a-link-before-its-file", Node::hard_link("bin/su"))
        .unwrap();
    tree.insert("bin/sh", Node::symlink("su")).unwrap();
    tree.insert("bin/shell", Node::hard_link("bin/sh")).unwrap();
    tree.insert("bin/long", Node::symlink("l/".repeat(2000)))
        .unwrap();
    let many: Vec<(String, Vec<u8>)> = (0..3)
        .map(|number| (format!("user.number {number}"), noise(number, 900)))
        .collect();
    let many: Vec<(&str, &[u8])> = many.iter().map(|(a, b)| (a.as_str(), &b[..])).collect();
    let big = Node {
        mtime: 1_234_567_890,
        ..with_xattrs(file(0o600, b"x").owned(70_000, 100_001), &many)
    };
    tree.insert("etc/big-xattrs", big).unwrap();
    let trusted = [("trusted.overlay.opaque", &b"y"[..])];
    tree.insert("etc/opaque", with_xattrs(Node::directory(0o700), &trusted))
        .unwrap();
    for (name, content) in [
        ("null", Content::CharDevice { major: 1, minor: 3 }),
        (
            "vda",
            Content::BlockDevice {
                major: 254,
                minor: 0,
            },
        ),
        (
            "high",
            Content::BlockDevice {
                major: 4095,
                minor: 0xf_fffe,
            },
        ),
    ] {
        tree.insert(format!("dev/{name}"), Node::new(0o660, content).owned(0, 6))
            .unwrap();
    }
    for name in [
        &b"\xff\xfe not utf-8"[..],
        b"line\nfeed",
        "ümlaut".as_bytes(),
        &[b'n'; 255],
    ] {
        let name = std::ffi::OsString::from_vec(name.to_vec());
        tree.insert(Path::new("names").join(name), file(0o444, b"named"))
            .unwrap();
    }
    let block = 128 << 10;
    for size in [0, 1, block - 1, block, block + 1, 2 * block, 9 * block + 5] {
        for (kind, bytes) in [
            ("text", text(size)),
            ("noise", noise(size as u64, size)),
            ("zeros", vec![0; size]),
        ] {
            let path = scratch.join(format!("{kind}-{size}"));
            fs::write(&path, bytes).unwrap();
            let content = Content::File {
                path,
                size: size as u64,
            };
            tree.insert(format!("sizes/{kind}-{size}"), Node::new(0o444, content))
                .unwrap();
            let again = Content::Bytes(text(size));
            tree.insert(
                format!("sizes/{kind}-{size}-twice"),
                Node::new(0o400, again),
            )
            .unwrap();
        }
    }
    tree
}

#[test]
fn all_that_a_file_can_be_is_read_back() {
    let scratch = tempfile::tempdir().unwrap();
    let tree = sample(scratch.path());
    let image = scratch.path().join("image");
    build(&tree, &image);
    check(&tree, &image, scratch.path());
}
