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

/// The file that is there when user space has been started again without the firmware, absolute: what runs
/// since then is never called good.
pub const RESTARTED: &str = "/run/cairn/restarted";

/// The file of problems, absolute; a line each.
pub const PROBLEMS: &str = "/run/cairn/boot-problems";

/// Stands before the reason for which a trial ends, in the kernel's log: firmware that keeps the log
/// keeps the reason with it.
pub const LAST_WORDS: &str = "cairn: the trial ends: ";

/// The folder of what is known of booted entries, below the root.
pub const BOOTS: &str = "var/lib/cairn/boots";

/// The file in [`BOOTS`] in which a trial that ends before it is judged leaves its last words: a
/// line with the reason, then the end of the log. None if no entry is called so: what comes from
/// the kernel's command line must not lead out of the folder.
#[must_use]
pub fn report_file(entry: &str) -> Option<String> {
    is_entry(entry).then(|| format!("{entry}.report"))
}

/// Whether this can be the id of a boot entry, and be part of a file's name: a number, and maybe
/// the name of a specialisation after a hyphen.
#[must_use]
pub fn is_entry(text: &str) -> bool {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let rest = text.get(digits..).unwrap_or_default();
    digits > 0
        && text.len() <= 200
        && (rest.is_empty() || (rest.starts_with('-') && rest.len() > 1))
        && !rest.contains(['/', '\0', '\n'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_names_of_files() {
        for good in ["1", "13-debug", "13-..", "7-a b"] {
            assert_eq!(report_file(good), Some(format!("{good}.report")));
        }
        for bad in [
            "", "debug", "..", "-1", "13-", "13/x", "13-../x", "13-\0", "13debug",
        ] {
            assert_eq!(report_file(bad), None, "{bad}");
        }
    }
}
