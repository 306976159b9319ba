//! Any text as the kernel's command line.

#![no_main]

#[path = "../../src/stage1/command_line.rs"]
mod command_line;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let words = command_line::words(&String::from_utf8_lossy(bytes));
    let orders = command_line::Orders::from_words(&words);
    drop(format!("{orders:?}"));
});
