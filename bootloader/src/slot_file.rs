//! The files of a slot, and what makes them whole.
//!
//! ```text
//! generations-a.cfg   the newest generations, and the way to more: read when somebody asks for them
//! generations-a.sum   <SHA-256 of generations-a.cfg>  generations-a.cfg
//! generations-a-1.cfg, generations-a-1.sum, …   further pages
//! extra-config-a.cfg, extra-entries-a.cfg       what the configuration adds, if it does
//! entries-a.cfg   set cairn_seq=12           head
//!                 function cairn_menu_a {    the menu; nothing of it runs while the file is read
//!                   ...
//!                 }
//!                 set cairn_end=12           end: there, and the same number
//! entries-a.sum   <SHA-256 of entries-a.cfg>  entries-a.cfg
//! ```
//!
//! A file cut short lacks its end; one that is torn in the middle (pages lost, or left from an
//! older menu) does not have the checksum. GRUB's `hashsum` reads `entries-a.sum`; a GRUB without
//! that module (Debian's signed one) has the end alone to go by. What the menu reads further is on the disk
//! before the menu that leads to it; that of an earlier menu goes when the new one is there.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use cairn_sys::checkpoint::checkpoint;
use sha2::{Digest, Sha256};

use crate::boot_file::sha256_line;
use crate::menu::Menu;
use crate::slot::{Sequence, Slot, Slots};

/// The content of a slot's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotFiles {
    slot: Slot,
    /// What the menu reads: pages, and additions.
    further: Vec<(String, String)>,
    entries: [(String, String); 2],
}

impl SlotFiles {
    /// Files of `slot` with `menu`, the `sequence`th one.
    #[must_use]
    pub fn new(slot: Slot, sequence: Sequence, menu: &Menu) -> Self {
        let number = sequence.get();
        let entries = format!(
            "# The boot menu, written by cairn: changes here are lost.\n\
             set cairn_seq={number}\n\
             function cairn_menu_{} {{\n{}}}\n\
             set cairn_end={number}\n",
            slot.letter(),
            menu.text
        );
        let pages = menu
            .generations
            .iter()
            .enumerate()
            .flat_map(|(page, text)| {
                let (name, sum) = (slot.page_name(page), slot.page_checksum_name(page));
                with_checksum(name, sum, text.clone())
            });
        let additions = menu.additions.iter();
        let additions =
            additions.map(|(addition, text)| (slot.addition_name(*addition), text.clone()));
        Self {
            slot,
            further: pages.chain(additions).collect(),
            entries: with_checksum(slot.entries_name(), slot.checksum_name(), entries),
        }
    }

    /// Name and content of each file in GRUB's directory, in the order of writing; the last two are
    /// the menu and its checksum.
    pub fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        let files = self.further.iter().chain(&self.entries);
        files.map(|(name, content)| (name.as_str(), content.as_str()))
    }
}

/// A file, and the one that has its checksum.
fn with_checksum(name: String, sum_name: String, content: String) -> [(String, String); 2] {
    let sum = checksum_line(&name, content.as_bytes());
    [(name, content), (sum_name, sum)]
}

fn checksum_line(name: &str, content: &[u8]) -> String {
    sha256_line(&Sha256::digest(content), name)
}

impl Slots {
    /// What is in GRUB's directory `directory`; a slot that is missing or not whole is empty.
    ///
    /// # Errors
    /// A file is there and cannot be read.
    pub fn read(directory: &Path) -> Result<Self, WriteSlotError> {
        let read = |slot: Slot| {
            let [entries, checksum] = [slot.entries_name(), slot.checksum_name()]
                .map(|name| read_if_there(&directory.join(name)));
            Ok(sequence_if_whole(slot, &entries?, &checksum?))
        };
        Ok(Self {
            a: read(Slot::A)?,
            b: read(Slot::B)?,
        })
    }
}

