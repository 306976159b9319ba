//! What a switch to another generation does to services: computed from both descriptions, and from
//! where each service stands.
//!
//! A service that is up is touched if what runs would be another; what only the supervisor goes by
//! (order, restarts, timeouts, signals, bounds of time) is in force from the switch on, without
//! that. Those that require a touched one, or are part of it, follow it. A service that somebody has
//! stopped stays stopped, unless one that is started requires it.
//!
//! Source: NixOS's `switch-to-configuration`, whose options of services mean the same here.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::few::Few;
use crate::name::ServiceName;
use crate::ordered;
use crate::service::{OnChange, Restart, Service, ServiceKind};
use crate::signal::Signal;

/// Where a service stands, as far as a switch is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Down: nobody has wanted it, its work is done, or there was no reason to start it.
    #[default]
    Idle,
    /// Up, on its way there, or tried again.
    Up,
    /// Failed for good.
    Failed,
    /// Down, since somebody has stopped it.
    Stopped,
    /// Down, since a switch that is under way has stopped it; it was up.
    Held,
}

/// What is done to services, in the order of [`ServiceAction`] and of names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServiceChanges(Vec<ServiceChange>);

/// What is done to one service. As text it is one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceChange {
    /// What is done.
    pub action: ServiceAction,
    /// The service.
    pub name: ServiceName,
    /// Why.
    pub cause: Cause,
}

/// What a switch does to a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ServiceAction {
    /// It is stopped before the new generation is activated, for good.
    Stop,
    /// It is stopped before the new generation is activated, and started after.
    StopAndStart,
    /// It is restarted when the new generation is active.
    Restart,
    /// It is reloaded when the new generation is active.
    Reload,
    /// It is started when the new generation is active.
    Start,
    /// Its processes go on, although they would be others now.
    Keep,
}

/// Why a switch does something to a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The new generation does not have it.
    Removed,
    /// The old generation does not have it, and it is wanted at boot.
    New,
    /// It is described otherwise.
    Changed,
    /// Something that it depends on is another (`restartTriggers`).
    RestartTrigger,
    /// Something that it reads is another (`reloadTriggers`).
    ReloadTrigger,
    /// It is wanted at boot from now on.
    Wanted,
    /// A switch that was not brought to its end has stopped it.
    Interrupted,
    /// It requires this one, or is part of it.
    Follows(ServiceName),
    /// This one requires it or wants it along.
    For(ServiceName),
}

impl ServiceChanges {
    /// What a switch from the services `before` to those `after` does. `standing` is asked for the
    /// names of `before` alone.
    #[must_use]
    pub fn between(
        before: &[Service],
        after: &[Service],
        standing: impl Fn(&ServiceName) -> Standing,
    ) -> Self {
        let standing = before
            .iter()
            .map(|service| (&service.name, standing(&service.name)));
        Self::of(Plan {
            before: by_name(before),
            after: by_name(after),
            standing: ordered::map(standing),
            decided: BTreeMap::new(),
        })
    }

    fn of(mut plan: Plan<'_>) -> Self {
        plan.own_changes();
        plan.follow_stops();
        plan.follow_restarts();
        plan.pull_along();
        let mut changes: Vec<ServiceChange> = plan
            .decided
            .into_iter()
            .map(|(name, (action, cause))| ServiceChange {
                action,
                name: name.clone(),
                cause,
            })
            .collect();
        changes.sort_by(|a, b| (a.action, &a.name).cmp(&(b.action, &b.name)));
        Self(changes)
    }

    /// Whether nothing is touched and nothing is left as it should not be.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &ServiceChange> {
        self.0.iter()
    }

    /// The services to which this is done.
    pub fn names(&self, action: ServiceAction) -> impl Iterator<Item = &ServiceName> {
        self.0
            .iter()
            .filter(move |change| change.action == action)
            .map(|change| &change.name)
    }
}

impl fmt::Display for ServiceChanges {
    /// One line each, with its line feed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|change| writeln!(f, "{change}"))
    }
}

