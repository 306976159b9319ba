//! The supervisor's heart: a state machine without I/O, `step(event, now) -> actions`.
//!
//! Invariants, which the property tests hold it to:
//! - A service's process is started only while everything that it requires is up, and while
//!   nothing that it comes after is still on its way up.
//! - At most one main process a service.
//! - A service on a circle of dependencies is never started, and says why; others are unaffected.
//! - While shutting down nothing is started, and the end is always reached.

use cairn_sys::process::Exit;
use cairn_system::{Own, Reload, Service, ServiceKind};

use super::graph::{self, Id, Node};
pub use super::job::Job;
pub use super::unit::{Due, Goal, Ms, Phase, Restored, StoppedBy, Unit, Verdict};
use super::unit::{End, listed};

/// How long after SIGKILL a process is waited for, in milliseconds: it hangs in the kernel then.
const KILLED_MS: Ms = 5_000;

/// How often a process that a forking service has left behind is looked for, in milliseconds.
const FIND_AGAIN_MS: Ms = 20;

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
    /// Somebody wants it to read its configuration again.
    Reload(Id),
    /// Its program has been executed.
    Executed(Id),
    /// Its program could not be executed, for this reason; no process is left.
    NotExecuted(Id, String),
    /// There is no reason to start it, says this: a condition does not hold.
    Skipped(Id, String),
    /// Its process says that it is ready.
    Ready(Id),
    /// The process that it has left behind is found.
    Found(Id),
    /// It has left no process behind.
    NothingFound(Id),
    /// Its main process, or a command in its place, has ended.
    Exited(Id, Exit),
    /// Its command beside the main process has ended; none says that it could not be executed.
    HelperExited(Id, Option<Exit>),
    /// A switch to another generation is near: until it is made or given up, these are to be down.
    Hold(Vec<Id>),
    /// The switch is made: what is due is to be done.
    Switched,
    /// The switch is given up: what it holds is started again.
    Resume,
    /// Time has passed.
    Tick,
    /// Everything is to stop, for good.
    Shutdown,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Execute this for it.
    Spawn(Id, Job),
    /// Send the stop signal (and SIGCONT) to its processes.
    Terminate(Id),
    /// Send this signal to its main process.
    Signal(Id, i32),
    /// Look for the process that it has left behind.
    Find(Id),
    /// Kill all that is left of it.
    Kill(Id),
    /// Kill its command beside the main process.
    KillHelper(Id),
    /// It is down: what it has only while it runs is removed.
    Release(Id),
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
    /// Those that have failed in this step.
    fallen: Vec<Id>,
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

impl Services {
    /// All of them down.
    pub fn new(services: Vec<Service>) -> Self {
        let nodes = graph::nodes(&services);
        let units = vec![Unit::default(); services.len()];
        Self {
            descriptions: services,
            nodes,
            units,
            boot: Boot::Before,
            shutdown: Shutdown::No,
            fallen: Vec::new(),
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
            *unit = restored.into();
        }
    }

    /// After the last [`Services::restore`]: the boot goes on, unless it was over. What has gone
    /// down unseen counts as down since now.
    pub fn resume(&mut self, booted: bool, now: Ms) {
        for unit in self.units.iter_mut().filter(|unit| !unit.is_alive()) {
            unit.ended_at = unit.ended_at.or(unit.started_at.map(|_| now));
        }
        self.boot = if booted { Boot::Done } else { Boot::Going };
    }

