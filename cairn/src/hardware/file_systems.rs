//! Mounts below a root, as a configuration says them.

use std::collections::BTreeMap;
use std::path::Path;

use super::block::Block;
use super::mount_table::{self, Mount};
use super::probe::Probe;
use super::read::{self, HardwareError};
use super::{FileSystem, Hardware};

/// The kernel's own, or made anew at each boot.
const PSEUDO: [&str; 22] = [
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fusectl",
    "hugetlbfs",
    "mqueue",
    "nsfs",
    "proc",
    "pstore",
    "ramfs",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "sysfs",
    "tracefs",
];

/// What every boot mounts by itself, with all that is below.
const OWN: [&str; 5] = ["/dev", "/proc", "/run", "/sys", "/tmp"];

/// Without a device, and without a meaning at the next boot.
const UNKNOWN: [&str; 3] = ["overlay", "squashfs", "zfs"];

/// Options of a mount that are not the default.
const MOUNT_OPTIONS: [&str; 6] = ["ro", "nosuid", "nodev", "noexec", "noatime", "nodiratime"];

/// Options of a file system that somebody has given: most of what the kernel shows are its defaults.
fn is_chosen(fs_type: &str, option: &str) -> bool {
    let name = option.split('=').next().unwrap_or(option);
    let names: &[&str] = match fs_type {
        "btrfs" => &[
            "subvol",
            "compress",
            "compress-force",
            "autodefrag",
            "nodatacow",
            "nodatasum",
        ],
        "vfat" => &["fmask", "dmask", "umask"],
        "ext4" | "xfs" | "f2fs" => &["discard", "prjquota", "usrquota", "grpquota"],
        "tmpfs" => &["size", "mode", "uid", "gid", "nr_inodes"],
        _ => &[],
    };
    names.contains(&name)
}

pub(super) fn add(
    machine: &Path,
    root: &Path,
    probe: &dyn Probe,
    hardware: &mut Hardware,
) -> Result<(), HardwareError> {
    let table = mount_table::parse(&read::present(&machine.join("proc/self/mountinfo"))?);
    let block = Block { machine, probe };
    let mounts = below(&table, root);
    for (point, mount) in &mounts {
        if let Some(file_system) = describe(&block, &mounts, point, mount, hardware)? {
            hardware.file_systems.push(file_system);
        }
    }
    if !hardware.file_systems.iter().any(|fs| fs.mount_point == "/") {
        hardware.notes.push(format!(
            "No file system that can be booted from is mounted on {}.",
            root.display()
        ));
    }
    Ok(())
}

/// What is mounted where, by mount points as they are seen from the root. What lies over another one
/// is what is there.
fn below<'a>(table: &'a [Mount], root: &Path) -> BTreeMap<String, &'a Mount> {
    let mut mounts = BTreeMap::new();
    for mount in table {
        let Ok(rest) = Path::new(&mount.point).strip_prefix(root) else {
            continue;
        };
        let Some(rest) = rest.to_str() else { continue };
        mounts.insert(format!("/{rest}"), mount);
    }
    mounts
}

fn describe(
    block: &Block<'_>,
    mounts: &BTreeMap<String, &Mount>,
    point: &str,
    mount: &Mount,
    hardware: &mut Hardware,
) -> Result<Option<FileSystem>, HardwareError> {
    if PSEUDO.contains(&mount.fs_type.as_str()) || is_own(point, &mount.fs_type) {
        return Ok(None);
    }
    let mut note = |text: String| {
        hardware
            .notes
            .push(format!("The mount on '{point}' is left out: {text}."));
        Ok(None)
    };
    if UNKNOWN.contains(&mount.fs_type.as_str()) || mount.fs_type.starts_with("fuse") {
        return note(format!("{} is not described", mount.fs_type));
    }
    if point.contains(char::REPLACEMENT_CHARACTER) {
        return note("its name is no UTF-8".to_owned());
    }
    let subvolume = subvolume(mount);
    if mount.folder != subvolume {
        return match bound_folder(mounts, point, mount) {
            Some(folder) if folder == point => Ok(None),
            Some(folder) => Ok(Some(FileSystem {
                mount_point: point.to_owned(),
                device: folder,
                fs_type: "none".to_owned(),
                options: bind_options(mount),
            })),
            None => note(format!(
                "it is the folder '{}' of a file system that is not mounted as a whole",
                mount.folder
            )),
        };
    }
    let device = match block.name(&mount.number, &mount.source)? {
        Some(name) => {
            if let Some(file) = block.backing_file(&name)? {
                return note(format!("it is the file '{file}'"));
            }
            let members = block.members(&name, &mount.fs_type)?;
            let mut disks = std::collections::BTreeSet::new();
            for member in &members {
                disks.extend(block.descend(member, hardware)?);
            }
            let mut disks = disks.into_iter();
            if let (true, Some(disk), None) = (point == "/", disks.next(), disks.next()) {
                hardware.root_disk = Some(format!("/dev/{disk}"));
            }
            block.path(&name)?
        }
        None if mount.fs_type == "tmpfs" => "tmpfs".to_owned(),
        None => mount.source.clone(),
    };
    let mut options = options(mount);
    options.retain(|option| option != "subvol=/");
    Ok(Some(FileSystem {
        mount_point: point.to_owned(),
        device,
        fs_type: mount.fs_type.clone(),
        options,
    }))
}

/// Whether every boot mounts it by itself, or nobody wants it at the next one. `/tmp` may be a disk's.
fn is_own(point: &str, fs_type: &str) -> bool {
    let path = Path::new(point);
    let is_disks = point == "/tmp" && fs_type != "tmpfs";
    OWN.iter().any(|folder| path.starts_with(folder)) && !is_disks
}

/// The folder of the file system that a mount has if nobody asks for another: `/`, or the subvolume.
fn subvolume(mount: &Mount) -> &str {
    let named = mount
        .fs_options
        .iter()
        .find_map(|option| option.strip_prefix("subvol="));
    named.filter(|_| mount.fs_type == "btrfs").unwrap_or("/")
}

fn options(mount: &Mount) -> Vec<String> {
    let of_mount = mount.options.iter();
    let of_mount = of_mount.filter(|option| MOUNT_OPTIONS.contains(&option.as_str()));
    let of_system = mount.fs_options.iter();
    let of_system = of_system.filter(|option| is_chosen(&mount.fs_type, option));
    of_mount.chain(of_system).cloned().collect()
}

fn bind_options(mount: &Mount) -> Vec<String> {
    let more = mount.options.iter();
    let more =
        more.filter(|option| MOUNT_OPTIONS.contains(&option.as_str()) && *option != "noatime");
    std::iter::once("bind".to_owned())
        .chain(more.cloned())
        .collect()
}

/// Where a folder of a file system is to be seen beside where it is bound to.
fn bound_folder(mounts: &BTreeMap<String, &Mount>, point: &str, mount: &Mount) -> Option<String> {
    let candidates = mounts.iter().filter_map(|(other_point, other)| {
        let is_whole = other.number == mount.number
            && other_point != point
            && other.folder == subvolume(other);
        let rest = Path::new(&mount.folder).strip_prefix(&other.folder).ok()?;
        is_whole.then(|| (other.folder.len(), Path::new(other_point).join(rest)))
    });
    let (_, folder) = candidates.max_by_key(|(length, _)| *length)?;
    folder.to_str().map(str::to_owned)
}
