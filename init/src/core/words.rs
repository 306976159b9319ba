//! Numbers in a file in memory, in the machine's order.
//!
//! Invariant: nothing is allocated.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Most bytes that are written at once.
const MOST_BYTES: usize = 128;

/// The two words of a long number.
pub fn halves(long: u64) -> [u32; 2] {
    let [b0, b1, b2, b3, b4, b5, b6, b7] = long.to_ne_bytes();
    [
        u32::from_ne_bytes([b0, b1, b2, b3]),
        u32::from_ne_bytes([b4, b5, b6, b7]),
    ]
}

/// Writes words.
///
/// # Errors
/// Memory is short.
pub fn put<const WORDS: usize>(file: &File, at: u64, words: [u32; WORDS]) -> io::Result<()> {
    let mut bytes = [0; MOST_BYTES];
    for (place, word) in bytes.chunks_exact_mut(4).zip(words) {
        place.copy_from_slice(&word.to_ne_bytes());
    }
    let bytes = bytes.get(..WORDS * 4).unwrap_or_default();
    file.write_all_at(bytes, at)
}

/// Reads bytes; those behind the end are zero.
///
/// # Errors
/// The file cannot be read.
pub fn take<const BYTES: usize>(file: &File, at: u64) -> io::Result<[u8; BYTES]> {
    let mut bytes = [0; BYTES];
    let length = usize::try_from(file.metadata()?.len().saturating_sub(at)).unwrap_or(BYTES);
    let there = bytes.get_mut(..length.min(BYTES)).unwrap_or_default();
    file.read_exact_at(there, at)?;
    Ok(bytes)
}

/// The word at a place; 0 behind the end.
pub fn word(bytes: &[u8], at: usize) -> u32 {
    let word = bytes.get(at..at + 4).and_then(|word| word.try_into().ok());
    word.map_or(0, u32::from_ne_bytes)
}

/// The long number at a place; 0 behind the end.
pub fn long(bytes: &[u8], at: usize) -> u64 {
    let long = bytes.get(at..at + 8).and_then(|long| long.try_into().ok());
    long.map_or(0, u64::from_ne_bytes)
}
