//! The last system calls of a machine.
//!
//! Source: reboot(2), swapoff(2).

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// How a machine ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The power is cut.
    PowerOff,
    /// It starts again.
    Reboot,
    /// It stands still with the power on.
    Halt,
}

/// Ends the machine, now: nothing is synced or unmounted.
///
/// # Errors
/// It came back: `CAP_SYS_BOOT` is missing.
#[must_use]
pub fn reboot(ending: Ending) -> io::Error {
    let command = match ending {
        Ending::PowerOff => libc::RB_POWER_OFF,
        Ending::Reboot => libc::RB_AUTOBOOT,
        Ending::Halt => libc::RB_HALT_SYSTEM,
    };
    // SAFETY: a system call on a number.
    unsafe { libc::reboot(command) };
    io::Error::last_os_error()
}

/// From now on Ctrl-Alt-Del sends SIGINT to PID 1 instead of rebooting at once.
///
/// # Errors
/// `CAP_SYS_BOOT` is missing, or this is not the initial process namespace.
pub fn take_ctrl_alt_del() -> io::Result<()> {
    // SAFETY: a system call on a number.
    if unsafe { libc::reboot(libc::RB_DISABLE_CAD) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Stops swapping to `device`; takes as long as reading it back takes.
///
/// # Errors
/// It is not swapped to, or memory does not suffice.
pub fn swap_off(device: &Path) -> io::Result<()> {
    let device = CString::new(device.as_os_str().as_bytes())?;
    // SAFETY: the path ends in NUL.
    if unsafe { libc::swapoff(device.as_ptr()) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
