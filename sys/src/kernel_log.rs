//! The kernel's log, as far back as it reaches.
//!
//! Read by a system call, which works without any file system.
//!
//! Source: syslog(2).

use std::io;

const READ_ALL: libc::c_int = 3;
const SIZE_BUFFER: libc::c_int = 10;

/// The whole log: a line a record, each with its priority `<6>` in front.
///
/// # Errors
/// `CAP_SYSLOG` is missing.
pub fn read() -> io::Result<String> {
    // SAFETY: this request takes no buffer.
    let size = unsafe { libc::klogctl(SIZE_BUFFER, std::ptr::null_mut(), 0) };
    let size = usize::try_from(size).map_err(|_| io::Error::last_os_error())?;
    let mut buffer = vec![0_u8; size];
    let room = libc::c_int::try_from(size).unwrap_or(libc::c_int::MAX);
    // SAFETY: the buffer has that much room.
    let length = unsafe { libc::klogctl(READ_ALL, buffer.as_mut_ptr().cast(), room) };
    let length = usize::try_from(length).map_err(|_| io::Error::last_os_error())?;
    buffer.truncate(length);
    Ok(String::from_utf8_lossy(&buffer).into_owned())
}

/// The last lines of `text`, together at most `bytes` long.
#[must_use]
pub fn tail(text: &str, bytes: usize) -> &str {
    let from = text.len().saturating_sub(bytes);
    if from == 0 {
        return text;
    }
    // The line before may end exactly there.
    let line = text
        .as_bytes()
        .iter()
        .skip(from - 1)
        .position(|byte| *byte == b'\n');
    line.and_then(|line| text.get(from + line..))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn a_tail_is_the_end_and_short_enough(text in "[a\nö]{0,40}", bytes in 0_usize..50) {
            let end = tail(&text, bytes);
            proptest::prop_assert!(text.ends_with(end) && end.len() <= bytes);
        }
    }

    #[test]
    fn a_tail_has_whole_lines() {
        let text = "one\ntwö\nthree\n";
        for (bytes, expected) in [
            (0, ""),
            (5, ""),
            (6, "three\n"),
            (9, "three\n"),
            (11, "twö\nthree\n"),
            (14, "twö\nthree\n"),
            (15, text),
            (99, text),
        ] {
            assert_eq!(tail(text, bytes), expected, "{bytes}");
        }
    }
}
