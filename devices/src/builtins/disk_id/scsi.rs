//! Disks of SCSI: what they say of themselves in the pages of vital product data that the kernel has read.
//!
//! ```text
//! page 80   4 the serial number, in ASCII
//! page 83   4 names, one after another:
//!           0 coding in the low half: 1 binary, 2 ASCII   1 kind in the low half; 0x30: what is named, 0 the disk
//!           3 length   4 the name
//! ```
//!
//! The best name is the one that says most reliably which disk this is; the number of its kind stands before it.
//!
//! Source: SCSI Primary Commands 4 (T10/1731-D), 7.8; `scsi_id(8)` for the form of serial numbers.

use std::fmt::Write as _;

use super::super::usb_id::kind_of_scsi;
use super::super::{put, words};
use crate::device::{Device, Properties};

const VENDORS: u8 = 0;
const T10: u8 = 1;
const EUI_64: u8 = 2;
const NAA: u8 = 3;

/// The data of INQUIRY.
pub(super) struct Identity {
    /// Eight letters, padded.
    pub(super) vendor: String,
    /// Sixteen letters, padded.
    pub(super) model: String,
    pub(super) revision: String,
    kind: String,
}

impl Identity {
    pub(super) fn of(scsi: &Device) -> Self {
        let text = |name| scsi.attribute(name).unwrap_or_default();
        Self {
            vendor: format!("{:<8}", text("vendor")),
            model: format!("{:<16}", text("model")),
            revision: text("rev"),
            kind: text("type"),
        }
    }

    pub(super) fn is_ata(&self) -> bool {
        self.vendor.trim() == "ATA"
    }

    /// Whether it is a drive for discs.
    pub(super) fn is_drive(&self) -> bool {
        self.kind() == "cd"
    }

    pub(super) fn kind(&self) -> &'static str {
        kind_of_scsi(&self.kind)
    }
}

/// Pages as the kernel has read them; empty if there are none.
pub(super) struct Pages {
    /// Page 80.
    pub(super) serial: Vec<u8>,
    /// Page 83.
    pub(super) names: Vec<u8>,
}

impl Pages {
    /// Page 80's serial number.
    pub(super) fn serial_number(&self) -> Option<String> {
        let bytes = contents(&self.serial, 0x80)?;
        let text = String::from_utf8_lossy(bytes);
        let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// A disk of ATA behind SCSI has a name that is made of model and serial number: these.
    pub(super) fn names_of_ata(&self) -> Option<(String, String)> {
        let name = self.names().find(|name| name.kind == T10)?;
        let text = name.bytes.strip_prefix(b"ATA     ")?;
        let (model, serial) = text.split_at_checked(40)?;
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        Some((text(model), text(serial)))
    }

    /// The name of eight bytes that is the same for all the world.
    pub(super) fn world_wide_name(&self) -> Option<u64> {
        let name = self.names().find(|name| name.kind == NAA)?;
        let bytes = name.bytes.first_chunk()?;
        Some(u64::from_be_bytes(*bytes))
    }

    fn names(&self) -> impl Iterator<Item = Name<'_>> {
        let mut rest = contents(&self.names, 0x83).unwrap_or_default();
        std::iter::from_fn(move || {
            let (&[coding, kind, _, length], next) = rest.split_first_chunk()?;
            let (bytes, next) = next.split_at_checked(length.into())?;
            rest = next;
            Some(Name {
                is_text: coding & 0xF == 2,
                is_disk: kind & 0x30 == 0,
                kind: kind & 0xF,
                bytes,
            })
        })
        .filter(|name| name.is_disk && !name.bytes.is_empty())
    }

    fn best(&self) -> Option<Name<'_>> {
        let ranked = self.names().filter_map(|name| Some((name.rank()?, name)));
        // Of two of one rank the first.
        let best = ranked.min_by_key(|(rank, _)| *rank)?;
        Some(best.1)
    }
}

/// What is in a page, by the length that it gives, if it is the page `number`.
fn contents(page: &[u8], number: u8) -> Option<&[u8]> {
    let (&[_, own, high, low], rest) = page.split_first_chunk()?;
    let length = usize::from(u16::from_be_bytes([high, low]));
    (own == number).then(|| rest.get(..length).unwrap_or(rest))
}

