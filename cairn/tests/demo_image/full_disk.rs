//! A disk that is full leaves an error that names the file, and nothing else.

use std::path::Path;

use super::namespace::Namespace;
use super::nix;
use super::run::{Site, demo, error_of, image_of, programs};
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
        assert_tidy(&namespace.seen(&site.store));
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
    let cause = [
        "No space left on device",
        "not enough space",
        "bytes are free",
    ];
    assert!(cause.iter().any(|cause| error.contains(cause)), "{error}");
    assert!(error.contains(below.to_str().unwrap()), "{error}");
}

/// No half object, no lock, nothing unfinished.
pub fn assert_tidy(store: &Path) {
    assert_eq!(
        names(&store.join("nix/var/nix/builds")),
        Vec::<String>::new()
    );
    let registered = cairn_store::Store::open(store).unwrap();
    for name in names(&store.join("nix/store")) {
        let path = format!("/nix/store/{name}").parse();
        assert!(
            path.is_ok_and(|path| registered.is_valid(&path).unwrap()),
            "{name} is in the store, but not registered"
        );
    }
}

pub fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
