//! The one task runner: demo, test, check, bench.

#![forbid(unsafe_code)]

fn main() {}
