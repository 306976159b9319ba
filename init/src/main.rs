//! PID 1: stage 1, stage 2, core and supervisor in one static binary.

#![forbid(unsafe_code)]

fn main() {}
