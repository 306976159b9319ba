//! The examination of a running system: its services are up and stay so, and its health checks are
//! passed.

use std::collections::BTreeMap;
use std::time::Duration;

use cairn_system::control::{ServiceState, ServiceStatus};
use cairn_system::{HealthCheck, Need, ServiceName, SystemDescription};

use super::supervisor::Supervisor;

/// How often services are looked at while they are to stay up.
const LOOK: Duration = Duration::from_secs(1);

/// How long the supervisor may take for an answer that it has at hand.
const ANSWER: Duration = Duration::from_secs(20);

/// What a health check may take beyond its own timeout: the supervisor kills it.
const KILLED: Duration = Duration::from_secs(15);

/// The service that is the assessment itself.
const ITSELF: &str = "boot-assessment";

/// What a system has to be.
#[derive(Debug, Clone)]
pub struct Demands {
    /// Services that have to be up.
    wanted: Vec<ServiceName>,
    checks: Vec<(HealthCheck, Duration)>,
    /// Time for which the services must have been up without a restart.
    pub stable: Duration,
    /// The examination must be over by then, since the kernel's start.
    pub deadline: Duration,
}

/// Why a system is not good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// A line for people.
    pub reason: String,
    /// Services whose logs tell more.
    pub services: Vec<ServiceName>,
}

impl Problem {
    /// One that no service is the cause of.
    #[must_use]
    pub fn new(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            services: Vec::new(),
        }
    }
}

impl Demands {
    /// What `description` demands.
    #[must_use]
    pub fn new(description: &SystemDescription, stable: Duration, deadline: Duration) -> Self {
        let wanted = description
            .services
            .iter()
            .filter(|service| service.wanted_at_boot && service.name.as_str() != ITSELF)
            .map(|service| service.name.clone());
        let checks = description.health.iter().map(|check| {
            let service = description
                .services
                .iter()
                .find(|service| service.name == check.service);
            let timeout = service
                .and_then(|service| service.start_timeout_ms)
                .unwrap_or(0);
            (check.clone(), Duration::from_millis(timeout.into()))
        });
        Self {
            wanted: wanted.collect(),
            checks: checks.collect(),
            stable,
            deadline,
        }
    }

    /// Examines the system; what is amiss without being required comes back as remarks.
    ///
    /// # Errors
    /// What is not as it has to be.
    pub fn examine(&self, supervisor: &impl Supervisor) -> Result<Vec<String>, Problem> {
        self.services_are_up(supervisor)?;
        self.checks_are_passed(supervisor)
    }

    fn rest(&self, supervisor: &impl Supervisor) -> Duration {
        self.deadline.saturating_sub(supervisor.uptime())
    }

    fn services_are_up(&self, supervisor: &impl Supervisor) -> Result<(), Problem> {
        if let Err(error) = supervisor.settle(self.rest(supervisor)) {
            // Which services are late is known from their status, if there is one.
            let status = supervisor.status(ANSWER).map_err(|_| Problem::new(error))?;
            return Err(self.late(&status));
        }
        let mut well_since: Option<(Duration, BTreeMap<ServiceName, u32>)> = None;
        loop {
            let status = supervisor.status(ANSWER).map_err(Problem::new)?;
            let wanted = self.wanted(&status);
            let failed = of_state(&wanted, |state| state == ServiceState::Failed);
            if !failed.is_empty() {
                return Err(failure(&failed));
            }
            let now = supervisor.uptime();
            let restarts: BTreeMap<_, _> = wanted
                .iter()
                .map(|service| (service.name.clone(), service.restarts))
                .collect();
            let well = wanted
                .iter()
                .all(|service| matches!(service.state, ServiceState::Up | ServiceState::Stopped));
            well_since = match well_since {
                _ if !well => None,
                Some((since, before)) if before == restarts => Some((since, before)),
                _ => Some((now, restarts)),
            };
            if let Some((since, _)) = &well_since
                && now.saturating_sub(*since) >= self.stable
            {
                return Ok(());
            }
            if now >= self.deadline {
                return Err(self.late(&status));
            }
            supervisor.sleep(LOOK.min(self.stable).max(Duration::from_millis(100)));
        }
    }

