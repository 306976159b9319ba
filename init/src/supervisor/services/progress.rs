//! What follows for each service from what the others have come to.

use cairn_system::{Service, ServiceKind};

use super::endings::leaving;
use super::graph::{Id, Node};
use super::{Action, Boot, Goal, Job, Ms, Outcome, Phase, Services, Shutdown, Unit, devices};

impl Services {
    /// Starts what can start and stops what can stop, until nothing changes. This goes round by number,
    /// and looks at those that have changed or whose turn depends on one that has.
    pub(super) fn advance(&mut self, now: Ms, actions: &mut Vec<Action>) {
        let mut from = 0;
        loop {
            while let Some(id) = self.units.take_touched() {
                self.pending.insert(id);
                let node = self.nodes.get(id);
                self.pending
                    .extend(node.into_iter().flat_map(Node::neighbours));
            }
            let next = self.pending.next(from).or_else(|| self.pending.next(0));
            let Some(id) = next else { return };
            self.pending.remove(id);
            from = id + 1;
            match self.next(id) {
                Next::Stay => {}
                next => self.go(id, next, now, actions),
            }
        }
    }

    pub(super) fn next(&self, id: Id) -> Next {
        match self.units.get(id) {
            Some(unit) if unit.goal == Goal::Up => self.upwards(id, unit),
            Some(unit) => self.downwards(id, unit),
            None => Next::Stay,
        }
    }

    fn upwards(&self, id: Id, unit: &Unit) -> Next {
        let Some(node) = self.nodes.get(id) else {
            return Next::Stay;
        };
        match unit.phase {
            // What outlives the others goes on from there with the next supervisor.
            _ if self.shutdown != Shutdown::No && !unit.phase.is_ending() => return Next::Stay,
            Phase::Waiting => {}
            Phase::Preparing(number) if !unit.running => return Next::Run(Job::PreStart(number)),
            Phase::Starting if !unit.running => return Next::Run(Job::Main),
            Phase::Finishing(number) if !unit.helper => return Next::Run(Job::PostStart(number)),
            Phase::Reloading(number) if !unit.helper => return Next::Run(Job::Reload(number)),
            Phase::Up if unit.reload_again && !unit.helper => return Next::Reload,
            // It has been up for as long as it may.
            Phase::Leaving(number, _) if !unit.helper => return Next::Run(Job::PreStop(number)),
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
                _ if other.phase.is_up() && other.goal == Goal::Up => {}
                Phase::Done if !node.requisite.contains(&required) => {}
                Phase::Done => return self.fail_for(required, "is not up"),
                Phase::Failed(_) => return self.fail_for(required, "has failed"),
                Phase::Stopped if other.disabled => return self.fail_for(required, "is disabled"),
                Phase::Stopped if other.goal != Goal::Again => {
                    let is_device = self.device(required).is_some();
                    let what = if is_device {
                        "is not there"
                    } else {
                        "is stopped"
                    };
                    return self.fail_for(required, what);
                }
                _ => {
                    blocked = true;
                    pending |= !other.settled || other.goal == Goal::Again;
                }
            }
        }
        for (_, other) in self.others(&node.conflicts) {
            blocked |= other.is_alive() || other.running;
            pending |= other.is_alive() && other.goal != Goal::Up;
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

    pub(super) fn others<'a>(&'a self, ids: &'a [Id]) -> impl Iterator<Item = (Id, &'a Unit)> {
        ids.iter()
            .filter_map(|id| self.units.get(*id).map(|unit| (*id, unit)))
    }

    fn go(&mut self, id: Id, next: Next, now: Ms, actions: &mut Vec<Action>) {
        let Some((service, unit)) = self.descriptions.get(id).zip(self.units.get_mut(id)) else {
            return;
        };
        match next {
            Next::Stay => {}
            Next::Spawn => {
                // Of a socket or path, what it starts is counted.
                let counts = service.starts().is_none();
                let limit = service.start_limit.filter(|_| counts);
                if let Some(reason) = unit.count_start(limit, now) {
                    unit.outcome = Outcome::StartLimitHit;
                    unit.fail(reason);
                    self.fallen.push(id);
                    actions.extend(leaves_kept(service).then_some(Action::Release(id)));
                    let action = service.machine_actions.as_deref();
                    let action = action.and_then(|all| all.start_limit.or(all.failure));
                    actions.extend(action.map(|action| Action::Machine(id, action)));
                } else {
                    if !counts {
                        unit.window_starts = 0;
                    }
                    unit.started_at = Some(now);
                    unit.up_at = None;
                    unit.reload_again = false;
                    unit.winds_down = false;
                    unit.outcome = Outcome::Success;
                    if service.ends_with_last_process {
                        unit.last_exit = None;
                    }
                    unit.extended_to = None;
                    unit.phase = match service.kind {
                        ServiceKind::Milestone => Phase::Up,
                        _ if Job::PreStart(0).exists(service) => Phase::Preparing(0),
                        _ => Phase::Starting,
                    };
                    unit.settled |= unit.phase == Phase::Up;
                    if let Some(path) = &service.device {
                        unit.note = Some(devices::absence(path));
                    }
                }
            }
            Next::Run(job) => {
                // A command would not begin there.
                actions.extend(unit.melt().then_some(Action::Thaw(id)));
                if job.is_helper() {
                    unit.helper = true;
                } else {
                    unit.running = true;
                }
                actions.push(Action::Spawn(id, job));
            }
            Next::Reload => self.reload(id, now, actions),
            Next::Settle => unit.settled = true,
            Next::Fail(reason) => {
                unit.outcome = Outcome::Dependency;
                unit.fail(reason);
                self.fallen.push(id);
                actions.extend(leaves_kept(service).then_some(Action::Release(id)));
            }
            Next::KillHelper => {
                unit.phase = Phase::Up;
                actions.push(Action::KillHelper(id));
            }
            Next::Leave => {
                unit.phase = leaving(service, now);
            }
            Next::Terminate => self.terminate(id, now, actions),
            Next::Conclude => self.conclude(id, now, actions),
            Next::Stop => {
                unit.stopped();
                actions.extend(leaves_kept(service).then_some(Action::Release(id)));
            }
        }
    }

    pub(super) fn milestones(&mut self, actions: &mut Vec<Action>) {
        if self.boot == Boot::Going && self.units.summary().unsettled == 0 {
            self.boot = Boot::Done;
            if self.shutdown == Shutdown::No {
                let failed = self.units.iter().filter(|unit| unit.is_failed()).count();
                actions.push(Action::BootDone(failed));
            }
        }
        if self.shutdown == Shutdown::Going && self.units.summary().alive == 0 {
            self.shutdown = Shutdown::Done;
            actions.push(Action::ShutdownDone);
        }
    }
}

/// Whether it has left something for a start that was to follow, which does not.
fn leaves_kept(service: &Service) -> bool {
    (service.directories.iter()).any(|directory| directory.kept_at_restart)
}

/// What becomes of one service in one round.
#[derive(Debug, PartialEq)]
pub(super) enum Next {
    Stay,
    Spawn,
    Run(Job),
    Reload,
    Settle,
    Fail(String),
    KillHelper,
    Leave,
    Terminate,
    Conclude,
    Stop,
}
