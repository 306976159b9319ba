//! Services that are kept running as long as another one runs.

use std::collections::BTreeSet;

use super::graph::Id;
use super::{Goal, Ms, Phase, Services, Shutdown, StoppedBy, Unit};

impl Services {
    /// The service that is up and keeps this one running, if there is one.
    pub fn upholder(&self, id: Id) -> Option<Id> {
        let holders = &self.nodes.get(id)?.upheld_by;
        holders.iter().copied().find(|holder| {
            let unit = self.units.get(*holder);
            unit.is_some_and(|unit| unit.phase.is_up() && unit.goal == Goal::Up)
        })
    }

    /// Starts what is down and is not to be, among what has changed; whether there was something. What has run
    /// before waits as for any restart, so that nothing that fails at once keeps the machine busy. What has been
    /// `raised` in this step is not again: two that conflict would be so for ever.
    pub(super) fn uphold(&mut self, raised: &mut BTreeSet<Id>, now: Ms) -> bool {
        if self.shutdown != Shutdown::No {
            return false;
        }
        self.each_changed(
            |node| node.upholds.clone(),
            |services, id| {
                let falls = services.units.get(id).is_some_and(is_down);
                let rises = falls && services.upholder(id).is_some() && raised.insert(id);
                if rises {
                    services.raise(id, now);
                }
                rises
            },
        )
    }

    fn raise(&mut self, id: Id, now: Ms) {
        let Some(before) = self.units.get(id).cloned() else {
            return;
        };
        self.want(id);
        // Also what has failed on what it needs would do so again at once.
        let is_first = before.started_at.is_none() && !matches!(before.phase, Phase::Failed(_));
        if !is_first {
            self.wait_again(id, &before, now);
        }
    }

    /// It is wanted up, and was like this before: it waits as for a restart.
    pub(super) fn wait_again(&mut self, id: Id, before: &Unit, now: Ms) {
        let chance = self.chance();
        if let Some((service, unit)) = self.pair(id)
            && unit.phase == Phase::Waiting
        {
            unit.restarts = before.restarts;
            unit.streak = before.streak;
            unit.window_start = before.window_start;
            unit.window_starts = before.window_starts;
            unit.back_off(service, now, chance);
        }
    }
}

/// Whether nothing of it is there or on its way, and it may be started.
fn is_down(unit: &Unit) -> bool {
    matches!(unit.phase, Phase::Stopped | Phase::Done | Phase::Failed(_))
        && unit.goal == Goal::Down
        && !(unit.disabled || unit.running || unit.instance)
        && unit.stopped_by != Some(StoppedBy::Switch)
        && unit.due.is_none()
}
