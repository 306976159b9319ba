//! Images on file systems whose files can share blocks.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers fail by panicking, as the test does"
)]

mod mounted;
mod oracle;
mod tree;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use cairn_image_builder::squashfs::{self, Cache, Options};
use cairn_image_builder::{Manifest, ObjectTree, Region, plan, write};
use mounted::Mounted;
use oracle::{disk, run, shape_of_grub};
use tree::{noise, text};

const EPOCH: u32 = 1_700_000_000;
/// What they are made by, and the packages with it.
const MAKERS: [(&str, &str, &[&str]); 2] = [
    ("xfs", "xfsprogs", &["mkfs.xfs", "-q", "-m", "reflink=1"]),
    ("btrfs", "btrfs-progs", &["mkfs.btrfs", "-q"]),
];

/// Three objects; the second one has a file of the first one's between others.
fn objects(scratch: &Path) -> Manifest {
    let mut tree = Manifest::new();
    tree.insert_directories(Path::new("nix/store")).unwrap();
    let same = noise(1, 300_000);
    for (number, name) in (0u8..).zip(["one", "two", "three"]) {
        let folder = scratch.join(name);
        fs::create_dir_all(folder.join("bin")).unwrap();
        let own = |seed, length| noise(u64::from(number) << 8 | seed, length);
        fs::write(folder.join("bin/a"), own(1, 900_001)).unwrap();
        if name != "three" {
            fs::write(folder.join("bin/b"), &same).unwrap();
        }
        fs::write(folder.join("bin/c"), own(2, 1_200_000)).unwrap();
        for small in 0..20 {
            fs::write(folder.join(format!("{small}")), text(small * 911)).unwrap();
        }
        fs::write(folder.join("name"), name).unwrap();
        tree.insert_objects(vec![ObjectTree {
            path: Path::new("nix/store").join(name),
            source: folder,
            content: Some([number; 32]),
        }])
        .unwrap();
    }
    tree
}

/// A squashfs of `tree` as the file `output`.
fn build(tree: &Manifest, cache: Option<&Cache>, output: &Path) -> Vec<u8> {
    let file = File::create(output).unwrap();
    let mut plan = squashfs::plan(tree, &Options::new(EPOCH)).unwrap();
    if let Some(cache) = cache {
        plan = plan.with_cache(cache);
    }
    let limit = plan.size_limit();
    let region = Region::new(&file, 0, limit);
    let written = squashfs::write(&plan, &region, &mut |_| {}).unwrap();
    file.set_len(written.size).unwrap();
    file.sync_all().unwrap();
    fs::read(output).unwrap()
}

/// Bytes of `file` whose blocks another file has too.
fn shared(file: &Path) -> u64 {
    let text = run(
        "e2fsprogs",
        "filefrag",
        &["-b1".as_ref(), "-e".as_ref(), file.as_os_str()],
    );
    let lines = text.lines().filter(|line| line.contains("shared"));
    lines
        .map(|line| {
            let length = line.split(':').nth(3).unwrap();
            length.trim().parse::<u64>().unwrap()
        })
        .sum()
}

/// A file system of `kind` with room for some images.
fn file_system(kind: &str, package: &str, make: &[&str], scratch: &Path) -> Option<Mounted> {
    let image = scratch.join("file-system");
    let room = File::create_new(&image).unwrap();
    room.set_len(400 << 20).unwrap();
    let [program, args @ ..] = make else {
        unreachable!()
    };
    let mut args: Vec<&OsStr> = args.iter().map(AsRef::as_ref).collect();
    args.push(image.as_os_str());
    run(package, program, &args);
    Mounted::new(kind, "loop", &image, &scratch.join("mounted"))
}

#[test]
fn what_is_known_is_shared_and_not_copied() {
    let apart = tempfile::tempdir().unwrap();
    let tree = objects(apart.path());
    let wanted = build(&tree, None, &apart.path().join("image"));
    for (kind, package, make) in MAKERS {
        let scratch = tempfile::tempdir().unwrap();
        let Some(mounted) = file_system(kind, package, make, scratch.path()) else {
            return;
        };
        let place = |name: &str| mounted.path().join(name);
        let cache = Cache::open(place("cache"), 1 << 30).unwrap();
        let first = place("first");
        assert!(build(&tree, Some(&cache), &first) == wanted, "{kind}");
        assert_eq!(shared(&first), 0, "{kind}");
        let second = place("second");
        assert!(build(&tree, Some(&cache), &second) == wanted, "{kind}");
        // All of the first and the third object, and the second one up to what the first has too.
        let whole = 2 * 900_001 + 2 * 1_200_000 + 300_000 + 900_001;
        let found = shared(&second);
        assert!(found > whole - 5 * 4096, "{kind}: {found} of {whole}");

        // What is damaged is made again, and shared no more.
        let files = fs::read_dir(place("cache")).unwrap();
        let files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
        for file in &files {
            let file = File::options().write(true).open(file).unwrap();
            file.write_all_at(b"damage", file.metadata().unwrap().len() / 2)
                .unwrap();
        }
        let third = place("third");
        assert!(build(&tree, Some(&cache), &third) == wanted, "{kind}");
        assert!(fs::read(&second).unwrap() == wanted, "{kind}");
    }
}

#[test]
fn a_disk_shares_the_files_that_it_is_made_of() {
    let (esp, boot) = (Manifest::new(), shape_of_grub());
    let build = |scratch: &Path, output: &Path| {
        let tree = objects(scratch);
        let disk = disk(&tree, &esp, &boot);
        write(&disk, &plan(&disk).unwrap(), output, &mut |_| {}).unwrap();
        fs::read(output).unwrap()
    };
    let apart = tempfile::tempdir().unwrap();
    let wanted = build(apart.path(), &apart.path().join("disk"));
    for (kind, package, make) in MAKERS {
        let scratch = tempfile::tempdir().unwrap();
        let Some(mounted) = file_system(kind, package, make, scratch.path()) else {
            return;
        };
        let output = mounted.path().join("disk");
        assert!(build(mounted.path(), &output) == wanted, "{kind}");
        // But for the ends that fill no block.
        let large = 3 * (900_001 / 4096 + 1_200_000 / 4096) * 4096 + 2 * (300_000 / 4096) * 4096;
        assert_eq!(shared(&output), large, "{kind}");
        // A machine that is started from it changes nothing that it was made of.
        let image = File::options().write(true).open(&output).unwrap();
        image.write_all_at(&vec![0; wanted.len()], 0).unwrap();
        drop(image);
        fs::remove_file(&output).unwrap();
        assert!(build(mounted.path(), &output) == wanted, "{kind}");
    }
}
