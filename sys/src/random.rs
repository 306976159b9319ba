//! Random bytes without waiting.
//!
//! A kernel that has just started gathers randomness first: whoever reads `/dev/urandom` before is
//! kept for as long as a second, until the kernel has made enough of its own. `GRND_INSECURE` asks
//! for what there is: mixed from all that the kernel has seen so far, credited or not.
//!
//! Source: `getrandom(2)`, `urandom_read_iter` of the kernel's `drivers/char/random.c`.

use std::fs::File;
use std::io::{self, Read};

use nix::errno::Errno;

/// Fills `buffer` at once, with bytes that differ from machine to machine and from boot to boot.
/// Early in a boot they may be guessed by who knows the machine well: they are for names and
/// seeds, not for keys.
///
/// # Errors
/// The kernel is older than 5.6 and `/dev/urandom` cannot be read.
pub fn fill_at_once(buffer: &mut [u8]) -> io::Result<()> {
    let mut rest = &mut *buffer;
    while !rest.is_empty() {
        // SAFETY: the buffer is valid for writes of its length.
        let result =
            unsafe { libc::getrandom(rest.as_mut_ptr().cast(), rest.len(), libc::GRND_INSECURE) };
        match Errno::result(result).map(usize::try_from) {
            Ok(Ok(length)) => rest = rest.get_mut(length..).unwrap_or_default(),
            Ok(Err(_)) | Err(Errno::EINTR) => {}
            Err(Errno::EINVAL | Errno::ENOSYS) => return from_device(buffer),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn from_device(buffer: &mut [u8]) -> io::Result<()> {
    const DEVICE: &str = "/dev/urandom";
    File::open(DEVICE)
        .and_then(|mut device| device.read_exact(buffer))
        .map_err(|error| io::Error::new(error.kind(), format!("cannot read {DEVICE}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_fillings_differ() {
        for fill in [fill_at_once, from_device] {
            let (mut one, mut other) = ([0; 700], [0; 700]);
            fill(&mut one).unwrap();
            fill(&mut other).unwrap();
            assert_ne!(one, other);
            assert_ne!(one[600..], [0; 100]);
        }
    }
}
