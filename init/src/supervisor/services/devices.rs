//! Devices: services whose process is a device.
//!
//! One is 'executed' by being there and 'exits' by going away, whether somebody waits for it or not. What is wanted along
//! with it is started each time that it has come, and not before: it may be waited for in vain.

use cairn_system::DevicePath;

use super::activation::can_be_started;
use super::graph::Id;
use super::{Action, Ms, Phase, Services, Verdict};

impl Services {
    /// The device that this service is, if it is one.
    pub fn device(&self, id: Id) -> Option<&DevicePath> {
        self.descriptions.get(id)?.device.as_ref()
    }

    /// Whether anything follows from the device's being there now, or not being there.
    pub fn is_news(&self, id: Id, is_there: bool) -> bool {
        use Phase::{Cleaning, Preparing, Starting};
        let is_device = self.device(id).is_some() && !self.is_shutting_down();
        let unit = self.units.get(id).filter(|_| is_device);
        unit.is_some_and(|unit| match (is_there, unit.running) {
            (true, true) => unit.phase == Starting,
            (true, false) => can_be_started(unit),
            // What runs otherwise is a command.
            (false, running) => {
                running && !matches!(unit.phase, Preparing(_) | Starting | Cleaning(..))
            }
        })
    }

    /// It is there.
    pub(super) fn present(&mut self, id: Id, now: Ms) {
        if !self.is_news(id, true) {
            return;
        }
        let Some(unit) = self.units.get_mut(id) else {
            return;
        };
        if unit.phase != Phase::Starting {
            // It is looked at once more when its turn has come.
            return self.want(id);
        }
        unit.note = None;
        self.executed(id, now);
        let along = self.nodes.get(id).map(|node| node.wants.clone());
        for other in along.into_iter().flatten() {
            if !self.is_left_to_another(other) {
                // One that comes and goes does not start them without a limit.
                self.want_as_before(other);
            }
        }
    }

    /// Whether it needs a device that is not there and will want it along.
    fn is_left_to_another(&self, id: Id) -> bool {
        let requires = self
            .nodes
            .get(id)
            .into_iter()
            .flat_map(|node| &node.requires);
        requires.copied().any(|device| {
            let is_down = self
                .units
                .get(device)
                .is_some_and(|unit| unit.phase.is_down());
            let wants = self
                .nodes
                .get(device)
                .is_some_and(|node| node.wants.contains(&id));
            is_down && wants && self.device(device).is_some()
        })
    }

    /// It is not there any more.
    pub(super) fn absent(&mut self, id: Id, now: Ms, actions: &mut Vec<Action>) {
        if !self.is_news(id, false) {
            return;
        }
        let Some((service, unit)) = self.pair(id) else {
            return;
        };
        unit.running = false;
        unit.note = service.device.as_ref().map(absence);
        self.end(id, Verdict::Finished, now, actions);
    }
}

