//! The supervisor's heart: a state machine without I/O, `step(event, now) -> actions`.
//!
//! Invariants, which the property tests hold it to:
//! - A service's process is started only while everything that it requires is up, and while
//!   nothing that it comes after is still on its way up.
//! - At most one main process a service.
//! - A service on a circle of dependencies is never started, and says why; others are unaffected.
//! - While shutting down nothing is started, and the end is always reached.

use cairn_sys::process::Exit;
use cairn_system::{Restart, Service, ServiceKind};

use super::graph::{self, Id, Node};
use super::unit::Goal;
pub use super::unit::{Ms, Phase, Unit};

/// How long after SIGKILL a process is waited for, in milliseconds: it hangs in the kernel then.
const KILLED_MS: Ms = 5_000;

/// What has happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Start everything that is wanted at boot.
    Boot,
    /// Somebody wants it up.
    Start(Id),
    /// Somebody wants it down.
    Stop(Id),
    /// Somebody wants it down and up again.
    Restart(Id),
    /// Its program has been executed.
    Executed(Id),
    /// Its program could not be executed, for this reason; no process is left.
    NotExecuted(Id, String),
    /// Its main process has ended.
    Exited(Id, Exit),
    /// Time has passed, or the saved state has been restored.
    Tick,
    /// Everything is to stop, for good.
    Shutdown,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Start its process.
    Spawn(Id),
    /// Send SIGTERM (and SIGCONT) to its processes.
    Terminate(Id),
    /// Kill all that is left of it.
    Kill(Id),
    /// It did not stop in time and is killed: tell the console.
    Late(Id),
    /// Everything wanted at boot is up or has failed; the number of failures.
    BootDone(usize),
    /// Everything has stopped.
    ShutdownDone,
}

/// All services and what is to become of them.
#[derive(Debug)]
pub struct Services {
    descriptions: Vec<Service>,
    nodes: Vec<Node>,
    units: Vec<Unit>,
    boot: Boot,
    shutdown: Shutdown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Boot {
    Before,
    Going,
    Done,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shutdown {
    No,
    Going,
    Done,
}

/// What a fresh supervisor is told of a service that an earlier one started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// Where it stood; the end of its process, if it has ended, follows as an event.
    pub phase: Phase,
    /// Its main process was seen alive last.
    pub running: bool,
    /// As in [`Unit`].
    pub started_at: Option<Ms>,
    /// As in [`Unit`].
    pub restarts: u32,
    /// As in [`Unit`].
    pub streak: u32,
}

impl Services {
    /// All of them down.
    pub fn new(services: Vec<Service>) -> Self {
        let nodes = graph::nodes(&services);
        let units = vec![
            Unit {
                phase: Phase::Stopped,
                goal: Goal::Down,
                running: false,
                settled: true,
                started_at: None,
                restarts: 0,
                streak: 0,
                last_exit: None,
            };
            services.len()
        ];
        Self {
            descriptions: services,
            nodes,
            units,
            boot: Boot::Before,
            shutdown: Shutdown::No,
        }
    }

    /// The descriptions, by number.
    pub fn descriptions(&self) -> &[Service] {
        &self.descriptions
    }

    /// The states, by number.
    pub fn units(&self) -> &[Unit] {
        &self.units
    }

    /// Puts back what an earlier supervisor knew.
    pub fn restore(&mut self, id: Id, restored: Restored) {
        if let Some(unit) = self.units.get_mut(id) {
            unit.goal = match restored.phase {
                Phase::Waiting | Phase::Starting | Phase::Up | Phase::Backoff(_) => Goal::Up,
                _ => Goal::Down,
            };
            unit.settled = !matches!(restored.phase, Phase::Waiting | Phase::Starting);
            unit.phase = restored.phase;
            unit.running = restored.running;
            unit.started_at = restored.started_at;
            unit.restarts = restored.restarts;
            unit.streak = restored.streak;
        }
    }

