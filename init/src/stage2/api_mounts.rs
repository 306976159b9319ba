//! The kernel's own file systems and the system's volatile ones, as a running system has them.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
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

/// Names of a process's own files, which the kernel does not make: shells and scripts count on them.
const LINKS: [(&str, &str); 4] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];

/// Mounts what is not mounted yet, and makes the links in `/dev`; what fails is logged.
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
    link(Path::new("/dev"));
}

/// Makes the links in the folder of devices. One that is there, as in a container, stays.
fn link(devices: &Path) {
    for (name, target) in LINKS {
        let at = devices.join(name);
        match symlink(target, &at) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                log::error!("cannot make the link {}: {error}", at.display());
            }
            _ => {}
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_finds_its_own_files() {
        let devices = tempfile::tempdir().unwrap();
        fs::write(devices.path().join("stderr"), "a container's").unwrap();
        link(devices.path());
        link(devices.path());
        let leads = |name: &str| fs::read_link(devices.path().join(name)).ok();
        assert_eq!(leads("fd").as_deref(), Some(Path::new("/proc/self/fd")));
        assert_eq!(
            leads("stdout").as_deref(),
            Some(Path::new("/proc/self/fd/1"))
        );
        assert_eq!(leads("stderr"), None);
    }
}
