//! An entry of firmware's own menu: the content of a variable `Boot0000`.
//!
//! ```text
//! u32 attributes      bit 0: it is tried when its turn comes
//! u16                 bytes of the device path
//! [u16]               what people see, UTF-16, closed by a zero
//! [u8]                the device path
//! [u8]                whatever the program is told
//! ```
//!
//! Source: UEFI specification 2.10, 3.1.3 (`EFI_LOAD_OPTION`).

use super::program::{PROGRAM_LIMIT, Program};

/// It is tried when its turn comes.
const ACTIVE: u32 = 1;
/// Characters that people see at most: some firmware cuts off less.
const LABEL_LIMIT: usize = 64;

/// An entry for a program on a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadOption {
    attributes: u32,
    /// What people see.
    label: String,
    /// What is started.
    program: Program,
}

/// Why there cannot be such an entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadOptionError {
    /// What people are to see does not fit.
    #[error(
        "cannot call an entry of the firmware's menu {0:?}: a name has 1 to {LABEL_LIMIT} characters, and none of \
         them controls a terminal"
    )]
    Label(String),
    /// The program's path does not fit.
    #[error("the firmware's menu cannot have '{0}': a path has at most {PROGRAM_LIMIT} characters")]
    Path(String),
}

impl LoadOption {
    /// An entry that is tried when its turn comes.
    ///
    /// # Errors
    /// Name or path do not fit.
    pub fn new(label: &str, program: Program) -> Result<Self, LoadOptionError> {
        let fits = (1..=LABEL_LIMIT).contains(&label.encode_utf16().count());
        if !fits || label.chars().any(char::is_control) {
            return Err(LoadOptionError::Label(label.to_owned()));
        }
        if program.path.encode_utf16().count() > PROGRAM_LIMIT {
            return Err(LoadOptionError::Path(program.path));
        }
        Ok(Self {
            attributes: ACTIVE,
            label: label.to_owned(),
            program,
        })
    }

    /// What it starts.
    #[must_use]
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// The same with the attributes of `other`: whether it is tried is for people to say, in firmware's
    /// own menu.
    pub(super) fn with_attributes_of(&self, other: &Self) -> Self {
        Self {
            attributes: other.attributes,
            ..self.clone()
        }
    }

    /// The variable's content.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let path = self.program.to_bytes();
        let mut bytes = self.attributes.to_le_bytes().to_vec();
        // Both its parts have a limit.
        bytes.extend(u16::try_from(path.len()).unwrap_or(u16::MAX).to_le_bytes());
        bytes.extend(
            self.label
                .encode_utf16()
                .chain([0])
                .flat_map(u16::to_le_bytes),
        );
        bytes.extend(path);
        bytes
    }

    /// The entry in a variable's content; none if it starts something else than a file on a partition of
    /// a GPT. What the program is told is left out.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (attributes, rest) = bytes.split_first_chunk::<4>()?;
        let (length, rest) = rest.split_first_chunk::<2>()?;
        let units: Vec<u16> = rest
            .chunks_exact(2)
            .filter_map(|unit| Some(u16::from_le_bytes(unit.try_into().ok()?)))
            .take_while(|unit| *unit != 0)
            .collect();
        let start = 2 * (units.len() + 1);
        let length = usize::from(u16::from_le_bytes(*length));
        Some(Self {
            attributes: u32::from_le_bytes(*attributes),
            label: String::from_utf16_lossy(&units),
            program: Program::parse(rest.get(start..start + length)?)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use proptest::prelude::*;

    fn program(path: &str) -> Program {
        Program {
            number: 2,
            start: 2048,
            blocks: 532_480,
            guid: *b"\x78\x56\x34\x12\xbc\x9a\xf0\xde0123\x01\x02\x03\x04",
            path: path.to_owned(),
        }
    }

    /// As `efibootmgr --create` writes it for that partition, but for the GUID.
    #[test]
    fn an_entry() {
        let option = LoadOption::new("Cairn", program(r"\EFI\a.efi")).unwrap();
        let bytes = option.to_bytes();
        let hex: Vec<String> = bytes
            .chunks(16)
            .map(|line| format!("{line:02x?}"))
            .collect();
        expect![[r#"
            [01, 00, 00, 00, 48, 00, 43, 00, 61, 00, 69, 00, 72, 00, 6e, 00]
            [00, 00, 04, 01, 2a, 00, 02, 00, 00, 00, 00, 08, 00, 00, 00, 00]
            [00, 00, 00, 20, 08, 00, 00, 00, 00, 00, 78, 56, 34, 12, bc, 9a]
            [f0, de, 30, 31, 32, 33, 01, 02, 03, 04, 02, 02, 04, 04, 1a, 00]
            [5c, 00, 45, 00, 46, 00, 49, 00, 5c, 00, 61, 00, 2e, 00, 65, 00]
            [66, 00, 69, 00, 00, 00, 7f, ff, 04, 00]"#]]
        .assert_eq(&hex.join("\n"));
        assert_eq!(LoadOption::parse(&option.to_bytes()), Some(option));
    }

    #[test]
    fn what_does_not_fit() {
        let told = |label: &str, path: &str| {
            LoadOption::new(label, program(path))
                .unwrap_err()
                .to_string()
        };
        expect![[r#"
            cannot call an entry of the firmware's menu "": a name has 1 to 64 characters, and none of them controls a terminal
            cannot call an entry of the firmware's menu "a\u{1b}[2J": a name has 1 to 64 characters, and none of them controls a terminal
            cannot call an entry of the firmware's menu "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa": a name has 1 to 64 characters, and none of them controls a terminal
            the firmware's menu cannot have 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb': a path has at most 255 characters"#]].assert_eq(
            &[
                told("", "a"),
                told("a\u{1b}[2J", "a"),
                told(&"a".repeat(65), "a"),
                told("a", &"b".repeat(256)),
            ]
            .join("\n"),
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(label in "[^\\p{C}]{1,32}", path in "[^\0]{0,100}", number: u32, start: u64, blocks: u64, guid: [u8; 16]) {
            let option = LoadOption::new(&label, Program { number, start, blocks, guid, path }).unwrap();
            prop_assert_eq!(LoadOption::parse(&option.to_bytes()), Some(option));
        }

        #[test]
        fn any_bytes_are_taken(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Some(option) = LoadOption::parse(&bytes) {
                prop_assert!(option.to_bytes().len() <= bytes.len() + 2);
            }
        }
    }
}
