//! A disk that is full leaves an error that names the file, and nothing else.

use std::path::Path;

use super::namespace::Namespace;
use super::nix;
use super::run::{Site, demo, error_of, image_of, programs, text_of};
use super::scratch::Scratch;

#[test]
fn a_store_on_a_full_disk_stays_whole() {
    let folder = Scratch::new();
    let disk = folder.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let namespace = Namespace::with_disk(&disk, "60m");
    let mut site = Site::new(folder.path());
    site.store = disk.join("store");
    let build = || {
        let mut command = namespace.command(programs().join("cairn"));
        command.args(site.arguments()).output().unwrap()
    };
    for size in ["60m", "90m", "200m"] {
        namespace.resize(size);
        let error = error_of(&build());
        assert_out_of_space(&error, &disk);
        nix::verified(&mut namespace.command("nix-store"), &site.store);
        let mut dump = namespace.command("nix-store");
        nix::on(dump.arg("--dump-db"), &site.store);
        let database = text_of(&dump.output().unwrap());
        assert_tidy(&namespace.seen(&site.store), &database);
    }
    namespace.resize("1g");
    assert_eq!(
        image_of(&build()).file_name(),
        demo().image.file_name(),
        "a disk that was full changes what is built"
    );
    nix::verified(&mut namespace.command("nix-store"), &site.store);
}

#[test]
fn an_image_on_a_full_disk_is_no_image() {
    let folder = Scratch::new();
    let disk = folder.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let namespace = Namespace::with_disk(&disk, "100m");
    let mut site = Site::new(folder.path());
    site.store.clone_from(&demo().site.store);
    std::os::unix::fs::symlink(&disk, site.cache.join("images")).unwrap();
    let build = || {
        let mut command = namespace.command(programs().join("cairn"));
        command.args(site.arguments()).output().unwrap()
    };
    let error = error_of(&build());
    assert_out_of_space(&error, &site.cache.join("images"));
    assert_eq!(names(&namespace.seen(&disk)), Vec::<String>::new());

    namespace.resize("2g");
    let image = image_of(&build());
    let name = image.file_name().unwrap();
    assert_eq!(Some(name), demo().image.file_name());
    assert_eq!(names(&namespace.seen(&disk)), [name.to_str().unwrap()]);
    let cmp = namespace
        .command("cmp")
        .arg(disk.join(name))
        .arg(&demo().image)
        .output()
        .unwrap();
    assert!(cmp.status.success(), "{cmp:?}");
}

/// It says which file, and why.
fn assert_out_of_space(error: &str, below: &Path) {
    // The kernel's words, those of who looked before, those of the database.
    let cause = [
        "the packages alone need at least",
        "No space left on device",
        "and its file system has",
        "database or disk is full",
    ];
    assert!(cause.iter().any(|cause| error.contains(cause)), "{error}");
    assert!(error.contains(below.to_str().unwrap()), "{error}");
}

/// Nothing is unfinished, and in the store is only what `database` has, as Nix dumps it.
pub fn assert_tidy(store: &Path, database: &str) {
    assert_eq!(
        names(&store.join("nix/var/nix/builds")),
        Vec::<String>::new()
    );
    for name in names(&store.join("nix/store")) {
        // Nix's own, for hard links.
        if name == ".links" {
            continue;
        }
        let path = format!("/nix/store/{name}");
        assert!(
            database.lines().any(|line| line == path),
            "{name} is in the store, but not registered"
        );
    }
}

/// What is in a folder, but for the lock of a folder of images.
pub fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != ".lock")
        .collect();
    names.sort();
    names
}
