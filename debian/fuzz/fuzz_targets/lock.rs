//! Any text as a lock file: what is taken is written back so that it is taken again.

#![no_main]

use cairn_debian::{Lock, compare, groups};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(lock) = Lock::parse(text) {
        assert_eq!(Lock::parse(&lock.to_text()).expect("its own text is a lock"), lock);
        assert!(groups(&lock, &[]).len() <= lock.packages().len());
    }
    let (left, right) = text.split_at(text.floor_char_boundary(text.len() / 2));
    assert_eq!(compare(left, right), compare(right, left).reverse());
});
