//! What the machine boots next: the profile's link and the boot state.
//!
//! [`next_state`] decides; [`Machine::commit`](super::Machine::commit) writes. The link comes first: it is
//! what people and tools see as the system that is wanted. The boot state is one sector, and the moment
//! of the change.

use anyhow::{Context, Result};
use cairn_bootloader::{BootState, EntryId, Trial};

use super::boot_folder::BootFolder;

/// What is known of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It has booted and was found to be well.
    Good,
    /// Nobody knows, or its last boot failed.
    Unproven,
}

/// The state after `entry` was made what boots: an entry that is known to be good boots for good;
/// another one gets `tries` boots to prove itself, and the last known good one stays behind it. With
/// nothing good to fall back to, there is nothing to try against.
#[must_use]
pub fn next_state(before: &BootState, entry: &EntryId, standing: Standing, tries: u8) -> BootState {
    let mut after = before.clone();
    // What was chosen before is not what is wanted now.
    after.once = None;
    after.saved = None;
    let known = standing == Standing::Good || before.good.as_ref() == Some(entry);
    if known || before.good.is_none() || tries == 0 {
        after.good = Some(entry.clone());
        after.trial = None;
    } else {
        after.trial = Some(Trial {
            entry: entry.clone(),
            tries,
        });
    }
    after
}

/// Writes the boot state of a boot folder, if it differs.
///
/// # Errors
/// It cannot be written.
pub(super) fn write_state(folder: &BootFolder, state: &BootState) -> Result<()> {
    let present = BootState::read(&folder.grub);
    if present.is_ok_and(|present| present == *state) {
        return Ok(());
    }
    let writing = || format!("cannot write what boots to '{}'", folder.grub.display());
    state.write(&folder.grub).with_context(writing)?;
    cairn_sys::checkpoint::checkpoint(&folder.grub).with_context(writing)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> EntryId {
        text.parse().unwrap()
    }

    fn state(good: Option<&str>, trial: Option<(&str, u8)>) -> BootState {
        let mut state = BootState::default();
        state.good = good.map(id);
        state.trial = trial.map(|(entry, tries)| Trial {
            entry: id(entry),
            tries,
        });
        state
    }

    #[test]
    fn what_boots_next() {
        use Standing::{Good, Unproven};
        for (before, entry, standing, tries, after) in [
            (state(None, None), "1", Unproven, 2, state(Some("1"), None)),
            (
                state(Some("1"), None),
                "2",
                Unproven,
                2,
                state(Some("1"), Some(("2", 2))),
            ),
            (
                state(Some("1"), Some(("2", 0))),
                "2",
                Unproven,
                2,
                state(Some("1"), Some(("2", 2))),
            ),
            (
                state(Some("1"), Some(("2", 2))),
                "1",
                Unproven,
                2,
                state(Some("1"), None),
            ),
            (state(Some("3"), None), "2", Good, 2, state(Some("2"), None)),
            (
                state(Some("3"), None),
                "4-debug",
                Unproven,
                0,
                state(Some("4-debug"), None),
            ),
        ] {
            assert_eq!(next_state(&before, &id(entry), standing, tries), after);
        }
    }
}
