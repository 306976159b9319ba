//! How the program is linked: its relocations are packed. Each is done once, at the start, and what they
//! are read from would else be a tenth of PID 1's memory.
//!
//! Source: the generic ABI's `DT_RELR`, which glibc applies to static programs since 2.36.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
}
