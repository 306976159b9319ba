//! How much memory the writer of a squashfs takes, beside the tree that it is given: as much for a large tree as for
//! a small one. The only test of its process, whose memory it looks at.

#![allow(
    clippy::unwrap_used,
    reason = "a test's helpers fail by panicking, as the test does"
)]

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use cairn_image_builder::squashfs::{self, Options};
use cairn_image_builder::{Content, Manifest, Node, Region};

const MIB: u64 = 1 << 20;
const MOST: u64 = 64 * MIB;

/// A figure of this process, in bytes.
fn memory(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let words = line.unwrap().trim_start_matches(':').trim();
    words.strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}

/// The most memory that writing `tree` takes.
fn taken_for(tree: &Manifest, output: &Path) -> u64 {
    // The peak is forgotten.
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = memory("VmRSS");
    let plan = squashfs::plan(tree, &Options::new(1_700_000_000)).unwrap();
    let file = File::create_new(output).unwrap();
    let region = Region::new(&file, 0, plan.size_limit());
    squashfs::write(&plan, &region, &mut |_| {}).unwrap();
    let taken = memory("VmHWM") - before;
    fs::remove_file(output).unwrap();
    taken
}

/// Bytes that nothing makes smaller, other ones for each number.
fn noise(number: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let mut hasher = blake3::Hasher::new();
    hasher.update(&number.to_le_bytes());
    hasher.finalize_xof().fill(&mut bytes);
    bytes
}

/// Four files of so many MiB each.
fn large(folder: &Path, mib: u64) -> Manifest {
    let mut tree = Manifest::new();
    for number in 0..4 {
        let path = folder.join(format!("{mib}-{number}"));
        let mut file = File::create_new(&path).unwrap();
        for part in 0..mib {
            let bytes = noise(number << 32 | part, 1 << 20);
            file.write_all(&bytes).unwrap();
        }
        let content = Content::File {
            path,
            size: mib * MIB,
        };
        let node = Node::new(0o444, content);
        tree.insert(number.to_string(), node).unwrap();
    }
    tree
}

/// So many files of some bytes each.
fn many(count: u64) -> Manifest {
    let mut tree = Manifest::new();
    tree.insert("many", Node::directory(0o755)).unwrap();
    for number in 0..count {
        let node = Node::new(0o444, Content::Bytes(noise(number, 64)));
        tree.insert(format!("many/{number:06}"), node).unwrap();
    }
    tree
}

#[test]
#[ignore = "long: cargo xtask torture media"]
fn it_is_at_most_64_mib_for_any_tree() {
    let scratch = tempfile::tempdir().unwrap();
    let scratch = scratch.path();
    let output = scratch.join("squashfs");
    for (what, tree) in [
        ("32 MiB", large(scratch, 8)),
        ("1 GiB", large(scratch, 256)),
        ("2000 files", many(2_000)),
        ("200000 files", many(200_000)),
    ] {
        let taken = taken_for(&tree, &output);
        eprintln!("{what}: {} MiB", taken / MIB);
        assert!(taken <= MOST, "{what}: {} MiB", taken / MIB);
    }
}
