//! squashfs held against the tools and the kernel that read it.

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
use std::num::NonZero;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use cairn_image_builder::squashfs::{self, BlockSize, Cache, Options};
use cairn_image_builder::{Content, Manifest, Node, ObjectTree, Region};
use mounted::Mounted;
use oracle::run;
use proptest::prelude::*;
use tree::{
    Sight, file, found, is_root, make_removable, noise, sample, similar, text, wanted, with_xattrs,
};

fn options() -> Options {
    Options {
        threads: NonZero::new(3).unwrap(),
        ..Options::new(1_700_000_000)
    }
}

/// Writes `tree` to a new file, which begins with it.
fn build_with(tree: &Manifest, options: &Options, cache: Option<&Cache>, output: &Path) -> u64 {
    let file = File::create_new(output).unwrap();
    let mut plan = squashfs::plan(tree, options).unwrap();
    if let Some(cache) = cache {
        plan = plan.with_cache(cache);
    }
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
    build_with(tree, &options(), None, output)
}

/// The kernel's view of `image`, in a folder of `scratch`.
fn mounted(image: &Path, scratch: &Path) -> Option<Mounted> {
    Mounted::new("squashfs", "loop,ro", image, &scratch.join("mounted"))
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
    if let Some(mounted) = mounted(image, scratch) {
        similar(
            &wanted(tree, Sight::All),
            &found(mounted.path(), Sight::All),
        );
    }
}

#[test]
fn all_that_a_file_can_be_is_read_back() {
    let scratch = tempfile::tempdir().unwrap();
    let tree = sample(scratch.path());
    let image = scratch.path().join("image");
    build(&tree, &image);
    check(&tree, &image, scratch.path());
}

