//! The same inputs give the same store paths and the same image bytes, whoever builds.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;
use std::process::Command;

use super::run::{Site, demo, image_of, programs};
use super::scratch::Scratch;
use super::{nix, run};

/// The user and the group of nobody.
const NOBODY: u32 = 65_534;

#[test]
fn another_user_in_another_place_builds_the_same_bytes() {
    let demo = demo();
    let other = Scratch::new();
    let site = place(other.path());
    let output = build_as_stranger(other.path(), &site);
    let image = image_of(&output);
    assert_eq!(nix::toplevel(&demo.site.store), nix::toplevel(&site.store));
    let (ours, theirs) = (nix::database(&demo.site.store), nix::database(&site.store));
    assert!(ours == theirs, "{ours}\n--- and ---\n{theirs}");
    assert_eq!(demo.image.file_name(), image.file_name());
    assert_eq!(digest(&demo.image), digest(&image), "{}", image.display());
}

/// A place that shares nothing with that of the first build: copies of the packages, of the lock
/// and of the programs.
fn place(folder: &Path) -> Site {
    let demo = demo();
    let site = Site {
        configuration: folder.join("my machine.nix"),
        store: folder.join("a deeper/place for/the store"),
        cache: folder.join("cache"),
        lock: folder.join("pins"),
    };
    let packages = site.cache.join("debian/sha256");
    fs::create_dir_all(&packages).unwrap();
    for package in demo.lock().packages() {
        let name = package.sha256.to_base16();
        fs::copy(
            demo.downloads().join("sha256").join(&name),
            packages.join(&name),
        )
        .unwrap();
    }
    fs::copy(&demo.site.lock, &site.lock).unwrap();
    fs::copy(&demo.site.configuration, &site.configuration).unwrap();
    fs::create_dir_all(folder.join("bin")).unwrap();
    for name in ["cairn", "cairn-init", "cairn-core"] {
        fs::copy(programs().join(name), folder.join("bin").join(name)).unwrap();
    }
    for name in ["home", "temporary"] {
        fs::create_dir(folder.join(name)).unwrap();
    }
    site
}

/// Builds as nobody if we are root, as root of a namespace if we are not, with an environment that
/// has nothing in common with ours.
fn build_as_stranger(folder: &Path, site: &Site) -> std::process::Output {
    let root = is_root();
    let mut command = if root {
        run::say("chown", |chown| {
            chown.args(["-R", "65534:65534"]).arg(folder);
        });
        chown(folder, Some(NOBODY), Some(NOBODY)).unwrap();
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        command
    } else {
        let mut command = Command::new("unshare");
        command.arg("--map-root-user");
        command
    };
    command
        .args(["sh", "-c", "umask 077; exec \"$@\"", "sh"])
        .arg(folder.join("bin/cairn"))
        .args(site.arguments())
        .current_dir(folder)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", folder.join("home"))
        .env("TMPDIR", folder.join("temporary"))
        .env("TZ", "Pacific/Kiritimati")
        .env("LC_ALL", "tr_TR.UTF-8")
        .env("SOURCE_DATE_EPOCH", "1")
        .output()
        .unwrap()
}

/// Whether whoever runs the tests is root: the owner of a file that we make.
pub fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    tempfile::tempfile().unwrap().metadata().unwrap().uid() == 0
}

fn digest(image: &Path) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(File::open(image).unwrap()).unwrap();
    hasher.finalize()
}

#[test]
fn a_second_build_in_the_same_place_makes_nothing_anew() {
    let demo = demo();
    let before = fs::metadata(&demo.image).unwrap().modified().unwrap();
    let registered = nix::database(&demo.site.store);
    assert_eq!(demo.site.build(), demo.image);
    assert_eq!(
        fs::metadata(&demo.image).unwrap().modified().unwrap(),
        before
    );
    assert_eq!(nix::database(&demo.site.store), registered);
    let mode = fs::metadata(&demo.site.store).unwrap().permissions().mode();
    assert_eq!(mode & 0o022, 0, "others may write into the store: {mode:o}");
}
