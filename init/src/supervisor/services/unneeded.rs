//! Services that are up only as long as something needs them.
//!
//! Source: `systemd.unit(5)`, `StopWhenUnneeded=`.

use super::graph::Id;
use super::{Goal, Phase, Services, Shutdown, StoppedBy, Unit};

impl Services {
    /// Wants down what nothing needs any more, among what has changed and what that needs; whether there was something.
    pub(super) fn dismiss(&mut self) -> bool {
        if self.shutdown != Shutdown::No {
            return false;
        }
        self.each_changed(
            |node| node.needs.clone(),
            |services, id| {
                let is_unneeded = services.is_unneeded(id);
                if is_unneeded {
                    if let Some(unit) = services.units.get_mut(id) {
                        unit.note = Some("nothing needs it any more".to_owned());
                    }
                    services.unwant(id, Goal::Down);
                }
                is_unneeded
            },
        )
    }

    /// Whether it is up and nothing needs it, which it is not to be then.
    pub(super) fn is_unneeded(&self, id: Id) -> bool {
        let (Some(service), Some(unit), Some(node)) = (
            self.descriptions.get(id),
            self.units.get(id),
            self.nodes.get(id),
        ) else {
            return false;
        };
        service.stop_when_unneeded
            && !service.wanted_at_boot
            && unit.phase == Phase::Up
            && unit.goal == Goal::Up
            && !self.others(&node.needed_by).any(|(_, other)| needs(other))
    }
}

/// Whether what it needs is to stay: also while a switch has it down.
fn needs(unit: &Unit) -> bool {
    let is_held = unit.stopped_by == Some(StoppedBy::Switch) || unit.due.is_some();
    is_held || unit.is_alive() || unit.goal != Goal::Down
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, names, service};
    use super::super::{Event, Exit};
    use cairn_system::{Restart, ServiceKind};
    use expect_test::expect;

    #[test]
    fn what_nothing_needs_any_more_goes_down() {
        let mut base = service("base", ServiceKind::Simple, Restart::Always);
        base.stop_when_unneeded = true;
        base.wanted_at_boot = false;
        let mut needs = service("needs", ServiceKind::Simple, Restart::Never);
        needs.requires = names(&["base"]);
        let mut wants = service("wants", ServiceKind::Simple, Restart::Always);
        wants.wants = names(&["base"]);
        check(
            vec![base, needs, wants],
            &[
                (0, Event::Boot),
                (1, Event::Executed(0)),
                (2, Event::Executed(1)),
                (3, Event::Executed(2)),
                (4, Event::Exited(1, Exit::Status(0))),
                (5, Event::Exited(2, Exit::Status(1))), // it comes back
                (6, Event::Stop(2)),
                (7, Event::Exited(0, Exit::Signal(15))),
                (8, Event::Start(0)), // for nobody
                (9, Event::Executed(0)),
                (10, Event::Start(1)),
                (11, Event::Exited(0, Exit::Signal(15))),
                (12, Event::Executed(0)),
                (13, Event::Exited(0, Exit::Status(1))),
                (113, Event::Tick),
            ],
            &expect![[r#"
                0 Boot: [Spawn(0, Main), Spawn(2, Main)]
                1 Executed(0): [Spawn(1, Main)]
                2 Executed(1): []
                3 Executed(2): [BootDone(0)]
                4 Exited(1, Status(0)): [Kill(1)]
                5 Exited(2, Status(1)): [Kill(2)]
                6 Stop(2): [Terminate(0)]
                7 Exited(0, Signal(15)): [Kill(0)]
                8 Start(0): [Spawn(0, Main)]
                9 Executed(0): [Terminate(0)]
                10 Start(1): []
                11 Exited(0, Signal(15)): [Kill(0), Spawn(0, Main)]
                12 Executed(0): [Spawn(1, Main)]
                13 Exited(0, Status(1)): [Kill(0)]
                113 Tick: [Spawn(0, Main)]"#]],
        );
    }

    #[test]
    fn a_switch_that_has_everything_down_for_a_while_is_no_reason() {
        let mut base = service("base", ServiceKind::Simple, Restart::Always);
        base.stop_when_unneeded = true;
        base.wanted_at_boot = false;
        let mut needs = service("needs", ServiceKind::Simple, Restart::Never);
        needs.requires = names(&["base"]);
        check(
            vec![base, needs],
            &[
                (0, Event::Boot),
                (1, Event::Executed(0)),
                (2, Event::Executed(1)),
                (3, Event::Hold(vec![1])),
                (4, Event::Exited(1, Exit::Signal(15))),
                (5, Event::Resume),
                (6, Event::Executed(1)),
            ],
            &expect![[r#"
                0 Boot: [Spawn(0, Main)]
                1 Executed(0): [Spawn(1, Main)]
                2 Executed(1): [BootDone(0)]
                3 Hold([1]): [Terminate(1)]
                4 Exited(1, Signal(15)): [Kill(1)]
                5 Resume: [Spawn(1, Main)]
                6 Executed(1): []"#]],
        );
    }
}
