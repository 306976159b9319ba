//! What is booted next: kept in GRUB's environment block, which both GRUB and we write.
//!
//! ```text
//! # GRUB Environment Block
//! cairn_good=12        the last known good entry
//! cairn_trial=13       the entry on trial
//! cairn_tries=2        how many boots it has left
//! cairn_once=          boots once, before all others
//! cairn_saved=         what was last chosen in the menu, where that is kept
//! (variables of others)
//! ####… up to 1024 bytes
//! ```
//!
//! Neither side can rename here: GRUB writes the file's blocks in place, so that is what we do too.
//! Our variables come first, all of them and always, so that they stay in the first sector, which a
//! disk writes as a whole or not at all.
//!
//! Source: GRUB 2.06, `grub-core/lib/envblk.c`: a backslash goes before each backslash and newline
//! of a value; a line that begins with `#` is none of a variable.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::entry_id::EntryId;

/// The file's name in GRUB's directory.
const NAME: &str = "grubenv";

const SIGNATURE: &[u8] = b"# GRUB Environment Block\n";

/// Bytes of the whole block.
const SIZE: usize = 1024;

/// Bytes that a disk writes as a whole.
const SECTOR: usize = 512;

const OURS: [&str; 5] = [
    "cairn_good",
    "cairn_trial",
    "cairn_tries",
    "cairn_once",
    "cairn_saved",
];

/// What the environment block says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BootState {
    /// The last known good entry: boots when nothing else is said.
    pub good: Option<EntryId>,
    /// The entry that is to show whether it is good.
    pub trial: Option<Trial>,
    /// Boots once, before all others; GRUB forgets it before it boots it.
    pub once: Option<EntryId>,
    /// What was last chosen in the menu, where the configuration asks for that to be kept: an
    /// entry's id, or the place of another's in the menu.
    pub saved: Option<String>,
    /// Variables of others, in their order.
    others: Vec<Variable>,
}

/// An entry on trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// The entry.
    pub entry: EntryId,
    /// How many boots it has left, at most [`Trial::MAX_TRIES`]; with none it is not booted by
    /// itself.
    pub tries: u8,
}

impl Trial {
    /// As far as GRUB counts: one digit.
    pub const MAX_TRIES: u8 = 9;
}

/// Name and value, not escaped.
type Variable = (Vec<u8>, Vec<u8>);

/// Why the boot state cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum BootStateError {
    /// The file cannot be reached.
    #[error("cannot {verb} the boot state '{path}': {source}")]
    Io {
        /// What was tried.
        verb: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The file is there and is no environment block, or has nonsense for one of our variables.
    #[error("cannot read the boot state '{path}': {problem}; GRUB boots what its menu calls good")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: Damage,
    },
    /// More than the block has room for.
    #[error("cannot write the boot state: {0}")]
    Unfit(#[from] Unfit),
}

/// What is wrong with bytes that should be an environment block.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// Not as long as it must be.
    #[error("it has {0} bytes and not {SIZE}")]
    Size(usize),
    /// Not as GRUB writes it.
    #[error("it does not begin as an environment block of GRUB does")]
    Signature,
    /// A variable of ours has a value that it cannot have.
    #[error("{name} is {value:?}")]
    Value {
        /// The variable.
        name: &'static str,
        /// Its value.
        value: String,
    },
}

/// What cannot be written to an environment block.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Too many bytes.
    #[error("{what} need {length} bytes, and GRUB's environment has room for {room}")]
    Room {
        /// What does not fit.
        what: &'static str,
        /// The bytes that it needs.
        length: usize,
        /// The bytes that there are.
        room: usize,
    },
    /// GRUB counts with one digit.
    #[error("{0} tries are more than {max}", max = Trial::MAX_TRIES)]
    Tries(u8),
}

impl BootState {
    /// The state in which `entry` is good and nothing else is said.
    #[must_use]
    pub fn of_good(entry: EntryId) -> Self {
        Self {
            good: Some(entry),
            ..Self::default()
        }
    }

