//! How the program is linked. Its relocations are packed: each is done once, at the start, and what they
//! are read from would else be a tenth of PID 1's memory. In `[profile.init]`, functions of the same
//! code are one, there are no tables for unwinding the stack, as a panic aborts there, and what
//! `sys/src/left_out.rs` has is not taken from the C library.
//!
//! Source: the generic ABI's `DT_RELR`, which glibc applies to static programs since 2.36; the linker
//! is LLVM's, which rustc brings along.

use std::env;
use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=small.ld");
    let link = |argument: &str| println!("cargo::rustc-link-arg-bins=-Wl,{argument}");
    link("-z,pack-relative-relocs");
    // No other profile has this level; in those of tests, panics unwind.
    if env::var("OPT_LEVEL").is_ok_and(|level| level == "z") {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("small.ld");
        link("--icf=all");
        // Of a function that `cairn_sys` has in place of the C library's, its own counts.
        link("--allow-multiple-definition");
        link(&format!("-T,{}", script.display()));
    }
}
