//! Any bytes as a Nix archive: what is unpacked has the hash of what was read.

#![no_main]

use cairn_store::nar;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let place = folder.path().join("object");
    let mut rest = bytes;
    if nar::unpack(&mut rest, &place).is_ok() {
        let (_, size) = nar::hash(&place).expect("what was unpacked can be read");
        assert_eq!(size as usize, bytes.len() - rest.len());
    }
    let names = std::fs::read_dir(folder.path()).expect("the folder is still there");
    assert!(names.count() <= 1, "something was written beside the object");
});