    /// After the last [`Services::restore`]: the boot goes on if something was on its way up.
    pub fn resume(&mut self) {
        let settled = self.units.iter().all(|unit| unit.settled);
        self.boot = if settled { Boot::Done } else { Boot::Going };
    }

    /// Whether nothing can be started any more.
    pub fn is_shutting_down(&self) -> bool {
        self.shutdown != Shutdown::No
    }

    /// Whether a request about it can be answered.
    pub fn is_settled(&self, id: Id) -> bool {
        self.units.get(id).is_none_or(|unit| {
            unit.settled
                && unit.goal != Goal::Again
                && !matches!(unit.phase, Phase::Stopping(_) | Phase::Killed(_))
                && !(unit.goal == Goal::Down && unit.is_alive())
        })
    }

    /// The services that keep a shutdown waiting.
    pub fn still_stopping(&self) -> impl Iterator<Item = Id> {
        self.units
            .iter()
            .enumerate()
            .filter(|(_, unit)| unit.is_alive())
            .map(|(id, _)| id)
    }

    /// When [`Event::Tick`] is due, if nothing happens before.
    pub fn next_deadline(&self) -> Option<Ms> {
        self.units
            .iter()
            .filter_map(|unit| match unit.phase {
                Phase::Stopping(at) | Phase::Killed(at) | Phase::Backoff(at) => Some(at),
                _ => None,
            })
            .min()
    }

    /// What follows from `event`.
    pub fn step(&mut self, event: Event, now: Ms) -> Vec<Action> {
        let mut actions = Vec::new();
        match event {
            Event::Boot => {
                self.boot = Boot::Going;
                for id in 0..self.descriptions.len() {
                    if self.descriptions.get(id).is_some_and(|s| s.wanted_at_boot) {
                        self.want(id);
                    }
                }
            }
            Event::Start(id) => self.want(id),
            Event::Stop(id) => self.unwant(id, Goal::Down),
            Event::Restart(id) => {
                self.unwant(id, Goal::Again);
                self.want(id);
            }
            Event::Executed(id) => self.executed(id),
            Event::NotExecuted(id, reason) => self.not_executed(id, &reason, now),
            Event::Exited(id, exit) => self.exited(id, exit, now, &mut actions),
            Event::Tick => {}
            Event::Shutdown => {
                if self.shutdown == Shutdown::No {
                    self.shutdown = Shutdown::Going;
                }
                for unit in &mut self.units {
                    unit.goal = Goal::Down;
                }
            }
        }
        self.expire(now, &mut actions);
        while self.advance(now, &mut actions) {}
        self.milestones(&mut actions);
        actions
    }

    /// Wants it up, with all that it requires and wants.
    fn want(&mut self, id: Id) {
        if self.shutdown != Shutdown::No {
            return;
        }
        let mut queue = vec![id];
        let mut seen = vec![false; self.units.len()];
        while let Some(id) = queue.pop() {
            let Some(seen @ false) = seen.get_mut(id) else {
                continue;
            };
            *seen = true;
            if let Some(unit) = self.units.get_mut(id) {
                unit.want();
            }
            if let Some(node) = self.nodes.get(id) {
                queue.extend(node.requires.iter().chain(&node.wants));
            }
        }
    }

    /// Wants it down, and those that are up and require it; with [`Goal::Again`], all up after.
    fn unwant(&mut self, id: Id, goal: Goal) {
        let mut queue = vec![id];
        let mut seen = vec![false; self.units.len()];
        while let Some(id) = queue.pop() {
            let Some(seen @ false) = seen.get_mut(id) else {
                continue;
            };
            *seen = true;
            if let Some(unit) = self.units.get_mut(id) {
                // A shutdown's goal is not to be changed any more.
                let again = goal == Goal::Again && unit.goal != Goal::Down;
                unit.goal = if again && self.shutdown == Shutdown::No {
                    Goal::Again
                } else {
                    Goal::Down
                };
            }
            if let Some(node) = self.nodes.get(id) {
                queue.extend(&node.required_by);
            }
        }
    }

