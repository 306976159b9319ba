//! Volume groups of LVM, activated by Debian's `lvm` as their physical volumes come.
//!
//! `pvscan --cache -aay` notes below `/run/lvm` that a physical volume is there, and activates its group
//! when that has them all. `/etc/lvm/lvm.conf` of the initrd tells it to do without udev.

use std::path::Path;

use super::super::tool::Tool;
use super::NO_UDEV;

const PROGRAM: &str = "/bin/lvm";

/// Makes a physical volume known to its group.
pub fn add(name: &str) {
    run(
        &["pvscan", "--cache", "-aay", &format!("/dev/{name}")],
        &format!("the volume group that {name} is a part of"),
    );
}

/// Activates what can be without the physical volumes that did not come.
pub fn start_incomplete() {
    run(
        &["vgchange", "-aay", "--activationmode", "degraded"],
        "the volume groups that lack a physical volume",
    );
}

fn run(arguments: &[&str], work: &str) {
    let tool = Tool {
        program: Path::new(PROGRAM),
        arguments,
        environment: &[NO_UDEV],
        work,
    };
    match tool.run(b"") {
        Ok(ended) if ended.status == 0 => {}
        Ok(ended) => log::warn!("{work}: lvm ended with status {}", ended.status),
        Err(error) => {
            log::error!("cannot run {PROGRAM}: {error}; check boot.initrd.services.lvm.enable");
        }
    }
}
