//! What somebody has removed from the store is named, with a way on, and no image is made without it.

use std::ffi::OsString;
use std::fs;
use std::process::Command;

use cairn_store::Store;

use super::full_disk::names;
use super::nix;
use super::run::{Site, demo, error_of, programs, say};
use super::scratch::{self, Scratch};

#[test]
fn an_object_that_is_gone_is_named() {
    let folder = Scratch::new();
    let site = Site::new(folder.path());
    say("cp", |cp| {
        cp.args(["-a", "--reflink=auto"])
            .arg(&demo().site.store)
            .arg(&site.store);
    });
    let store = Store::open(&site.store).unwrap();
    let toplevel = nix::toplevel(&site.store);
    let closure = store.closure(&[toplevel]).unwrap();
    let gone = closure.iter().find(|path| path.name().starts_with("bash-"));
    let gone = gone.unwrap();
    scratch::remove(&store.real_path(gone));
    drop(store);
    for (format, output) in [("disk", "image"), ("qcow2", "image"), ("directory", "tree")] {
        let output = folder.path().join(output);
        let arguments: [OsString; 6] = [
            "image".into(),
            format.into(),
            "-c".into(),
            site.configuration.clone().into(),
            "--output".into(),
            output.clone().into(),
        ];
        let mut command = Command::new(programs().join("cairn"));
        command.args(arguments).args(site.options());
        let error = error_of(&command.output().unwrap());
        for part in [
            format!("cannot take {gone} into the image"),
            "--store DIR".to_owned(),
            format!("remove '{}'", site.store.display()),
            "No such file".to_owned(),
        ] {
            assert!(error.contains(&part), "{format}: {error}");
        }
        assert!(fs::symlink_metadata(&output).is_err(), "{format}");
        assert_eq!(names(&site.cache.join("images")), Vec::<String>::new());
    }
    // The way on is one.
    scratch::remove(&site.store);
    assert_eq!(site.build().file_name(), demo().image.file_name());
}