    fn executed(&mut self, id: Id) {
        let simple = self
            .descriptions
            .get(id)
            .is_some_and(|service| service.kind == ServiceKind::Simple);
        if let Some(unit) = self.units.get_mut(id)
            && simple
            && unit.phase == Phase::Starting
        {
            unit.phase = Phase::Up;
            unit.settled = true;
        }
    }

    fn not_executed(&mut self, id: Id, reason: &str, now: Ms) {
        let Some((service, unit)) = self.descriptions.get(id).zip(self.units.get_mut(id)) else {
            return;
        };
        unit.running = false;
        match unit.phase {
            Phase::Stopping(_) | Phase::Killed(_) => unit.stopped(),
            _ if unit.goal != Goal::Up => unit.stopped(),
            _ => unit.ended_badly(service, reason, now),
        }
    }

    fn exited(&mut self, id: Id, exit: Exit, now: Ms, actions: &mut Vec<Action>) {
        let Some((service, unit)) = self.descriptions.get(id).zip(self.units.get_mut(id)) else {
            return;
        };
        if !unit.running {
            return;
        }
        unit.running = false;
        unit.last_exit = Some(exit);
        let good = exit == Exit::Status(0);
        let oneshot = service.kind == ServiceKind::Oneshot;
        match unit.phase {
            Phase::Starting if oneshot && good => {
                // What it left running in its cgroup is its work.
                unit.phase = Phase::Up;
                unit.settled = true;
                unit.streak = 0;
                return;
            }
            Phase::Stopping(_) | Phase::Killed(_) => unit.stopped(),
            _ if unit.goal != Goal::Up => unit.stopped(),
            _ => match service.restart {
                Restart::Never | Restart::OnFailure if good => unit.stopped_by_itself(),
                _ => unit.ended_badly(service, &exit_reason(exit), now),
            },
        }
        actions.push(Action::Kill(id));
    }

    /// What the clock brings about.
    fn expire(&mut self, now: Ms, actions: &mut Vec<Action>) {
        for (id, unit) in self.units.iter_mut().enumerate() {
            match unit.phase {
                Phase::Stopping(at) if at <= now => {
                    unit.phase = Phase::Killed(now.saturating_add(KILLED_MS));
                    actions.push(Action::Late(id));
                    actions.push(Action::Kill(id));
                }
                Phase::Killed(at) if at <= now => {
                    unit.goal = Goal::Down;
                    unit.settled = true;
                    unit.phase = Phase::Failed(
                        "its process does not end, not even by SIGKILL: it hangs in the kernel"
                            .to_owned(),
                    );
                }
                Phase::Backoff(at) if at <= now && unit.goal == Goal::Up => {
                    unit.phase = Phase::Waiting;
                    unit.restarts = unit.restarts.saturating_add(1);
                }
                _ => {}
            }
        }
    }

    /// One round of starting what can start and stopping what can stop; whether anything changed.
    fn advance(&mut self, now: Ms, actions: &mut Vec<Action>) -> bool {
        let mut changed = false;
        for id in 0..self.units.len() {
            let next = match self.units.get(id) {
                Some(unit) if unit.goal == Goal::Up => self.upwards(id, unit),
                Some(unit) => self.downwards(id, unit),
                None => Next::Stay,
            };
            changed |= self.go(id, next, now, actions);
        }
        changed
    }

