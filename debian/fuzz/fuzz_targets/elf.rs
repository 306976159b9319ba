//! Any bytes as an ELF file.

#![no_main]

use cairn_debian::import::elf;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    drop(elf::read(bytes));
});
