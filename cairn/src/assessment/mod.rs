//! Whether the generation that was booted is good: `cairn assess`.

mod verdict;

pub use verdict::{FOLDER, Outcome, Verdict, VerdictError};