    fn upwards(&self, id: Id, unit: &Unit) -> Next {
        let Some(node) = self.nodes.get(id) else {
            return Next::Stay;
        };
        if unit.phase != Phase::Waiting {
            return Next::Stay;
        }
        if let Some(cycle) = &node.cycle {
            return Next::Fail(cycle.clone());
        }
        if unit.running {
            return Next::Fail("its old process still hangs in the kernel".to_owned());
        }
        let mut blocked = false;
        let mut pending = false;
        for (required, other) in self.others(&node.requires) {
            match other.phase {
                Phase::Up if other.goal == Goal::Up => {}
                Phase::Failed(_) => return self.fail_for(required, "has failed"),
                Phase::Stopped if other.goal != Goal::Again => {
                    return self.fail_for(required, "is stopped");
                }
                _ => {
                    blocked = true;
                    pending |= !other.settled || other.goal == Goal::Again;
                }
            }
        }
        for (_, other) in self.others(&node.after) {
            let on_its_way =
                other.goal != Goal::Down && (!other.settled || other.goal == Goal::Again);
            blocked |= on_its_way;
            pending |= on_its_way;
        }
        match (blocked, pending) {
            (false, _) => Next::Spawn,
            (true, false) if !unit.settled => Next::Settle,
            _ => Next::Stay,
        }
    }

    fn fail_for(&self, required: Id, what: &str) -> Next {
        let name = self
            .descriptions
            .get(required)
            .map_or("", |s| s.name.as_str());
        Next::Fail(format!("it requires '{name}', which {what}"))
    }

    fn downwards(&self, id: Id, unit: &Unit) -> Next {
        let Some(node) = self.nodes.get(id) else {
            return Next::Stay;
        };
        match unit.phase {
            Phase::Waiting | Phase::Backoff(_) => Next::Stop,
            Phase::Stopped | Phase::Failed(_) if unit.goal == Goal::Again => Next::Stop,
            Phase::Starting | Phase::Up => {
                let blocked = self
                    .others(&node.before)
                    .any(|(_, other)| other.goal != Goal::Up && other.is_alive());
                match (blocked, unit.running) {
                    (true, _) => Next::Stay,
                    (false, true) => Next::Terminate,
                    (false, false) => Next::Stop,
                }
            }
            _ => Next::Stay,
        }
    }

    fn others<'a>(&'a self, ids: &'a [Id]) -> impl Iterator<Item = (Id, &'a Unit)> {
        ids.iter()
            .filter_map(|id| self.units.get(*id).map(|unit| (*id, unit)))
    }

    fn go(&mut self, id: Id, next: Next, now: Ms, actions: &mut Vec<Action>) -> bool {
        let Some((service, unit)) = self.descriptions.get(id).zip(self.units.get_mut(id)) else {
            return false;
        };
        match next {
            Next::Stay => return false,
            Next::Spawn => {
                unit.phase = Phase::Starting;
                unit.running = true;
                unit.started_at = Some(now);
                actions.push(Action::Spawn(id));
            }
            Next::Settle => unit.settled = true,
            Next::Fail(reason) => unit.fail(reason),
            Next::Terminate => {
                let timeout = Ms::from(service.stop_timeout_ms);
                unit.phase = Phase::Stopping(now.saturating_add(timeout));
                actions.push(Action::Terminate(id));
            }
            Next::Stop => {
                if unit.phase == Phase::Up {
                    // A oneshot's leftovers.
                    actions.push(Action::Kill(id));
                }
                unit.stopped();
            }
        }
        true
    }

    fn milestones(&mut self, actions: &mut Vec<Action>) {
        if self.boot == Boot::Going && self.units.iter().all(|unit| unit.settled) {
            self.boot = Boot::Done;
            if self.shutdown == Shutdown::No {
                let failed = self.units.iter().filter(|unit| unit.is_failed()).count();
                actions.push(Action::BootDone(failed));
            }
        }
        if self.shutdown == Shutdown::Going && !self.units.iter().any(Unit::is_alive) {
            self.shutdown = Shutdown::Done;
            actions.push(Action::ShutdownDone);
        }
    }
}

/// What becomes of one service in one round.
enum Next {
    Stay,
    Spawn,
    Settle,
    Fail(String),
    Terminate,
    Stop,
}

fn exit_reason(exit: Exit) -> String {
    match exit {
        Exit::Status(status) => format!("its process exited with status {status}"),
        Exit::Signal(signal) => format!("its process was ended by signal {signal}"),
    }
}

#[cfg(test)]
#[path = "services_tests.rs"]
mod tests;
