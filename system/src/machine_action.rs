//! What the end of a service does to the machine.

use serde::{Deserialize, Serialize};

/// What happens to the machine, by what has become of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MachineActions {
    /// When it has failed, and is not started again by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<MachineAction>,
    /// When its process has ended as it should, and it is not started again by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success: Option<MachineAction>,
    /// When it was started too often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_limit: Option<MachineAction>,
}

/// One way for the machine to end, or to begin anew. With force, services are not stopped one after the other:
/// all processes are asked to end, and killed. File systems are unmounted in either case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MachineAction {
    /// It starts again.
    Reboot,
    /// The same, with force.
    RebootForce,
    /// The power is cut.
    Poweroff,
    /// The same, with force.
    PoweroffForce,
    /// It stands still with the power on.
    Halt,
    /// The same, with force.
    HaltForce,
    /// The kernel that is loaded is executed; where there is none, it starts again.
    Kexec,
    /// The same, with force.
    KexecForce,
    /// User space alone starts again; where that cannot be, the machine does.
    SoftReboot,
    /// The same, with force.
    SoftRebootForce,
}

impl MachineAction {
    /// Whether services are not stopped one after the other.
    #[must_use]
    pub fn is_forced(self) -> bool {
        matches!(
            self,
            Self::RebootForce
                | Self::PoweroffForce
                | Self::HaltForce
                | Self::KexecForce
                | Self::SoftRebootForce
        )
    }
}
