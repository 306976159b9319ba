//! What must hold for a start to be more than nothing.
//!
//! Source: `systemd.unit(5)`, "Conditions and Asserts".

use serde::{Deserialize, Serialize};

/// What must hold for a start to be more than nothing.
///
/// All conditions that are no [`Condition::alternative`] must hold, and one of those that are, if there are any.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Condition {
    /// What is looked at.
    pub kind: ConditionKind,
    /// An absolute path, or what else the kind says.
    pub value: String,
    /// It must not hold.
    #[serde(default)]
    pub negate: bool,
    /// It is enough that one of those that say so holds.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub alternative: bool,
    /// A start where it does not hold fails.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub asserted: bool,
}

/// What a condition looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConditionKind {
    /// Something is there.
    PathExists,
    /// Something is there that matches this pattern.
    PathExistsGlob,
    /// A directory is there.
    PathIsDirectory,
    /// A symbolic link is there.
    PathIsSymbolicLink,
    /// Something is mounted there.
    PathIsMountPoint,
    /// What is there is on a file system that can be written.
    PathIsReadWrite,
    /// A file is there with something in it.
    FileNotEmpty,
    /// A file is there that may be executed.
    FileIsExecutable,
    /// A directory is there with something in it.
    DirectoryNotEmpty,
    /// The kernel's command line has this word, or it with `=` and a value.
    KernelCommandLine,
    /// The kernel's version matches this pattern, or is as comparisons such as `>=6.1` say.
    KernelVersion,
    /// The kernel has this module, loaded or built in.
    KernelModuleLoaded,
    /// The machine is a virtual one or a container: `yes` for either, `vm`, `container`, or which, such as `kvm`.
    Virtualization,
    /// The processor is of this kind, by its systemd name such as `x86-64`.
    Architecture,
    /// The machine was started by `uefi`.
    Firmware,
    /// The machine's name matches this pattern, or its id is this.
    Host,
    /// `yes`: the machine does not run on a battery.
    AcPower,
    /// Its memory is as this comparison says, such as `>=2G`; without a sign it is at least so much.
    Memory,
    /// So many processors can be used, in the same way.
    Cpus,
    /// Services are run by this user, by name or number, or one of the system's own (`@system`).
    User,
    /// Services may have this capability.
    Capability,
    /// These controllers of control groups are there.
    ControlGroupController,
    /// This is in force: `apparmor`, `selinux`, `audit`, `tpm2`, `uefi-secureboot`.
    Security,
}
