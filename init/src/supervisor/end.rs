//! How a process ended, as far as a restart is concerned.

use cairn_sys::process::Exit;
use cairn_system::{EndStatus, Restart, Service, ServiceKind};

/// How a process ended, as far as a restart is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// As it should.
    Good,
    /// With a status that says that something went wrong.
    Status,
    /// By a signal, or since it took too long.
    Abnormal,
}

impl End {
    /// What to think of `exit`.
    pub fn of(service: &Service, exit: Exit) -> Self {
        let oneshot = service.kind == ServiceKind::Oneshot;
        match exit {
            Exit::Status(0) => Self::Good,
            _ if service.process.ignore_failure => Self::Good,
            _ if listed(&service.success_statuses, exit) => Self::Good,
            Exit::Status(_) => Self::Status,
            Exit::Signal(signal) if !oneshot && GOOD_SIGNALS.contains(&signal) => Self::Good,
            Exit::Signal(_) => Self::Abnormal,
        }
    }

    /// Whether a service that ended like this by itself is started again.
    pub fn restarts(self, service: &Service) -> bool {
        match service.restart {
            // A watchdog's is no end of a process by itself.
            Restart::Never | Restart::OnWatchdog => false,
            Restart::OnFailure => self != Self::Good,
            Restart::OnAbnormal | Restart::OnAbort => self == Self::Abnormal,
            Restart::OnSuccess => self == Self::Good,
            Restart::Always => true,
        }
    }
}

/// Whether the service is started again after its process has ended like this by itself.
pub fn restarts(service: &Service, exit: Exit) -> bool {
    let end = End::of(service, exit);
    !listed(&service.final_statuses, exit)
        && (end.restarts(service) || listed(&service.restart_statuses, exit))
}

/// Whether a description's list has this end.
fn listed(ends: &[EndStatus], exit: Exit) -> bool {
    ends.iter().any(|listed| match (listed, exit) {
        (EndStatus::Status(listed), Exit::Status(status)) => i32::from(*listed) == status,
        (EndStatus::Signal(listed), Exit::Signal(signal)) => listed.number() == signal,
        _ => false,
    })
}

/// Signals that people end services with: SIGHUP, SIGINT, SIGPIPE, SIGTERM.
const GOOD_SIGNALS: [i32; 4] = [1, 2, 13, 15];
