//! The two files of a slot, and what makes them whole.
//!
//! ```text
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
//! that module (Debian's signed one) has the end alone to go by.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::slot::{Sequence, Slot, Slots};

/// The content of a slot's two files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotFiles {
    slot: Slot,
    entries: String,
    checksum: String,
}

impl SlotFiles {
    /// Files of `slot` with the menu `entries`, the `sequence`th one.
    #[must_use]
    pub fn new(slot: Slot, sequence: Sequence, entries: &str) -> Self {
        let number = sequence.get();
        let entries = format!(
            "# The boot menu, written by cairn: changes here are lost.\n\
             set cairn_seq={number}\n\
             function cairn_menu_{} {{\n{entries}}}\n\
             set cairn_end={number}\n",
            slot.letter()
        );
        let checksum = checksum_line(slot, entries.as_bytes());
        Self {
            slot,
            entries,
            checksum,
        }
    }

    /// Name and content of each file in GRUB's directory, in the order of writing.
    #[must_use]
    pub fn files(&self) -> [(String, &str); 2] {
        [
            (self.slot.entries_name(), &self.entries),
            (self.slot.checksum_name(), &self.checksum),
        ]
    }
}

fn checksum_line(slot: Slot, entries: &[u8]) -> String {
    let hex: String = Sha256::digest(entries)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("{hex}  {}\n", slot.entries_name())
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
    if checksum != checksum_line(slot, entries).as_bytes() {
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
/// # Errors
/// A file cannot be written; the slot is then not whole.
pub fn write_slot(directory: &Path, files: &SlotFiles) -> Result<(), WriteSlotError> {
    for (name, content) in files.files() {
        let path = directory.join(name);
        replace(&path, content.as_bytes()).map_err(|source| WriteSlotError {
            verb: "write",
            path,
            source,
        })?;
    }
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(|source| WriteSlotError {
            verb: "write",
            path: directory.to_owned(),
            source,
        })
}

/// Writes a new file and renames it over `path`, durable before it has the name.
fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&new, path)
}
