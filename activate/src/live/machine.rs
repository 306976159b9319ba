//! What changes are made on: the running machine, or a test's.

use std::path::Path;

use cairn_sys::mount;
use cairn_system::{FileSystem, MountPoint, SwapDevice};
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags};

use crate::plan::Failure;

use super::options::{self, Remount};
use super::sysctls;

/// The kernel keeps it as it is, because it is in use or cannot be changed where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Busy(pub String);

/// A machine whose file systems, swap, modules and sysctls can be changed. What needs no search
/// for a device is done here, by the kernel that this process runs under.
pub trait Machine {
    /// Mounts a file system; its device is there, or waited for. One with `nofail` that cannot be
    /// mounted is no error.
    ///
    /// # Errors
    /// Why it is not mounted.
    fn mount(&mut self, file_system: &FileSystem) -> Result<(), Failure>;

    /// Takes a swap space into use, and makes it first if it is a file with a size.
    ///
    /// # Errors
    /// Why it is not used.
    fn swap_on(&mut self, swap: &SwapDevice) -> Result<(), Failure>;

    /// Ends the use of a swap space, if it is in use.
    ///
    /// # Errors
    /// Memory does not suffice.
    fn swap_off(&mut self, swap: &SwapDevice) -> Result<(), Busy>;

    /// Loads a module of the running kernel.
    ///
    /// # Errors
    /// Why it is not loaded.
    fn load_module(&mut self, name: &str) -> Result<(), Failure>;

    /// Gives a mount other options.
    ///
    /// # Errors
    /// The kernel refuses: a file is open for writing, or the option is one of mounting alone.
    fn remount(&mut self, remount: &Remount) -> Result<(), Busy> {
        let none: Option<&str> = None;
        let data = remount.options.data_text();
        let flags = options::flags(&remount.options);
        let data = (!data.is_empty() && !flags.contains(MsFlags::MS_BIND)).then_some(&*data);
        let point = Path::new(remount.point.as_str());
        nix::mount::mount(none, point, none, flags, data)
            .and_then(|()| match remount.options.propagation {
                Some(propagation) => nix::mount::mount(none, point, none, propagation, none),
                None => Ok(()),
            })
            .map_err(|errno| {
                Busy(format!(
                    "{} cannot be remounted with {}: {errno}",
                    remount.point.as_str(),
                    remount.text
                ))
            })
    }

    /// Unmounts what is mounted there; what is in use stays.
    ///
    /// # Errors
    /// It is in use.
    fn unmount(&mut self, point: &MountPoint) -> Result<(), Busy> {
        match mount::unmount(Path::new(point.as_str()), MntFlags::empty()) {
            Ok(()) => Ok(()),
            // Not mounted any more.
            Err(error) if error.errno() == Errno::EINVAL => Ok(()),
            Err(error) if error.errno() == Errno::EBUSY => Err(Busy(format!(
                "{} is in use, and stays mounted",
                point.as_str()
            ))),
            Err(error) => Err(Busy(format!("{error}; it stays mounted"))),
        }
    }

    /// Makes `/etc` read-only for everybody but activation, or no longer so.
    ///
    /// # Errors
    /// The kernel's.
    fn protect_etc(&mut self, protected: bool) -> Result<(), Failure> {
        if protected {
            crate::protect_etc()
        } else {
            crate::open_etc()
        }
    }

    /// Sets a sysctl.
    ///
    /// # Errors
    /// Why it is not set.
    fn set_sysctl(&mut self, key: &str, value: &str) -> Result<(), Failure> {
        sysctls::write(Path::new("/proc/sys"), key, value)
    }
}
