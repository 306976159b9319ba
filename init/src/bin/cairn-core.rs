//! What stays: core, PID 1 of the running system, and the supervisor of its services.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    cairn_init::core()
}
