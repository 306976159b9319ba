//! Base64 with padding, as RFC 4648 has it in section 4.

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The characters of bytes, one by one: a secret goes where it is kept and nowhere else.
pub fn base64(bytes: &[u8]) -> impl Iterator<Item = u8> {
    bytes.chunks(3).flat_map(|chunk| {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        let used = chunk.len();
        (0..4_usize).map(move |at| {
            let digit = usize::try_from(bits >> (18 - 6 * at) & 63).unwrap_or_default();
            let digit = DIGITS.get(digit).filter(|_| at <= used);
            digit.copied().unwrap_or(b'=')
        })
    })
}

/// The base64 of bytes.
#[must_use]
pub fn to_base64(bytes: &[u8]) -> String {
    base64(bytes).map(char::from).collect()
}

/// The bytes of a base64 that is exactly as [`base64`] writes it: whole groups, unused bits zero.
#[must_use]
pub fn from_base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for chunk in text.as_bytes().chunks(4) {
        let digits = chunk.iter().take_while(|byte| **byte != b'=');
        let mut bits = 0_u32;
        let mut count = 0_usize;
        for digit in digits {
            let value = DIGITS.iter().position(|known| known == digit)?;
            bits = bits << 6 | u32::try_from(value).ok()?;
            count += 1;
        }
        bits <<= 6 * 4_usize.checked_sub(count)?;
        let [_, first, second, third] = bits.to_be_bytes();
        bytes.extend([first, second, third].iter().take(count.checked_sub(1)?));
    }
    base64(&bytes).eq(text.bytes()).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_examples_of_the_rfc() {
        for (bytes, text) in [
            (&b""[..], ""),
            (b"f", "Zg=="),
            (b"fo", "Zm8="),
            (b"foo", "Zm9v"),
            (b"foobar", "Zm9vYmFy"),
            (b"\xff\xfe\xfd", "//79"),
        ] {
            assert!(base64(bytes).eq(text.bytes()));
            assert_eq!(from_base64(text).as_deref(), Some(bytes));
        }
    }

    #[test]
    fn what_nobody_writes_is_not_read() {
        for text in [
            "Z",
            "Zg",
            "Zg=",
            "Zh==",
            "Zg==Zg==",
            "Zg= =",
            "=",
            "====",
            "Z\u{e4}==",
        ] {
            assert_eq!(from_base64(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(bytes: Vec<u8>) {
            prop_assert_eq!(from_base64(&to_base64(&bytes)), Some(bytes));
        }

        #[test]
        fn any_text_is_read_or_refused(text: String) {
            if let Some(bytes) = from_base64(&text) {
                prop_assert!(base64(&bytes).eq(text.bytes()));
            }
        }
    }
}
