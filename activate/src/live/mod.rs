//! What of a running machine follows the description besides files, users and services: file
//! systems, swap, kernel modules and sysctls; and what only a reboot can change.
//!
//! [`LiveChanges::between`] compares descriptions with what the machine has; it is pure, and the
//! same for a dry run. [`Machine`] is what the changes are made on.
//!
//! ```text
//! modules -> unmount, deepest first -> mount and remount, outermost first -> swap on -> swap off
//!   -> /etc writable, if it stays so -> (files, users, /etc: Plan) -> /etc read-only -> sysctl
//! ```
//! That is the order of a boot, so that what activation makes lies where the next boot finds it.
//!
//! What the kernel refuses to change while it is in use is no failure: it is said, and the next
//! boot does it. What is new and cannot be had is one.

mod boot;
mod machine;
mod mounts;
mod options;
mod run;
mod running;
mod swaps;
mod sysctls;

use std::fmt;

use cairn_system::{FileSystem, MountPoint, SwapDevice, SystemDescription};

pub use boot::BootParts;
pub use machine::{Busy, Machine};
pub use options::Remount;
pub use run::{LiveOutcome, run_live};
pub use running::Running;
pub use sysctls::{file_of as sysctl_file, remember as remember_sysctls, write as write_sysctl};

/// One change of the running machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LiveStep {
    /// A module that the description names.
    LoadModule(String),
    /// A file system that is not described any more, or described on another device.
    Unmount(MountPoint),
    /// One that is described and not there.
    Mount(FileSystem),
    /// One with other options.
    Remount(Remount),
    /// Swap space that is not used yet.
    SwapOn(SwapDevice),
    /// Swap space that is not described any more, or described with other options.
    SwapOff(SwapDevice),
    /// `/etc` becomes read-only.
    ProtectEtc,
    /// `/etc` is no longer read-only.
    OpenEtc,
    /// A setting of the kernel.
    SetSysctl {
        /// As in the description.
        key: String,
        /// Its new value.
        value: String,
    },
}

impl fmt::Display for LiveStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LoadModule(name) => write!(f, "load module {name}"),
            Self::Unmount(point) => write!(f, "unmount {}", point.as_str()),
            Self::Mount(fs) => {
                let (point, device, kind) = (fs.mount_point.as_str(), &fs.device, &fs.fs_type);
                write!(f, "mount {device} on {point} as {kind}")
            }
            Self::Remount(remount) => write!(f, "{remount}"),
            Self::SwapOn(swap) => write!(f, "swap to {}", swap.device),
            Self::SwapOff(swap) => write!(f, "stop swapping to {}", swap.device),
            Self::ProtectEtc => f.write_str("make /etc read-only"),
            Self::OpenEtc => f.write_str("make /etc writable"),
            Self::SetSysctl { key, value } => write!(f, "set {key} to '{value}'"),
        }
    }
}

/// The changes of one activation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LiveChanges {
    /// Made before files are.
    pub first: Vec<LiveStep>,
    /// Made after them.
    pub last: Vec<LiveStep>,
    /// What stays as it is until the machine is started anew, one line each.
    pub reboot: Vec<String>,
}

impl LiveChanges {
    /// What leads from the descriptions in `before` to `after` on a machine that has `running`.
    ///
    /// There is more than one before if an activation was interrupted: each may have left traces.
    /// `booted` and `next` are the parts of the booted and the new system that a boot loader loads.
    #[must_use]
    pub fn between(
        before: &[SystemDescription],
        after: &SystemDescription,
        running: &Running,
        booted: Option<&BootParts>,
        next: &BootParts,
    ) -> Self {
        let mut changes = Self::default();
        if let Some(booted) = booted {
            changes.reboot.extend(booted.differences(next));
        }
        modules(before, after, running, &mut changes);
        mounts::plan(before, after, running, &mut changes);
        swaps::plan(before, after, running, &mut changes);
        etc(before, after, running, &mut changes);
        sysctls::plan(before, after, running, &mut changes);
        changes
    }

    /// Whether there is nothing to do on the running machine.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first.is_empty() && self.last.is_empty()
    }
}

impl fmt::Display for LiveChanges {
    /// The steps, one line each; the reboot's are not among them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut steps = self.first.iter().chain(&self.last);
        steps.try_for_each(|step| writeln!(f, "{step}"))
    }
}

/// Whether `/etc` can be written to. A mount that no generation has made is somebody else's.
fn etc(
    before: &[SystemDescription],
    after: &SystemDescription,
    running: &Running,
    changes: &mut LiveChanges,
) {
    let was_ours = before.iter().any(|description| description.read_only_etc);
    match (after.read_only_etc, running.etc_is_protected()) {
        (true, false) => changes.last.push(LiveStep::ProtectEtc),
        (false, true) if was_ours => changes.first.push(LiveStep::OpenEtc),
        _ => {}
    }
}

fn modules(
    before: &[SystemDescription],
    after: &SystemDescription,
    running: &Running,
    changes: &mut LiveChanges,
) {
    let was_described = |name: &String| {
        let all = |description: &SystemDescription| description.kernel_modules.contains(name);
        !before.is_empty() && before.iter().all(all)
    };
    for name in &after.kernel_modules {
        if !was_described(name) && !running.has_module(name) {
            changes.first.push(LiveStep::LoadModule(name.clone()));
        }
    }
    let mut gone: Vec<&String> = before
        .iter()
        .flat_map(|description| &description.kernel_modules)
        .filter(|name| !after.kernel_modules.contains(name) && running.has_module(name))
        .collect();
    gone.sort();
    gone.dedup();
    for name in gone {
        let line = format!("module {name} is no longer described, and stays loaded");
        changes.reboot.push(line);
    }
}
