//! `small` is a program that is built for size: PID 1, by `[profile.init]`, and nothing else.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(small)");
    // No other profile has this level.
    if env::var("OPT_LEVEL").is_ok_and(|level| level == "z") {
        println!("cargo::rustc-cfg=small");
    }
}
