//! What is ended although it would go on: it was up for too long, does not say that it lives, or memory has run out.

use super::super::memory;
use super::endings::leaving;
use super::graph::Id;
use super::{Action, Goal, Job, Ms, Outcome, Phase, Services};

impl Services {
    /// It has been up for as long as it may: it is stopped as somebody would stop it.
    pub(super) fn outlive(&mut self, id: Id, now: Ms, actions: &mut Vec<Action>) {
        let Some((service, _)) = self.pair(id) else {
            return;
        };
        let longest = service.runtime_max_ms.unwrap_or_default();
        let reason = format!("it was up for longer than the {longest} ms that it may be");
        self.stop_badly(id, reason, Outcome::Timeout, now, actions);
    }

    /// It is stopped as somebody would stop it, but has failed.
    fn stop_badly(
        &mut self,
        id: Id,
        reason: String,
        outcome: Outcome,
        now: Ms,
        actions: &mut Vec<Action>,
    ) {
        let Some((service, unit)) = self.pair(id) else {
            return;
        };
        if unit.phase.is_up() && Job::PreStop(0).exists(service) {
            unit.blame(outcome, reason, service);
            actions.extend(unit.forsake_helper().then_some(Action::KillHelper(id)));
            actions.extend(unit.melt().then_some(Action::Thaw(id)));
            unit.phase = leaving(service, now);
        } else {
            self.give_up(id, reason, outcome, now, actions);
        }
    }

    /// Its watchdog is not satisfied: it is aborted, so that what it was doing can be seen.
    pub(super) fn bark(&mut self, id: Id, reason: String, now: Ms, actions: &mut Vec<Action>) {
        if let Some((service, unit)) = self.pair(id)
            && unit.phase.is_up()
            && unit.running
        {
            unit.blame(Outcome::Watchdog, reason, service);
            if unit.helper {
                actions.push(Action::KillHelper(id));
            }
            unit.phase = Phase::Stopping(now.saturating_add(Ms::from(service.stop_timeout_ms)));
            actions.extend(unit.melt().then_some(Action::Thaw(id)));
            actions.push(Action::Signal(id, nix::libc::SIGABRT));
        }
    }

    /// What follows is not its own doing: it is stopped, unless it goes on or ends as it is.
    pub(super) fn short_of_memory(&mut self, id: Id, now: Ms, actions: &mut Vec<Action>) {
        let Some((service, unit)) = self.pair(id) else {
            return;
        };
        if unit.goal != Goal::Up {
            return;
        }
        if memory::is_stopped(service) && (unit.phase.is_up() || unit.phase.is_on_its_way()) {
            let reason = "memory had run out: the kernel has killed a process of it".to_owned();
            self.stop_badly(id, reason, Outcome::OomKill, now, actions);
        } else {
            unit.outcome = Outcome::OomKill.after(unit.outcome);
        }
    }
}
