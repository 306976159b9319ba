//! Archives: round trips, and bytes that nobody vouches for.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail as tests do"
)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use cairn_store::nar::{self, NarError};
use cairn_store_path::Sha256;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Tree {
    File(Vec<u8>, bool),
    Link(Vec<u8>),
    Folder(BTreeMap<Vec<u8>, Tree>),
}

fn component() -> impl Strategy<Value = Vec<u8>> {
    vec(prop_oneof![1..=46_u8, 48..=255_u8], 1..20)
        .prop_filter("not a name", |name| name != b"." && name != b"..")
}

fn tree() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        (vec(any::<u8>(), 0..300), any::<bool>()).prop_map(|(bytes, run)| Tree::File(bytes, run)),
        vec(1..=255_u8, 1..30).prop_map(Tree::Link),
    ];
    leaf.prop_recursive(4, 20, 5, |inner| {
        btree_map(component(), inner, 0..5).prop_map(Tree::Folder)
    })
}

fn create(tree: &Tree, path: &Path) {
    match tree {
        Tree::File(bytes, executable) => {
            fs::write(path, bytes).unwrap();
            let mode = if *executable { 0o744 } else { 0o600 };
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
        Tree::Link(target) => symlink(std::ffi::OsStr::from_bytes(target), path).unwrap(),
        Tree::Folder(entries) => {
            fs::create_dir(path).unwrap();
            for (name, entry) in entries {
                create(entry, &path.join(std::ffi::OsStr::from_bytes(name)));
            }
        }
    }
}

fn archive(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    nar::write(path, &mut bytes).unwrap();
    bytes
}

/// Writes an archive by hand: each word as an archive string.
fn words(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in words {
        bytes.extend((word.len() as u64).to_le_bytes());
        bytes.extend(*word);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
    }
    bytes
}

fn unpacked(bytes: &[u8]) -> (tempfile::TempDir, Result<(), NarError>) {
    let folder = tempfile::tempdir().unwrap();
    let result = nar::unpack(&mut &bytes[..], &folder.path().join("x"));
    (folder, result)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn round_trip(tree in tree()) {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("source");
        create(&tree, &source);
        let bytes = archive(&source);
        let copy = folder.path().join("copy");
        nar::unpack(&mut bytes.as_slice(), &copy).unwrap();
        prop_assert!(archive(&copy) == bytes);
        prop_assert_eq!(nar::hash(&copy).unwrap(), (Sha256::of(&bytes), bytes.len() as u64));
    }

    #[test]
    fn damage_is_refused_or_gives_another_tree(
        tree in tree(),
        position: prop::sample::Index,
        byte: u8,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("source");
        create(&tree, &source);
        let mut bytes = archive(&source);
        let position = position.index(bytes.len());
        let cut = unpacked(&bytes[..position]);
        prop_assert!(cut.1.is_err());
        bytes[position] = byte;
        let (folder, result) = unpacked(&bytes);
        if result.is_ok() {
            prop_assert!(archive(&folder.path().join("x")) == bytes);
        }
        for entry in fs::read_dir(folder.path()).unwrap() {
            prop_assert_eq!(entry.unwrap().file_name(), "x");
        }
    }
}

#[test]
fn hostile_archives_are_refused() {
    let file: &[&[u8]] = &[b"(", b"type", b"regular", b"contents", b"x", b")"];
    let link: &[&[u8]] = &[b"(", b"type", b"symlink", b"target", b"/etc", b")"];
    let folder = |entries: &[(&[u8], &[&[u8]])]| {
        let mut list: Vec<&[u8]> = vec![b"nix-archive-1", b"(", b"type", b"directory"];
        for (name, node) in entries {
            list.extend_from_slice(&[b"entry", b"(", b"name", name, b"node"]);
            list.extend_from_slice(node);
            list.push(b")");
        }
        list.push(b")");
        words(&list)
    };
    assert!(unpacked(&folder(&[(b"a", file), (b"b", link)])).1.is_ok());
    let long = [b'x'; 256];
    for (entries, part) in [
        (vec![(&b"../evil"[..], file)], "impossible file name"),
        (vec![(&b"/etc/evil"[..], file)], "impossible file name"),
        (vec![(&b".."[..], file)], "impossible file name"),
        (vec![(&b"."[..], file)], "impossible file name"),
        (vec![(&b""[..], file)], "impossible file name"),
        (vec![(&b"a\0b"[..], file)], "impossible file name"),
        (vec![(&long[..], file)], "impossible file name"),
        (vec![(&b"b"[..], file), (b"a", file)], "not in sorted order"),
        (vec![(&b"a"[..], link), (b"a", file)], "not in sorted order"),
    ] {
        let (folder, result) = unpacked(&folder(&entries));
        let error = result.unwrap_err().to_string();
        assert!(error.contains(part) && error.contains("at byte"), "{error}");
        assert!(!folder.path().join("evil").exists());
    }
    let mut more = folder(&[]);
    more.push(0);
    assert!(
        unpacked(&more)
            .1
            .unwrap_err()
            .to_string()
            .contains("behind the end")
    );
    let mut huge = words(&[b"nix-archive-1", b"(", b"type", b"regular", b"contents"]);
    huge.extend(u64::MAX.to_le_bytes());
    assert!(
        unpacked(&huge)
            .1
            .unwrap_err()
            .to_string()
            .contains("ends too early")
    );
    huge.truncate(huge.len() - 8);
    huge.truncate(huge.len() - 16);
    huge.extend(u64::MAX.to_le_bytes());
    assert!(
        unpacked(&huge)
            .1
            .unwrap_err()
            .to_string()
            .contains("a string of")
    );
    let mut padding = words(&[b"nix-archive-1"]);
    *padding.last_mut().unwrap() = 1;
    assert!(
        unpacked(&padding)
            .1
            .unwrap_err()
            .to_string()
            .contains("padding")
    );

    let mut deep: Vec<&[u8]> = vec![b"nix-archive-1"];
    for _ in 0..5000 {
        deep.extend_from_slice(&[
            b"(",
            b"type",
            b"directory",
            b"entry",
            b"(",
            b"name",
            b"d",
            b"node",
        ]);
    }
    let (folder, result) = unpacked(&words(&deep));
    assert!(result.is_err());
    assert!(
        Command::new("rm")
            .arg("-r")
            .arg(folder.path().join("x"))
            .status()
            .unwrap()
            .success()
    );
}

#[test]
fn archives_are_those_of_nix() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    let entries = [
        (&b"a"[..], Tree::File(b"text".to_vec(), false)),
        (b"a.b", Tree::File(vec![0; 9000], true)),
        (b"a-b", Tree::Link(b"/nix/store".to_vec())),
        (b"\xff\xfe", Tree::Folder(BTreeMap::new())),
        (b"empty", Tree::File(Vec::new(), false)),
    ];
    let entries = entries.map(|(name, tree)| (name.to_vec(), tree)).into();
    create(&Tree::Folder(entries), &source);
    let output = Command::new("nix-store")
        .arg("--dump")
        .arg(&source)
        .output()
        .unwrap_or_else(|error| panic!("cannot run nix-store: {error}; apt-get install nix-bin"));
    assert!(output.status.success(), "{output:?}");
    assert!(output.stdout == archive(&source));
}

#[test]
fn special_files_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    assert!(
        Command::new("mkfifo")
            .arg(folder.path().join("pipe"))
            .status()
            .unwrap()
            .success()
    );
    let error = nar::hash(folder.path()).unwrap_err().to_string();
    assert!(error.contains("pipe: it is a named pipe"), "{error}");
}
