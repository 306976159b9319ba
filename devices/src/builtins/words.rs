//! What devices say of themselves, made fit for properties and names of files.
//!
//! Source: `udev(7)` on `string_escape`; `blkid(8)` on `ENC`; the outputs of both.

use std::fmt::Write as _;

/// Every character that could confuse somebody as `\x` and two digits for each of its bytes.
pub(super) fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for letter in text.chars() {
        if is_plain(letter) {
            encoded.push(letter);
            continue;
        }
        let mut buffer = [0; 4];
        for byte in letter.encode_utf8(&mut buffer).bytes() {
            // Writing to a string does not fail.
            write!(encoded, "\\x{byte:02x}").unwrap_or_default();
        }
    }
    encoded
}

/// Blanks at both ends left out, others as one underscore; what is not plain is an underscore too.
pub(super) fn name(text: &str) -> String {
    replaced(text, |_| false)
}

/// Like [`name`], for a label: some signs of which names consist stay.
pub(super) fn label(text: &str) -> String {
    replaced(text, |letter| "/$%?,".contains(letter))
}

fn replaced(text: &str, is_allowed: impl Fn(char) -> bool) -> String {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    words
        .join("_")
        .chars()
        .map(|letter| match letter {
            letter if is_plain(letter) || is_allowed(letter) => letter,
            _ => '_',
        })
        .collect()
}

fn is_plain(letter: char) -> bool {
    letter.is_ascii_alphanumeric()
        || "#+-.:=@_".contains(letter)
        || (!letter.is_ascii() && !letter.is_control())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_same_as_udevs() {
        assert_eq!(encoded("a label/ä\\"), "a\\x20label\\x2fä\\x5c");
        assert_eq!(name("  QEMU  USB\tHARDDRIVE /1 "), "QEMU_USB_HARDDRIVE__1");
        assert_eq!(label("EFI  system/1 "), "EFI_system/1");
        assert_eq!(name(" \n"), "");
    }

    proptest! {
        #[test]
        fn no_name_leads_elsewhere(text: String) {
            for text in [encoded(&text), name(&text)] {
                prop_assert!(!text.contains(['/', '\0', '\n', ' ', '"', '$', '%']));
            }
            prop_assert!(!label(&text).contains(['\0', '\n', ' ', '"']));
        }
    }
}