/// A name of page 83.
#[derive(Debug, Clone, Copy)]
struct Name<'p> {
    is_text: bool,
    is_disk: bool,
    kind: u8,
    bytes: &'p [u8],
}

impl Name<'_> {
    /// The lower, the better; none of a kind that is no name of a disk.
    fn rank(&self) -> Option<u8> {
        let first = self.bytes.first()? >> 4;
        Some(match (self.kind, first) {
            (NAA, 6) => 0,
            (NAA, 5) => 1,
            (NAA, _) => 2,
            (EUI_64, _) => 3,
            (T10, _) => 4,
            (VENDORS, _) => 5,
            _ => return None,
        })
    }

    fn text(&self) -> String {
        if self.is_text {
            let text = String::from_utf8_lossy(self.bytes);
            return text.trim_end_matches('\0').to_owned();
        }
        let mut text = String::with_capacity(self.bytes.len() * 2);
        for byte in self.bytes {
            // Writing to a string does not fail.
            write!(text, "{byte:02x}").unwrap_or_default();
        }
        text
    }
}

/// Adds the properties of `scsi_id`.
pub(super) fn add(found: &mut Properties, identity: &Identity, pages: &Pages) {
    put(found, "ID_SCSI", "1");
    put(found, "ID_BUS", "scsi");
    put(found, "ID_TYPE", identity.kind());
    put(found, "ID_VENDOR", words::name(&identity.vendor));
    put(found, "ID_VENDOR_ENC", words::encoded(&identity.vendor));
    put(found, "ID_MODEL", words::name(&identity.model));
    put(found, "ID_MODEL_ENC", words::encoded(&identity.model));
    put(found, "ID_REVISION", words::name(&identity.revision));
    let number = pages.serial_number();
    if let Some(number) = &number {
        put(found, "ID_SCSI_SERIAL", words::name(number));
    }
    let vendor_and_model = format!("{}{}", identity.vendor, identity.model);
    if let Some(best) = pages.best() {
        let text = best.text();
        let before = match best.kind {
            VENDORS => vendor_and_model.as_str(),
            _ => "",
        };
        let serial = format!("{}{before}{text}", best.kind);
        put(found, "ID_SERIAL", words::name(&serial));
        put(found, "ID_SERIAL_SHORT", words::name(&text));
        if best.kind == NAA && !best.is_text {
            add_world_wide_name(found, &text);
        }
    } else if let Some(number) = number {
        put(
            found,
            "ID_SERIAL",
            words::name(&format!("S{vendor_and_model}{number}")),
        );
        put(found, "ID_SERIAL_SHORT", words::name(&number));
    }
}

/// The first 16 digits are the name, further ones the maker's own.
fn add_world_wide_name(found: &mut Properties, digits: &str) {
    let (name, extension) = digits.split_at_checked(16).unwrap_or((digits, ""));
    put(found, "ID_WWN", format!("0x{name}"));
    put(found, "ID_WWN_WITH_EXTENSION", format!("0x{digits}"));
    if !extension.is_empty() {
        put(found, "ID_WWN_VENDOR_EXTENSION", format!("0x{extension}"));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_pages(
            mut serial in proptest::collection::vec(any::<u8>(), 0..64),
            mut names in proptest::collection::vec(0_u8..40, 0..300),
        ) {
            for (page, number) in [(&mut serial, 0x80), (&mut names, 0x83)] {
                if let Some(own) = page.get_mut(1) {
                    *own = number;
                }
            }
            let pages = Pages { serial, names };
            let identity = Identity {
                vendor: "a/b".to_owned(),
                model: String::new(),
                revision: String::new(),
                kind: "0".to_owned(),
            };
            let mut found = Properties::new();
            add(&mut found, &identity, &pages);
            pages.names_of_ata();
            pages.world_wide_name();
            prop_assert!(!found.values().any(|value| value.contains(['\n', '/', ' '])));
        }
    }
}
