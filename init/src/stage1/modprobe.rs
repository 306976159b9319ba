//! `modprobe`, as the kernel calls it when it misses a module (`request_module`): crypto
//! algorithms, character sets, file system types.
//!
//! The kernel executes `/proc/sys/kernel/modprobe` with `-q -- <alias>`. Stage 1 points that to a
//! link to itself.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::ExitCode;

use cairn_sys::kmsg;
use log::LevelFilter;

use crate::autoload::{Autoload, AutoloadError, Policy, directory_of_running_kernel};

use super::command_line::words;

/// The link in the initrd, and the kernel's own default.
const LINK: &str = "/sbin/modprobe";

/// Where modules are: in the initrd, and in a running system.
const FOLDERS: [&str; 2] = [
    "/lib/modules",
    "/run/booted-system/kernel-modules/lib/modules",
];

/// Makes this program the kernel's `modprobe`. What needs it says so if it fails.
pub fn install() {
    if let Err(error) = link() {
        log::warn!("the kernel cannot ask for modules: cannot make {LINK}: {error}");
    }
}

fn link() -> io::Result<()> {
    fs::create_dir_all("/sbin")?;
    match symlink("/init", LINK) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    fs::write("/proc/sys/kernel/modprobe", LINK)
}

/// Loads the modules that the arguments name; options are ignored.
#[must_use]
pub fn run(arguments: &[OsString]) -> ExitCode {
    kmsg::install("modprobe", LevelFilter::Warn);
    let mut failed = false;
    for request in requests(arguments) {
        match load(&request) {
            Ok(()) => {}
            // The kernel asks for much that may be missing, and says itself what it needs.
            Err(AutoloadError::Unknown { .. }) => failed = true,
            Err(error) => {
                log::warn!("{error}");
                failed = true;
            }
        }
    }
    ExitCode::from(u8::from(failed))
}

fn requests(arguments: &[OsString]) -> Vec<String> {
    arguments
        .iter()
        .map(|argument| argument.to_string_lossy().into_owned())
        .filter(|argument| !argument.starts_with('-'))
        .collect()
}

fn load(request: &str) -> Result<(), AutoloadError> {
    let mut folder = directory_of_running_kernel(Path::new("/lib/modules"))?;
    for modules in FOLDERS {
        let candidate = directory_of_running_kernel(Path::new(modules))?;
        if candidate.exists() {
            folder = candidate;
            break;
        }
    }
    let mut autoload = Autoload::open(&folder, policy())?;
    autoload.load(request).map(|_fresh| ())
}

/// Module parameters and blacklist of the kernel's command line.
#[must_use]
pub fn policy() -> Policy {
    let line = fs::read_to_string("/proc/cmdline").unwrap_or_else(|error| {
        log::warn!("module parameters are not known: cannot read /proc/cmdline: {error}");
        String::new()
    });
    let words = words(&line);
    Policy::from_parameters(
        words
            .iter()
            .map(|word| (word.key.as_str(), word.value.as_deref())),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_call_is_understood() {
        let arguments = ["-q", "--", "fs-ext4"].map(OsString::from);
        assert_eq!(requests(&arguments), ["fs-ext4"]);
    }
}
