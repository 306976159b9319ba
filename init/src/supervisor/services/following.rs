//! What follows the end of a service: others that are started because of it, or go down with it.

use std::collections::BTreeSet;

use super::graph::Id;
use super::{Ms, Owed, Phase, Services, Unit};

/// How long what follows an end is put off when it has followed one of the same service just now, and what has failed
/// waits at least when another one's end has it started again, in milliseconds.
const AGAIN_MS: Ms = 100;

impl Services {
    /// Wants up what is to follow those that have failed, or whose work is done, and down what is bound to them; whether
    /// there was something. Who has been `followed` in this step is followed again later: services that start
    /// and end each other without a process would keep the machine busy for ever.
    pub(super) fn follow_ends(&mut self, followed: &mut BTreeSet<Id>, now: Ms) -> bool {
        let is_new = |id: &Id| !followed.contains(id);
        let fallen: Vec<Id> = self.fallen.extract_if(.., |id| is_new(id)).collect();
        let finished: Vec<Id> = self.finished.extract_if(.., |id| is_new(id)).collect();
        let returning: Vec<(Id, Owed)> =
            (self.returning.extract_if(.., |(id, _)| is_new(id))).collect();
        let are_put_off =
            !(self.fallen.is_empty() && self.finished.is_empty() && self.returning.is_empty());
        self.follow_at = are_put_off.then(|| now.saturating_add(AGAIN_MS));
        for id in fallen.iter().chain(&finished) {
            self.take_down_bound(*id);
        }
        let mut any = false;
        let ended = (fallen.into_iter().map(|id| (id, false)))
            .chain(finished.into_iter().map(|id| (id, true)))
            .map(|(id, is_good)| (id, is_good, None));
        let returning = returning
            .into_iter()
            .map(|(id, owed)| (id, owed.outcome.is_good(), Some(owed)));
        for (ended, is_good, owed) in ended.chain(returning) {
            any = true;
            followed.insert(ended);
            let owed = owed.or_else(|| Some(Owed::to(ended, self.units.get(ended)?)));
            let next = self.nodes.get(ended).map(|node| {
                let next = if is_good {
                    &node.on_success
                } else {
                    &node.on_failure
                };
                next.clone()
            });
            for id in next.into_iter().flatten() {
                self.want_for(id, owed, now);
            }
        }
        any
    }

    /// Wants it up because of the end of another one, which it is told of.
    fn want_for(&mut self, id: Id, owed: Option<Owed>, now: Ms) {
        let is_down =
            |unit: &Unit| matches!(unit.phase, Phase::Stopped | Phase::Done | Phase::Failed(_));
        let was_down = self.units.get(id).is_some_and(is_down);
        let failed: Vec<(Id, Unit)> = (self.units.iter().enumerate())
            .filter(|(_, unit)| matches!(unit.phase, Phase::Failed(_)))
            .map(|(id, unit)| (id, unit.clone()))
            .collect();
        self.want(id);
        // What needs what has failed would fail at once again, and so on: it waits as for any restart.
        for (id, before) in failed {
            self.wait_again(id, &before, now);
            if let Some(Phase::Backoff(at)) = self.units.get_mut(id).map(|unit| &mut unit.phase) {
                *at = (*at).max(now.saturating_add(AGAIN_MS));
            }
        }
        if let Some(unit) = self.units.get_mut(id)
            && was_down
            && !is_down(unit)
        {
            unit.owed = owed;
        }
    }
}