fn read_if_there(path: &Path) -> Result<Vec<u8>, WriteSlotError> {
    match fs::read(path) {
        Ok(bytes) => Ok(bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(source) => Err(WriteSlotError {
            verb: "read",
            path: path.to_owned(),
            source,
        }),
    }
}

/// The sequence number of the slot with these files, if they are whole.
pub(crate) fn sequence_if_whole(slot: Slot, entries: &[u8], checksum: &[u8]) -> Option<Sequence> {
    if checksum != checksum_line(&slot.entries_name(), entries).as_bytes() {
        return None;
    }
    let text = std::str::from_utf8(entries).ok()?;
    let number = text
        .strip_suffix('\n')?
        .rsplit_once("set cairn_end=")?
        .1
        .parse()
        .ok()?;
    Sequence::new(number)
}

/// Why a slot cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("cannot {verb} '{path}' of the boot menu: {source}")]
pub struct WriteSlotError {
    verb: &'static str,
    path: PathBuf,
    source: io::Error,
}

/// Writes `files` into GRUB's directory `directory`; they are durable when this returns. While it
/// runs the slot is not whole, or is an older one than the other, which boots.
///
/// GRUB replays no journal: of what was synced it may see any part, in any order. So what a menu reads is
/// where GRUB sees it before the menu that leads to it is written; all of it is synced at once.
///
/// # Errors
/// A file cannot be written; the slot is then not whole.
pub fn write_slot(directory: &Path, files: &SlotFiles) -> Result<(), WriteSlotError> {
    let failed = |verb| {
        move |path: &Path, source| WriteSlotError {
            verb,
            path: path.to_owned(),
            source,
        }
    };
    let (write, remove) = (failed("write"), failed("remove"));
    for (set, durability) in [
        (files.further.as_slice(), Durability::Later),
        (&files.entries, Durability::Now),
    ] {
        for (name, content) in set {
            let path = directory.join(name);
            replace(&path, content.as_bytes(), durability).map_err(|error| write(&path, error))?;
        }
        checkpoint(directory).map_err(|error| write(directory, error))?;
    }
    for path in stale(directory, files)? {
        fs::remove_file(&path).map_err(|error| remove(&path, error))?;
    }
    Ok(())
}

/// Files of the slot that no menu leads to any more.
fn stale(directory: &Path, files: &SlotFiles) -> Result<Vec<PathBuf>, WriteSlotError> {
    let kept: BTreeSet<_> = files
        .further
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    let failed = |source| WriteSlotError {
        verb: "list",
        path: directory.to_owned(),
        source,
    };
    let mut stale = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let is_stale = |name: &str| files.slot.is_further(name) && !kept.contains(name);
        if name.to_str().is_some_and(is_stale) {
            stale.push(directory.join(name));
        }
    }
    Ok(stale)
}

/// When what is written must be on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Durability {
    /// Before it has its name.
    Now,
    /// When the whole file system is synced.
    Later,
}

