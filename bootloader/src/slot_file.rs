//! The files of a slot, and what makes them whole.
//!
//! ```text
//! generations-a.cfg   all generations: read when somebody asks for them
//! generations-a.sum   <SHA-256 of generations-a.cfg>  generations-a.cfg
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
//! that module (Debian's signed one) has the end alone to go by. The generations are on the disk before
//! the menu that leads to them; they are in a file of their own since GRUB would take long to read
//! many of them at each boot.

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
    generations: String,
    generations_checksum: String,
    entries: String,
    checksum: String,
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
        let checksum = checksum_line(&slot.entries_name(), entries.as_bytes());
        let generations = menu.generations.clone();
        let generations_checksum = checksum_line(&slot.generations_name(), generations.as_bytes());
        Self {
            slot,
            generations,
            generations_checksum,
            entries,
            checksum,
        }
    }

    /// Name and content of each file in GRUB's directory, in the order of writing.
    #[must_use]
    pub fn files(&self) -> [(String, &str); 4] {
        [
            (self.slot.generations_name(), &self.generations),
            (
                self.slot.generations_checksum_name(),
                &self.generations_checksum,
            ),
            (self.slot.entries_name(), &self.entries),
            (self.slot.checksum_name(), &self.checksum),
        ]
    }
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
/// runs the slot is not whole, and the other one boots.
///
/// GRUB replays no journal: of what was synced it may see any part, in any order. So the generations
/// are where it sees them before the menu that leads to them is written.
///
/// # Errors
/// A file cannot be written; the slot is then not whole.
pub fn write_slot(directory: &Path, files: &SlotFiles) -> Result<(), WriteSlotError> {
    let written = |path: &Path, result: io::Result<()>| {
        result.map_err(|source| WriteSlotError {
            verb: "write",
            path: path.to_owned(),
            source,
        })
    };
    let [generations, generations_checksum, entries, checksum] = files.files();
    for pair in [[generations, generations_checksum], [entries, checksum]] {
        for (name, content) in pair {
            let path = directory.join(name);
            written(&path, replace(&path, content.as_bytes()))?;
        }
        written(directory, checkpoint(directory))?;
    }
    Ok(())
}

/// Writes a new file and renames it over `path`, durable before it has the name.
fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn menu(text: &str) -> Menu {
        Menu {
            text: text.to_owned(),
            generations: "true\n".to_owned(),
        }
    }

    fn slot(slot: Slot, number: u32, entries: &str) -> SlotFiles {
        SlotFiles::new(slot, Sequence::new(number).unwrap(), &menu(entries))
    }

    #[test]
    fn whole_files() {
        let files = slot(Slot::B, 12, "set timeout=5\n");
        let text = files
            .files()
            .map(|(name, text)| format!("== {name}\n{text}"))
            .concat();
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
        let [_, _, (_, entries), (_, checksum)] = files.files();
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
    fn failures_name_the_file() {
        let files = slot(Slot::A, 1, "");
        let error = write_slot(Path::new("/nonexistent"), &files).unwrap_err();
        expect!["cannot write '/nonexistent/generations-a.cfg' of the boot menu: No such file or directory (os error 2)"].assert_eq(&error.to_string());
    }
}