impl fmt::Display for ServiceChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            action,
            name,
            cause,
        } = self;
        let verb = match action {
            ServiceAction::Stop => "stop",
            ServiceAction::StopAndStart => "stop and start",
            ServiceAction::Restart => "restart",
            ServiceAction::Reload => "reload",
            ServiceAction::Start => "start",
            ServiceAction::Keep => {
                return write!(
                    f,
                    "leave {name} alone, although {cause}: restart it by hand"
                );
            }
        };
        write!(f, "{verb} {name}: {cause}")
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Removed => f.write_str("it is not there any more"),
            Self::New => f.write_str("it is new"),
            Self::Changed => f.write_str("it has changed"),
            Self::RestartTrigger => f.write_str("what it depends on has changed"),
            Self::ReloadTrigger => f.write_str("what it reads has changed"),
            Self::Wanted => f.write_str("it is wanted at boot now"),
            Self::Interrupted => f.write_str("a switch has stopped it"),
            Self::Follows(name) => write!(f, "it goes with {name}"),
            Self::For(name) => write!(f, "{name} wants it"),
        }
    }
}

/// A plan in the making.
struct Plan<'a> {
    before: BTreeMap<&'a ServiceName, &'a Service>,
    after: BTreeMap<&'a ServiceName, &'a Service>,
    standing: BTreeMap<&'a ServiceName, Standing>,
    decided: BTreeMap<&'a ServiceName, (ServiceAction, Cause)>,
}

impl<'a> Plan<'a> {
    fn standing(&self, name: &ServiceName) -> Standing {
        self.standing.get(name).copied().unwrap_or_default()
    }

    fn action(&self, name: &ServiceName) -> Option<ServiceAction> {
        self.decided.get(name).map(|(action, _)| *action)
    }

    /// What each service's own two descriptions bring about.
    fn own_changes(&mut self) {
        for (name, before) in &self.before {
            let standing = self.standing(name);
            let decision = match self.after.get(name) {
                Some(after) => own_change(before, after, standing),
                None if standing == Standing::Up => Some((ServiceAction::Stop, Cause::Removed)),
                None => None,
            };
            if let Some(decision) = decision {
                self.decided.insert(name, decision);
            }
        }
        for (name, after) in &self.after {
            if after.wanted_at_boot && !self.before.contains_key(name) {
                self.decided
                    .insert(name, (ServiceAction::Start, Cause::New));
            }
        }
    }

    /// Before one is stopped, so are those that need it; they come back with it.
    fn follow_stops(&mut self) {
        let followers = followers(&self.before);
        let stopped = |action| matches!(action, ServiceAction::Stop | ServiceAction::StopAndStart);
        let mut queue = self.all(stopped);
        while let Some(name) = queue.pop_front() {
            for follower in followers.get(name).into_iter().flatten().copied() {
                if self.standing(follower) == Standing::Up
                    && self.after.contains_key(follower)
                    && !self.action(follower).is_some_and(stopped)
                {
                    let cause = Cause::Follows(name.clone());
                    self.decided
                        .insert(follower, (ServiceAction::StopAndStart, cause));
                    queue.push_back(follower);
                }
            }
        }
    }

    /// The same for restarts, which happen in the new order of things.
    fn follow_restarts(&mut self) {
        let followers = followers(&self.after);
        let mut queue = self.all(|action| action == ServiceAction::Restart);
        while let Some(name) = queue.pop_front() {
            for follower in followers.get(name).into_iter().flatten().copied() {
                let is_left = matches!(
                    self.action(follower),
                    None | Some(ServiceAction::Reload | ServiceAction::Keep)
                );
                if self.standing(follower) == Standing::Up && is_left {
                    let cause = Cause::Follows(name.clone());
                    self.decided
                        .insert(follower, (ServiceAction::Restart, cause));
                    queue.push_back(follower);
                }
            }
        }
    }

    /// What is down, and required or wanted along by one that is started, or that has not named it
    /// before.
    fn pull_along(&mut self) {
        let mut queue: VecDeque<_> = self.after.keys().copied().collect();
        while let Some(name) = queue.pop_front() {
            let Some(service) = self.after.get(name).copied() else {
                continue;
            };
            let starts = match self.action(name) {
                None | Some(ServiceAction::Reload | ServiceAction::Keep) => false,
                Some(_) => true,
            };
            if !starts && self.standing(name) != Standing::Up {
                continue;
            }
            let known = self.before.get(name).filter(|_| !starts);
            let is_known = |other: &ServiceName| {
                known.is_some_and(|known| {
                    known.requires.contains(other) || known.wants.contains(other)
                })
            };
            let required = service.requires.iter();
            let required = required.filter(|other| !service.requisite.contains(other));
            let required = required.map(|other| (other, true));
            // A device starts those when it comes.
            let comes = service.kind != ServiceKind::Device || self.standing(name) == Standing::Up;
            let wanted = service.wants.iter().filter(|_| comes);
            let wanted = wanted.map(|other| (other, false));
            for (other, is_required) in required.chain(wanted) {
                let is_down = match self.standing(other) {
                    Standing::Idle | Standing::Failed => true,
                    Standing::Stopped => is_required && starts,
                    Standing::Up | Standing::Held => false,
                };
                if is_down
                    && !is_known(other)
                    && self.after.contains_key(other)
                    && self.action(other).is_none()
                {
                    let cause = Cause::For(name.clone());
                    self.decided.insert(other, (ServiceAction::Start, cause));
                    queue.push_back(other);
                }
            }
        }
    }

