//! The kernel's own file systems, which every program counts on.

use std::fs;
use std::path::Path;

use cairn_sys::mount::mount;
use cairn_sys::mount_options::MountOptions;
use nix::errno::Errno;

/// Type, place and options, in the order in which they are mounted.
const MOUNTS: [(&str, &str, &str); 4] = [
    ("devtmpfs", "/dev", "nosuid,mode=0755"),
    ("proc", "/proc", "nosuid,nodev,noexec"),
    ("sysfs", "/sys", "nosuid,nodev,noexec"),
    ("tmpfs", "/run", "nosuid,nodev,mode=0755"),
];

/// The places of the mounts: they move to the new root with everything below them.
pub fn places() -> impl Iterator<Item = &'static str> {
    MOUNTS.iter().map(|(_, place, _)| *place)
}

/// Mounts what is not mounted yet. A failure is logged: without `/proc`, say, a report may still
/// be possible, and what needs it fails with its own name.
pub fn apply() {
    for (fs_type, place, options) in MOUNTS {
        let place = Path::new(place);
        if let Err(error) = fs::create_dir_all(place) {
            log::error!("cannot make the folder {}: {error}", place.display());
        }
        match mount(fs_type, place, fs_type, &MountOptions::parse(&[options])) {
            Ok(()) => {}
            Err(error) if error.errno() == Errno::EBUSY => {
                log::debug!("{} is mounted already", place.display());
            }
            Err(error) => log::error!("{error}"),
        }
    }
}
