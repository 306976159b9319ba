//! What names a boot entry everywhere: in the menu, in GRUB's environment, on the kernel's command
//! line and in names of files.
//!
//! ```text
//! 12         generation 12
//! 12-debug   its specialisation `debug`
//! 12-a%20b   its specialisation `a b`
//! ```
//!
//! Bytes of a specialisation's name that mean something to GRUB, to the kernel or to a file system
//! are written as `%` and two capital hexadecimal digits, so that no name is hostile anywhere.

use std::fmt;
use std::str::FromStr;

/// A generation's number, and which of its specialisations, if one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId {
    generation: u64,
    specialisation: Option<String>,
}

/// Why something is no entry's id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryIdError {
    /// A specialisation without a name.
    #[error("cannot name a boot entry of generation {0}: its specialisation's name is empty")]
    Empty(u64),
    /// GRUB's environment block has no room for the name.
    #[error(
        "cannot name a boot entry of generation {generation}: its specialisation '{name}' has \
         {length} bytes more than the {} that fit; give it a shorter name",
        EntryId::MAX_LENGTH
    )]
    TooLong {
        /// The generation.
        generation: u64,
        /// The specialisation.
        name: String,
        /// By how much it is too long, in bytes.
        length: usize,
    },
    /// A text that names no entry.
    #[error("cannot read {0:?} as a boot entry: write a number, such as 12, or 12-debug")]
    Text(String),
}

impl EntryId {
    /// The longest text of an id, in bytes: some of them fit into one sector.
    pub const MAX_LENGTH: usize = 96;

    /// The id of `specialisation` of the generation with this number, or of the generation itself.
    ///
    /// # Errors
    /// The name is empty or too long.
    pub fn new(generation: u64, specialisation: Option<&str>) -> Result<Self, EntryIdError> {
        let id = Self {
            generation,
            specialisation: specialisation.map(str::to_owned),
        };
        match specialisation {
            Some("") => Err(EntryIdError::Empty(generation)),
            Some(name) => match id.to_string().len().checked_sub(Self::MAX_LENGTH) {
                None | Some(0) => Ok(id),
                Some(length) => Err(EntryIdError::TooLong {
                    generation,
                    name: name.to_owned(),
                    length,
                }),
            },
            None => Ok(id),
        }
    }

    /// The generation itself, no specialisation.
    #[must_use]
    pub fn generation(number: u64) -> Self {
        Self {
            generation: number,
            specialisation: None,
        }
    }

    /// The generation's number.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.generation
    }

    /// The specialisation, if it is one.
    #[must_use]
    pub fn specialisation(&self) -> Option<&str> {
        self.specialisation.as_deref()
    }

    /// The entry's id in the menu: `generation-12-debug`.
    #[must_use]
    pub fn menu_id(&self) -> String {
        format!("generation-{self}")
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.generation)?;
        let Some(name) = &self.specialisation else {
            return Ok(());
        };
        f.write_str("-")?;
        for byte in name.bytes() {
            if is_plain(byte) {
                write!(f, "{}", char::from(byte))?;
            } else {
                write!(f, "%{byte:02X}")?;
            }
        }
        Ok(())
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._+-@".contains(&byte)
}

impl FromStr for EntryId {
    type Err = EntryIdError;

    /// Takes what `Display` writes, and nothing else: an entry has one id.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || EntryIdError::Text(text.to_owned());
        let (number, name) = match text.split_once('-') {
            Some((number, name)) => (number, Some(decode(name).ok_or_else(refused)?)),
            None => (text, None),
        };
        let number = number.parse().map_err(|_| refused())?;
        let id = Self::new(number, name.as_deref())?;
        if id.to_string() == text {
            Ok(id)
        } else {
            Err(refused())
        }
    }
}

fn decode(text: &str) -> Option<String> {
    let mut name = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?].map(|digit| char::from(digit).to_digit(16));
            let [Some(high), Some(low)] = digits else {
                return None;
            };
            name.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            name.push(byte);
        }
    }
    String::from_utf8(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn texts() {
        for (number, name, text) in [
            (12, None, "12"),
            (12, Some("debug"), "12-debug"),
            (0, Some("1-2"), "0-1-2"),
            (7, Some("a b'\\\n"), "7-a%20b%27%5C%0A"),
            (7, Some("ü>%"), "7-%C3%BC%3E%25"),
        ] {
            let id = EntryId::new(number, name).unwrap();
            assert_eq!(id.to_string(), text);
            assert_eq!(text.parse(), Ok(id));
        }
        assert_eq!(
            EntryId::new(12, Some("debug")).unwrap().menu_id(),
            "generation-12-debug"
        );
    }

    #[test]
    fn what_is_none() {
        for text in [
            "",
            "-",
            "x",
            "012",
            "+1",
            "-1",
            "1-a b",
            "1-%61",
            "1-%c3%bc",
            "1-%C3",
            "1-%4",
            "1-%+1",
            "18446744073709551616",
        ] {
            let error = text.parse::<EntryId>().unwrap_err();
            assert_eq!(
                error.to_string(),
                format!(
                    "cannot read {text:?} as a boot entry: write a number, such as 12, or 12-debug"
                )
            );
        }
        assert_eq!("1-".parse::<EntryId>(), Err(EntryIdError::Empty(1)));
        EntryId::new(1, Some(&"x".repeat(94))).unwrap();
        assert_eq!(
            EntryId::new(1, Some(&"x".repeat(95)))
                .unwrap_err()
                .to_string(),
            format!(
                "cannot name a boot entry of generation 1: its specialisation '{}' has 1 bytes \
                 more than the 96 that fit; give it a shorter name",
                "x".repeat(95)
            )
        );
    }

    proptest! {
        #[test]
        fn each_has_one_text(number: u64, name in proptest::option::of(".{1,5}")) {
            let id = EntryId::new(number, name.as_deref()).unwrap();
            prop_assert!(id.to_string().bytes().all(|byte| is_plain(byte) || byte == b'%'));
            prop_assert_eq!(id.to_string().parse(), Ok(id));
        }

        #[test]
        fn any_text_is_one_or_none(text in ".{0,20}") {
            if let Ok(id) = text.parse::<EntryId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }
}
