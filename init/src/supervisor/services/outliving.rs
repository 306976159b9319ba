//! Services that go on while everything else is stopped and user space starts again.
//!
//! What needs something that is stopped does not go on either. What fails meanwhile waits, as its
//! description says, for the supervisor that comes: this one starts nothing any more.

use super::graph::Id;
use super::{Goal, Services, Shutdown};

impl Services {
    /// What goes on: what is up and is described so, with the sockets and paths that start such a service,
    /// and the devices that they need. `comes_again` says whether the generation that comes has it.
    pub fn outliving(&self, comes_again: impl Fn(&str) -> bool) -> Vec<Id> {
        let is_meant = |id: Id| {
            let describes = |id: Id| {
                self.descriptions
                    .get(id)
                    .is_some_and(|s| s.outlives_user_space)
            };
            let is_device = self.device(id).is_some();
            let starts = self.started_by(id).filter(|_| self.accepting(id).is_none());
            is_device || describes(id) || starts.is_some_and(describes)
        };
        let mut goes_on: Vec<bool> = (self.units.iter().zip(&self.descriptions).enumerate())
            .map(|(id, (unit, service))| {
                let is_up = unit.phase.is_up() && unit.goal == Goal::Up && !unit.instance;
                is_up && is_meant(id) && comes_again(service.name.as_str())
            })
            .collect();
        let is_stopped = |goes_on: &[bool], id: Id| {
            let is_alive = self.units.get(id).is_some_and(super::Unit::is_alive);
            is_alive && goes_on.get(id) == Some(&false)
        };
        let ids = 0..self.units.len();
        let mut queue: Vec<Id> = ids.clone().filter(|id| is_stopped(&goes_on, *id)).collect();
        while let Some(id) = queue.pop() {
            for follower in self
                .nodes
                .get(id)
                .into_iter()
                .flat_map(|node| &node.required_by)
            {
                if let Some(one @ true) = goes_on.get_mut(*follower) {
                    *one = false;
                    queue.push(*follower);
                }
            }
        }
        // A device that nobody needs comes anew, and starts what it starts.
        let is_needed = |id: Id| {
            let node = self.nodes.get(id);
            let mut followers = node.into_iter().flat_map(|node| &node.required_by);
            self.device(id).is_none() || followers.any(|id| goes_on.get(*id) == Some(&true))
        };
        ids.filter(|id| goes_on.get(*id) == Some(&true) && is_needed(*id))
            .collect()
    }

    /// Everything but these is to be down, for good.
    pub(super) fn stop_others(&mut self, outliving: &[Id]) {
        if self.shutdown == Shutdown::No {
            self.shutdown = Shutdown::Going;
            for id in outliving {
                if let Some(unit) = self.units.get_mut(*id) {
                    unit.outlives = unit.goal == Goal::Up;
                }
            }
        }
        for unit in self.units.iter_mut() {
            if !unit.outlives {
                unit.goal = Goal::Down;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, names, service};
    use super::super::{Event, Services};
    use cairn_sys::process::Exit;
    use cairn_system::{Restart, Service, ServiceKind};
    use expect_test::expect;

    fn outliving(name: &str, restart: Restart) -> Service {
        let mut service = service(name, ServiceKind::Simple, restart);
        service.outlives_user_space = true;
        service
    }

    #[test]
    fn what_outlives_the_others_is_not_started_before_they_come_again() {
        let other = service("other", ServiceKind::Simple, Restart::Always);
        let services = vec![
            outliving("stays", Restart::Always),
            outliving("fails", Restart::Always),
            other,
        ];
        check(
            services,
            &[
                (0, Event::Boot),
                (1, Event::Executed(0)),
                (1, Event::Executed(1)),
                (1, Event::Executed(2)),
                (2, Event::StopOthers(vec![0, 1])),
                (3, Event::Exited(1, Exit::Status(1))),
                (900, Event::Tick),
                (901, Event::Start(1)),
                (902, Event::Exited(2, Exit::Signal(15))),
                (903, Event::Shutdown),
            ],
            &expect![[r#"
                0 Boot: [Spawn(0, Main), Spawn(1, Main), Spawn(2, Main)]
                1 Executed(0): []
                1 Executed(1): []
                1 Executed(2): [BootDone(0)]
                2 StopOthers([0, 1]): [Terminate(2)]
                3 Exited(1, Status(1)): [Kill(1)]
                900 Tick: []
                901 Start(1): []
                902 Exited(2, Signal(15)): [Kill(2), ShutdownDone]
                903 Shutdown: []"#]],
        );
    }

    #[test]
    fn what_needs_something_that_stops_stops_too() {
        let mut needs = outliving("needs", Restart::Never);
        needs.requires = names(&["other"]);
        let mut part = outliving("part", Restart::Never);
        part.part_of = names(&["needs"]).into();
        let stays = outliving("stays", Restart::Never);
        let other = service("other", ServiceKind::Simple, Restart::Never);
        let down = outliving("down", Restart::Never);
        let mut machine = Services::new(vec![needs, part, stays, other, down]);
        machine.step(Event::Boot, 0);
        for id in [3, 0, 1, 2] {
            machine.step(Event::Executed(id), 1);
        }
        assert_eq!(machine.outliving(|_| true), [2]);
        assert_eq!(machine.outliving(|name| name != "stays"), [0; 0]);
        machine.step(Event::Stop(3), 2);
        for id in [1, 0, 3] {
            machine.step(Event::Exited(id, Exit::Signal(15)), 3);
        }
        assert_eq!(machine.outliving(|_| true), [2]);
    }
}
