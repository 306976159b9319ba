//! How processes end, and what that means to their service.

use cairn_sys::process::Exit;
use cairn_system::{KillMode, MachineAction, Own, Readiness, Service, ServiceKind};

use super::super::end::{End, restarts};
use super::graph::Id;
use super::{
    Action, FIND_AGAIN_MS, Goal, Job, KILLED_MS, Ms, Outcome, Owed, PROVE_AGAIN_MS, Phase,
    REFRESH_MS, Services, StoppedBy, Unit, Verdict,
};

impl Services {
    /// Its program is executed: it is up, or it is found out when it is.
    pub(super) fn executed(&mut self, id: Id, now: Ms) {
        use ServiceKind::{Device, Path, Simple, Socket};
        if let Some((service, unit)) = self.pair(id)
            && matches!(service.kind, Simple | Socket | Path | Device)
            && unit.phase == Phase::Starting
        {
            match service.readiness {
                None => {
                    unit.alive_at = now;
                    up(service, unit);
                }
                Some(Readiness::Descriptor(_)) => {}
                Some(Readiness::Command(_) | Readiness::Port(_)) => {
                    unit.phase = Phase::Proving(now);
                }
            }
        }
    }

    /// It is ready, for the first time or again.
    pub(super) fn ready(&mut self, id: Id, now: Ms) {
        if let Some((service, unit)) = self.pair(id) {
            match unit.phase {
                Phase::Starting | Phase::Proving(_)
                    if service.kind == ServiceKind::Notify || service.readiness.is_some() =>
                {
                    unit.alive_at = now;
                    up(service, unit);
                }
                Phase::Refreshing(true, _) => unit.phase = Phase::Up,
                _ => {}
            }
        }
    }

    /// It has begun to read its configuration again, whoever has asked it to.
    pub(super) fn refreshing(&mut self, id: Id, now: Ms) {
        if let Some((service, unit)) = self.pair(id)
            && unit.goal == Goal::Up
        {
            match unit.phase {
                Phase::Up => unit.phase = Phase::Refreshing(true, refreshed_by(service, now)),
                Phase::Refreshing(_, until) => unit.phase = Phase::Refreshing(true, until),
                _ => {}
            }
        }
    }

    /// It is about to end by itself: what that means is seen when it has ended.
    pub(super) fn leaving(&mut self, id: Id, now: Ms, actions: &mut Vec<Action>) {
        if let Some((service, unit)) = self.pair(id)
            && service.kind.has_process()
            && unit.phase.is_up()
            && unit.running
            && unit.goal == Goal::Up
        {
            if unit.helper {
                actions.push(Action::KillHelper(id));
            }
            unit.phase = Phase::Stopping(now.saturating_add(Ms::from(service.stop_timeout_ms)));
            actions.extend(unit.melt().then_some(Action::Thaw(id)));
        }
    }

    pub(super) fn found(&mut self, id: Id, now: Ms) {
        if let Some((service, unit)) = self.pair(id) {
            match unit.phase {
                Phase::Finding(_) => {
                    unit.running = true;
                    unit.alive_at = now;
                    up(service, unit);
                }
                Phase::Stopping(_) => unit.running = true,
                _ => {}
            }
        }
    }

    pub(super) fn nothing_found(&mut self, id: Id, now: Ms, actions: &mut Vec<Action>) {
        let unit = self.units.get(id);
        if unit.is_some_and(|unit| matches!(unit.phase, Phase::Stopping(_))) {
            return self.end_as_decided(id, now, actions);
        }
        let reason = "it has left no process behind".to_owned();
        self.end_badly(id, reason, Outcome::Protocol, now, actions);
    }

