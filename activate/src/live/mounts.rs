//! Which file systems are mounted, remounted or unmounted.

use std::collections::BTreeMap;

use cairn_sys::mount_options::{Bind, MountOptions};
use cairn_system::ordered;
use cairn_system::{FileSystem, SystemDescription};

use super::options::{self, Remount};
use super::{LiveChanges, LiveStep, Running};

/// Mounts of every system, which no description takes away from a running one.
const KERNELS: [&str; 4] = ["/dev", "/proc", "/run", "/sys"];

type ByPoint<'a> = BTreeMap<&'a str, &'a FileSystem>;

pub(super) fn plan(
    before: &[SystemDescription],
    after: &SystemDescription,
    running: &Running,
    changes: &mut LiveChanges,
) {
    let new: ByPoint<'_> = by_point(after);
    let olds: Vec<ByPoint<'_>> = before.iter().map(by_point).collect();
    let mut all_old = ByPoint::new();
    for old in &olds {
        all_old.extend(old);
    }
    let (mut unmount, mut mount) = (Vec::new(), Vec::new());
    for (point, old) in &all_old {
        if !new.contains_key(point) && running.is_mounted(point) && !is_noauto(old) {
            if is_fixed(old) {
                let line = format!("{point} is no longer described, and stays mounted");
                changes.reboot.push(line);
            } else {
                unmount.push(LiveStep::Unmount(old.mount_point.clone()));
            }
        }
    }
    for (point, new) in &new {
        let olds: Vec<Option<&&FileSystem>> = olds.iter().map(|old| old.get(point)).collect();
        let is_as_before = !olds.is_empty() && olds.iter().all(|old| *old == Some(new));
        if is_noauto(new) || is_as_before {
            continue;
        }
        if !running.is_mounted(point) {
            mount.push(LiveStep::Mount((*new).clone()));
            continue;
        }
        for old in olds.into_iter().flatten().filter(|old| *old != new) {
            change(old, new, &mut unmount, &mut mount, changes);
        }
    }
    // By name, a mount comes before those that lie in it.
    unmount.reverse();
    unmount.dedup();
    mount.dedup();
    changes.first.extend(unmount);
    changes.first.extend(mount);
}

fn by_point(description: &SystemDescription) -> ByPoint<'_> {
    let all = description.file_systems.iter();
    ordered::map(all.map(|fs| (fs.mount_point.as_str(), fs)))
}

/// A file system that is mounted as `old` says becomes what `new` says.
fn change(
    old: &FileSystem,
    new: &FileSystem,
    unmount: &mut Vec<LiveStep>,
    mount: &mut Vec<LiveStep>,
    changes: &mut LiveChanges,
) {
    let point = new.mount_point.as_str();
    let (before, after) = (
        MountOptions::parse(&old.options),
        MountOptions::parse(&new.options),
    );
    let is_other = (&old.device, &old.fs_type, before.bind)
        != (&new.device, &new.fs_type, after.bind)
        || (new.fs_type == "overlay" || after.bind != Bind::No) && before.data != after.data;
    if is_other && is_fixed(new) {
        changes.reboot.push(format!(
            "{point} is on {} and described on {}",
            old.device, new.device
        ));
    } else if is_other {
        unmount.push(LiveStep::Unmount(new.mount_point.clone()));
        mount.push(LiveStep::Mount(new.clone()));
    } else if options::differ(&before, &after) {
        for option in options::kept(&before, &after) {
            let line = format!("{point} keeps the option {option}, which is no longer described");
            changes.reboot.push(line);
        }
        mount.push(LiveStep::Remount(Remount {
            point: new.mount_point.clone(),
            options: after,
            text: if new.options.is_empty() {
                "defaults".to_owned()
            } else {
                new.options.join(",")
            },
        }));
    }
}

/// Whether the running system stands on it.
fn is_fixed(fs: &FileSystem) -> bool {
    let point = fs.mount_point.as_str();
    fs.is_early()
        || KERNELS
            .iter()
            .any(|kernels| fs_is_at_or_below(point, kernels))
}

fn fs_is_at_or_below(point: &str, folder: &str) -> bool {
    point
        .strip_prefix(folder)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn is_noauto(fs: &FileSystem) -> bool {
    MountOptions::parse(&fs.options).noauto
}
