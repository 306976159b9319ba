//! What the parts of a boot on trial say to each other: the boot loader's entry, the guard in init,
//! the judge in user space.
//!
//! An entry on trial is booted with `cairn.trial=13` and [`PARAMETERS`]. Init's guard restarts the
//! machine unless the file [`JUDGED`] appears in time. Problems of the boot that are no service's
//! are lines of the file [`PROBLEMS`].

/// The kernel parameter that names the booted entry: `cairn.generation=13-debug`.
pub const GENERATION_PARAMETER: &str = "cairn.generation";

/// The kernel parameter that says that an entry is on trial, and which.
pub const TRIAL_PARAMETER: &str = "cairn.trial";

/// The kernel parameter with the seconds, from the kernel's start, within which it is judged.
pub const TIMEOUT_PARAMETER: &str = "cairn.trial_timeout";

/// The kernel parameter that keeps the guard's hands off watchdogs with `0`.
pub const WATCHDOG_PARAMETER: &str = "cairn.trial_watchdog";

/// Seconds, if [`TIMEOUT_PARAMETER`] names no others.
pub const DEFAULT_TIMEOUT_SECONDS: u32 = 300;

/// Further kernel parameters of an entry on trial: a kernel that panics or oopses restarts.
pub const PARAMETERS: [&str; 2] = ["panic=10", "oops=panic"];

/// The file that tells the guard that its work is done, absolute. What it holds is for people.
pub const JUDGED: &str = "/run/cairn/trial-judged";

/// The file of problems, absolute; a line each.
pub const PROBLEMS: &str = "/run/cairn/boot-problems";
