//! What the field's tools say of the demo's store and image.

use std::process::Command;

use cairn_store::Store;
use serde_json::Value;

use super::run::{demo, say};
use super::scratch::Scratch;
use super::{nix, partition};

/// Name of the root's partition, from the configuration.
const ROOT_LABEL: &str = "cairn-root";
/// Name of the EFI system partition.
const ESP_LABEL: &str = "esp";

#[test]
fn nix_verifies_the_store() {
    nix::verifies(&demo().site.store);
}

#[test]
fn nix_sees_the_same_closure() {
    let root = &demo().site.store;
    let toplevel = nix::toplevel(root);
    let store = Store::open(root).unwrap();
    let infos = store
        .closure_infos(std::slice::from_ref(&toplevel))
        .unwrap();
    let said = nix::says(
        root,
        "nix",
        &["path-info", "-rS", "--json", &toplevel.to_string()],
    );
    let said: Value = serde_json::from_str(&said).unwrap();
    let said = said.as_array().unwrap();
    assert_eq!(said.len(), infos.len());
    for info in &infos {
        let path = info.path.to_string();
        let theirs = said
            .iter()
            .find(|theirs| theirs["path"] == *path)
            .unwrap_or_else(|| panic!("Nix does not know {path}"));
        assert_eq!(theirs["narSize"], info.nar_size, "{path}");
        assert_eq!(theirs["narHash"], info.nar_hash.to_sri(), "{path}");
        let references: Vec<String> = info.references.iter().map(ToString::to_string).collect();
        let mut known: Vec<&str> = theirs["references"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(Value::as_str)
            .collect();
        known.sort_unstable();
        assert_eq!(known, references, "{path}");
    }
    let whole: u64 = infos.iter().map(|info| info.nar_size).sum();
    let top = said
        .iter()
        .find(|theirs| theirs["path"] == *toplevel.to_string());
    assert_eq!(top.unwrap()["closureSize"], whole);
}

#[test]
fn nix_exports_the_same_bytes() {
    let root = &demo().site.store;
    let store = Store::open(root).unwrap();
    let toplevel = nix::toplevel(root);
    let infos = store.closure_infos(&[toplevel]).unwrap();
    // Large enough to have links, programs and folders; small enough for a comparison in memory.
    let object = infos
        .iter()
        .filter(|info| (4 << 20..16 << 20).contains(&info.nar_size))
        .max_by_key(|info| info.references.len())
        .unwrap();
    let mut ours = Vec::new();
    store
        .export(std::slice::from_ref(&object.path), &mut ours)
        .unwrap();
    let mut export = Command::new("nix-store");
    export.args(["--export", &object.path.to_string()]);
    nix::on(&mut export, root);
    let theirs = export.output().unwrap();
    assert!(theirs.status.success(), "{theirs:?}");
    assert!(theirs.stdout == ours, "{} differs", object.path);
}

#[test]
fn the_image_satisfies_its_checkers() {
    let image = &demo().image;
    let said = say("sgdisk", |sgdisk| {
        sgdisk.arg("-v").arg(image);
    });
    assert!(said.contains("No problems found"), "{said}");
    let folder = Scratch::new();
    let root = partition::extract(image, partition::named(image, ROOT_LABEL), folder.path());
    say("e2fsck", |e2fsck| {
        e2fsck.arg("-fn").arg(root);
    });
    let esp = partition::extract(image, partition::named(image, ESP_LABEL), folder.path());
    say("fsck.vfat", |fsck| {
        fsck.arg("-n").arg(esp);
    });
}

/// The store inside of the image, read by the file system's own debugger, is whole for Nix: its
/// database knows each object, and each object has its content.
#[test]
fn nix_verifies_the_store_in_the_image() {
    let demo = demo();
    let folder = Scratch::new();
    let number = partition::named(&demo.image, ROOT_LABEL);
    let root = partition::extract(&demo.image, number, folder.path());
    let inside = folder.path().join("root");
    std::fs::create_dir(&inside).unwrap();
    say("debugfs", |debugfs| {
        let dump = format!("rdump /nix {}", inside.display());
        debugfs.args(["-R", &dump]).arg(&root);
    });
    nix::verifies(&inside);
    assert_eq!(nix::toplevel(&inside), nix::toplevel(&demo.site.store));
    let store = Store::open(&inside).unwrap();
    let own = Store::open(&demo.site.store).unwrap();
    let closure = own.closure(&[nix::toplevel(&demo.site.store)]).unwrap();
    assert_eq!(store.closure(&[nix::toplevel(&inside)]).unwrap(), closure);
    let registered = nix::says(
        &inside,
        "nix-store",
        &[
            "--query",
            "--requisites",
            &nix::toplevel(&inside).to_string(),
        ],
    );
    assert_eq!(registered.lines().count(), closure.len());
}
