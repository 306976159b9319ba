//! Input devices: the power button.
//!
//! Source: the kernel's `Documentation/input/input.rst` and `uapi/linux/input.h`.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

const EV_KEY: u16 = 1;
const KEY_POWER: u16 = 116;
/// Bytes of the bitmap of all keys (`KEY_MAX` is 0x2ff).
const KEY_BYTES: usize = 96;
/// Bytes of one `struct input_event` on 64-bit machines: time (16), type, code, value.
const EVENT_BYTES: usize = 24;

/// An event device that has a power key; non-blocking.
#[derive(Debug)]
pub struct PowerButton {
    device: File,
}

impl PowerButton {
    /// Opens an event device; `None` if it has no power key.
    ///
    /// # Errors
    /// It cannot be opened, or it is no event device.
    pub fn open(device: &Path) -> io::Result<Option<Self>> {
        let device = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
            .open(device)?;
        let mut keys = [0_u8; KEY_BYTES];
        // EVIOCGBIT(EV_KEY, KEY_BYTES): _IOC(_IOC_READ, 'E', 0x20 + EV_KEY, KEY_BYTES)
        let request: libc::c_ulong =
            (2 << 30) | ((KEY_BYTES as libc::c_ulong) << 16) | (0x45 << 8) | (0x20 + 1);
        // SAFETY: the kernel writes at most KEY_BYTES into the buffer.
        if unsafe { libc::ioctl(device.as_raw_fd(), request, keys.as_mut_ptr()) } < 0 {
            return Err(io::Error::last_os_error());
        }
        let byte = keys.get(usize::from(KEY_POWER / 8)).copied().unwrap_or(0);
        Ok((byte & (1 << (KEY_POWER % 8)) != 0).then_some(Self { device }))
    }

    /// Reads what is there: whether the power key was pressed.
    ///
    /// # Errors
    /// The device is gone (`ENODEV`).
    pub fn pressed(&mut self) -> io::Result<bool> {
        let mut pressed = false;
        let mut events = [0_u8; EVENT_BYTES * 16];
        loop {
            match self.device.read(&mut events) {
                Ok(0) => return Ok(pressed),
                Ok(length) => {
                    let events = events.get(..length).unwrap_or_default();
                    pressed |= events.chunks_exact(EVENT_BYTES).any(is_power_press);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(pressed),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

fn is_power_press(event: &[u8]) -> bool {
    let (Some([t0, t1, c0, c1]), Some([v0, v1, v2, v3])) = (event.get(16..20), event.get(20..24))
    else {
        return false;
    };
    u16::from_ne_bytes([*t0, *t1]) == EV_KEY
        && u16::from_ne_bytes([*c0, *c1]) == KEY_POWER
        && i32::from_ne_bytes([*v0, *v1, *v2, *v3]) == 1
}

impl std::os::fd::AsFd for PowerButton {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.device.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_press_of_the_power_key_counts() {
        let event = |kind: u16, code: u16, value: i32| {
            let mut event = vec![0; 16];
            event.extend(kind.to_ne_bytes());
            event.extend(code.to_ne_bytes());
            event.extend(value.to_ne_bytes());
            event
        };
        assert!(is_power_press(&event(1, 116, 1)));
        assert!(!is_power_press(&event(1, 116, 0)));
        assert!(!is_power_press(&event(1, 30, 1)));
        assert!(!is_power_press(&event(0, 116, 1)));
        assert!(!is_power_press(&[]));
    }
}
