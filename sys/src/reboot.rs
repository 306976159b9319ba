//! The last system calls of a machine.
//!
//! Source: reboot(2).

use std::io;

/// How a machine ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The power is cut.
    PowerOff,
    /// It starts again.
    Reboot,
    /// It stands still with the power on.
    Halt,
    /// The kernel that was loaded with [`crate::kexec::load`] is executed.
    Kexec,
    /// Only user space starts again, in the same kernel: PID 1 does that, and no system call.
    UserSpace,
}

/// Ends the machine, now: nothing is synced or unmounted.
///
/// # Errors
/// It came back: `CAP_SYS_BOOT` is missing, no kernel is loaded, or this is no ending of the machine.
#[must_use]
pub fn reboot(ending: Ending) -> io::Error {
    let command = match ending {
        Ending::PowerOff => libc::RB_POWER_OFF,
        Ending::Reboot => libc::RB_AUTOBOOT,
        Ending::Halt => libc::RB_HALT_SYSTEM,
        Ending::Kexec => libc::RB_KEXEC,
        Ending::UserSpace => return io::ErrorKind::Unsupported.into(),
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
