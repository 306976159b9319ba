//! Stage 2: from the real root to core.

pub mod activation;

use std::path::Path;

/// Prepares the system and executes core.
pub fn run(toplevel: &Path) -> ! {
    crate::core::run(toplevel)
}
