//! Nix's base-32: 32 digits without `e o t u`, least significant bits first, written backwards.
//!
//! Source: the Nix manual, "Nix32 encoding".

const ALPHABET: &[u8; 32] = b"0123456789abcdfghijklmnpqrsvwxyz";

/// Encodes `bytes`; the result has `ceil(len * 8 / 5)` digits.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    let digits = (bytes.len() * 8).div_ceil(5);
    (0..digits)
        .rev()
        .map(|digit| char::from(digit_at(bytes, digit)))
        .collect()
}

fn digit_at(bytes: &[u8], digit: usize) -> u8 {
    let bit = digit * 5;
    let low = u16::from(bytes.get(bit / 8).copied().unwrap_or(0));
    let high = u16::from(bytes.get(bit / 8 + 1).copied().unwrap_or(0));
    let value = ((high << 8 | low) >> (bit % 8)) & 0x1f;
    ALPHABET.get(usize::from(value)).copied().unwrap_or(b'0')
}

/// Decodes `text` into exactly `N` bytes, or `None` if it has another length, a digit outside the
/// alphabet, or bits set beyond the last byte.
#[must_use]
pub fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    decode_into(text, &mut bytes)?;
    Some(bytes)
}

/// As [`decode`], into `size` bytes.
pub(crate) fn decode_vec(text: &str, size: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; size];
    decode_into(text, &mut bytes)?;
    Some(bytes)
}

/// Decodes into `bytes`, which are zero.
fn decode_into(text: &str, bytes: &mut [u8]) -> Option<()> {
    if text.len() != (bytes.len() * 8).div_ceil(5) {
        return None;
    }
    for (digit, symbol) in text.bytes().rev().enumerate() {
        let value = u16::try_from(ALPHABET.iter().position(|&known| known == symbol)?).ok()?;
        let bit = digit * 5;
        let shifted = value << (bit % 8);
        let [low, high] = shifted.to_le_bytes();
        *bytes.get_mut(bit / 8)? |= low;
        match bytes.get_mut(bit / 8 + 1) {
            Some(next) => *next |= high,
            None if high != 0 => return None,
            None => {}
        }
    }
    Some(())
}

/// Whether `symbol` is a digit of the alphabet.
#[must_use]
pub fn is_digit(symbol: u8) -> bool {
    ALPHABET.contains(&symbol)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn refuses_what_encode_never_writes() {
        assert_eq!(decode::<1>("7z"), Some([0xff]));
        for text in ["", "7", "7zz", "8z", "zz", "7e", "7Z", "7\u{e9}"] {
            assert_eq!(decode::<1>(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn round_trip(bytes: [u8; 32]) {
            prop_assert_eq!(decode::<32>(&encode(&bytes)), Some(bytes));
        }

        #[test]
        fn each_text_has_one_meaning(text in "[0-9a-df-np-sv-z]{32}") {
            let bytes = decode::<20>(&text);
            prop_assert_eq!(bytes.map(|bytes| encode(&bytes)), Some(text));
        }

        #[test]
        fn any_text_is_decoded_or_refused(text in "\\PC{0,40}") {
            if let Some(bytes) = decode::<20>(&text) {
                prop_assert_eq!(encode(&bytes), text);
            }
        }
    }
}
