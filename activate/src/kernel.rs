//! What activation asks of the running kernel, behind a trait: image trees and tests have none.
//!
//! The kernel's `modprobe` is not among it: it goes with the kernel that was booted, not with the
//! generation that is activated, and stage 2 sets it.
//!
//! Source: Documentation/driver-api/firmware/fw_search_path.rst of Linux.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

/// One thing that the kernel holds for the whole machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Setting {
    /// The host name.
    HostName,
    /// The folder that firmware is read from, before the kernel's own.
    FirmwarePath,
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HostName => "host name",
            Self::FirmwarePath => "kernel's firmware path",
        })
    }
}

/// The machine's kernel, or the absence of one.
pub trait Kernel {
    /// The present value; `None` if this kernel has no such setting, and nothing is to be set.
    ///
    /// # Errors
    /// The setting is there and cannot be read.
    fn get(&self, setting: Setting) -> io::Result<Option<String>>;

    /// Sets it.
    ///
    /// # Errors
    /// The kernel refuses.
    fn set(&self, setting: Setting, value: &str) -> io::Result<()>;

    /// Sixteen random bytes, at once: no other machine's.
    ///
    /// # Errors
    /// The source of randomness cannot be read.
    fn random(&self) -> io::Result<[u8; 16]>;
}

/// The kernel that this process runs under.
#[derive(Debug, Clone, Copy, Default)]
pub struct RunningKernel;

/// No kernel: the root is a tree that some other machine will run.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoKernel;

const FIRMWARE_PATH: &str = "/sys/module/firmware_class/parameters/path";

impl Kernel for RunningKernel {
    fn get(&self, setting: Setting) -> io::Result<Option<String>> {
        match setting {
            Setting::HostName => {
                let name = nix::unistd::gethostname()?;
                Ok(Some(name.to_string_lossy().into_owned()))
            }
            Setting::FirmwarePath => read_if_there(Path::new(FIRMWARE_PATH)),
        }
    }

    fn set(&self, setting: Setting, value: &str) -> io::Result<()> {
        match setting {
            Setting::HostName => Ok(nix::unistd::sethostname(value)?),
            Setting::FirmwarePath => fs::write(FIRMWARE_PATH, value),
        }
    }

    fn random(&self) -> io::Result<[u8; 16]> {
        read_random()
    }
}

impl Kernel for NoKernel {
    fn get(&self, _: Setting) -> io::Result<Option<String>> {
        Ok(None)
    }

    fn set(&self, _: Setting, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn random(&self) -> io::Result<[u8; 16]> {
        read_random()
    }
}

fn read_if_there(path: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text.trim_end_matches('\n').to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Names machines apart, and protects nothing: a first boot does not wait for it.
fn read_random() -> io::Result<[u8; 16]> {
    let mut bytes = [0; 16];
    cairn_sys::random::fill_at_once(&mut bytes)?;
    Ok(bytes)
}
