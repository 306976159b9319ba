//! Any bytes as a remembered evaluation: with a digest that fits and without one.

#![no_main]

use cairn::configuration::Remembered;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    assert!(Remembered::parse(bytes).is_none_or(|found| found.to_bytes().is_ok()));
    if let Some(remembered) = Remembered::parse_text(bytes) {
        let again = remembered.to_bytes().expect("what was read can be written");
        assert_eq!(Remembered::parse(&again), Some(remembered));
    }
});