    pub(super) fn not_executed(
        &mut self,
        id: Id,
        reason: String,
        now: Ms,
        actions: &mut Vec<Action>,
    ) {
        let Some((service, unit)) = self.pair(id) else {
            return;
        };
        if unit.phase == Phase::Starting && service.process.ignore_failure {
            return self.exited(id, NOT_EXECUTED, now, actions);
        }
        unit.running = false;
        match unit.phase {
            Phase::Cleaning(number, at) => {
                unit.phase = Phase::Cleaning(number.saturating_add(1), at);
            }
            Phase::Preparing(number) if ignores_failure(Job::PreStart(number), service) => {
                unit.phase = prepared(service, number);
            }
            _ => self.end_badly(id, reason, Outcome::Resources, now, actions),
        }
    }

    /// A condition does not hold.
    pub(super) fn skipped(&mut self, id: Id, why: String) {
        if let Some(unit) = self.units.get_mut(id) {
            unit.running = false;
            unit.skip(why);
        }
    }

    /// An asserted condition does not hold.
    pub(super) fn forbidden(&mut self, id: Id, why: String) {
        if let Some(unit) = self.units.get_mut(id) {
            unit.running = false;
            unit.outcome = Outcome::Dependency;
            unit.fail(why);
            self.fallen.push(id);
        }
    }

    /// Whether another process of its group, if there is one, is waited for when its main one has ended like this:
    /// it goes on with that, or all of them have their time to end.
    pub fn goes_on_without(&self, id: Id, exit: Exit) -> bool {
        let Some((service, unit)) = self.descriptions.get(id).zip(self.units.get(id)) else {
            return false;
        };
        let asks_all = service.kill_mode == KillMode::All;
        let is_bad = End::of(service, exit) != End::Good;
        let stays_up = service.outlives_process && !is_bad && unit.goal == Goal::Up;
        match unit.phase {
            Phase::Stopping(_) | Phase::Proving(_) => asks_all,
            Phase::Leaving(..) => asks_all || service.ends_with_last_process,
            Phase::Starting => {
                let leaves_others =
                    matches!(service.kind, ServiceKind::Oneshot | ServiceKind::Forking);
                asks_all && (is_bad || !leaves_others)
            }
            Phase::Finishing(_) | Phase::Up | Phase::Reloading(_) | Phase::Refreshing(..) => {
                lasts(service, unit, exit) || asks_all && !stays_up
            }
            _ => false,
        }
    }

    /// Another process stands for its main one. Only how the first of them has ended counts.
    pub(super) fn succeeded(&mut self, id: Id, exit: Exit, now: Ms, actions: &mut Vec<Action>) {
        let Some((service, unit)) = self.pair(id) else {
            return;
        };
        let (was_up, wanted) = (unit.phase.is_up(), unit.goal == Goal::Up);
        if was_up && lasts(service, unit, exit) {
            unit.last_exit = unit.last_exit.or(Some(exit));
            return;
        }
        if unit.winds_down {
            return;
        }
        unit.winds_down = true;
        let exit = unit
            .last_exit
            .filter(|_| service.ends_with_last_process)
            .unwrap_or(exit);
        unit.last_exit = Some(exit);
        let end = End::of(service, exit);
        let is_asked = match unit.phase {
            Phase::Leaving(..) => return,
            // Who has said that it ends, or was aborted, has not asked the others.
            Phase::Stopping(_) => {
                !wanted || unit.verdict.is_some() && unit.outcome != Outcome::Watchdog
            }
            _ => false,
        };
        unit.outcome = Outcome::of(end, exit).after(unit.outcome);
        if is_asked {
            return;
        }
        if wanted && unit.verdict.is_none() {
            unit.verdict = Some(verdict(service, unit, exit));
        }
        actions.extend(unit.forsake_helper().then_some(Action::KillHelper(id)));
        if end == End::Good && was_up && Job::PreStop(0).exists(service) {
            actions.extend(unit.melt().then_some(Action::Thaw(id)));
            unit.phase = leaving(service, now);
        } else {
            self.terminate(id, now, actions);
        }
    }

