//! What somebody wants of services: up, down, again, or as another generation describes them.

use cairn_system::{Few, Reload};

use super::endings::refreshed_by;
use super::graph::Id;
use super::{Action, Due, Goal, Ms, Phase, Services, Shutdown, StoppedBy, Unit};

impl Services {
    /// Wants it up, with all that it requires and wants.
    pub(super) fn want(&mut self, id: Id) {
        self.want_with(id, |_| true);
    }

    /// Wants it up, with all that it requires, and of what it wants along, what `comes`.
    pub(super) fn want_with(&mut self, id: Id, comes: impl Fn(&Unit) -> bool) {
        if self.shutdown != Shutdown::No {
            return;
        }
        let mut queue = vec![id];
        let mut seen = vec![false; self.units.len()];
        while let Some(id) = queue.pop() {
            let Some(is_seen @ false) = seen.get_mut(id) else {
                continue;
            };
            *is_seen = true;
            if let Some(unit) = self.units.get_mut(id) {
                if unit.disabled {
                    continue;
                }
                unit.want();
            }
            self.make_way(id, &seen);
            if let Some(node) = self.nodes.get(id) {
                let units = &self.units;
                // A device starts those when it comes.
                let is_device = self.device(id).is_some();
                let along = node
                    .wants
                    .iter()
                    .filter(|id| !is_device && units.get(**id).is_some_and(&comes));
                let required = node.requires.iter();
                let required = required.filter(|id| !node.requisite.contains(id));
                queue.extend(required.chain(along));
            }
        }
    }

    /// Wants those down that conflict with it, but for those that are wanted along with it.
    fn make_way(&mut self, id: Id, wanted: &[bool]) {
        let node = self.nodes.get(id);
        let conflicts = node.map_or_else(Few::new, |node| node.conflicts.clone());
        for other in conflicts {
            if wanted.get(other) != Some(&true) {
                let name = self.descriptions.get(id).map(|service| &service.name);
                let why = name.map(|name| format!("it makes way for '{name}'"));
                for follower in self.followers(other) {
                    let is_wanted = |unit: &&mut Unit| unit.goal != Goal::Down;
                    if let Some(unit) = self.units.get_mut(follower).filter(is_wanted) {
                        unit.note.clone_from(&why);
                    }
                }
                self.unwant(other, Goal::Down);
            }
        }
    }

    /// Wants it down, and those that are up and require it; with [`Goal::Again`], all up after.
    pub(super) fn unwant(&mut self, id: Id, goal: Goal) {
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

    /// It has gone down by itself: those that are bound to it are to be down, too.
    pub(super) fn take_down_bound(&mut self, id: Id) {
        let bound = self.nodes.get(id).map(|node| node.bound.clone());
        let name = self
            .descriptions
            .get(id)
            .map(|service| service.name.clone());
        for (id, name) in bound
            .into_iter()
            .flatten()
            .zip(std::iter::repeat(name).flatten())
        {
            let is_wanted = |unit: &&mut Unit| unit.goal == Goal::Up;
            if let Some(unit) = self.units.get_mut(id).filter(is_wanted) {
                unit.note = Some(format!("it is bound to '{name}', which has gone down"));
            }
            self.unwant(id, Goal::Down);
        }
    }

    /// It, and those that require it or are part of it, and so on.
    pub(super) fn followers(&self, id: Id) -> Vec<Id> {
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

    pub(super) fn hold(&mut self, ids: &[Id]) {
        for id in ids {
            if let Some(unit) = self.units.get_mut(*id) {
                unit.stopped_by = Some(StoppedBy::Switch);
            }
            self.unwant(*id, Goal::Down);
        }
    }

    /// The plan of the switch has followed all dependencies but those of what is started.
    pub(super) fn switched(&mut self, now: Ms, actions: &mut Vec<Action>) {
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
            if due == Due::Reload && unit.phase.is_up() && unit.goal == Goal::Up {
                self.reload(id, now, actions);
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

    /// Nothing is to start it any more.
    pub(super) fn disable(&mut self, id: Id) {
        self.stop_by_hand(id);
        if let Some(unit) = self.units.get_mut(id) {
            unit.disabled = true;
        }
    }

    /// It may be started again, and is.
    pub(super) fn enable(&mut self, id: Id) {
        if let Some(unit) = self.units.get_mut(id) {
            unit.disabled = false;
        }
        self.want(id);
    }

    pub(super) fn stop_by_hand(&mut self, id: Id) {
        for other in self.followers(id) {
            if let Some(unit) = self.units.get_mut(other)
                && (other == id || unit.goal != Goal::Down)
            {
                unit.stopped_by = Some(StoppedBy::Hand);
            }
        }
        self.unwant(id, Goal::Down);
    }

    pub(super) fn reload(&mut self, id: Id, now: Ms, actions: &mut Vec<Action>) {
        let Some((service, unit)) = self.pair(id) else {
            return;
        };
        if unit.goal != Goal::Up || !unit.phase.is_up() {
            return;
        }
        // What it has read by now may be what there was before.
        unit.reload_again = unit.phase != Phase::Up || unit.helper;
        if unit.reload_again {
            return;
        }
        unit.note = None;
        if unit.melt() {
            unit.alive_at = now;
            actions.push(Action::Thaw(id));
        }
        match &service.reload {
            None => {}
            // A oneshot has none that could hear of it.
            Some(Reload::Signal(_) | Reload::Announced(_)) if !unit.running => {}
            Some(Reload::Signal(signal)) => actions.push(Action::Signal(id, signal.number())),
            Some(Reload::Announced(signal)) => {
                actions.push(Action::Signal(id, signal.number()));
                unit.phase = Phase::Refreshing(false, refreshed_by(service, now));
            }
            Some(Reload::Commands(_)) => unit.phase = Phase::Reloading(0),
        }
    }
}
