//! Trees as text, a line for each file: what a manifest says, and what is found in a folder; and a tree
//! with all that a file can be.

#![allow(dead_code, reason = "each test binary uses some of it")]

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use cairn_image_builder::{Content, Manifest, Node};

use crate::oracle::run;

/// How much is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// All of it.
    All,
    /// What a user who is not root can extract: no owners, devices and attributes.
    Own,
}

/// Whether this test may do what root may.
pub fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}

/// What `tree` says.
pub fn wanted(tree: &Manifest, sight: Sight) -> String {
    let first = |path: &Path, node: &Node| match &node.content {
        Content::HardLink(target) => target.clone(),
        _ => path.to_owned(),
    };
    let mut links: BTreeMap<PathBuf, usize> = BTreeMap::new();
    for (path, node) in tree.entries() {
        *links.entry(first(path, node)).or_default() += 1;
        if node.content == Content::Directory {
            *links.entry(path.to_owned()).or_default() += 1;
            if let Some(parent) = path.parent() {
                *links.entry(parent.to_owned()).or_default() += 1;
            }
        }
    }
    let mut text = String::new();
    for (path, node) in tree.entries() {
        let first = first(path, node);
        let links = links[&first];
        let node = tree.get(&first).unwrap();
        let content = match &node.content {
            Content::Directory => "directory".to_owned(),
            Content::Bytes(bytes) => of_bytes(bytes),
            Content::File { path, .. } => of_bytes(&fs::read(path).unwrap()),
            Content::Symlink(target) => {
                format!("link {}", target.as_os_str().as_bytes().escape_ascii())
            }
            Content::CharDevice { major, minor } => format!("char {major}:{minor}"),
            Content::BlockDevice { major, minor } => format!("block {major}:{minor}"),
            Content::HardLink(_) => unreachable!(),
        };
        let xattrs = (node.xattrs.iter()).map(|(name, value)| (name.clone(), value.clone()));
        let line = Line {
            path,
            mode: node.mode,
            owner: (node.uid, node.gid),
            time: node.mtime.into(),
            links,
            content,
            xattrs: xattrs.collect(),
        };
        line.print(sight, &mut text);
    }
    text
}

/// What is in `folder`.
pub fn found(folder: &Path, sight: Sight) -> String {
    let mut text = String::new();
    walk(folder, Path::new(""), sight, &mut text);
    text
}

fn walk(folder: &Path, path: &Path, sight: Sight, text: &mut String) {
    let place = folder.join(path);
    let metadata = fs::symlink_metadata(&place).unwrap();
    let kind = metadata.file_type();
    let number = || {
        let device = metadata.rdev();
        let major = device >> 8 & 0xfff;
        let minor = device & 0xff | device >> 12 & 0xf_ff00;
        format!("{major}:{minor}")
    };
    let content = if kind.is_dir() {
        "directory".to_owned()
    } else if kind.is_symlink() {
        let target = fs::read_link(&place).unwrap();
        format!("link {}", target.as_os_str().as_bytes().escape_ascii())
    } else if kind.is_char_device() {
        format!("char {}", number())
    } else if kind.is_block_device() {
        format!("block {}", number())
    } else {
        of_bytes(&fs::read(&place).unwrap())
    };
    let xattrs = if sight == Sight::All {
        // A squashfs of which no file has attributes knows none.
        let names = match xattr::list(&place) {
            Err(error) if error.kind() == std::io::ErrorKind::Unsupported => None,
            names => Some(names.unwrap()),
        };
        names
            .into_iter()
            .flatten()
            .map(|name| {
                let value = xattr::get(&place, &name).unwrap().unwrap();
                (name.as_bytes().to_vec(), value)
            })
            .collect()
    } else {
        BTreeMap::new()
    };
    let line = Line {
        path,
        mode: metadata.mode() & 0o7777,
        owner: (metadata.uid(), metadata.gid()),
        time: metadata.mtime(),
        links: usize::try_from(metadata.nlink()).unwrap(),
        content,
        xattrs,
    };
    line.print(sight, text);
    if kind.is_dir() {
        let names = fs::read_dir(&place).unwrap();
        let mut names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        for name in names {
            walk(folder, &path.join(name), sight, text);
        }
    }
}

fn of_bytes(bytes: &[u8]) -> String {
    format!(
        "file of {} bytes {}",
        bytes.len(),
        blake3::hash(bytes).to_hex()
    )
}

struct Line<'a> {
    path: &'a Path,
    mode: u32,
    owner: (u32, u32),
    time: i64,
    links: usize,
    content: String,
    xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Line<'_> {
    fn print(&self, sight: Sight, text: &mut String) {
        let path = self.path.as_os_str().as_bytes().escape_ascii();
        let device = self.content.starts_with("char ") || self.content.starts_with("block ");
        if device && sight == Sight::Own {
            return;
        }
        let directory = self.content == "directory";
        let mut words = vec![format!("/{path}:"), self.content.clone()];
        if !self.content.starts_with("link") {
            words.push(format!("mode {:o}", self.mode));
        }
        words.push(format!("time {}", self.time));
        // ext4 counts no directories where there are very many.
        if !directory || self.links < 60_000 {
            words.push(format!("links {}", self.links));
        }
        if sight == Sight::All {
            words.push(format!("owner {}:{}", self.owner.0, self.owner.1));
            for (name, value) in &self.xattrs {
                let hash = blake3::hash(value).to_hex();
                words.push(format!("{}={} {hash}", name.escape_ascii(), value.len()));
            }
        }
        text.push_str(&words.join(", "));
        text.push('\n');
    }
}

pub fn file(mode: u32, bytes: &[u8]) -> Node {
    Node::new(mode, Content::Bytes(bytes.to_vec()))
}

/// Bytes that zstd cannot make smaller.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes());
    hasher.finalize_xof().fill(&mut bytes);
    bytes
}

pub fn text(length: usize) -> Vec<u8> {
    let line = b"the quick brown fox jumps over the lazy dog\n";
    line.iter().copied().cycle().take(length).collect()
}

/// Asserts that two listings are equal, and shows their first difference only.
pub fn similar(wanted: &str, found: &str) {
    let mut lines = wanted.lines().zip(found.lines());
    if let Some((wanted, found)) = lines.find(|(one, other)| one != other) {
        panic!("wanted {wanted}\n found {found}");
    }
    assert_eq!(wanted.lines().count(), found.lines().count());
}

pub fn make_removable(folder: &Path) {
    let args: [&OsStr; 3] = ["-R".as_ref(), "u+rwX".as_ref(), folder.as_os_str()];
    run("coreutils", "chmod", &args);
}

/// `cap_net_raw=ep` as the kernel stores it (`VFS_CAP_REVISION_2`).
const CAPABILITY: [u8; 20] = [
    1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];

pub fn with_xattrs(node: Node, xattrs: &[(&str, &[u8])]) -> Node {
    let xattrs = xattrs
        .iter()
        .map(|(name, value)| (name.as_bytes().to_vec(), value.to_vec()));
    Node {
        xattrs: xattrs.collect(),
        ..node
    }
}

pub fn sample(scratch: &Path) -> Manifest {
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
