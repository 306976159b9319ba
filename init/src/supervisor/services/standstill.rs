//! Services whose processes stand still for a while.

use super::graph::Id;
use super::{Action, Goal, Ms, Phase, Services};

impl Services {
    /// Its processes are to stand still: only what is up can, and nothing may be under way.
    pub(super) fn freeze(&mut self, id: Id, actions: &mut Vec<Action>) {
        if let Some((service, unit)) = self.pair(id)
            && service.kind.has_process()
            && unit.phase == Phase::Up
            && unit.goal == Goal::Up
            && !unit.helper
            && !unit.frozen
        {
            unit.frozen = true;
            actions.push(Action::Freeze(id));
        }
    }

    /// They go on; what they have not said meanwhile is not held against them.
    pub(super) fn thaw(&mut self, id: Id, now: Ms, actions: &mut Vec<Action>) {
        if let Some((_, unit)) = self.pair(id)
            && unit.melt()
        {
            unit.alive_at = now;
            actions.push(Action::Thaw(id));
        }
    }
}