    pub(super) fn exited(&mut self, id: Id, exit: Exit, now: Ms, actions: &mut Vec<Action>) {
        let Some((service, unit)) = self.pair(id) else {
            return;
        };
        if !unit.running {
            return;
        }
        unit.running = false;
        let is_later = service.ends_with_last_process || unit.winds_down;
        let first = unit.last_exit.filter(|_| is_later);
        let exit = first.unwrap_or(exit);
        let (wanted, was_up) = (unit.goal == Goal::Up, unit.phase.is_up());
        let end = End::of(service, exit);
        match unit.phase {
            Phase::Cleaning(number, at) => {
                unit.phase = Phase::Cleaning(number.saturating_add(1), at);
                return;
            }
            Phase::Preparing(number) if wanted => {
                let job = Job::PreStart(number);
                let decides = job
                    .command(service)
                    .is_some_and(|command| command.condition);
                let is_good = exit == Exit::Status(0)
                    || decides && matches!((end, exit), (End::Good, Exit::Status(_)));
                if is_good || ignores_failure(job, service) {
                    unit.phase = prepared(service, number);
                    return;
                }
                unit.last_exit = Some(exit);
                if decides && matches!(exit, Exit::Status(1..=254)) {
                    unit.outcome = Outcome::Condition;
                    unit.note = Some(exit_reason(job, exit));
                    return self.end(id, Verdict::Finished, now, actions);
                }
                let reason = exit_reason(job, exit) + cause(unit);
                let outcome = Outcome::of(End::Status, exit);
                return self.end_badly(id, reason, outcome, now, actions);
            }
            _ => {
                unit.last_exit = Some(exit);
                unit.outcome = Outcome::of(end, exit).after(unit.outcome);
            }
        }
        match (&unit.phase, service.kind) {
            (Phase::Starting, ServiceKind::Oneshot) if end == End::Good => {
                // What it left running in its cgroup is its work.
                unit.streak = 0;
                up(service, unit);
                if unit.phase == Phase::Up && !service.stays_up {
                    self.finish(id, Verdict::Finished, now, actions);
                }
            }
            (Phase::Starting, ServiceKind::Forking) if end == End::Good && wanted => {
                unit.phase = Phase::Finding(now.saturating_add(FIND_AGAIN_MS));
                actions.push(Action::Find(id));
            }
            (Phase::Finishing(_) | Phase::Up | Phase::Reloading(_), _)
                if end == End::Good && wanted && service.outlives_process => {}
            (Phase::Refreshing(..), _)
                if end == End::Good && wanted && service.outlives_process =>
            {
                unit.phase = Phase::Up;
            }
            // Its command is still at work.
            (Phase::Leaving(..), _) => {}
            // If it has begun to end by itself, it is judged by how it has.
            (Phase::Stopping(_) | Phase::Killed(_), _) if !wanted || unit.verdict.is_some() => {
                let decided = unit.verdict.take().filter(|_| wanted);
                self.end(id, decided.unwrap_or(Verdict::Requested), now, actions);
            }
            _ if !wanted => self.end(id, Verdict::Requested, now, actions),
            _ => {
                let verdict = verdict(service, unit, exit);
                if end == End::Good && was_up {
                    self.finish(id, verdict, now, actions);
                } else {
                    self.end(id, verdict, now, actions);
                }
            }
        }
    }

