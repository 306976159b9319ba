//! The kernel's own file systems and the system's volatile ones, as a running system has them.

use std::fs;
use std::path::Path;

use cairn_sys::mount::mount;
use cairn_sys::mount_options::MountOptions;
use nix::errno::Errno;

/// Type, place and options.
type Mount = (&'static str, &'static str, &'static str);

/// What every system has, a parent before its children.
const MOUNTS: [Mount; 10] = [
    ("proc", "/proc", "nosuid,nodev,noexec"),
    ("sysfs", "/sys", "nosuid,nodev,noexec"),
    ("devtmpfs", "/dev", "nosuid,mode=0755"),
    (
        "devpts",
        "/dev/pts",
        "nosuid,noexec,gid=3,mode=0620,ptmxmode=0666",
    ),
    ("tmpfs", "/dev/shm", "nosuid,nodev,mode=1777"),
    ("tmpfs", "/run", "nosuid,nodev,mode=0755"),
    ("ramfs", "/run/keys", "nosuid,nodev,mode=0750"),
    ("ramfs", "/run/credentials", "nosuid,nodev,noexec,mode=0755"),
    // Programs with setuid bits live here: the one place of them.
    ("tmpfs", "/run/wrappers", "nodev,mode=0755"),
    (
        "cgroup2",
        "/sys/fs/cgroup",
        "nosuid,nodev,noexec,nsdelegate",
    ),
];

/// The firmware's variables; its place is there only on machines that were booted by UEFI.
const FIRMWARE: Mount = (
    "efivarfs",
    "/sys/firmware/efi/efivars",
    "nosuid,nodev,noexec",
);

/// Mounts what is not mounted yet; what fails is logged.
pub fn apply() {
    for (fs_type, place, options) in MOUNTS {
        let place = Path::new(place);
        if is_mount_point(place) {
            continue;
        }
        if let Err(error) = fs::create_dir_all(place) {
            log::error!("cannot make the folder {}: {error}", place.display());
        }
        ensure(fs_type, place, options);
    }
}

/// Mounts the firmware's variables, where there are some. That is a module of most kernels, which ask for it
/// once they know of `modprobe`.
pub fn apply_firmware() {
    let (fs_type, place, options) = FIRMWARE;
    let place = Path::new(place);
    if place.exists() && !is_mount_point(place) {
        ensure(fs_type, place, options);
    }
}

fn ensure(fs_type: &str, place: &Path, options: &str) {
    match mount(fs_type, place, fs_type, &MountOptions::parse(&[options])) {
        Ok(()) => {}
        // A kernel that stage 1 has mounted everything for.
        Err(error) if error.errno() == Errno::EBUSY => {}
        Err(error) => log::error!("{error}"),
    }
}

/// Whether another file system begins there.
fn is_mount_point(place: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let device = |path: &Path| fs::metadata(path).map(|metadata| metadata.dev());
    match (device(place), place.parent().map(device)) {
        (Ok(own), Some(Ok(parent))) => own != parent,
        _ => false,
    }
}
