//! Core: PID 1 of the running system.

use std::path::Path;

/// Runs as PID 1 and never returns.
pub fn run(_toplevel: &Path) -> ! {
    loop {
        std::thread::park();
    }
}
