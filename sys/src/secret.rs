//! A secret of people: it does not move in memory, is never shown, and is overwritten when it goes.

use std::fmt;

/// The longest secret in bytes; that of `cryptsetup` when it asks itself.
const CAPACITY: usize = 512;

/// A passphrase.
pub struct Secret {
    // Boxed: a move copies the pointer alone.
    bytes: Box<[u8; CAPACITY]>,
    length: usize,
}

impl Secret {
    /// The empty one.
    #[must_use]
    pub fn new() -> Self {
        Self {
            bytes: Box::new([0; CAPACITY]),
            length: 0,
        }
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// Adds a byte; `false` if there is no room.
    pub fn push(&mut self, byte: u8) -> bool {
        let Some(place) = self.bytes.get_mut(self.length) else {
            return false;
        };
        *place = byte;
        self.length += 1;
        true
    }

    /// Takes the last character off: in UTF-8 it may be several bytes.
    pub fn pop(&mut self) {
        const CONTINUES: u8 = 0b1000_0000;
        const MASK: u8 = 0b1100_0000;
        while let Some(last) = self.length.checked_sub(1) {
            self.length = last;
            let Some(place) = self.bytes.get_mut(last) else {
                return;
            };
            let byte = std::mem::take(place);
            if byte & MASK != CONTINUES {
                return;
            }
        }
    }

    /// Overwrites it.
    pub fn clear(&mut self) {
        wipe(self.bytes.as_mut_slice());
        self.length = 0;
    }
}

/// Overwrites bytes, whether or not they are looked at afterwards.
pub fn wipe(bytes: &mut [u8]) {
    // SAFETY: the pointer and the length are those of a slice.
    unsafe { libc::explicit_bzero(bytes.as_mut_ptr().cast(), bytes.len()) };
}

impl Default for Secret {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.clear();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Secret {
        let mut secret = Secret::new();
        for byte in text.bytes() {
            assert!(secret.push(byte));
        }
        secret
    }

    #[test]
    fn characters_are_taken_off_whole() {
        let mut secret = of("a\u{e4}\u{1f511}");
        secret.pop();
        assert_eq!(secret.as_bytes(), "a\u{e4}".as_bytes());
        secret.pop();
        assert_eq!(secret.as_bytes(), b"a");
        secret.pop();
        secret.pop();
        assert_eq!(secret.as_bytes(), b"");
    }

    #[test]
    fn what_is_cleared_is_gone_and_nothing_is_shown() {
        let mut secret = of("hunter2");
        assert_eq!(format!("{secret:?}"), "Secret");
        secret.clear();
        assert_eq!(secret.as_bytes(), b"");
        assert_eq!(*secret.bytes, [0; CAPACITY]);
    }

    #[test]
    fn it_has_an_end() {
        let mut secret = of(&"x".repeat(CAPACITY));
        assert!(!secret.push(b'y'));
        assert_eq!(secret.as_bytes().len(), CAPACITY);
    }
}
