//! A machine that fell asleep with its memory on a swap space: the kernel is told which, before any file
//! system is touched, and goes on where it was.
//!
//! Source: the kernel's `power/swsusp.rst` and `power/interface.rst`.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use cairn_system::Device;
use nix::sys::stat::{major, minor};

use super::super::failure::Stage1Error;
use super::super::hardware::Hardware;

/// What swap space is, by `blkid`'s name, while it holds a machine's memory.
const ASLEEP: &str = "swsuspend";
const RESUME: &str = "/sys/power/resume";

/// Goes on where the machine fell asleep, if it did; comes back if not. A device that does not come, or
/// memory that cannot be taken back, is told of: then the machine starts anew.
///
/// # Errors
/// The kernel's events cannot be read.
pub fn resume(
    hardware: &mut Hardware,
    device: &Device,
    timeout: Duration,
) -> Result<(), Stage1Error> {
    let found = match hardware.wait_for(device, "the memory of a machine that sleeps", timeout) {
        Ok(found) => found,
        Err(Stage1Error::NoDevice { waited, .. }) => {
            log::warn!(
                "no device is {device} after {} s: the machine starts anew; check boot.resumeDevice",
                waited.as_secs()
            );
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    if found
        .contents
        .is_none_or(|contents| contents.kind != ASLEEP)
    {
        return Ok(());
    }
    let place = found.node.display();
    log::info!("going on with the memory on {place}");
    let resumed = fs::metadata(&found.node).and_then(|metadata| {
        let number = metadata.rdev();
        fs::write(RESUME, format!("{}:{}", major(number), minor(number)))
    });
    // A kernel that has gone on does not come here.
    match resumed {
        Ok(()) => log::warn!("the kernel did not take back the memory on {place}: starting anew"),
        Err(error) => log::warn!("cannot take back the memory on {place}: {error}: starting anew"),
    }
    Ok(())
}
