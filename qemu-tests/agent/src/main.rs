//! Runs commands for the test driver, over a virtio console.

#![forbid(unsafe_code)]

fn main() {}