    /// The services that have to be up; one that the supervisor does not know was never there.
    fn wanted<'a>(&self, status: &'a [ServiceStatus]) -> Vec<&'a ServiceStatus> {
        status
            .iter()
            .filter(|service| self.wanted.contains(&service.name))
            .collect()
    }

    /// Time is up: what is not well.
    fn late(&self, status: &[ServiceStatus]) -> Problem {
        let wanted = self.wanted(status);
        let failed = of_state(&wanted, |state| state == ServiceState::Failed);
        if !failed.is_empty() {
            return failure(&failed);
        }
        let mut late = of_state(&wanted, |state| {
            !matches!(state, ServiceState::Up | ServiceState::Stopped)
        });
        if late.is_empty() {
            late = wanted
                .into_iter()
                .filter(|service| service.restarts > 0)
                .collect();
        }
        let texts: Vec<_> = late
            .iter()
            .map(|service| match (&service.last_exit, service.restarts) {
                (Some(exit), restarts @ 1..) => {
                    format!(
                        "'{}' was restarted {restarts} times, and ended with {exit}",
                        service.name
                    )
                }
                _ => format!("'{}' is still {}", service.name, word(service.state)),
            })
            .collect();
        Problem {
            reason: format!(
                "services are not up and stable in time: {}",
                texts.join("; ")
            ),
            services: late.iter().map(|service| service.name.clone()).collect(),
        }
    }

    /// All at the same time: each has its own timeout.
    fn checks_are_passed(&self, supervisor: &impl Supervisor) -> Result<Vec<String>, Problem> {
        let rest = self.rest(supervisor);
        let results: Vec<_> = std::thread::scope(|scope| {
            let running: Vec<_> = self
                .checks
                .iter()
                .map(|(check, timeout)| {
                    let patience = (*timeout + KILLED).min(rest);
                    (
                        check,
                        scope.spawn(move || supervisor.start(&check.service, patience)),
                    )
                })
                .collect();
            running
                .into_iter()
                .map(|(check, thread)| {
                    let result = thread.join();
                    (
                        check,
                        result.unwrap_or_else(|_| Err("it was not run".to_owned())),
                    )
                })
                .collect()
        });
        let failed: Vec<_> = results
            .iter()
            .filter_map(|(check, result)| {
                let reason = result.as_ref().err()?;
                Some((
                    *check,
                    format!("health check '{}' failed: {reason}", check.name),
                ))
            })
            .collect();
        let required: Vec<_> = failed
            .iter()
            .filter(|(check, _)| check.need == Need::Required)
            .collect();
        if required.is_empty() {
            return Ok(failed.into_iter().map(|(_, text)| text).collect());
        }
        let texts: Vec<_> = required.iter().map(|(_, text)| text.as_str()).collect();
        Err(Problem {
            reason: texts.join("; "),
            services: required
                .iter()
                .map(|(check, _)| check.service.clone())
                .collect(),
        })
    }
}

fn of_state<'a>(
    services: &[&'a ServiceStatus],
    is: impl Fn(ServiceState) -> bool,
) -> Vec<&'a ServiceStatus> {
    services
        .iter()
        .copied()
        .filter(|service| is(service.state))
        .collect()
}

fn failure(failed: &[&ServiceStatus]) -> Problem {
    let texts: Vec<_> = failed
        .iter()
        .map(|service| match (&service.reason, &service.last_exit) {
            (Some(reason), _) => format!("'{}': {reason}", service.name),
            (None, Some(exit)) => format!("'{}': it ended with {exit}", service.name),
            (None, None) => format!("'{}'", service.name),
        })
        .collect();
    Problem {
        reason: format!("services have failed: {}", texts.join("; ")),
        services: failed.iter().map(|service| service.name.clone()).collect(),
    }
}

fn word(state: ServiceState) -> &'static str {
    match state {
        ServiceState::Stopped => "stopped",
        ServiceState::Waiting => "waiting for others",
        ServiceState::Starting => "starting",
        ServiceState::Up => "up",
        ServiceState::Stopping => "stopping",
        ServiceState::Backoff => "down before its next restart",
        ServiceState::Failed => "failed",
    }
}

#[cfg(test)]
#[path = "examination_tests.rs"]
mod tests;
