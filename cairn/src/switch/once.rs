//! What boots once, before all others: `cairn reboot --to`.
//!
//! A menu has the newest generations alone. GRUB boots the good entry in place of one that it does not find,
//! so the menu has the entry, and `/boot` its files, before the boot state names it.

use std::path::Path;

use anyhow::{Result, ensure};
use cairn_bootloader::EntryId;
use indicatif::HumanBytes;

use super::lock::SwitchLock;
use super::machine::Machine;
use super::target::{Existing, Target};

/// Makes `entry` what the next boot of the machine at `root` boots, and no other.
///
/// # Errors
/// There is no such entry, it cannot boot, or the boot folder cannot be written; what boots is then as before.
pub fn boot_once(root: &Path, entry: &EntryId) -> Result<()> {
    let _lock = SwitchLock::take(root, "cairn reboot --to")?;
    let machine = Machine::at(root);
    let found = machine.generation(entry.number())?;
    let target = Target::existing(&machine, Existing::Number(found.number))?;
    if let Some(variant) = entry.specialisation() {
        target.specialised(machine.store()?, variant)?;
    }
    let mut state = machine.boot_state_to_change()?;
    state.once = Some(entry.clone());
    machine.write_menus(machine.menus_for(&state)?, |menu| {
        menu.ensure_has(entry.number())?;
        ensure!(
            !menu.lacks_room()?,
            "cannot boot generation {entry}: its kernel and initrd need {} in '{}', which has {} free; make \
             room there",
            HumanBytes(menu.size()),
            menu.folder().boot.display(),
            HumanBytes(menu.room()?)
        );
        menu.write()
    })?;
    machine.write_state(&machine.boot_folders(), &state)
}