/// Writes a new file and renames it over `path`.
fn replace(path: &Path, content: &[u8], durability: Durability) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    file.write_all(content)?;
    if durability == Durability::Now {
        file.sync_all()?;
    }
    fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slot::Addition;
    use expect_test::expect;

    fn menu(text: &str) -> Menu {
        Menu {
            text: text.to_owned(),
            generations: vec!["true\n".to_owned()],
            additions: Vec::new(),
        }
    }

    fn slot(slot: Slot, number: u32, entries: &str) -> SlotFiles {
        SlotFiles::new(slot, Sequence::new(number).unwrap(), &menu(entries))
    }

    #[test]
    fn whole_files() {
        let files = slot(Slot::B, 12, "set timeout=5\n");
        let files = files
            .files()
            .map(|(name, text)| format!("== {name}\n{text}"));
        let text = files.collect::<Vec<_>>().concat();
        expect![[r#"
            == generations-b.cfg
            true
            == generations-b.sum
            a17fcf0a2f50e2d495e4f90ce263410edc183add6c62699a2facbccf60410f74  generations-b.cfg
            == entries-b.cfg
            # The boot menu, written by cairn: changes here are lost.
            set cairn_seq=12
            function cairn_menu_b {
            set timeout=5
            }
            set cairn_end=12
            == entries-b.sum
            1c203bcdba557b63eef0e22ea489185bbbab99496414146ef555c1ef8424c891  entries-b.cfg
        "#]]
        .assert_eq(&text);
    }

    #[test]
    fn nothing_torn_is_whole() {
        let files = slot(Slot::A, 12, "menuentry 'x' {\n  true\n}\n");
        let [(_, entries), (_, checksum)] = &files.entries;
        let whole = |entries: &[u8], checksum: &[u8]| {
            sequence_if_whole(Slot::A, entries, checksum).map(Sequence::get)
        };
        let (entries, checksum) = (entries.as_bytes(), checksum.as_bytes());
        assert_eq!(whole(entries, checksum), Some(12));
        assert_eq!(sequence_if_whole(Slot::B, entries, checksum), None);
        for cut in 0..entries.len() {
            assert_eq!(whole(&entries[..cut], checksum), None);
            let mut torn = entries.to_vec();
            torn[cut] = 0;
            assert_eq!(whole(&torn, checksum), None);
        }
        for cut in 0..checksum.len() {
            assert_eq!(whole(entries, &checksum[..cut]), None);
        }
    }

    #[test]
    fn written_slots_are_read() {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path();
        assert_eq!(Slots::read(directory).unwrap(), Slots::default());
        for wanted in [(Slot::A, 1), (Slot::B, 2), (Slot::A, 3)] {
            let slots = Slots::read(directory).unwrap();
            let (slot, sequence) = crate::next_slot(&slots).unwrap();
            assert_eq!((slot, sequence.get()), wanted);
            write_slot(directory, &SlotFiles::new(slot, sequence, &menu("true\n"))).unwrap();
            let now = Slots::read(directory).unwrap();
            assert_eq!(now.newest(), Some((slot, sequence)));
        }
        // The newest is damaged: the older one counts, and the damaged one is written next.
        fs::write(directory.join("entries-a.cfg"), "set cairn_seq=3\n").unwrap();
        let slots = Slots::read(directory).unwrap();
        assert_eq!(slots.newest().map(|(slot, _)| slot), Some(Slot::B));
        assert_eq!(crate::next_slot(&slots).unwrap().0, Slot::A);
        assert_eq!(fs::read_dir(directory).unwrap().count(), 8);
    }

    #[test]
    fn pages_come_and_go() {
        let directory = tempfile::tempdir().unwrap();
        let names = || {
            let entries = fs::read_dir(directory.path()).unwrap();
            let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            let mut names: Vec<_> = names
                .filter(|name| name.starts_with("gen") || name.starts_with("extra"))
                .collect();
            names.sort();
            names.join(" ")
        };
        let write = |slot: Slot, number: u32, pages: usize| {
            let additions = match pages {
                3 => vec![(Addition::Entries, "true\n".to_owned())],
                _ => Vec::new(),
            };
            let menu = Menu {
                text: String::new(),
                generations: vec!["true\n".to_owned(); pages],
                additions,
            };
            let files = SlotFiles::new(slot, Sequence::new(number).unwrap(), &menu);
            write_slot(directory.path(), &files).unwrap();
        };
        fs::write(directory.path().join("generations-a-x.cfg"), "").unwrap();
        write(Slot::A, 1, 3);
        assert!(names().starts_with("extra-entries-a.cfg "));
        write(Slot::B, 2, 2);
        write(Slot::A, 3, 1);
        expect!["generations-a-x.cfg generations-a.cfg generations-a.sum generations-b-1.cfg generations-b-1.sum generations-b.cfg generations-b.sum"].assert_eq(&names());
    }

    #[test]
    fn failures_name_the_file() {
        let files = slot(Slot::A, 1, "");
        let error = write_slot(Path::new("/nonexistent"), &files).unwrap_err();
        expect!["cannot write '/nonexistent/generations-a.cfg' of the boot menu: No such file or directory (os error 2)"].assert_eq(&error.to_string());
    }
}