    pub(super) fn helper_exited(
        &mut self,
        id: Id,
        exit: Option<Exit>,
        now: Ms,
        actions: &mut Vec<Action>,
    ) {
        let Some((service, unit)) = self.pair(id) else {
            return;
        };
        if !std::mem::take(&mut unit.helper) {
            return; // it was of a life before
        }
        let good = |job| exit == Some(Exit::Status(0)) || ignores_failure(job, service);
        let reason = |job: Job| match exit {
            Some(exit) => exit_reason(job, exit),
            None => format!(
                "its {} could not be executed; see the kernel log",
                job.describe()
            ),
        };
        match unit.phase {
            Phase::Proving(_) if good(Job::Proof) => {
                unit.alive_at = now;
                up(service, unit);
            }
            Phase::Proving(_) => unit.phase = Phase::Proving(now.saturating_add(PROVE_AGAIN_MS)),
            Phase::Finishing(number) if good(Job::PostStart(number)) => {
                let next = number.saturating_add(1);
                if Job::PostStart(next).exists(service) {
                    unit.phase = Phase::Finishing(next);
                    return;
                }
                unit.phase = Phase::Up;
                unit.settled = true;
                if service.kind == ServiceKind::Oneshot && !service.stays_up {
                    self.finish(id, Verdict::Finished, now, actions);
                }
            }
            Phase::Finishing(number) => {
                let reason = reason(Job::PostStart(number));
                self.give_up(id, reason, Outcome::ExitCode, now, actions);
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

    /// It was up, and its process has ended well by itself: what comes before an end comes all the same.
    fn finish(&mut self, id: Id, verdict: Verdict, now: Ms, actions: &mut Vec<Action>) {
        let Some((service, unit)) = self.pair(id) else {
            return;
        };
        if !Job::PreStop(0).exists(service) {
            return self.end(id, verdict, now, actions);
        }
        actions.extend(unit.forsake_helper().then_some(Action::KillHelper(id)));
        actions.extend(unit.melt().then_some(Action::Thaw(id)));
        unit.verdict = Some(verdict);
        unit.phase = leaving(service, now);
    }

    /// Asks its process to end; without one, it has ended.
    pub(super) fn terminate(&mut self, id: Id, now: Ms, actions: &mut Vec<Action>) {
        let Some((service, unit)) = self.pair(id) else {
            return;
        };
        if unit.running {
            unit.phase = Phase::Stopping(now.saturating_add(Ms::from(service.stop_timeout_ms)));
            actions.extend(unit.melt().then_some(Action::Thaw(id)));
            actions.push(Action::Terminate(id));
        } else if (service.kind == ServiceKind::Oneshot || service.outlives_process)
            && service.kill_mode == KillMode::All
            && matches!(
                unit.phase,
                Phase::Finishing(_) | Phase::Up | Phase::Leaving(..)
            )
        {
            // What it has left running is asked, and then waited for, if there is something.
            unit.winds_down = true;
            unit.phase = Phase::Stopping(now.saturating_add(Ms::from(service.stop_timeout_ms)));
            actions.extend(unit.melt().then_some(Action::Thaw(id)));
            actions.extend([Action::Terminate(id), Action::Find(id)]);
        } else {
            self.end_as_decided(id, now, actions);
        }
    }

    fn end_as_decided(&mut self, id: Id, now: Ms, actions: &mut Vec<Action>) {
        if let Some(unit) = self.units.get_mut(id) {
            let verdict = unit.verdict.take().filter(|_| unit.goal == Goal::Up);
            self.end(id, verdict.unwrap_or(Verdict::Requested), now, actions);
        }
    }

    /// It has got somewhere, but is not to go on: what runs is ended first.
    pub(super) fn give_up(
        &mut self,
        id: Id,
        reason: String,
        outcome: Outcome,
        now: Ms,
        actions: &mut Vec<Action>,
    ) {
        if let Some((service, unit)) = self.pair(id) {
            unit.blame(outcome, reason, service);
            if unit.helper {
                actions.push(Action::KillHelper(id));
            }
            self.terminate(id, now, actions);
        }
    }

    /// Its process has said that it lives.
    pub(super) fn lives(&mut self, id: Id, now: Ms) {
        if let Some(unit) = self.units.get_mut(id) {
            unit.alive_at = now;
        }
    }

    /// It has time until then: on its way up or down, or while it is up for a bounded time. The machine's own
    /// end is not put off by services.
    pub(super) fn extended(&mut self, id: Id, until: Ms) {
        let goes_on = !self.is_shutting_down();
        match self.units.get_mut(id) {
            Some(unit) if unit.phase.is_on_its_way() || unit.phase.is_up() => {
                unit.extended_to = Some(until);
            }
            Some(unit) if goes_on => {
                if let Phase::Stopping(at) = &mut unit.phase {
                    *at = until.max(*at);
                }
            }
            _ => {}
        }
    }

    /// No process of it is left, for a reason that nobody asked for.
    pub(super) fn end_badly(
        &mut self,
        id: Id,
        reason: String,
        outcome: Outcome,
        now: Ms,
        actions: &mut Vec<Action>,
    ) {
        if let Some((service, unit)) = self.pair(id) {
            unit.blame(outcome, reason, service);
            self.end_as_decided(id, now, actions);
        }
    }

    /// Its process has ended: leftovers are killed, and the commands for that follow.
    pub(super) fn end(&mut self, id: Id, verdict: Verdict, now: Ms, actions: &mut Vec<Action>) {
        let Some((service, unit)) = self.pair(id) else {
            return;
        };
        actions.extend(unit.forsake_helper().then_some(Action::KillHelper(id)));
        actions.push(Action::Kill(id));
        // The next one that is born there is to move.
        actions.extend(unit.melt().then_some(Action::Thaw(id)));
        unit.verdict = Some(verdict);
        if Job::PostStop(0).exists(service) {
            unit.phase = Phase::Cleaning(0, now.saturating_add(Ms::from(service.stop_timeout_ms)));
        } else {
            self.conclude(id, now, actions);
        }
    }

    /// Everything of it is gone.
    pub(super) fn conclude(&mut self, id: Id, now: Ms, actions: &mut Vec<Action>) {
        let chance = self.chance();
        let Some((service, unit)) = self.descriptions.get(id).zip(self.units.get_mut(id)) else {
            return;
        };
        let confinement = &service.process.confinement;
        if confinement.own.contains(&Own::TemporaryFiles)
            || confinement.shared_as.is_some()
            || service.removes_ipc
            || !service.credentials.is_empty()
            || service.directories.iter().any(|one| one.removed_at_stop)
        {
            actions.push(Action::Release(id));
        }
        unit.ended_at = Some(now);
        let verdict = unit.verdict.take();
        let on_machine = service.machine_actions.as_deref();
        let mut act = |action: Option<MachineAction>| {
            actions.extend(action.map(|action| Action::Machine(id, action)));
        };
        match verdict.filter(|_| unit.goal == Goal::Up) {
            None | Some(Verdict::Requested) => unit.stopped(),
            Some(Verdict::Finished) if unit.outcome == Outcome::Condition => {
                let why = unit.note.take().unwrap_or_default();
                unit.skip(why);
            }
            Some(Verdict::Finished) => {
                unit.stopped_by_itself(service.kind);
                self.finished.push(id);
                act(on_machine.and_then(|all| all.success));
            }
            Some(Verdict::Bad { restart: true, .. }) => {
                if service.tells_of_restarts {
                    self.returning.push((id, Owed::to(id, unit)));
                }
                unit.back_off(service, now, chance);
            }
            Some(Verdict::Bad { reason, .. }) => {
                unit.fail(reason);
                self.fallen.push(id);
                act(on_machine.and_then(|all| all.failure));
            }
        }
        let returns = matches!(unit.phase, Phase::Waiting | Phase::Backoff(_))
            || unit.stopped_by == Some(StoppedBy::Switch);
        if service.stored_descriptors > 0 && !service.pinned_descriptors && !returns {
            actions.push(Action::Forget(id));
        }
    }

    /// What the clock brings about.
    pub(super) fn expire(&mut self, now: Ms, actions: &mut Vec<Action>) {
        self.units.add_due(now, &mut self.pending);
        while let Some(id) = self.pending.pop_first() {
            self.expire_one(id, now, actions);
        }
    }

    pub(super) fn expire_one(&mut self, id: Id, now: Ms, actions: &mut Vec<Action>) {
        let Some((service, unit)) = self.descriptions.get(id).zip(self.units.get_mut(id)) else {
            return;
        };
        if unit.start_deadline(service).is_some_and(|at| at <= now) && unit.goal == Goal::Up {
            let reason = late(service);
            return self.give_up(id, reason, Outcome::Timeout, now, actions);
        }
        if unit.watchdog_deadline(service).is_some_and(|at| at <= now) {
            let within = service.watchdog_ms.unwrap_or_default();
            return self.bark(
                id,
                format!("it has not said for {within} ms that it lives"),
                now,
                actions,
            );
        }
        if unit.runtime_deadline(service).is_some_and(|at| at <= now) {
            return self.outlive(id, now, actions);
        }
        match unit.phase {
            Phase::Leaving(_, at) if at <= now => {
                if unit.helper {
                    actions.push(Action::KillHelper(id));
                }
                self.terminate(id, now, actions);
            }
            // What it has left running could not be found.
            Phase::Stopping(at) if at <= now && !unit.running => {
                self.end_as_decided(id, now, actions);
            }
            Phase::Stopping(at) if at <= now => {
                unit.phase = Phase::Killed(now.saturating_add(KILLED_MS));
                unit.outcome = Outcome::Timeout.after(unit.outcome);
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
            Phase::Proving(at) if at <= now && unit.goal == Goal::Up && !unit.helper => {
                unit.phase = Phase::Proving(now.saturating_add(PROVE_AGAIN_MS));
                if Job::Proof.exists(service) {
                    unit.helper = true;
                    actions.push(Action::Spawn(id, Job::Proof));
                } else {
                    actions.push(Action::Probe(id));
                }
            }
            Phase::Refreshing(_, at) if at <= now => {
                unit.phase = Phase::Up;
                let note = "the last reload failed: it has not said in time that it is done";
                unit.note = Some(note.to_owned());
            }
            Phase::Backoff(at) if at <= now && unit.goal == Goal::Up => {
                unit.phase = Phase::Waiting;
                unit.restarts = unit.restarts.saturating_add(1);
            }
            _ => {}
        }
    }
}

/// The status of a process that could not be executed, for those whose failure does not matter: that of systemd's.
const NOT_EXECUTED: Exit = Exit::Status(203);

/// Why it has failed that is not up in time.
fn late(service: &Service) -> String {
    let within = service.start_timeout_ms.unwrap_or_default();
    match &service.device {
        Some(path) => format!("{path} has not come within {within} ms"),
        None => "it did not come up in time".to_owned(),
    }
}

/// By when a process that reads its configuration again must have said that it is done.
pub(super) fn refreshed_by(service: &Service, now: Ms) -> Ms {
    now.saturating_add(service.start_timeout_ms.map_or(REFRESH_MS, Ms::from))
}

/// What comes before its end begins now.
pub(super) fn leaving(service: &Service, now: Ms) -> Phase {
    Phase::Leaving(0, now.saturating_add(Ms::from(service.stop_timeout_ms)))
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

/// Whether it lasts as long as its last process, and its main one has ended well, or one that stood for it has ended.
fn lasts(service: &Service, unit: &Unit, exit: Exit) -> bool {
    let is_first = unit.last_exit.is_none();
    service.ends_with_last_process && (!is_first || End::of(service, exit) == End::Good)
}

/// What follows when its main process has ended like this by itself.
fn verdict(service: &Service, unit: &Unit, exit: Exit) -> Verdict {
    let restart = restarts(service, exit);
    if End::of(service, exit) == End::Good && !restart {
        Verdict::Finished
    } else {
        let reason = exit_reason(Job::Main, exit) + cause(unit);
        Verdict::Bad { reason, restart }
    }
}

/// What has brought its end about, if that is known.
fn cause(unit: &Unit) -> &'static str {
    match unit.outcome {
        Outcome::OomKill => ": memory had run out",
        _ => "",
    }
}

fn exit_reason(job: Job, exit: Exit) -> String {
    let what = job.describe();
    match exit {
        Exit::Status(status) => format!("its {what} exited with status {status}"),
        Exit::Signal(signal) => format!("its {what} was ended by signal {signal}"),
    }
}