    /// Reads the bytes of an environment block.
    ///
    /// # Errors
    /// See [`Damage`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Damage> {
        if bytes.len() != SIZE {
            return Err(Damage::Size(bytes.len()));
        }
        let text = bytes.strip_prefix(SIGNATURE).ok_or(Damage::Signature)?;
        let mut others = variables(text);
        // GRUB sets them one by one: the last one counts.
        let [good, trial, tries, once, saved] = OURS.map(|name| take(&mut others, name));
        let trial = parse_value("cairn_trial", trial)?;
        let tries: Option<Tries> = parse_value("cairn_tries", tries)?;
        Ok(Self {
            good: parse_value("cairn_good", good)?,
            trial: trial.map(|entry| Trial {
                entry,
                tries: tries.map_or(0, |tries| tries.0),
            }),
            once: parse_value("cairn_once", once)?,
            saved: parse_value("cairn_saved", saved)?,
            others,
        })
    }

    /// The bytes of the environment block.
    ///
    /// # Errors
    /// See [`Unfit`].
    pub fn to_bytes(&self) -> Result<[u8; SIZE], Unfit> {
        if let Some(trial) = &self.trial
            && trial.tries > Trial::MAX_TRIES
        {
            return Err(Unfit::Tries(trial.tries));
        }
        let id = |id: Option<&EntryId>| id.map(EntryId::to_string).unwrap_or_default();
        let trial = self.trial.as_ref();
        let values = [
            id(self.good.as_ref()),
            id(trial.map(|trial| &trial.entry)),
            trial
                .map(|trial| trial.tries.to_string())
                .unwrap_or_default(),
            id(self.once.as_ref()),
            self.saved.clone().unwrap_or_default(),
        ];
        let mut bytes = SIGNATURE.to_vec();
        for (name, value) in OURS.iter().zip(&values) {
            append(&mut bytes, name.as_bytes(), value.as_bytes());
        }
        check_room("what boots next and the saved choice", bytes.len(), SECTOR)?;
        for (name, value) in &self.others {
            append(&mut bytes, name, value);
        }
        check_room("all variables together", bytes.len(), SIZE)?;
        let mut block = [b'#'; SIZE];
        for (place, byte) in block.iter_mut().zip(bytes) {
            *place = byte;
        }
        Ok(block)
    }

    /// Reads the boot state in GRUB's directory `grub_directory`. Where there is none, nothing is
    /// known good and nothing on trial.
    ///
    /// # Errors
    /// The file cannot be read, or is damaged. GRUB then boots what the menu's text calls good; a
    /// caller that knows what is good says so, and writes a new state.
    pub fn read(grub_directory: &Path) -> Result<Self, BootStateError> {
        let path = grub_directory.join(NAME);
        match fs::read(&path) {
            Ok(bytes) => {
                Self::parse(&bytes).map_err(|problem| BootStateError::Damaged { path, problem })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(failed("read", path, source)),
        }
    }

    /// Writes the boot state into GRUB's directory `grub_directory`, durable when this returns: in
    /// place, into the blocks that the file has; a file that is missing or not of the right size is
    /// made anew first.
    ///
    /// # Errors
    /// The state does not fit, or the file cannot be written.
    pub fn write(&self, grub_directory: &Path) -> Result<(), BootStateError> {
        let bytes = self.to_bytes()?;
        let path = grub_directory.join(NAME);
        let written = match open_whole(&path) {
            Ok(Some(file)) => file.write_all_at(&bytes, 0).and_then(|()| file.sync_all()),
            Ok(None) => create(grub_directory, &path, &bytes),
            Err(error) => Err(error),
        };
        written.map_err(|source| failed("write", path, source))
    }
}

fn failed(verb: &'static str, path: PathBuf, source: io::Error) -> BootStateError {
    BootStateError::Io { verb, path, source }
}

/// The file, if it is there and has the size of a block.
fn open_whole(path: &Path) -> io::Result<Option<File>> {
    match OpenOptions::new().write(true).open(path) {
        Ok(file) if file.metadata()?.len() == SIZE as u64 => Ok(Some(file)),
        Ok(_) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn create(directory: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    File::open(directory)?.sync_all()
}

/// A number of tries as GRUB takes it: one digit.
struct Tries(u8);

impl std::str::FromStr for Tries {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text.as_bytes() {
            [digit @ b'0'..=b'9'] => Ok(Self(digit - b'0')),
            _ => Err(()),
        }
    }
}

/// An empty value is none.
fn parse_value<T: std::str::FromStr>(
    name: &'static str,
    value: Option<Vec<u8>>,
) -> Result<Option<T>, Damage> {
    let Some(value) = value.filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let parsed = std::str::from_utf8(&value)
        .ok()
        .and_then(|text| text.parse().ok());
    match parsed {
        Some(parsed) => Ok(Some(parsed)),
        None => Err(Damage::Value {
            name,
            value: String::from_utf8_lossy(&value).into_owned(),
        }),
    }
}

/// Removes each variable called `name`; the value of the last one.
fn take(variables: &mut Vec<Variable>, name: &str) -> Option<Vec<u8>> {
    let mut value = None;
    variables.retain_mut(|(other, its)| {
        let found = other == name.as_bytes();
        if found {
            value = Some(std::mem::take(its));
        }
        !found
    });
    value
}

/// The variables in what follows the signature, as GRUB finds them: a last line without its end is
/// none.
fn variables(text: &[u8]) -> Vec<Variable> {
    let mut variables = Vec::new();
    let mut rest = text;
    while let Some((line, after)) = split_line(rest) {
        rest = after;
        if line.first() == Some(&b'#') {
            continue;
        }
        let mut halves = line.splitn(2, |&byte| byte == b'=');
        if let (Some(name), Some(value)) = (halves.next(), halves.next()) {
            variables.push((name.to_vec(), unescape(value)));
        }
    }
    variables
}

/// The first line, and what follows it; a newline after a backslash ends none.
fn split_line(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut escaped = false;
    let end = text.iter().position(|&byte| {
        let ends = byte == b'\n' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })?;
    let (line, rest) = text.split_at_checked(end)?;
    Some((line, rest.get(1..)?))
}

fn unescape(value: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(value.len());
    let mut bytes = value.iter();
    while let Some(&byte) = bytes.next() {
        let byte = match byte {
            b'\\' => bytes.next().copied(),
            byte => Some(byte),
        };
        plain.extend(byte);
    }
    plain
}

fn append(bytes: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    bytes.extend(name);
    bytes.push(b'=');
    for &byte in value {
        if matches!(byte, b'\\' | b'\n') {
            bytes.push(b'\\');
        }
        bytes.push(byte);
    }
    bytes.push(b'\n');
}

fn check_room(what: &'static str, length: usize, room: usize) -> Result<(), Unfit> {
    if length <= room {
        Ok(())
    } else {
        Err(Unfit::Room { what, length, room })
    }
}

#[cfg(test)]
#[path = "boot_state_tests.rs"]
mod tests;
