//! What a boot loader finds in `/boot`: the newest whole menu, the boot state, and what they choose.

use std::fs;

use anyhow::{Context as _, bail, ensure};
use cairn_bootloader::{BootState, STUB, Slot, Slots};

use super::super::disk::ReadAt;
use super::super::ext4::{Ext4, Ext4Error};
use super::menu::{self, MenuEntry};

/// GRUB's folder.
const FOLDER: &str = "/boot/grub";
/// The file with the boot state.
const STATE: &str = "grubenv";
/// More than a menu of a thousand generations has.
const MAX_MENU: u64 = 16 << 20;
/// More than a kernel or an initrd has.
const MAX_BOOT_FILE: u64 = 1 << 30;

/// What boots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Booting {
    /// The entry that boots if nobody presses a key.
    pub chosen: MenuEntry,
    /// Every entry of the newest whole menu.
    pub menu: Vec<MenuEntry>,
}

/// Reads all of it, by the rules of `grub.cfg` and of the menu.
///
/// # Errors
/// GRUB would not find its way to an entry.
pub fn booting<D: ReadAt>(system: &Ext4<D>) -> anyhow::Result<Booting> {
    let stub = system.read(&format!("{FOLDER}/grub.cfg"), MAX_MENU)?;
    ensure!(stub == STUB.as_bytes(), "grub.cfg has another text");
    // The crate's own functions judge, on a copy.
    let copy = tempfile::tempdir().context("cannot create a temporary folder")?;
    let names = Slot::ALL.map(|slot| [slot.entries_name(), slot.checksum_name()]);
    for name in names.concat().iter().map(String::as_str).chain([STATE]) {
        match system.read(&format!("{FOLDER}/{name}"), MAX_MENU) {
            // A slot that cannot be read is not whole for GRUB either; a boot state is no state.
            Err(Ext4Error::NotFound(_) | Ext4Error::Damaged(_)) => {}
            content => fs::write(copy.path().join(name), content?)
                .with_context(|| format!("cannot copy {name}"))?,
        }
    }
    let slots = Slots::read(copy.path())?;
    let Some((slot, _)) = slots.newest() else {
        bail!("no boot menu is whole");
    };
    let name = slot.entries_name();
    let text = fs::read_to_string(copy.path().join(&name))
        .with_context(|| format!("cannot read the copy of {name}"))?;
    let state = BootState::read(copy.path())?;
    let menu = menu::parse(&text);
    let chosen = choose(&state, &text, &menu)
        .with_context(|| format!("{name} has no entry for {state:?}"))?;
    Ok(Booting { chosen, menu })
}

/// The entry that boots by itself: once, on trial, the last known good one, or as the menu says.
fn choose(state: &BootState, text: &str, menu: &[MenuEntry]) -> Option<MenuEntry> {
    let trial = state.trial.as_ref().filter(|trial| trial.tries > 0);
    let wanted = [
        state.once.as_ref(),
        trial.map(|trial| &trial.entry),
        state.good.as_ref(),
    ];
    let by_state = wanted.into_iter().flatten().find_map(|wanted| {
        let mut entries = menu.iter();
        entries.find(|entry| entry.entry_id().as_ref() == Some(wanted))
    });
    let by_menu = || {
        let good = menu::variable(text, "cairn_good").map(|good| format!("generation-{good}"));
        let default = good.or_else(|| menu::variable(text, "default"))?;
        let id = default.rsplit('>').next()?.to_owned();
        menu.iter().find(|entry| entry.id == id)
    };
    by_state.or_else(by_menu).cloned()
}

/// Whether the file at `path` has the content that its name is the hash of.
///
/// # Errors
/// It has not, or cannot be read.
pub fn boot_file<D: ReadAt>(system: &Ext4<D>, path: &str) -> anyhow::Result<()> {
    let inode = system.find(path)?;
    ensure!(
        inode.size <= MAX_BOOT_FILE,
        "{path} has {} bytes",
        inode.size
    );
    let mut hasher = blake3::Hasher::new();
    system.read_pieces(&inode, &mut |piece| {
        hasher.update(piece);
        Ok(())
    })?;
    let hash = hasher.finalize().to_hex();
    ensure!(path.contains(hash.as_str()), "{path} has another content");
    Ok(())
}
