//! The supervisor: core's child, the services' parent.

use std::path::Path;
use std::process::ExitCode;

/// Runs the services of `toplevel`.
pub fn run(_toplevel: &Path) -> ExitCode {
    ExitCode::FAILURE
}
