//! Health checks: what has to work before a generation counts as good.
//!
//! A check is a service that nobody wants at boot: a oneshot with a start timeout. So it has what
//! services have (user, environment, bounds, a control group that is killed as a whole when it
//! hangs, a log), and is run by asking the supervisor to start it.

use serde::{Deserialize, Serialize};

use crate::name::ServiceName;
use crate::service::{Service, ServiceKind};

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HealthCheck {
    /// What people call it.
    pub name: ServiceName,
    /// The oneshot that is the check: well if it ends with status 0 in time.
    pub service: ServiceName,
    /// What its failure leads to.
    pub need: Need,
}

/// What a failed check leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// A generation on trial is left for the last good one.
    Required,
    /// It is reported.
    Wanted,
}

/// What is wrong with checks in a system of these services, if anything is.
pub(crate) fn contradiction(checks: &[HealthCheck], services: &[Service]) -> Option<String> {
    checks.iter().find_map(|check| {
        let HealthCheck { name, service, .. } = check;
        let Some(service) = services.iter().find(|other| other.name == *service) else {
            return Some(format!(
                "health check '{name}' is the service '{service}', which is not defined"
            ));
        };
        let problem = if service.kind != ServiceKind::Oneshot {
            "is no oneshot"
        } else if service.start_timeout_ms.is_none() {
            "has no start timeout, and could hang for ever"
        } else if service.wanted_at_boot {
            "is wanted at boot"
        } else {
            return None;
        };
        Some(format!(
            "health check '{name}' is the service '{}', which {problem}",
            service.name
        ))
    })
}
