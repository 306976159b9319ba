//! Any bytes as a package: nothing is written but the object.

#![no_main]

use cairn_debian::import::{Documentation, Import, Limits, import};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let deb = folder.path().join("package.deb");
    std::fs::write(&deb, bytes).expect("a temporary file");
    let output = "/nix/store/00000000000000000000000000000000-package".parse().expect("a path");
    let place = folder.path().join("object");
    let limits = Limits { unpacked_bytes: 1 << 20, entries: 1000, ..Limits::default() };
    let taken = import(&Import {
        debs: &[deb],
        output: &output,
        destination: &place,
        inputs: &[],
        limits,
        documentation: Documentation::Keep,
    });
    assert_eq!(taken.is_ok(), place.exists(), "a failed import leaves nothing behind");
    let names = std::fs::read_dir(folder.path()).expect("the folder is still there");
    assert!(names.count() <= 2, "something was written beside the object");
});
