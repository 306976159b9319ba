//! Text of the user database, which may hold bytes that are no UTF-8, kept without loss.
//!
//! Each byte that is not part of well-formed text becomes one character of a private range
//! (U+F700 + byte), and so do the bytes of such characters themselves: `encode(decode(x)) == x`.

const BASE: u32 = 0xf700;

pub(super) fn decode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if is_private(character) {
                let mut buffer = [0; 4];
                let raw = character.encode_utf8(&mut buffer).as_bytes();
                text.extend(raw.iter().copied().filter_map(escape));
            } else {
                text.push(character);
            }
        }
        text.extend(chunk.invalid().iter().copied().filter_map(escape));
    }
    text
}

pub(super) fn encode(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    for character in text.chars() {
        match u8::try_from(u32::from(character).wrapping_sub(BASE)) {
            Ok(byte) => bytes.push(byte),
            Err(_) => {
                bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
    }
    bytes
}

fn is_private(character: char) -> bool {
    (BASE..BASE + 0x100).contains(&u32::from(character))
}

fn escape(byte: u8) -> Option<char> {
    char::from_u32(BASE + u32::from(byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{decode, encode};

    proptest! {
        #[test]
        fn nothing_is_lost(bytes: Vec<u8>) {
            prop_assert_eq!(encode(&decode(&bytes)), bytes);
        }

        #[test]
        fn nothing_of_text_is_lost(text: String) {
            prop_assert_eq!(encode(&decode(text.as_bytes())), text.as_bytes());
        }
    }

    #[test]
    fn private_characters_survive() {
        let text = "a\u{f741}\u{f7ff}b";
        assert_eq!(encode(&decode(text.as_bytes())), text.as_bytes());
    }
}
