//! What a boot loader finds in `/boot`: the newest whole menu, the boot state, and what they choose.

use std::fs;
use std::io::Write as _;

use anyhow::{Context as _, bail, ensure};
use cairn_bootloader::{BootState, BootStateError, EntryId, STUB, Slot, Slots};
use cairn_store_path::{Sha256, Sha256Writer};

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
/// More than a line with a checksum has.
const MAX_CHECKSUM: u64 = 4096;

/// What boots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Booting {
    /// The entry that boots if nobody presses a key.
    pub chosen: MenuEntry,
    /// The last known good one.
    pub good: MenuEntry,
    /// Every entry of the newest whole menu.
    pub menu: Vec<MenuEntry>,
}

/// Reads all of it, by the rules of `grub.cfg` and of the menu.
///
/// # Errors
/// GRUB would not find its way to an entry.
pub fn booting<D: ReadAt>(system: &Ext4<D>) -> anyhow::Result<Booting> {
    let read = |name: &str| system.read(&format!("{FOLDER}/{name}"), MAX_MENU);
    ensure!(
        read("grub.cfg")? == STUB.as_bytes(),
        "grub.cfg has another text"
    );
    // The boot loader's own library judges, on a copy.
    let copy = tempfile::tempdir().context("cannot create a temporary folder")?;
    let names = Slot::ALL.map(|slot| [slot.entries_name(), slot.checksum_name()]);
    for name in names.concat().iter().map(String::as_str).chain([STATE]) {
        match read(name) {
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
    let text = String::from_utf8(read(&slot.entries_name())?).context("the menu is no text")?;
    let generations = pages(slot, &read)?;
    let state = match BootState::read(copy.path()) {
        // GRUB goes by the menu's text.
        Err(BootStateError::Damaged { .. }) => BootState::default(),
        state => state?,
    };
    for (name, text) in [
        (slot.entries_name(), &text),
        (slot.page_name(0), &generations),
    ] {
        menu::check(text).with_context(|| format!("GRUB does not read {name}"))?;
    }
    let (top, all) = (menu::parse(&text), menu::parse(&generations));
    if let Some(trial) = state.trial.as_ref().filter(|trial| trial.tries > 0) {
        let is_there = top.iter().chain(&all).any(|entry| entry.id == trial.entry);
        ensure!(is_there, "{} is on trial, and not in the menu", trial.entry);
    }
    let chosen = choose(&state, &text, &top, &all)
        .with_context(|| format!("{} has no entry for {state:?}", slot.entries_name()))?;
    let mut quiet = BootState::default();
    quiet.good.clone_from(&state.good);
    let good = choose(&quiet, &text, &top, &all).context("the menu has no good entry")?;
    let menu = top.into_iter().chain(all).collect();
    Ok(Booting { chosen, good, menu })
}

/// The list of all generations: its first page, and those that it leads to.
fn pages(slot: Slot, read: &impl Fn(&str) -> Result<Vec<u8>, Ext4Error>) -> anyhow::Result<String> {
    let mut text = String::new();
    for page in 0.. {
        let leads = text.contains(&format!("\"$prefix/generations-$cairn_slot-{page}.cfg\""));
        if page > 0 && !leads {
            break;
        }
        let name = slot.page_name(page);
        let content = read(&name)?;
        let sum = format!("{}  {name}\n", Sha256::of(&content).to_base16());
        ensure!(
            read(&slot.page_checksum_name(page))? == sum.as_bytes(),
            "{name} is not whole"
        );
        text += std::str::from_utf8(&content).context("the menu is no text")?;
    }
    Ok(text)
}

/// The entry that boots by itself: what is to boot once; the one on trial, if it has tries left; the
/// last known good one, which may be another than the text says.
fn choose(
    state: &BootState,
    text: &str,
    top: &[MenuEntry],
    all: &[MenuEntry],
) -> Option<MenuEntry> {
    let written: EntryId = menu::variable(text, "cairn_good")?.parse().ok()?;
    let good = state.good.as_ref().unwrap_or(&written);
    let find = |wanted: &EntryId| {
        let mut entries = top.iter().chain(all).filter(|entry| !entry.on_trial);
        entries.find(|entry| entry.id == *wanted)
    };
    let once = state.once.as_ref().and_then(find);
    let trial = || {
        let tried = top.iter().find(|entry| entry.on_trial)?;
        let state = state.trial.as_ref().filter(|trial| trial.tries > 0)?;
        (state.entry == tried.id && tried.id != *good).then_some(tried)
    };
    let chosen = once.or_else(trial).or_else(|| find(good));
    chosen.or_else(|| find(&written)).cloned()
}

/// Whether the file at `path` has the content that its name is the hash of, and the checksum beside
/// it, by which GRUB goes, is that of the content.
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
    let (mut blake3, mut sha256) = (blake3::Hasher::new(), Sha256Writer::new());
    system.read_pieces(&inode, &mut |piece| {
        blake3.update(piece);
        sha256.write_all(piece)
    })?;
    let hash = blake3.finalize().to_hex();
    ensure!(path.contains(hash.as_str()), "{path} has another content");
    let name = path.rsplit('/').next().unwrap_or(path);
    let wanted = format!("{}  {name}\n", sha256.finish().0.to_base16());
    match system.read(&format!("{path}.sha256"), MAX_CHECKSUM) {
        Err(Ext4Error::NotFound(_)) => {}
        sum => {
            let sum = sum?;
            ensure!(
                sum.is_empty() || sum == wanted.as_bytes(),
                "the checksum beside {path} is another"
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use cairn_bootloader::Trial;

    use super::*;

    fn entry(id: &str, on_trial: bool) -> MenuEntry {
        MenuEntry {
            id: id.parse().unwrap(),
            on_trial,
            kernel: String::new(),
            initrd: None,
            toplevel: String::new(),
        }
    }

    /// What boots with the menu of good entry 12, and 13 on trial.
    fn check(good: &str, trial: &str, tries: u8, once: &str) -> String {
        let id = |text: &str| (!text.is_empty()).then(|| text.parse().unwrap());
        let mut state = BootState::default();
        state.good = id(good);
        state.trial = id(trial).map(|entry| Trial { entry, tries });
        state.once = id(once);
        let top = [entry("12", false), entry("13", true)];
        let all = ["13", "12", "9"].map(|id| entry(id, false));
        let chosen = choose(&state, "set cairn_good='12'\n", &top, &all).unwrap();
        let trial = if chosen.on_trial { " on trial" } else { "" };
        format!("{}{trial}", chosen.id)
    }

    #[test]
    fn choices() {
        assert_eq!(check("", "", 0, ""), "12");
        assert_eq!(check("12", "13", 2, ""), "13 on trial");
        assert_eq!(check("12", "13", 0, ""), "12");
        assert_eq!(check("13", "", 0, ""), "13");
        assert_eq!(check("9", "", 0, ""), "9");
        assert_eq!(check("8", "", 0, ""), "12");
        assert_eq!(check("12", "9", 2, ""), "12");
        assert_eq!(check("12", "13", 2, "9"), "9");
    }
}
