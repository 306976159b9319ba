//! A build that is killed at any moment is one that can be begun again.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::full_disk::{assert_tidy, names};
use super::nix;
use super::run::{Site, demo};
use super::scratch::Scratch;

#[test]
fn a_build_killed_while_it_imports_goes_on() {
    let folder = Scratch::new();
    let site = Site::new(folder.path());
    let objects = site.store.join("nix/store");
    let count = |part: &str| {
        let entries = std::fs::read_dir(&objects).into_iter().flatten();
        let names = entries.map(|entry| entry.unwrap().file_name());
        names
            .filter(|name| !name.to_str().unwrap().ends_with(part))
            .count()
    };
    // Early, in the middle, and late; what is killed is some builds further each time.
    for more in [5, 60, 60] {
        let goal = count(".drv") + more;
        kill_when(&site, || count(".drv") >= goal);
        nix::verifies(&site.store);
    }
    assert_eq!(site.build().file_name(), demo().image.file_name());
    nix::verifies(&site.store);
    let database = nix::database(&site.store);
    assert_tidy(&site.store, &database);
    assert_eq!(database, nix::database(&demo().site.store));
}

#[test]
fn a_build_killed_while_it_writes_the_image_leaves_no_image() {
    let folder = Scratch::new();
    let mut site = Site::new(folder.path());
    site.store.clone_from(&demo().site.store);
    let images = site.cache.join("images");
    for mebibytes in [1, 50] {
        kill_when(&site, || allocated(&images) >= mebibytes << 20);
        let left = names(&images);
        assert!(
            left.iter().all(|name| name.starts_with(".cairn-image-")),
            "{left:?}"
        );
    }
    let image = site.build();
    assert_eq!(
        names(&images),
        [image.file_name().unwrap().to_str().unwrap()]
    );
    super::run::say("cmp", |cmp| {
        cmp.arg(&image).arg(&demo().image);
    });
}

#[test]
fn a_copy_that_is_cut_off_leaves_nothing() {
    let folder = Scratch::new();
    for signal in ["INT", "TERM", "KILL"] {
        for milliseconds in [20, 100, 300, 600] {
            let output = folder.path().join("box.img");
            let mut command = demo().site.command();
            let mut build = command
                .arg("--output")
                .arg(&output)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            std::thread::sleep(Duration::from_millis(milliseconds));
            super::run::say("kill", |kill| {
                kill.arg(format!("-{signal}")).arg(build.id().to_string());
            });
            let ended = build.wait().unwrap();
            // It may have come to its end before.
            let expected: &[&str] = if output.exists() { &["box.img"] } else { &[] };
            assert_eq!(names(folder.path()), expected, "{signal} {milliseconds}");
            if output.exists() {
                super::run::say("cmp", |cmp| {
                    cmp.arg(&output).arg(&demo().image);
                });
                std::fs::remove_file(&output).unwrap();
            } else {
                assert!(!ended.success());
            }
        }
    }
}

/// Starts a build, and kills it when `now` says so.
fn kill_when(site: &Site, now: impl Fn() -> bool) {
    let mut build = site
        .command()
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let begin = Instant::now();
    while !now() {
        assert_eq!(build.try_wait().unwrap(), None, "it ended before the kill");
        assert!(
            begin.elapsed() < Duration::from_mins(5),
            "it does not get far"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
    build.kill().unwrap();
    let status = build.wait().unwrap();
    assert_eq!(status.code(), None, "it ended before the kill: {status}");
}

/// Bytes that the files in `folder` have on the disk.
fn allocated(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.metadata().ok())
        .map(|metadata| metadata.blocks() * 512)
        .sum()
}
