//! What comes and goes: stage 1, stage 2, activation, and what is done for users as root.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    cairn_init::init()
}
