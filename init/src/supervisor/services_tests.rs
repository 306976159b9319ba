//! Tests of the state machine: examples, and random walks that hold its invariants.

use std::collections::BTreeMap;

use cairn_system::ServiceName;
use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;

fn service(name: &str, kind: ServiceKind, restart: Restart) -> Service {
    Service {
        name: ServiceName::try_from(name).unwrap(),
        description: String::new(),
        kind,
        process: cairn_system::Process {
            argv: vec!["/bin/x".to_owned()],
            environment: BTreeMap::new(),
            user: None,
            group: None,
            working_directory: None,
            tty: None,
        },
        requires: Vec::new(),
        wants: Vec::new(),
        after: Vec::new(),
        wanted_at_boot: true,
        restart,
        restart_delay_ms: 100,
        restart_delay_max_ms: 30_000,
        stop_timeout_ms: 10_000,
    }
}

fn names(names: &[&str]) -> Vec<ServiceName> {
    names
        .iter()
        .map(|name| ServiceName::try_from(*name).unwrap())
        .collect()
}

/// Runs a script of events, one `time: event` after the other, and shows what follows.
fn check(services: Vec<Service>, script: &[(Ms, Event)], expected: &Expect) {
    let mut machine = Services::new(services);
    let lines: Vec<String> = script
        .iter()
        .map(|(at, event)| format!("{at} {event:?}: {:?}", machine.step(event.clone(), *at)))
        .collect();
    expected.assert_eq(&lines.join("\n"));
}

#[test]
fn the_delay_doubles_and_begins_anew() {
    let crash = Event::Exited(0, Exit::Signal(11));
    let services = vec![service("a", ServiceKind::Simple, Restart::OnFailure)];
    let mut machine = Services::new(services);
    machine.step(Event::Boot, 0);
    let mut now = 0;
    let mut delays = Vec::new();
    for lived in [0, 0, 0, 9_999, 10_000, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0] {
        machine.step(Event::Executed(0), now);
        now += lived;
        machine.step(crash.clone(), now);
        let next = machine.next_deadline().unwrap();
        delays.push(next - now);
        now = next;
        assert_eq!(machine.step(Event::Tick, now - 1), []);
        assert_eq!(machine.step(Event::Tick, now), [Action::Spawn(0)]);
    }
    expect!["[100, 200, 400, 800, 100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000, 30000]"]
        .assert_eq(&format!("{delays:?}"));
}