    /// Whether everything wanted at boot has been up or has failed.
    pub fn has_booted(&self) -> bool {
        self.boot == Boot::Done
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
                && !unit.phase.is_ending()
                && !matches!(unit.phase, Phase::Reloading(_))
                && !(unit.goal == Goal::Down && unit.is_alive())
        })
    }

    /// Whether nothing is on its way any more: the boot, or a switch, is done.
    pub fn has_settled(&self) -> bool {
        self.boot != Boot::Before && (0..self.units.len()).all(|id| self.is_settled(id))
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
            .zip(&self.descriptions)
            .filter_map(|(unit, service)| match unit.phase {
                Phase::Stopping(at)
                | Phase::Killed(at)
                | Phase::Backoff(at)
                | Phase::Leaving(_, at)
                | Phase::Cleaning(_, at) => Some(at),
                Phase::Finding(at) => unit.start_deadline(service).map(|end| end.min(at)),
                _ => unit.start_deadline(service),
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
            Event::Stop(id) => self.stop_by_hand(id),
            Event::Restart(id) => {
                self.unwant(id, Goal::Again);
                self.want(id);
            }
            Event::Reload(id) => self.reload(id, &mut actions),
            Event::Executed(id) => self.came_up(id, ServiceKind::Simple),
            Event::Ready(id) => self.came_up(id, ServiceKind::Notify),
            Event::NotExecuted(id, reason) => self.not_executed(id, reason, now, &mut actions),
            Event::Skipped(id, why) => {
                if let Some(unit) = self.units.get_mut(id) {
                    unit.running = false;
                    unit.skip(why);
                }
            }
            Event::Found(id) => self.found(id),
            Event::NothingFound(id) => {
                let reason = "it has left no process behind".to_owned();
                self.end_badly(id, reason, End::Status, now, &mut actions);
            }
            Event::HelperExited(id, exit) => self.helper_exited(id, exit, now, &mut actions),
            Event::Exited(id, exit) => self.exited(id, exit, now, &mut actions),
            Event::Hold(ids) => self.hold(&ids),
            Event::Switched => self.switched(&mut actions),
            Event::Resume => {
                for unit in &mut self.units {
                    if unit.stopped_by == Some(StoppedBy::Switch) {
                        unit.due = Some(Due::Start);
                    }
                }
                self.switched(&mut actions);
            }
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
        loop {
            while self.advance(now, &mut actions) {}
            let Some(id) = self.fallen.pop() else { break };
            for id in self
                .nodes
                .get(id)
                .map(|n| n.on_failure.clone())
                .unwrap_or_default()
            {
                self.want(id);
            }
        }
        self.milestones(&mut actions);
        actions
    }

    /// Wants it up, with all that it requires and wants.
    fn want(&mut self, id: Id) {
        self.want_with(id, |_| true);
    }

    /// Wants it up, with all that it requires, and of what it wants along, what `comes`.
    fn want_with(&mut self, id: Id, comes: impl Fn(&Unit) -> bool) {
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
                let units = &self.units;
                let along = node
                    .wants
                    .iter()
                    .filter(|id| units.get(**id).is_some_and(&comes));
                queue.extend(node.requires.iter().chain(along));
            }
        }
    }

    /// Wants it down, and those that are up and require it; with [`Goal::Again`], all up after.
    fn unwant(&mut self, id: Id, goal: Goal) {
        for id in self.followers(id) {
            if let Some(unit) = self.units.get_mut(id) {
                // A shutdown's goal is not to be changed any more.
                let again = goal == Goal::Again && unit.goal != Goal::Down;
                unit.goal = if again && self.shutdown == Shutdown::No {
                    Goal::Again
                } else {
                    Goal::Down
                };
            }
        }
    }

    /// It, and those that require it or are part of it, and so on.
    fn followers(&self, id: Id) -> Vec<Id> {
        let mut found = Vec::new();
        let mut queue = vec![id];
        let mut seen = vec![false; self.units.len()];
        while let Some(id) = queue.pop() {
            let Some(seen @ false) = seen.get_mut(id) else {
                continue;
            };
            *seen = true;
            found.push(id);
            if let Some(node) = self.nodes.get(id) {
                queue.extend(&node.required_by);
            }
        }
        found
    }

    fn hold(&mut self, ids: &[Id]) {
        for id in ids {
            if let Some(unit) = self.units.get_mut(*id) {
                unit.stopped_by = Some(StoppedBy::Switch);
            }
            self.unwant(*id, Goal::Down);
        }
    }

    /// The plan of the switch has followed all dependencies but those of what is started.
    fn switched(&mut self, actions: &mut Vec<Action>) {
        let due: Vec<(Id, Due)> = (self.units.iter_mut().enumerate())
            .filter_map(|(id, unit)| Some((id, unit.due.take()?)))
            .collect();
        if self.shutdown != Shutdown::No {
            return;
        }
        let mut starts = Vec::new();
        for (id, due) in due {
            let Some(unit) = self.units.get_mut(id) else {
                continue;
            };
            if due == Due::Reload && unit.phase == Phase::Up && unit.goal == Goal::Up {
                self.reload(id, actions);
                continue;
            }
            if due != Due::Start && unit.is_alive() {
                unit.goal = Goal::Again;
            }
            starts.push(id);
        }
        for id in starts {
            self.want_with(id, |unit| unit.stopped_by != Some(StoppedBy::Hand));
        }
    }

    fn stop_by_hand(&mut self, id: Id) {
        for other in self.followers(id) {
            if let Some(unit) = self.units.get_mut(other)
                && (other == id || unit.goal != Goal::Down)
            {
                unit.stopped_by = Some(StoppedBy::Hand);
            }
        }
        self.unwant(id, Goal::Down);
    }

    fn pair(&mut self, id: Id) -> Option<(&Service, &mut Unit)> {
        self.descriptions.get(id).zip(self.units.get_mut(id))
    }

    /// The process of a service of this kind is as far as it has to be.
    fn came_up(&mut self, id: Id, kind: ServiceKind) {
        if let Some((service, unit)) = self.pair(id)
            && service.kind == kind
            && unit.phase == Phase::Starting
        {
            up(service, unit);
        }
    }

    fn found(&mut self, id: Id) {
        if let Some((service, unit)) = self.pair(id)
            && matches!(unit.phase, Phase::Finding(_))
        {
            unit.running = true;
            up(service, unit);
        }
    }

    fn reload(&mut self, id: Id, actions: &mut Vec<Action>) {
        let Some((service, unit)) = self.pair(id) else {
            return;
        };
        if unit.phase != Phase::Up || unit.goal != Goal::Up {
            return;
        }
        unit.note = None;
        match &service.reload {
            None => {}
            Some(Reload::Signal(signal)) => actions.push(Action::Signal(id, signal.number())),
            Some(Reload::Commands(_)) => unit.phase = Phase::Reloading(0),
        }
    }

    fn not_executed(&mut self, id: Id, reason: String, now: Ms, actions: &mut Vec<Action>) {
        let Some((service, unit)) = self.pair(id) else {
            return;
        };
        unit.running = false;
        match unit.phase {
            Phase::Cleaning(number, at) => {
                unit.phase = Phase::Cleaning(number.saturating_add(1), at);
            }
            Phase::Preparing(number) if ignores_failure(Job::PreStart(number), service) => {
                unit.phase = prepared(service, number);
            }
            _ => self.end_badly(id, reason, End::Status, now, actions),
        }
    }

    fn exited(&mut self, id: Id, exit: Exit, now: Ms, actions: &mut Vec<Action>) {
        let Some((service, unit)) = self.pair(id) else {
            return;
        };
        if !unit.running {
            return;
        }
        unit.running = false;
        let wanted = unit.goal == Goal::Up;
        let end = End::of(service, exit);
        match unit.phase {
            Phase::Cleaning(number, at) => {
                unit.phase = Phase::Cleaning(number.saturating_add(1), at);
                return;
            }
            Phase::Preparing(number) if wanted => {
                let job = Job::PreStart(number);
                if exit == Exit::Status(0) || ignores_failure(job, service) {
                    unit.phase = prepared(service, number);
                    return;
                }
                unit.last_exit = Some(exit);
                let reason = exit_reason(job, exit);
                return self.end_badly(id, reason, End::Status, now, actions);
            }
            _ => unit.last_exit = Some(exit),
        }
        let final_status =
            matches!(exit, Exit::Status(status) if listed(&service.final_statuses, status));
        match (&unit.phase, service.kind) {
            (Phase::Starting, ServiceKind::Oneshot) if end == End::Good => {
                // What it left running in its cgroup is its work.
                unit.streak = 0;
                up(service, unit);
                if unit.phase == Phase::Up && !service.stays_up {
                    self.end(id, Verdict::Finished, now, actions);
                }
            }
            (Phase::Starting, ServiceKind::Forking) if end == End::Good && wanted => {
                unit.phase = Phase::Finding(now.saturating_add(FIND_AGAIN_MS));
                actions.push(Action::Find(id));
            }
            // Its command is still at work.
            (Phase::Leaving(..), _) => {}
            (Phase::Stopping(_) | Phase::Killed(_), _) => {
                let decided = unit.verdict.take().filter(|_| wanted);
                self.end(id, decided.unwrap_or(Verdict::Requested), now, actions);
            }
            _ if !wanted => self.end(id, Verdict::Requested, now, actions),
            _ => {
                let restart = end.restarts(service) && !final_status;
                let verdict = if end == End::Good && !restart {
                    Verdict::Finished
                } else {
                    let reason = exit_reason(Job::Main, exit);
                    Verdict::Bad { reason, restart }
                };
                self.end(id, verdict, now, actions);
            }
        }
    }

    fn helper_exited(&mut self, id: Id, exit: Option<Exit>, now: Ms, actions: &mut Vec<Action>) {
        let Some((service, unit)) = self.pair(id) else {
            return;
        };
        unit.helper = false;
        let good = |job| exit == Some(Exit::Status(0)) || ignores_failure(job, service);
        let reason = |job: Job| match exit {
            Some(exit) => exit_reason(job, exit),
            None => format!(
                "its {} could not be executed; see the kernel log",
                job.describe()
            ),
        };
        match unit.phase {
            Phase::Finishing(number) if good(Job::PostStart(number)) => {
                let next = number.saturating_add(1);
                if Job::PostStart(next).exists(service) {
                    unit.phase = Phase::Finishing(next);
                    return;
                }
                unit.phase = Phase::Up;
                unit.settled = true;
                if service.kind == ServiceKind::Oneshot && !service.stays_up {
                    self.end(id, Verdict::Finished, now, actions);
                }
            }
            Phase::Finishing(number) => {
                let reason = reason(Job::PostStart(number));
                self.give_up(id, reason, End::Status, now, actions);
            }
            Phase::Reloading(number) if good(Job::Reload(number)) => {
                let next = number.saturating_add(1);
                unit.phase = if Job::Reload(next).exists(service) {
                    Phase::Reloading(next)
                } else {
                    Phase::Up
                };
            }
            Phase::Reloading(number) => {
                unit.phase = Phase::Up;
                unit.note = Some(format!(
                    "the last reload failed: {}",
                    reason(Job::Reload(number))
                ));
            }
            Phase::Leaving(number, at) => {
                let next = number.saturating_add(1);
                if Job::PreStop(next).exists(service) {
                    unit.phase = Phase::Leaving(next, at);
                } else {
                    self.terminate(id, now, actions);
                }
            }
            _ => {}
        }
    }

    /// Asks its process to end; without one, it has ended.
    fn terminate(&mut self, id: Id, now: Ms, actions: &mut Vec<Action>) {
        let Some((service, unit)) = self.pair(id) else {
            return;
        };
        if unit.running {
            unit.phase = Phase::Stopping(now.saturating_add(Ms::from(service.stop_timeout_ms)));
            actions.push(Action::Terminate(id));
        } else {
            let verdict = unit.verdict.take().filter(|_| unit.goal == Goal::Up);
            self.end(id, verdict.unwrap_or(Verdict::Requested), now, actions);
        }
    }

    /// It has got somewhere, but is not to go on: what runs is ended first.
    fn give_up(&mut self, id: Id, reason: String, end: End, now: Ms, actions: &mut Vec<Action>) {
        if let Some((service, unit)) = self.pair(id) {
            let restart = end.restarts(service);
            unit.verdict = Some(Verdict::Bad { reason, restart });
            if unit.helper {
                actions.push(Action::KillHelper(id));
            }
            self.terminate(id, now, actions);
        }
    }

    /// No process of it is left, for a reason that nobody asked for.
    fn end_badly(&mut self, id: Id, reason: String, end: End, now: Ms, actions: &mut Vec<Action>) {
        if let Some((service, unit)) = self.pair(id) {
            let restart = end.restarts(service);
            let verdict = match unit.goal {
                Goal::Up => Verdict::Bad { reason, restart },
                _ => Verdict::Requested,
            };
            self.end(id, verdict, now, actions);
        }
    }

    /// Its process has ended: leftovers are killed, and the commands for that follow.
    fn end(&mut self, id: Id, verdict: Verdict, now: Ms, actions: &mut Vec<Action>) {
        let Some((service, unit)) = self.pair(id) else {
            return;
        };
        if unit.helper {
            actions.push(Action::KillHelper(id));
        }
        actions.push(Action::Kill(id));
        unit.verdict = Some(verdict);
        if Job::PostStop(0).exists(service) {
            unit.phase = Phase::Cleaning(0, now.saturating_add(Ms::from(service.stop_timeout_ms)));
        } else {
            self.conclude(id, now, actions);
        }
    }

    /// Everything of it is gone.
    fn conclude(&mut self, id: Id, now: Ms, actions: &mut Vec<Action>) {
        let Some((service, unit)) = self.descriptions.get(id).zip(self.units.get_mut(id)) else {
            return;
        };
        let own = &service.process.confinement.own;
        let mut directories = service.directories.iter();
        if own.contains(&Own::TemporaryFiles) || directories.any(|one| one.removed_at_stop) {
            actions.push(Action::Release(id));
        }
        unit.ended_at = Some(now);
        let verdict = unit.verdict.take();
        match verdict.filter(|_| unit.goal == Goal::Up) {
            None | Some(Verdict::Requested) => unit.stopped(),
            Some(Verdict::Finished) => unit.stopped_by_itself(service.kind),
            Some(Verdict::Bad { restart: true, .. }) => unit.back_off(service, now),
            Some(Verdict::Bad { reason, .. }) => {
                unit.fail(reason);
                self.fallen.push(id);
            }
        }
    }

    /// What the clock brings about.
    fn expire(&mut self, now: Ms, actions: &mut Vec<Action>) {
        for id in 0..self.units.len() {
            self.expire_one(id, now, actions);
        }
    }

    fn expire_one(&mut self, id: Id, now: Ms, actions: &mut Vec<Action>) {
        let Some((service, unit)) = self.descriptions.get(id).zip(self.units.get_mut(id)) else {
            return;
        };
        if unit.start_deadline(service).is_some_and(|at| at <= now) && unit.goal == Goal::Up {
            let reason = "it did not come up in time".to_owned();
            return self.give_up(id, reason, End::Abnormal, now, actions);
        }
        match unit.phase {
            Phase::Leaving(_, at) if at <= now => {
                if unit.helper {
                    actions.push(Action::KillHelper(id));
                }
                self.terminate(id, now, actions);
            }
            Phase::Stopping(at) if at <= now => {
                unit.phase = Phase::Killed(now.saturating_add(KILLED_MS));
                actions.push(Action::Late(id));
                actions.push(Action::Kill(id));
            }
            Phase::Cleaning(number, at) if at <= now && number < u8::MAX => {
                // No further command is tried.
                unit.phase = Phase::Cleaning(u8::MAX, now.saturating_add(KILLED_MS));
                actions.push(Action::Late(id));
                actions.push(Action::Kill(id));
            }
            Phase::Killed(at) | Phase::Cleaning(_, at) if at <= now => {
                unit.verdict = None;
                unit.fail(
                    "its process does not end, not even by SIGKILL: it hangs in the kernel"
                        .to_owned(),
                );
            }
            Phase::Finding(at) if at <= now => {
                unit.phase = Phase::Finding(now.saturating_add(FIND_AGAIN_MS));
                actions.push(Action::Find(id));
            }
            Phase::Backoff(at) if at <= now && unit.goal == Goal::Up => {
                unit.phase = Phase::Waiting;
                unit.restarts = unit.restarts.saturating_add(1);
            }
            _ => {}
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
        match unit.phase {
            Phase::Waiting => {}
            Phase::Preparing(number) if !unit.running => return Next::Run(Job::PreStart(number)),
            Phase::Starting if !unit.running => return Next::Run(Job::Main),
            Phase::Finishing(number) if !unit.helper => return Next::Run(Job::PostStart(number)),
            Phase::Reloading(number) if !unit.helper => return Next::Run(Job::Reload(number)),
            Phase::Cleaning(number, _) if !unit.running => return self.clean(id, number),
            _ => return Next::Stay,
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
                Phase::Up | Phase::Reloading(_) if other.goal == Goal::Up => {}
                Phase::Done => {}
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
            Phase::Stopped | Phase::Done | Phase::Failed(_) if unit.goal == Goal::Again => {
                Next::Stop
            }
            Phase::Leaving(number, _) if !unit.helper => Next::Run(Job::PreStop(number)),
            Phase::Cleaning(number, _) if !unit.running => self.clean(id, number),
            // It has been killed, and is waited for.
            Phase::Up if unit.helper => Next::Stay,
            Phase::Finishing(_) | Phase::Reloading(_) if unit.helper => Next::KillHelper,
            _ if unit.phase.is_up() || unit.phase.is_on_its_way() => {
                let blocked = self
                    .others(&node.before)
                    .any(|(_, other)| other.goal != Goal::Up && other.is_alive());
                match blocked {
                    true => Next::Stay,
                    false if unit.phase.is_up() && self.has(id, Job::PreStop(0)) => Next::Leave,
                    false => Next::Terminate,
                }
            }
            _ => Next::Stay,
        }
    }

    fn has(&self, id: Id, job: Job) -> bool {
        self.descriptions
            .get(id)
            .is_some_and(|service| job.exists(service))
    }

    fn clean(&self, id: Id, number: u8) -> Next {
        match Job::PostStop(number) {
            job if self.has(id, job) => Next::Run(job),
            _ => Next::Conclude,
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
                if let Some(reason) = unit.count_start(service, now) {
                    unit.fail(reason);
                    self.fallen.push(id);
                } else {
                    unit.started_at = Some(now);
                    unit.phase = match service.kind {
                        ServiceKind::Milestone => Phase::Up,
                        _ if Job::PreStart(0).exists(service) => Phase::Preparing(0),
                        _ => Phase::Starting,
                    };
                    unit.settled |= unit.phase == Phase::Up;
                }
            }
            Next::Run(job) => {
                if job.is_helper() {
                    unit.helper = true;
                } else {
                    unit.running = true;
                }
                actions.push(Action::Spawn(id, job));
            }
            Next::Settle => unit.settled = true,
            Next::Fail(reason) => {
                unit.fail(reason);
                self.fallen.push(id);
            }
            Next::KillHelper => {
                unit.phase = Phase::Up;
                actions.push(Action::KillHelper(id));
            }
            Next::Leave => {
                let timeout = Ms::from(service.stop_timeout_ms);
                unit.phase = Phase::Leaving(0, now.saturating_add(timeout));
            }
            Next::Terminate => self.terminate(id, now, actions),
            Next::Conclude => self.conclude(id, now, actions),
            Next::Stop => unit.stopped(),
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
    Run(Job),
    Settle,
    Fail(String),
    KillHelper,
    Leave,
    Terminate,
    Conclude,
    Stop,
}

/// Its process is up: what comes after the start follows, or it is done.
fn up(service: &Service, unit: &mut Unit) {
    if Job::PostStart(0).exists(service) {
        unit.phase = Phase::Finishing(0);
    } else {
        unit.phase = Phase::Up;
        unit.settled = true;
    }
}

/// What follows the pre-start command of this number.
fn prepared(service: &Service, number: u8) -> Phase {
    let next = number.saturating_add(1);
    if Job::PreStart(next).exists(service) {
        Phase::Preparing(next)
    } else {
        Phase::Starting
    }
}

fn ignores_failure(job: Job, service: &Service) -> bool {
    job.command(service)
        .is_some_and(|command| command.ignore_failure)
}

fn exit_reason(job: Job, exit: Exit) -> String {
    let what = job.describe();
    match exit {
        Exit::Status(status) => format!("its {what} exited with status {status}"),
        Exit::Signal(signal) => format!("its {what} was ended by signal {signal}"),
    }
}

#[cfg(test)]
#[path = "services_tests.rs"]
mod tests;