    fn all(&self, is_one: impl Fn(ServiceAction) -> bool) -> VecDeque<&'a ServiceName> {
        self.decided
            .iter()
            .filter(|(_, (action, _))| is_one(*action))
            .map(|(name, _)| *name)
            .collect()
    }
}

fn by_name(services: &[Service]) -> BTreeMap<&ServiceName, &Service> {
    ordered::map(services.iter().map(|service| (&service.name, service)))
}

/// Those that require each service, or are part of it.
fn followers<'a>(
    services: &BTreeMap<&'a ServiceName, &'a Service>,
) -> BTreeMap<&'a ServiceName, BTreeSet<&'a ServiceName>> {
    let mut followers: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for (name, service) in services {
        for leader in service.requires.iter().chain(&service.part_of) {
            followers.entry(leader).or_default().insert(*name);
        }
    }
    followers
}

fn own_change(
    before: &Service,
    after: &Service,
    standing: Standing,
) -> Option<(ServiceAction, Cause)> {
    let change = difference(before, after);
    match (standing, change) {
        (Standing::Held, _) => Some((ServiceAction::Start, Cause::Interrupted)),
        (Standing::Stopped, _) | (Standing::Up, None) => None,
        (Standing::Up, Some(Cause::ReloadTrigger)) if after.reload.is_some() => {
            Some((ServiceAction::Reload, Cause::ReloadTrigger))
        }
        (Standing::Up, Some(cause)) => {
            let action = match after.on_change {
                OnChange::StopAndStart => ServiceAction::StopAndStart,
                OnChange::Reload if after.reload.is_some() => ServiceAction::Reload,
                OnChange::Restart | OnChange::Reload => ServiceAction::Restart,
                OnChange::Keep => ServiceAction::Keep,
            };
            Some((action, cause))
        }
        (Standing::Idle | Standing::Failed, _) if !after.wanted_at_boot => None,
        (Standing::Idle | Standing::Failed, None | Some(Cause::ReloadTrigger)) => {
            (!before.wanted_at_boot).then_some((ServiceAction::Start, Cause::Wanted))
        }
        (Standing::Idle | Standing::Failed, Some(cause)) => Some((ServiceAction::Start, cause)),
    }
}

/// Why what runs would be another, if it would.
fn difference(before: &Service, after: &Service) -> Option<Cause> {
    let milestone = |service: &Service| service.kind == ServiceKind::Milestone;
    if before == after || milestone(before) && milestone(after) {
        None
    } else if before.restart_trigger != after.restart_trigger {
        Some(Cause::RestartTrigger)
    } else if substance(before) != substance(after) {
        Some(Cause::Changed)
    } else if before.reload_trigger != after.reload_trigger {
        Some(Cause::ReloadTrigger)
    } else {
        None
    }
}

/// The description without what is in force at once when only the supervisor knows it.
fn substance(service: &Service) -> Service {
    Service {
        description: String::new(),
        outlives_user_space: false,
        reload: None,
        wants: Vec::new(),
        upholds: Few::new(),
        requisite: Few::new(),
        binds_to: Few::new(),
        after: Vec::new(),
        part_of: Few::new(),
        conflicts: Few::new(),
        on_failure: Few::new(),
        on_success: Few::new(),
        tells_of_restarts: false,
        machine_actions: None,
        wanted_at_boot: false,
        no_start_by_hand: false,
        no_stop_by_hand: false,
        conditions: Few::new(),
        restart: Restart::default(),
        success_statuses: Few::new(),
        final_statuses: Few::new(),
        restart_statuses: Few::new(),
        restart_delay_ms: 0,
        restart_delay_max_ms: 0,
        restart_steps: 0,
        restart_random_delay_ms: 0,
        start_limit: None,
        start_timeout_ms: None,
        runtime_max_ms: None,
        runtime_random_extra_ms: 0,
        stop_timeout_ms: 0,
        stop_signal: Signal::TERM,
        on_change: OnChange::default(),
        restart_trigger: None,
        reload_trigger: None,
        ..service.clone()
    }
}

#[cfg(test)]
#[path = "service_changes_tests.rs"]
mod tests;