#[test]
fn a_boot_is_done_although_something_never_comes_up() {
    let mut base = service("base", ServiceKind::Oneshot, Restart::OnFailure);
    base.restart_delay_ms = 0;
    let mut top = service("top", ServiceKind::Simple, Restart::Never);
    top.requires = names(&["base"]);
    let other = service("other", ServiceKind::Simple, Restart::Never);
    check(
        vec![base, top, other],
        &[
            (0, Event::Boot),
            (1, Event::Executed(2)),
            (2, Event::Executed(0)),
            (3, Event::Exited(0, Exit::Status(1))),
            (9, Event::Tick),
            (10, Event::Exited(0, Exit::Status(0))),
        ],
        &expect![[r#"
            0 Boot: [Spawn(0), Spawn(2)]
            1 Executed(2): []
            2 Executed(0): []
            3 Exited(0, Status(1)): [Kill(0), BootDone(2)]
            9 Tick: [Spawn(0)]
            10 Exited(0, Status(0)): [Spawn(1)]"#]],
    );
}

#[test]
fn a_restart_takes_those_along_that_require_it() {
    let base = service("base", ServiceKind::Simple, Restart::Never);
    let mut top = service("top", ServiceKind::Simple, Restart::Never);
    top.requires = names(&["base"]);
    check(
        vec![base, top],
        &[
            (0, Event::Start(1)),
            (1, Event::Executed(0)),
            (2, Event::Executed(1)),
            (3, Event::Restart(0)),
            (4, Event::Exited(1, Exit::Signal(15))),
            (5, Event::Exited(0, Exit::Signal(15))),
            (6, Event::Executed(0)),
            (7, Event::Stop(0)),
            (8, Event::Exited(1, Exit::Status(0))),
            (10_008, Event::Tick),
            (15_008, Event::Tick),
        ],
        &expect![[r#"
            0 Start(1): [Spawn(0)]
            1 Executed(0): [Spawn(1)]
            2 Executed(1): []
            3 Restart(0): [Terminate(1)]
            4 Exited(1, Signal(15)): [Kill(1), Terminate(0)]
            5 Exited(0, Signal(15)): [Kill(0), Spawn(0)]
            6 Executed(0): [Spawn(1)]
            7 Stop(0): [Terminate(1)]
            8 Exited(1, Status(0)): [Kill(1), Terminate(0)]
            10008 Tick: [Late(0), Kill(0)]
            15008 Tick: []"#]],
    );
}

#[test]
fn requests_during_a_shutdown_start_nothing() {
    let services = vec![
        service("a", ServiceKind::Simple, Restart::Always),
        service("b", ServiceKind::Oneshot, Restart::Always),
    ];
    check(
        services,
        &[
            (0, Event::Boot),
            (1, Event::Executed(0)),
            (2, Event::Shutdown),
            (3, Event::Start(1)),
            (3, Event::Restart(0)),
            (4, Event::Exited(1, Exit::Status(0))),
            (5, Event::Exited(0, Exit::Status(1))),
            (6, Event::Start(0)),
            (7, Event::Shutdown),
        ],
        &expect![[r#"
            0 Boot: [Spawn(0), Spawn(1)]
            1 Executed(0): []
            2 Shutdown: [Terminate(0), Terminate(1)]
            3 Start(1): []
            3 Restart(0): []
            4 Exited(1, Status(0)): [Kill(1)]
            5 Exited(0, Status(1)): [Kill(0), ShutdownDone]
            6 Start(0): []
            7 Shutdown: []"#]],
    );
}

const COUNT: usize = 6;

fn any_service(id: usize) -> impl Strategy<Value = Service> {
    let some = || proptest::collection::vec(0..COUNT, 0..3);
    (some(), some(), some(), any::<bool>(), 0..3_u8, 0..300_u32).prop_map(
        move |(requires, wants, after, oneshot, restart, delay)| {
            let list = |ids: Vec<usize>| -> Vec<ServiceName> {
                ids.iter()
                    .map(|id| ServiceName::try_from(format!("s{id}")).unwrap())
                    .collect()
            };
            let kind = if oneshot {
                ServiceKind::Oneshot
            } else {
                ServiceKind::Simple
            };
            let restart =
                [Restart::Never, Restart::OnFailure, Restart::Always][usize::from(restart)];
            let mut service = service(&format!("s{id}"), kind, restart);
            // Half of the edges point downwards, so that not everything is on a circle.
            service.requires = list(
                requires
                    .into_iter()
                    .map(|to| if to % 2 == 0 { to % (id + 1) } else { to })
                    .filter(|to| *to != id || to % 3 == 0)
                    .collect(),
            );
            service.wants = list(wants);
            service.after = list(after.into_iter().filter(|to| *to < id).collect());
            service.restart_delay_ms = delay;
            service.stop_timeout_ms = 1000;
            service
        },
    )
}

fn any_services() -> impl Strategy<Value = Vec<Service>> {
    (
        any_service(0),
        any_service(1),
        any_service(2),
        any_service(3),
        any_service(4),
        any_service(5),
    )
        .prop_map(|(a, b, c, d, e, f)| vec![a, b, c, d, e, f])
}

/// What a walk does next: a request, or the world's answer to something under way.
#[derive(Debug, Clone)]
enum Move {
    Request(Event),
    Exec(usize, bool),
    Exit(usize, i32),
    Wait(Ms),
}

fn any_move() -> impl Strategy<Value = Move> {
    prop_oneof![
        1 => (0..COUNT).prop_map(|id| Move::Request(Event::Start(id))),
        1 => (0..COUNT).prop_map(|id| Move::Request(Event::Stop(id))),
        1 => (0..COUNT).prop_map(|id| Move::Request(Event::Restart(id))),
        6 => ((0..COUNT), prop::bool::weighted(0.9)).prop_map(|(id, well)| Move::Exec(id, well)),
        6 => ((0..COUNT), prop_oneof![Just(0), Just(1)]).prop_map(|(id, status)| Move::Exit(id, status)),
        3 => (0..3000_u64).prop_map(Move::Wait),
    ]
}

/// The world: which processes there are.
struct World {
    machine: Services,
    alive: [bool; COUNT],
    now: Ms,
    done: bool,
}

impl World {
    fn feed(&mut self, event: Event) -> Result<(), TestCaseError> {
        let actions = self.machine.step(event, self.now);
        for action in actions {
            match action {
                Action::Spawn(id) => {
                    prop_assert!(!self.alive[id], "a second process of s{id}");
                    prop_assert!(!self.machine.is_shutting_down());
                    let node = &self.machine.nodes[id];
                    prop_assert_eq!(&node.cycle, &None);
                    for required in &node.requires {
                        // It is up now, or is down again in the same step.
                        prop_assert_eq!(&self.machine.units[*required].phase, &Phase::Up);
                    }
                    self.alive[id] = true;
                }
                Action::Terminate(id) | Action::Late(id) => prop_assert!(self.alive[id]),
                Action::Kill(_) | Action::BootDone(_) => {}
                Action::ShutdownDone => {
                    prop_assert!(!self.done);
                    self.done = true;
                }
            }
        }
        for (id, unit) in self.machine.units.iter().enumerate() {
            prop_assert_eq!(unit.running, self.alive[id]);
        }
        Ok(())
    }

    fn exit(&mut self, id: usize, exit: Exit) -> Result<(), TestCaseError> {
        if self.alive[id] {
            self.alive[id] = false;
            self.feed(Event::Exited(id, exit))?;
        }
        Ok(())
    }

    fn go(&mut self, step: Move) -> Result<(), TestCaseError> {
        match step {
            Move::Request(event) => self.feed(event),
            Move::Exec(id, well)
                if self.alive[id] && self.machine.units[id].phase == Phase::Starting =>
            {
                if well {
                    self.feed(Event::Executed(id))
                } else {
                    self.alive[id] = false;
                    self.feed(Event::NotExecuted(id, "no".to_owned()))
                }
            }
            Move::Exec(..) => Ok(()),
            Move::Exit(id, status) => self.exit(id, Exit::Status(status)),
            Move::Wait(time) => {
                self.now += time;
                self.feed(Event::Tick)
            }
        }
    }
}

proptest! {
    #[test]
    fn the_invariants_hold(services in any_services(), moves in prop::collection::vec(any_move(), 0..60)) {
        let machine = Services::new(services);
        let mut world = World { machine, alive: [false; COUNT], now: 0, done: false };
        world.feed(Event::Boot)?;
        for step in moves {
            world.go(step)?;
        }
        // Nothing is left waiting for ever for no reason: whatever is under way ends.
        world.feed(Event::Shutdown)?;
        for _ in 0..COUNT * 4 {
            for id in 0..COUNT {
                if matches!(
                    world.machine.units[id].phase,
                    Phase::Stopping(_) | Phase::Killed(_)
                ) {
                    world.exit(id, Exit::Signal(15))?;
                }
            }
        }
        prop_assert!(world.done);
        for (id, unit) in world.machine.units.iter().enumerate() {
            // What hangs in the kernel is given up; everything else is gone.
            prop_assert!(!world.alive[id] || matches!(unit.phase, Phase::Failed(_)));
        }
    }

    #[test]
    fn everything_settles_when_processes_do_their_work(services in any_services()) {
        let machine = Services::new(services);
        let mut world = World { machine, alive: [false; COUNT], now: 0, done: false };
        world.feed(Event::Boot)?;
        for _ in 0..COUNT * 2 {
            for id in 0..COUNT {
                world.go(Move::Exec(id, true))?;
                if world.machine.descriptions[id].kind == ServiceKind::Oneshot && world.machine.units[id].phase == Phase::Starting {
                    world.exit(id, Exit::Status(0))?;
                }
            }
        }
        for (id, unit) in world.machine.units.iter().enumerate() {
            prop_assert!(world.machine.is_settled(id), "s{id}: {unit:?}");
            prop_assert!(matches!(unit.phase, Phase::Up | Phase::Failed(_)), "s{id}: {unit:?}");
            let requires_a_failed_one = world.machine.nodes[id].requires.iter().any(|to| world.machine.units[*to].phase != Phase::Up);
            let on_a_circle = world.machine.nodes[id].cycle.is_some();
            prop_assert_eq!(unit.phase == Phase::Up, !on_a_circle && !requires_a_failed_one);
        }
        prop_assert_eq!(world.machine.boot, Boot::Done);
    }
}