/// What is to be known of one that is not there.
pub(super) fn absence(path: &DevicePath) -> String {
    format!("{path} is not there")
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, names, service};
    use super::super::{Event, Services};
    use cairn_sys::process::Exit;
    use cairn_system::{Restart, Service, ServiceKind, StartLimit};
    use expect_test::expect;

    fn device() -> Service {
        let mut device = service("dev-x.device", ServiceKind::Device, Restart::Never);
        device.device = Some("/dev/x".try_into().unwrap());
        device.start_timeout_ms = Some(90_000);
        device.wanted_at_boot = false;
        device.wants = names(&["wanted"]);
        device
    }

    fn on_device(name: &str) -> Service {
        let mut service = service(name, ServiceKind::Simple, Restart::Always);
        service.requires = names(&["dev-x.device"]);
        service.wanted_at_boot = false;
        service
    }

    #[test]
    fn what_is_wanted_comes_with_it_and_what_is_bound_goes_with_it() {
        let mut bound = on_device("bound");
        bound.binds_to = bound.requires.clone().into();
        check(
            vec![device(), on_device("wanted"), bound],
            &[
                (0, Event::Boot),
                (1, Event::Start(2)), // what is wanted along waits, too
                (2, Event::Present(0)),
                (3, Event::Present(0)),
                (4, Event::Executed(1)),
                (5, Event::Executed(2)),
                (6, Event::Exited(1, Exit::Status(1))),
                (7, Event::Absent(0)),
                (8, Event::Absent(0)),
                (9, Event::Present(0)),
                (9, Event::Present(0)),
                (10, Event::Exited(2, Exit::Signal(15))),
                (11, Event::Shutdown),
                (12, Event::Exited(1, Exit::Status(0))),
                (13, Event::Absent(0)),
                (14, Event::Present(0)),
            ],
            &expect![[r#"
                0 Boot: [BootDone(0)]
                1 Start(2): [Spawn(0, Main)]
                2 Present(0): [Spawn(1, Main), Spawn(2, Main)]
                3 Present(0): []
                4 Executed(1): []
                5 Executed(2): []
                6 Exited(1, Status(1)): [Kill(1)]
                7 Absent(0): [Kill(0), Terminate(2)]
                8 Absent(0): []
                9 Present(0): [Spawn(0, Main)]
                9 Present(0): [Spawn(1, Main)]
                10 Exited(2, Signal(15)): [Kill(2)]
                11 Shutdown: [Terminate(1)]
                12 Exited(1, Status(0)): [Kill(1), Terminate(0)]
                13 Absent(0): []
                14 Present(0): []"#]],
        );
    }

    #[test]
    fn what_does_not_come_in_time_fails_those_that_need_it() {
        let mut machine = Services::new(vec![device(), on_device("wanted"), on_device("other")]);
        machine.step(Event::Start(2), 0);
        let waits = machine
            .units()
            .iter()
            .map(|unit| (unit.phase.clone(), unit.note.clone()));
        let waits: Vec<_> = waits.collect();
        machine.step(Event::Tick, 89_999);
        let actions = machine.step(Event::Tick, 90_000);
        machine.step(Event::Exited(0, Exit::Status(0)), 90_000);
        let fails: Vec<_> = machine
            .units()
            .iter()
            .map(|unit| unit.phase.clone())
            .collect();
        expect![[r#"
            [(Starting, Some("/dev/x is not there")), (Stopped, None), (Waiting, None)]
            [Terminate(0)]
            [Failed("/dev/x has not come within 90000 ms"), Stopped, Failed("it requires 'dev-x.device', which has failed")]"#]].assert_eq(&format!("{waits:?}\n{actions:?}\n{fails:?}"));
        // It may come all the same.
        machine.step(Event::Present(0), 100_000);
        let comes = machine.step(Event::Present(0), 100_000);
        let comes = format!("{comes:?}");
        expect!["[Spawn(1, Main)]"].assert_eq(&comes);
    }

    #[test]
    fn one_that_comes_and_goes_does_not_start_a_service_without_end() {
        let mut wanted = on_device("wanted");
        wanted.binds_to = wanted.requires.clone().into();
        wanted.start_limit = Some(StartLimit {
            burst: 3,
            interval_ms: 10_000,
        });
        let mut machine = Services::new(vec![device(), wanted]);
        let mut starts = 0;
        for now in 0..10 {
            machine.step(Event::Present(0), now);
            starts += machine.step(Event::Present(0), now).len();
            machine.step(Event::Executed(1), now);
            machine.step(Event::Absent(0), now);
            machine.step(Event::Exited(1, Exit::Signal(15)), now);
        }
        assert_eq!(starts, 3);
    }

    #[test]
    fn what_needs_two_comes_when_both_are_there() {
        let mut other = device();
        other.name = names(&["dev-y.device"]).remove(0);
        let mut wanted = on_device("wanted");
        wanted.requires = names(&["dev-x.device", "dev-y.device"]);
        wanted.binds_to = wanted.requires.clone().into();
        let comes = |id| [Event::Present(id), Event::Present(id)];
        let goes = |id, left| [Event::Absent(id), Event::Exited(2, left)];
        let left = Exit::Signal(15);
        let mut script: Vec<_> = [comes(0), comes(1)].concat();
        script.extend([Event::Executed(2)]);
        script.extend(
            [goes(0, left), comes(0), goes(1, left)]
                .into_iter()
                .flatten(),
        );
        let script: Vec<_> = (0..).zip(script).collect();
        check(
            vec![device(), other, wanted],
            &script,
            &expect![[r#"
            0 Present(0): [Spawn(0, Main)]
            1 Present(0): []
            2 Present(1): [Spawn(1, Main)]
            3 Present(1): [Spawn(2, Main)]
            4 Executed(2): []
            5 Absent(0): [Kill(0), Terminate(2)]
            6 Exited(2, Signal(15)): [Kill(2)]
            7 Present(0): [Spawn(0, Main)]
            8 Present(0): [Spawn(2, Main)]
            9 Absent(1): [Kill(1), Terminate(2)]
            10 Exited(2, Signal(15)): [Kill(2)]"#]],
        );
    }

    #[test]
    fn what_is_bound_to_a_service_ends_with_it_however_that_ends() {
        let end = |restart, exit| {
            let base = service("base", ServiceKind::Simple, restart);
            let mut top = service("top", ServiceKind::Simple, Restart::Always);
            top.requires = names(&["base"]);
            top.binds_to = names(&["base"]).into();
            let mut machine = Services::new(vec![base, top]);
            machine.step(Event::Boot, 0);
            machine.step(Event::Executed(0), 1);
            machine.step(Event::Executed(1), 2);
            let actions = machine.step(Event::Exited(0, exit), 3);
            format!("{actions:?} {:?}", machine.units()[1].note)
        };
        let ends = [
            end(Restart::Never, Exit::Status(0)),
            end(Restart::Never, Exit::Status(1)),
            end(Restart::Always, Exit::Status(1)), // it comes back, and nobody notices
        ];
        expect![[r#"
            [Kill(0), Terminate(1)] Some("it is bound to 'base', which has gone down")
            [Kill(0), Terminate(1)] Some("it is bound to 'base', which has gone down")
            [Kill(0)] None"#]]
        .assert_eq(&ends.join("\n"));
    }
}