#[test]
fn a_whole_listing() {
    let scratch = tempfile::tempdir().unwrap();
    let mut tree = Manifest::new();
    tree.insert("bin", Node::directory(0o1775).owned(0, 30_000))
        .unwrap();
    tree.insert("bin/su", file(0o4755, b"setuid").owned(7, 8))
        .unwrap();
    tree.insert("bin/sudo", Node::hard_link("bin/su")).unwrap();
    tree.insert("bin/sh", Node::symlink("su")).unwrap();
    let null = Content::CharDevice { major: 1, minor: 3 };
    tree.insert("null", Node::new(0o666, null)).unwrap();
    let image = scratch.path().join("image");
    build(&tree, &image);
    let args = ["-UTC", "-lln", image.to_str().unwrap()].map(OsStr::new);
    expect_test::expect![[r#"
        drwxr-xr-x 0/0                      38 1970-01-01 00:00 squashfs-root
        drwxrwxr-t 0/30000                  47 1970-01-01 00:00 squashfs-root/bin
        lrwxrwxrwx 0/0                       2 1970-01-01 00:00 squashfs-root/bin/sh -> su
        -rwsr-xr-x 7/8                       6 1970-01-01 00:00 squashfs-root/bin/su
        -rwsr-xr-x 7/8                       6 1970-01-01 00:00 squashfs-root/bin/sudo
        crw-rw-rw- 0/0                   1,  3 1970-01-01 00:00 squashfs-root/null
    "#]]
    .assert_eq(&run("squashfs-tools", "unsquashfs", &args));
}

#[test]
fn a_folder_of_200_000_names_is_listed_and_searched() {
    const COUNT: usize = 200_000;
    let scratch = tempfile::tempdir().unwrap();
    let mut tree = Manifest::new();
    tree.insert("many", Node::directory(0o755)).unwrap();
    let name = |number: usize| format!("many/{}-{number:06}", "long".repeat(number % 5));
    for number in 0..COUNT {
        let node = match number % 1000 {
            0 => Node::directory(0o755),
            1 => file(0o400, number.to_string().as_bytes()),
            _ => Node::symlink(format!("{number}")),
        };
        tree.insert(name(number), node).unwrap();
    }
    let image = scratch.path().join("image");
    build(&tree, &image);
    let args = ["-l", image.to_str().unwrap()].map(OsStr::new);
    let listing = run("squashfs-tools", "unsquashfs", &args);
    assert_eq!(listing.lines().count(), COUNT + 2);
    let Some(mounted) = mounted(&image, scratch.path()) else {
        return;
    };
    let names = fs::read_dir(mounted.path().join("many")).unwrap();
    assert_eq!(names.count(), COUNT);
    for number in (0..COUNT).step_by(997).filter(|number| number % 1000 > 1) {
        let target = fs::read_link(mounted.path().join(name(number))).unwrap();
        assert_eq!(target.to_str().unwrap(), number.to_string());
    }
    assert!(!mounted.path().join("many/longlong-nothing").exists());
}

#[test]
fn a_file_of_more_than_4_gib_is_read_back() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("large");
    let size = (4 << 30) + 300_001;
    let source = File::create(&path).unwrap();
    source.set_len(size).unwrap();
    for at in [0, 2 << 30, (4 << 30) - 3, size - 4] {
        source.write_all_at(b"data", at).unwrap();
    }
    let mut tree = Manifest::new();
    let content = Content::File { path, size };
    tree.insert("large", Node::new(0o444, content)).unwrap();
    tree.insert("small", file(0o444, b"behind it")).unwrap();
    let image = scratch.path().join("image");
    assert!(build(&tree, &image) < 1 << 20);
    let args = ["-lln", image.to_str().unwrap()].map(OsStr::new);
    let listing = run("squashfs-tools", "unsquashfs", &args);
    assert!(listing.contains(&size.to_string()), "{listing}");
    let Some(mounted) = mounted(&image, scratch.path()) else {
        return;
    };
    assert_eq!(
        fs::read(mounted.path().join("small")).unwrap(),
        b"behind it"
    );
    let large = File::open(mounted.path().join("large")).unwrap();
    assert_eq!(large.metadata().unwrap().len(), size);
    assert!(large.metadata().unwrap().blocks() < 5000);
    for at in [0, 2 << 30, (4 << 30) - 3, size - 4] {
        let mut bytes = [1; 12];
        let length = large.read_at(&mut bytes, at).unwrap();
        let wanted = b"data\0\0\0\0\0\0\0\0";
        assert_eq!(bytes[..length], wanted[..length]);
        assert!(length >= 4);
    }
}

/// Two store objects that share files, and something beside them.
fn objects(scratch: &Path) -> Manifest {
    let mut tree = Manifest::new();
    tree.insert_directories(Path::new("nix/store")).unwrap();
    tree.insert("etc", file(0o644, b"beside")).unwrap();
    for object in ["one", "two"] {
        let folder = scratch.join(object);
        fs::create_dir_all(folder.join("bin")).unwrap();
        fs::write(folder.join("bin/tool"), noise(object.len() as u64, 700_000)).unwrap();
        fs::write(folder.join("bin/other"), text(300_000)).unwrap();
        fs::write(folder.join("zeros"), vec![0; 200_000]).unwrap();
        for number in 0..50 {
            fs::write(folder.join(format!("{number}")), text(number * 211)).unwrap();
        }
        fs::write(folder.join("name"), object).unwrap();
        tree.insert_objects(vec![ObjectTree {
            path: Path::new("nix/store").join(object),
            source: folder,
            content: Some(*blake3::hash(object.as_bytes()).as_bytes()),
        }])
        .unwrap();
    }
    tree
}

#[test]
fn bytes_depend_on_neither_threads_nor_cache() {
    let scratch = tempfile::tempdir().unwrap();
    let tree = objects(scratch.path());
    let cache = Cache::open(scratch.path().join("cache"), 1 << 30).unwrap();
    let image = scratch.path().join("image");
    let wanted = {
        build(&tree, &image);
        fs::read(&image).unwrap()
    };
    for (threads, cache) in [(1, None), (16, None), (2, Some(&cache)), (1, Some(&cache))] {
        let options = Options {
            threads: NonZero::new(threads).unwrap(),
            ..options()
        };
        fs::remove_file(&image).unwrap();
        build_with(&tree, &options, cache, &image);
        assert!(fs::read(&image).unwrap() == wanted, "{threads} threads");
    }
    assert_eq!(cache_files(scratch.path()).len(), 2);
    check(&tree, &image, scratch.path());

    // What the cache knows is not read: only a changed object is.
    fs::remove_file(&image).unwrap();
    fs::write(scratch.path().join("one/bin/tool"), noise(9, 700_000)).unwrap();
    build_with(&tree, &options(), Some(&cache), &image);
    assert!(fs::read(&image).unwrap() == wanted);
    // Another block size is another matter.
    let smaller = Options {
        block_size: BlockSize::new(4096).unwrap(),
        ..options()
    };
    fs::remove_file(&image).unwrap();
    build_with(&tree, &smaller, Some(&cache), &image);
    assert_eq!(cache_files(scratch.path()).len(), 4);
    check(&tree, &image, scratch.path());
}

fn cache_files(scratch: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(scratch.join("cache")).unwrap();
    let mut files: Vec<_> = files.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn the_cache_forgets_what_was_not_used() {
    let scratch = tempfile::tempdir().unwrap();
    let tree = objects(scratch.path());
    let folder = scratch.path().join("cache");
    let image = scratch.path().join("image");
    build_with(
        &tree,
        &options(),
        Some(&Cache::open(&folder, 1 << 30).unwrap()),
        &image,
    );
    let [one, two] = cache_files(scratch.path()).try_into().unwrap();
    let old = std::time::SystemTime::UNIX_EPOCH;
    File::open(&one).unwrap().set_modified(old).unwrap();
    fs::remove_file(&image).unwrap();
    let limit = fs::metadata(&two).unwrap().len();
    let mut alone = Manifest::new();
    alone.insert("x", file(0o444, b"x")).unwrap();
    let cache = Cache::open(&folder, limit).unwrap();
    build_with(&alone, &options(), Some(&cache), &image);
    assert_eq!(cache_files(scratch.path()), [two]);
}

#[test]
fn a_cache_that_cannot_be_written_is_done_without() {
    let scratch = tempfile::tempdir().unwrap();
    let tree = objects(scratch.path());
    let image = scratch.path().join("image");
    build(&tree, &image);
    let wanted = fs::read(&image).unwrap();
    let folder = scratch.path().join("cache");
    let cache = Cache::open(&folder, 1 << 30).unwrap();
    fs::remove_dir(&folder).unwrap();
    fs::write(&folder, "no folder").unwrap();
    fs::remove_file(&image).unwrap();
    build_with(&tree, &options(), Some(&cache), &image);
    assert!(fs::read(&image).unwrap() == wanted);
}

#[test]
fn what_cannot_be_held_or_read_is_named() {
    let scratch = tempfile::tempdir().unwrap();
    let planned = |path: &str, node: Node| {
        let mut tree = Manifest::new();
        tree.insert(path, node).unwrap();
        squashfs::plan(&tree, &options()).unwrap_err().to_string()
    };
    let acl = with_xattrs(file(0, b""), &[("system.posix_acl_access", b"x")]);
    let high = Content::CharDevice {
        major: 4096,
        minor: 0,
    };
    let found = [
        planned(&"n".repeat(256), file(0, b"")).replace(&"n".repeat(256), "NAME"),
        planned("link", Node::symlink("t".repeat(4096))),
        planned("link", Node::symlink("")),
        planned("acl", acl),
        planned("device", Node::new(0, high)),
    ];
    expect_test::expect![[r#"
        cannot store 'NAME' in the squashfs file system: its name is longer than 255 bytes
        cannot store 'link' in the squashfs file system: the link's target is empty, or longer than 4095 bytes
        cannot store 'link' in the squashfs file system: the link's target is empty, or longer than 4095 bytes
        cannot store 'acl' in the squashfs file system: the attribute 'system.posix_acl_access' is neither user., trusted. nor security.
        cannot store 'device' in the squashfs file system: device numbers go to 4095 and 1048575
    "#]].assert_eq(&(found.join("\n") + "\n"));

    let written = |path: &Path, size: u64, device: &str, limit: u64| {
        let mut tree = Manifest::new();
        let path = path.to_owned();
        let content = Content::File { path, size };
        tree.insert("file", Node::new(0o444, content)).unwrap();
        let plan = squashfs::plan(&tree, &options()).unwrap();
        let file = File::options().write(true).open(device).unwrap();
        let region = Region::new(&file, 0, limit);
        let error = squashfs::write(&plan, &region, &mut |_| {}).unwrap_err();
        let scratch = scratch.path().to_str().unwrap();
        error.to_string().replace(scratch, "SCRATCH")
    };
    let source = scratch.path().join("source");
    fs::write(&source, noise(1, 300_000)).unwrap();
    let small = scratch.path().join("small");
    fs::write(&small, "small").unwrap();
    let found = [
        written(&scratch.path().join("missing"), 5, "/dev/null", 1 << 30),
        written(scratch.path(), 5, "/dev/null", 1 << 30),
        written(&source, 300_001, "/dev/null", 1 << 30),
        written(&small, 4, "/dev/null", 1 << 30),
        written(&source, 300_000, "/dev/full", 1 << 30),
        written(&source, 300_000, "/dev/null", 200_000),
    ];
    expect_test::expect![[r#"
        cannot read 'SCRATCH/missing' for the image: No such file or directory (os error 2)
        cannot read 'SCRATCH' for the image: it is no regular file any more
        cannot read 'SCRATCH/source' for the image: it has 300000 bytes, and had 300001
        cannot read 'SCRATCH/small' for the image: it has 5 bytes, and had 4
        cannot write the squashfs file system: No space left on device (os error 28)
        cannot write the squashfs file system: the data goes beyond its partition
    "#]]
    .assert_eq(&(found.join("\n") + "\n"));
}

#[test]
fn it_is_no_larger_than_that_of_mksquashfs() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("tree");
    for part in 0..20 {
        let place = folder.join(format!("{part}"));
        fs::create_dir_all(&place).unwrap();
        fs::write(place.join("large"), text(part * 40_000)).unwrap();
        fs::write(place.join("noise"), noise(0, part * 10_000)).unwrap();
        for number in 0..30 {
            let content: Vec<String> = (0..number * part).map(|n| n.to_string()).collect();
            fs::write(place.join(format!("{number}")), content.join(" ")).unwrap();
        }
    }
    let mut tree = Manifest::new();
    tree.insert_objects(vec![ObjectTree {
        path: "tree".into(),
        source: folder.clone(),
        content: None,
    }])
    .unwrap();
    let ours = build(&tree, &scratch.path().join("ours"));
    let theirs = scratch.path().join("theirs");
    let mut args: Vec<&OsStr> = vec![folder.as_os_str(), theirs.as_os_str()];
    args.extend(
        [
            "-comp",
            "zstd",
            "-Xcompression-level",
            "3",
            "-quiet",
            "-no-progress",
            "-keep-as-directory",
        ]
        .map(OsStr::new),
    );
    run("squashfs-tools", "mksquashfs", &args);
    let theirs = fs::metadata(&theirs).unwrap().len();
    assert!(ours <= theirs + theirs / 100, "{ours} and {theirs}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_tree_is_read_back(tree in any_tree()) {
        let scratch = tempfile::tempdir().unwrap();
        let image = scratch.path().join("image");
        let options = Options {
            block_size: BlockSize::new(4096).unwrap(),
            ..options()
        };
        build_with(&tree, &options, None, &image);
        check(&tree, &image, scratch.path());
    }

    #[test]
    fn a_damaged_cache_costs_time_only(
        (place, byte, cut) in (any::<prop::sample::Index>(), 1u8.., any::<Option<prop::sample::Index>>())
    ) {
        let scratch = tempfile::tempdir().unwrap();
        let tree = objects(scratch.path());
        let cache = Cache::open(scratch.path().join("cache"), 1 << 30).unwrap();
        let image = scratch.path().join("image");
        build_with(&tree, &options(), Some(&cache), &image);
        let wanted = fs::read(&image).unwrap();
        for file in cache_files(scratch.path()) {
            let mut bytes = fs::read(&file).unwrap();
            let length = bytes.len();
            bytes[place.index(length)] ^= byte;
            bytes.truncate(cut.map_or(length, |cut| cut.index(length)));
            fs::write(&file, bytes).unwrap();
        }
        for _ in 0..2 {
            fs::remove_file(&image).unwrap();
            build_with(&tree, &options(), Some(&cache), &image);
            prop_assert!(fs::read(&image).unwrap() == wanted);
        }
    }
}

/// Trees of all kinds of files, three levels deep.
fn any_tree() -> impl Strategy<Value = Manifest> {
    let name = prop::collection::vec(prop::sample::select(b"ab.\n\xff -".to_vec()), 1..6);
    let name = name.prop_filter("no name", |name| name != b"." && name != b"..");
    let path = prop::collection::vec(name, 1..4);
    let kind = (0u8..6, 0usize..20_000, 0u64..6);
    let owner = (0u32..0o10000, 0u32..3, any::<u32>(), any::<u32>());
    let entries = prop::collection::vec((path, kind, owner), 0..40);
    entries.prop_map(|entries| {
        let mut tree = Manifest::new();
        let mut last = None;
        for (parts, (kind, size, seed), (mode, uid, gid, mtime)) in entries {
            let parts = parts.into_iter().map(std::ffi::OsString::from_vec);
            let path: PathBuf = parts.collect();
            let node = match kind {
                0 => Node::directory(mode),
                1 => Node::symlink(format!("to {seed}")),
                2 => file(mode, &text(size)),
                3 => file(mode, &vec![0; size]),
                4 => last.clone().map_or(Node::directory(0), Node::hard_link),
                _ => with_xattrs(file(mode, &noise(seed, size)), &[("user.seed", &[1; 3])]),
            };
            let node = Node {
                mtime: mtime >> 1,
                ..node.owned(uid, gid)
            };
            // Some have no place: their parent is a file, or they are there already.
            let parent = path.parent().unwrap().to_owned();
            if tree.insert_directories(&parent).is_ok()
                && tree.insert(&path, node).is_ok()
                && kind != 0
                && kind != 4
            {
                last = Some(path);
            }
        }
        tree
    })
}
