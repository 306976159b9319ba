//! A step of a machine's end or restart that waits for devices and servers: what does not answer holds nobody up.
//!
//! Each step is made by a process of its own. It may take as long as something moves: as long as there is less and less
//! that is not written yet. Otherwise it is given up, and left to the kernel.

use std::fs;
use std::time::Duration;

use cairn_sys::kmsg::{self, Priority};
use cairn_sys::process::{Errand, Exit};

use crate::clock::{Ms, now};

/// How long nothing moves until the first step is given up, in milliseconds. A disk that has an error is asked again
/// after 30 s, and a slow one may tidy itself up.
const PATIENCE_MS: Ms = 45_000;

/// The same for all further ones: they wait for the same thing, as a rule.
const THEN_MS: Ms = 5_000;

/// How often it is looked whether something moves.
const LOOK: Duration = Duration::from_secs(1);

/// How long a step takes before it is told that it does, in milliseconds.
const TELL_MS: Ms = 5_000;

/// Steps that are made one after the other.
#[derive(Debug)]
pub struct Steps {
    patience: Ms,
}

impl Steps {
    /// None has been given up.
    pub fn new() -> Self {
        Self {
            patience: PATIENCE_MS,
        }
    }

    /// Whether one has been given up.
    pub fn hang(&self) -> bool {
        self.patience == THEN_MS
    }

    /// Writes what is not written yet.
    pub fn sync(&mut self) {
        self.make("writing what is not written yet", || {
            nix::unistd::sync();
            0
        });
    }

    /// Makes the step that is called `what`; what it returns, or `None` if it has been given up.
    pub fn make(&mut self, what: &str, work: impl Fn() -> u8) -> Option<u8> {
        let errand = match Errand::begin(&work) {
            Ok(errand) => errand,
            Err(error) => {
                log::warn!("no process of its own for {what}: {error}");
                return Some(work());
            }
        };
        let begin = now();
        let mut told = false;
        let mut moved = begin;
        let mut least = unwritten();
        loop {
            match errand.wait(LOOK) {
                Ok(Some(Exit::Status(status))) => return u8::try_from(status).ok(),
                Ok(None) => {}
                Ok(Some(exit @ Exit::Signal(_))) => {
                    log::error!("{what} ended with {exit}");
                    return None;
                }
                Err(error) => {
                    log::error!("cannot wait for {what}: {error}");
                    return None;
                }
            }
            let (time, left) = (now(), unwritten());
            if left < least {
                (least, moved) = (left, time);
            }
            if time.saturating_sub(moved) >= self.patience {
                self.patience = THEN_MS;
                kmsg::write(
                    Priority::Critical,
                    &format!("cairn: {what} hangs: going on without it"),
                );
                return None;
            }
            if !told && time.saturating_sub(begin) >= TELL_MS {
                told = true;
                let text = format!("cairn: {what} takes long; {left} KiB are not written yet");
                kmsg::write(Priority::Warning, &text);
            }
        }
    }
}

/// KiB that are not where they are to be: not yet written, or in a swap that is left.
fn unwritten() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    sum(&text)
}

/// Source: `proc_meminfo(5)`. Of a swap that is being left, the kernel counts what is still in it.
fn sum(meminfo: &str) -> u64 {
    let value = |line: &str| {
        let (name, value) = line.split_once(':')?;
        let counts = ["Dirty", "Writeback", "SwapTotal"].contains(&name);
        let value = value.split_whitespace().next()?;
        counts.then(|| value.parse::<u64>().ok())?
    };
    meminfo
        .lines()
        .filter_map(value)
        .fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_added_up() {
        let text = "MemTotal:  100 kB\nSwapTotal:  7 kB\nDirty:   30 kB\nWriteback:  5 kB\nWritebackTmp: 9 kB\nDirty x\n";
        assert_eq!(sum(text), 42);
        assert_eq!(sum(""), 0);
    }

    #[test]
    fn a_step_that_hangs_is_given_up_and_the_next_one_is_made() {
        assert!(!Steps::new().hang());
        let mut steps = Steps { patience: 0 };
        let hung = steps.make("what never ends", || {
            std::thread::sleep(Duration::from_secs(20));
            0
        });
        assert_eq!(hung, None);
        assert!(steps.hang());
        assert_eq!(steps.make("what ends", || 16), Some(16));
    }
}
