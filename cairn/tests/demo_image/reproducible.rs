//! The same inputs give the same store paths and the same image bytes, whoever builds.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use cairn::image::Format;
use clap::ValueEnum as _;

use super::run::{Site, demo, image_of, programs};
use super::scratch::{Scratch, remove};
use super::{nix, run};

#[test]
fn another_user_in_another_place_builds_the_same_bytes() {
    let demo = demo();
    let other = Scratch::new();
    let site = place(other.path());
    let output = build_as_stranger(other.path(), site.arguments());
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
    for (digest, file) in demo.downloaded() {
        fs::copy(file, packages.join(digest.to_base16())).unwrap();
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

/// Whatever kind of image it is.
#[test]
fn every_format_is_the_same_wherever_it_is_made() {
    let (ours, theirs, memory) = (Scratch::new(), Scratch::new(), Scratch::in_memory());
    let own = Site::new(ours.path());
    // There, folders list what they have in another order.
    let other = Site {
        store: memory.path().join("store"),
        ..place(theirs.path())
    };
    give_away(memory.path());
    // All that was copied there is old.
    run::say("find", |find| {
        find.arg(theirs.path())
            .args(["-exec", "touch", "-h", "-d", "@1000000000", "{}", "+"]);
    });
    for format in Format::value_variants() {
        let name = format.to_possible_value().unwrap().get_name().to_owned();
        let arguments = |site: &Site, folder: &Path| {
            let mut arguments: Vec<OsString> =
                ["image", name.as_str(), "-c"].map(Into::into).into();
            arguments.push(site.configuration.clone().into());
            arguments.extend(site.options());
            if *format == Format::Directory {
                arguments.extend(["-o".into(), folder.join("made").into()]);
            }
            arguments
        };
        let mut command = Command::new(programs().join("cairn"));
        command.args(arguments(&own, ours.path()));
        let one = image_of(&command.output().unwrap());
        let strangers = arguments(&other, theirs.path());
        let another = image_of(&build_as_stranger(theirs.path(), strangers));
        let images = [one.clone(), another.clone()];
        let (one, another) = (contents(&one), contents(&another));
        assert!(!one.is_empty(), "{name}");
        assert!(one == another, "{name}: {}", difference(&one, &another));
        // All of them at once would take some gigabytes; other formats are made of the raw disk.
        if *format != Format::Disk {
            for image in images {
                if image.is_dir() {
                    remove(&image);
                } else {
                    fs::remove_file(&image).unwrap();
                }
            }
        }
    }
}

/// What is at `image`, or below it, with each file's digest, each link's target, and times. A user's folder
/// has no owners.
fn contents(image: &Path) -> BTreeMap<PathBuf, String> {
    use std::os::unix::fs::MetadataExt as _;
    if image.is_file() {
        return BTreeMap::from([(PathBuf::new(), digest(image).to_string())]);
    }
    let is_tree = image.file_name().is_some_and(|name| name == "made");
    let mut found = BTreeMap::new();
    let mut pending = vec![image.to_owned()];
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let metadata = path.symlink_metadata().unwrap();
            let what = if metadata.is_symlink() {
                fs::read_link(&path).unwrap().display().to_string()
            } else if metadata.is_dir() {
                pending.push(path.clone());
                "folder".to_owned()
            } else {
                digest(&path).to_string()
            };
            // Files for network boot are as old as the cache says.
            let time = if is_tree { metadata.mtime() } else { 0 };
            let name = path.strip_prefix(image).unwrap().to_owned();
            found.insert(name, format!("{what} {time}"));
        }
    }
    found
}

/// The first that is not in both.
fn difference(one: &BTreeMap<PathBuf, String>, other: &BTreeMap<PathBuf, String>) -> String {
    let mut different = one
        .iter()
        .filter(|(name, what)| other.get(*name) != Some(what));
    match different.next() {
        Some((name, what)) => format!("{}: {what} and {:?}", name.display(), other.get(name)),
        None => format!("{} and {} entries", one.len(), other.len()),
    }
}

/// Builds as nobody if we are root, as root of a namespace if we are not, with an environment that
/// has nothing in common with ours, another host name, and one processor.
fn build_as_stranger(folder: &Path, arguments: Vec<OsString>) -> Output {
    const SCRIPT: &str = "echo stranger > /proc/sys/kernel/hostname; umask 077; exec \"$@\"";
    let mut command = Command::new("unshare");
    command.arg("--uts");
    if !is_root() {
        command.arg("--map-root-user");
    }
    command.args(["sh", "-ec", SCRIPT, "sh"]);
    command.args(["taskset", "--cpu-list", &processor()]);
    if is_root() {
        give_away(folder);
        command.args([
            "setpriv",
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
        ]);
    }
    command
        .arg(folder.join("bin/cairn"))
        .args(arguments)
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

/// Gives a folder, and what is in it, to nobody, if we are root.
fn give_away(folder: &Path) {
    if is_root() {
        run::say("chown", |chown| {
            chown.args(["-R", "-h", "65534:65534"]).arg(folder);
        });
    }
}

/// A processor that we may use.
fn processor() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let mut lines = status.lines();
    let list = lines.find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let list = list.unwrap().trim();
    list.split([',', '-']).next().unwrap().to_owned()
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

/// The lock has kernels and boot loaders of images, too; of an empty lock from the same state of the archive comes
/// the same system.
#[test]
fn a_system_is_the_same_whatever_else_is_in_its_lock() {
    let demo = demo();
    let text = fs::read_to_string(&demo.site.lock).unwrap();
    let mut fresh: serde_json::Value = serde_json::from_str(&text).unwrap();
    fresh["request"]["wanted"] = serde_json::json!([]);
    fresh["packages"] = serde_json::json!([]);
    let system = |text: &str| {
        let folder = Scratch::new();
        let site = Site::new(folder.path());
        let lock = folder.path().join("some.lock");
        fs::write(&lock, text).unwrap();
        let mut command = Command::new(programs().join("cairn"));
        command.args(["build", "--dry-run", "-c"]);
        command.arg(&site.configuration);
        command.arg("--store").arg(&site.store);
        command.arg("--cache").arg(&site.cache);
        command.arg("--lock").arg(&lock);
        let planned = run::text_of(&command.output().unwrap());
        let packages = fs::read_to_string(&lock).unwrap().matches("sha256").count();
        let system: Vec<String> = (planned.lines().map(str::to_owned))
            .filter(|line| line.contains("-cairn-system-"))
            .collect();
        (system, packages)
    };
    let (grown, all) = system(&text);
    let (own, some) = system(&fresh.to_string());
    assert_eq!((own.len(), &own), (1, &grown));
    assert!(some < all, "{some} of {all} packages");
}
