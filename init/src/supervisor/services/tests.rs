//! Tests of the state machine: examples, and random walks that hold its invariants.

use cairn_system::{Command, Readiness, Reload, Restart, ServiceKind, ServiceName};
use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::super::record::Record;
use super::*;

pub(super) fn service(name: &str, kind: ServiceKind, restart: Restart) -> Service {
    let process = cairn_system::Process::new(vec!["/bin/x".to_owned()]);
    let mut service = Service::new(ServiceName::try_from(name).unwrap(), kind, process);
    service.restart = restart;
    service
}

impl Services {
    /// Looks at every service: what is known without that is the same, and there is nothing to do.
    fn check_sums(&self) {
        let units = || self.units.iter().zip(&self.descriptions);
        let deadlines = units().filter_map(|(unit, service)| units::deadline(unit, service));
        assert_eq!(self.units.next_deadline(), deadlines.min());
        let summary = units::Summary {
            unsettled: self.units.iter().filter(|unit| !unit.settled).count(),
            alive: self.units.iter().filter(|unit| unit.is_to_end()).count(),
        };
        assert_eq!(self.units.summary(), summary);
        for id in 0..self.units.len() {
            assert_eq!(self.next(id), progress::Next::Stay, "of {id}");
        }
    }
}

pub(super) fn names(names: &[&str]) -> Vec<ServiceName> {
    names
        .iter()
        .map(|name| ServiceName::try_from(*name).unwrap())
        .collect()
}

/// Runs a script of events, one `time: event` after the other, and shows what follows.
pub(super) fn check(services: Vec<Service>, script: &[(Ms, Event)], expected: &Expect) {
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
        assert_eq!(
            machine.step(Event::Tick, now),
            [Action::Spawn(0, Job::Main)]
        );
    }
    expect!["[100, 200, 400, 800, 100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000, 30000]"]
        .assert_eq(&format!("{delays:?}"));
}

#[test]
fn what_ends_well_by_itself_is_ended_as_by_a_stop() {
    for (kind, exit, commands) in [
        (ServiceKind::Simple, Exit::Status(0), true),
        (ServiceKind::Simple, Exit::Status(1), false),
        (ServiceKind::Simple, Exit::Signal(9), false),
        (ServiceKind::Oneshot, Exit::Status(0), true),
        (ServiceKind::Oneshot, Exit::Status(1), false),
    ] {
        let mut one = service("a", kind, Restart::Never);
        let command = Command {
            argv: vec!["/bin/y".to_owned()],
            argv0: None,
            expand: false,
            as_root: false,
            ignore_failure: false,
            condition: false,
        };
        one.pre_stop = [command].into_iter().collect();
        one.stays_up = false;
        let mut machine = Services::new(vec![one]);
        machine.step(Event::Boot, 0);
        machine.step(Event::Executed(0), 0);
        let actions = machine.step(Event::Exited(0, exit), 5);
        let has_begun = actions.contains(&Action::Spawn(0, Job::PreStop(0)));
        assert_eq!(has_begun, commands, "{kind:?} {exit:?}: {actions:?}");
        if has_begun {
            let leaving = machine.units()[0].phase.clone();
            assert!(matches!(leaving, Phase::Leaving(0, _)), "{leaving:?}");
            machine.step(Event::HelperExited(0, Some(Exit::Status(0))), 6);
        }
        if machine.units()[0].phase == Phase::Stopping(5006) {
            machine.step(Event::NothingFound(0), 6);
        }
        assert!(machine.units()[0].phase.is_down());
    }
}

#[test]
fn who_is_killed_for_want_of_memory_is_told_so() {
    let mut machine = Services::new(vec![service("a", ServiceKind::Simple, Restart::OnFailure)]);
    machine.step(Event::Boot, 0);
    machine.step(Event::Executed(0), 0);
    machine.step(Event::ShortOfMemory(0), 1);
    machine.step(Event::Exited(0, Exit::Signal(9)), 1);
    assert_eq!(machine.units()[0].outcome, Outcome::OomKill);
    machine.step(Event::Tick, 101);
    machine.step(Event::Executed(0), 101);
    assert_eq!(machine.units()[0].outcome, Outcome::Success);
    machine.step(Event::Exited(0, Exit::Signal(9)), 102);
    assert_eq!(machine.units()[0].outcome, Outcome::Signal);

    // Who is to stop has ended because of that.
    machine.step(Event::Tick, 302);
    machine.step(Event::Executed(0), 302);
    machine.step(Event::Stop(0), 303);
    machine.step(Event::ShortOfMemory(0), 304);
    machine.step(Event::Exited(0, Exit::Signal(9)), 304);
    assert_eq!(machine.units()[0].outcome, Outcome::Signal);

    let mut machine = Services::new(vec![service("a", ServiceKind::Simple, Restart::Never)]);
    machine.step(Event::Boot, 0);
    machine.step(Event::Executed(0), 0);
    machine.step(Event::ShortOfMemory(0), 1);
    machine.step(Event::Exited(0, Exit::Signal(9)), 1);
    let reason = "its process was ended by signal 9: memory had run out";
    assert_eq!(machine.units()[0].phase, Phase::Failed(reason.to_owned()));
}

/// One whose memory has bounds, with this command before its end.
fn bounded(commands: Option<Command>) -> Service {
    let mut one = service("a", ServiceKind::Simple, Restart::OnFailure);
    one.cgroup = [("memory.max".to_owned(), "1M".to_owned())].into();
    one.pre_stop = commands.into_iter().collect();
    one
}

/// systemd.service(5): `RemainAfterExit=`, and `ExecStart=-…`.
#[test]
fn what_ends_as_it_should_may_stay_up_without_its_process() {
    for kind in [ServiceKind::Simple, ServiceKind::Notify] {
        for (ignores, exit, phase) in [
            (false, Exit::Status(0), "Up"),
            (false, Exit::Status(1), "Failed"),
            (true, Exit::Status(1), "Up"),
            (true, Exit::Signal(9), "Up"),
        ] {
            let mut one = service("a", kind, Restart::Never);
            one.outlives_process = true;
            one.process.ignore_failure = ignores;
            let mut machine = Services::new(vec![one]);
            machine.step(Event::Boot, 0);
            machine.step(Event::Executed(0), 0);
            machine.step(Event::Ready(0), 0);
            let left = machine.goes_on_without(0, exit);
            assert_eq!(left, phase == "Failed", "{kind:?} {exit:?}");
            machine.step(Event::Exited(0, exit), 5);
            let unit = &machine.units()[0];
            assert!(
                format!("{:?}", unit.phase).starts_with(phase),
                "{:?}",
                unit.phase
            );
            assert!(!unit.running);
            if phase == "Up" {
                // What it has left running is asked to end.
                let actions = machine.step(Event::Stop(0), 6);
                assert_eq!(actions, [Action::Terminate(0), Action::Find(0)]);
                machine.step(Event::NothingFound(0), 7);
                assert_eq!(machine.units()[0].phase, Phase::Stopped);
            }
        }
    }
}

/// A command of what stands still would not begin, and its process could not be asked.
#[test]
fn what_is_up_for_too_long_goes_on_before_it_is_stopped() {
    for has_command in [true, false] {
        let mut one = service("a", ServiceKind::Simple, Restart::Never);
        one.runtime_max_ms = Some(50);
        let command: Command = serde_json::from_str(r#"{"argv":["/bin/y"]}"#).unwrap();
        one.pre_stop = has_command.then_some(command).into_iter().collect();
        let mut machine = Services::new(vec![one]);
        machine.step(Event::Boot, 0);
        machine.step(Event::Executed(0), 0);
        assert_eq!(machine.step(Event::Freeze(0), 10), [Action::Freeze(0)]);
        assert_eq!(machine.step(Event::Tick, 49), []);
        let next = if has_command {
            Action::Spawn(0, Job::PreStop(0))
        } else {
            Action::Terminate(0)
        };
        assert_eq!(machine.step(Event::Tick, 50), [Action::Thaw(0), next]);
    }
}

/// One whose failure does not matter has ended well where it cannot even be executed.
#[test]
fn what_cannot_be_executed_may_not_matter() {
    for (ignores, failed) in [(true, false), (false, true)] {
        let mut one = service("a", ServiceKind::Simple, Restart::OnFailure);
        one.process.ignore_failure = ignores;
        let mut machine = Services::new(vec![one]);
        machine.step(Event::Boot, 0);
        machine.step(Event::NotExecuted(0, "no".to_owned()), 1);
        assert_eq!(machine.units()[0].is_failed(), failed);
    }
}

#[test]
fn who_is_short_of_memory_is_stopped_as_by_hand() {
    let command = || Command {
        argv: vec!["/bin/y".to_owned()],
        argv0: None,
        expand: false,
        as_root: false,
        ignore_failure: false,
        condition: false,
    };
    let up = |service| {
        let mut machine = Services::new(vec![service]);
        machine.step(Event::Boot, 0);
        machine.step(Event::Executed(0), 0);
        machine
    };
    let is_back = |machine: &Services, outcome| {
        let unit = &machine.units()[0];
        assert_eq!(unit.outcome, outcome);
        assert!(matches!(unit.phase, Phase::Backoff(_)), "{:?}", unit.phase);
    };

    // Its commands, its signal; how it ends then does not matter. It is not asked twice.
    let mut machine = up(bounded(Some(command())));
    let actions = machine.step(Event::ShortOfMemory(0), 1);
    assert_eq!(actions, [Action::Spawn(0, Job::PreStop(0))]);
    assert_eq!(machine.step(Event::ShortOfMemory(0), 1), []);
    let actions = machine.step(Event::HelperExited(0, Some(Exit::Status(0))), 2);
    assert_eq!(actions, [Action::Terminate(0)]);
    assert_eq!(machine.step(Event::ShortOfMemory(0), 2), []);
    machine.step(Event::Exited(0, Exit::Status(0)), 3);
    is_back(&machine, Outcome::OomKill);

    // It does not heed that.
    let mut machine = up(bounded(None));
    let actions = machine.step(Event::ShortOfMemory(0), 1);
    assert_eq!(actions, [Action::Terminate(0)]);
    let actions = machine.step(Event::Tick, 5001);
    assert_eq!(actions, [Action::Late(0), Action::Kill(0)]);
    machine.step(Event::Exited(0, Exit::Signal(9)), 5002);
    is_back(&machine, Outcome::OomKill);

    // Its main process was killed, and another one is left, or none.
    for successor in [true, false] {
        let mut machine = up(bounded(None));
        machine.step(Event::ShortOfMemory(0), 1);
        if successor {
            machine.step(Event::Succeeded(0, Exit::Signal(9)), 1);
            assert_eq!(machine.units()[0].phase, Phase::Stopping(5001));
        }
        machine.step(Event::Exited(0, Exit::Signal(9)), 2);
        is_back(&machine, Outcome::OomKill);
    }

    // On its way up.
    let mut slow = bounded(Some(command()));
    slow.kind = ServiceKind::Notify;
    let mut machine = up(slow);
    let actions = machine.step(Event::ShortOfMemory(0), 1);
    assert_eq!(actions, [Action::Terminate(0)]);

    // One that is to go on does, and one that somebody stops has not failed.
    let mut patient = bounded(None);
    patient.goes_on_after_oom = true;
    let mut machine = up(patient);
    assert_eq!(machine.step(Event::ShortOfMemory(0), 1), []);
    assert_eq!(machine.units()[0].phase, Phase::Up);
    let mut machine = up(bounded(None));
    machine.step(Event::Stop(0), 1);
    assert_eq!(machine.step(Event::ShortOfMemory(0), 2), []);
    machine.step(Event::Exited(0, Exit::Signal(15)), 3);
    assert_eq!(machine.units()[0].phase, Phase::Stopped);
}

/// What is told of a failure needs what has failed, which fails at once again.
#[test]
fn failures_that_bring_each_other_about_keep_nobody_busy() {
    let other = service("other", ServiceKind::Simple, Restart::Never);
    let mut one = service("one", ServiceKind::Simple, Restart::Never);
    one.requires = names(&["other"]);
    one.requisite = names(&["other"]).into();
    one.on_failure = names(&["told"]).into();
    let mut told = service("told", ServiceKind::Simple, Restart::Never);
    told.requires = names(&["one"]);
    told.on_failure = names(&["one"]).into();
    let mut machine = Services::new(vec![other, one, told]);
    machine.step(Event::Start(1), 0);
    let mut now = 0;
    let mut steps = 0;
    while now < 100_000 {
        now = machine.next_deadline().unwrap();
        machine.step(Event::Tick, now);
        steps += 1;
    }
    assert!(steps < 100, "{steps}");
}

/// Two milestones that make way for each other, each because the other one has ended.
#[test]
fn ends_that_bring_each_other_about_keep_nobody_busy() {
    let mut one = service("one", ServiceKind::Milestone, Restart::Never);
    one.conflicts = names(&["other"]).into();
    one.on_success = names(&["other"]).into();
    let mut other = service("other", ServiceKind::Milestone, Restart::Never);
    other.conflicts = names(&["one"]).into();
    other.on_success = names(&["one"]).into();
    let mut machine = Services::new(vec![one, other]);
    machine.step(Event::Start(0), 0);
    let mut steps = 0;
    while let Some(at) = machine.next_deadline().filter(|at| *at < 10_000) {
        machine.step(Event::Tick, at);
        steps += 1;
    }
    assert!(steps <= 100, "{steps}");
}

#[test]
fn a_restart_is_put_off_by_chance() {
    let delay = |seed| {
        let mut base = service("base", ServiceKind::Simple, Restart::Always);
        base.restart_random_delay_ms = 1000;
        let mut machine = Services::new(vec![base]);
        machine.seed(seed);
        machine.step(Event::Boot, 0);
        machine.step(Event::Executed(0), 0);
        machine.step(Event::Exited(0, Exit::Status(1)), 5);
        machine.next_deadline().unwrap() - 5
    };
    let delays: Vec<Ms> = (0..1000).map(delay).collect();
    assert!(delays.iter().all(|delay| (100..=1100).contains(delay)));
    let late = delays.iter().filter(|delay| **delay > 600).count();
    assert!((400..600).contains(&late), "{late}");
}

#[test]
fn a_boot_is_done_although_something_never_comes_up() {
    let mut base = service("base", ServiceKind::Oneshot, Restart::OnFailure);
    base.restart_delay_ms = 1;
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
            0 Boot: [Spawn(0, Main), Spawn(2, Main)]
            1 Executed(2): []
            2 Executed(0): []
            3 Exited(0, Status(1)): [Kill(0), BootDone(2)]
            9 Tick: [Spawn(0, Main)]
            10 Exited(0, Status(0)): [Spawn(1, Main)]"#]],
    );
}

#[test]
fn what_conflicts_makes_way_and_what_is_disabled_stays_down() {
    let one = service("one", ServiceKind::Simple, Restart::Always);
    let mut other = service("other", ServiceKind::Simple, Restart::Never);
    other.conflicts = names(&["one"]).into();
    let mut top = service("top", ServiceKind::Simple, Restart::Never);
    top.requires = names(&["one"]);
    check(
        vec![one, other, top],
        &[
            (0, Event::Start(0)),
            (1, Event::Executed(0)),
            (2, Event::Start(1)),
            (3, Event::Exited(0, Exit::Signal(15))),
            (4, Event::Executed(1)),
            (5, Event::Start(2)),
            (6, Event::Exited(1, Exit::Signal(15))),
            (7, Event::Executed(0)),
            (8, Event::Executed(2)),
            (9, Event::Disable(0)),
            (10, Event::Exited(2, Exit::Signal(15))),
            (11, Event::Exited(0, Exit::Signal(15))),
            (12, Event::Start(2)),
            (13, Event::Enable(0)),
        ],
        &expect![[r#"
            0 Start(0): [Spawn(0, Main)]
            1 Executed(0): []
            2 Start(1): [Terminate(0)]
            3 Exited(0, Signal(15)): [Kill(0), Spawn(1, Main)]
            4 Executed(1): []
            5 Start(2): [Terminate(1)]
            6 Exited(1, Signal(15)): [Kill(1), Spawn(0, Main)]
            7 Executed(0): [Spawn(2, Main)]
            8 Executed(2): []
            9 Disable(0): [Terminate(2)]
            10 Exited(2, Signal(15)): [Kill(2), Terminate(0)]
            11 Exited(0, Signal(15)): [Kill(0)]
            12 Start(2): []
            13 Enable(0): [Spawn(0, Main)]"#]],
    );
}

#[test]
fn readiness_is_found_out_as_described() {
    let of = |name, readiness: &str| {
        let mut service = service(name, ServiceKind::Simple, Restart::Never);
        service.readiness = Some(serde_json::from_str(readiness).unwrap());
        service
    };
    let pipe = of("pipe", r#"{"descriptor":3}"#);
    let port = of("port", r#"{"port":80}"#);
    let mut command = of("command", r#"{"command":{"argv":["/x"]}}"#);
    command.start_timeout_ms = Some(60);
    check(
        vec![pipe, port, command],
        &[
            (0, Event::Boot),
            (1, Event::Executed(0)),
            (2, Event::Executed(1)),
            (3, Event::Executed(2)),
            (4, Event::Ready(0)),
            (5, Event::HelperExited(2, Some(Exit::Status(1)))),
            (51, Event::Tick),
            (52, Event::Tick),
            (55, Event::Tick),
            (56, Event::Ready(1)),
            (60, Event::Tick),
            (61, Event::HelperExited(2, None)),
            (62, Event::Exited(2, Exit::Signal(15))),
        ],
        &expect![[r#"
            0 Boot: [Spawn(0, Main), Spawn(1, Main), Spawn(2, Main)]
            1 Executed(0): []
            2 Executed(1): [Probe(1)]
            3 Executed(2): [Spawn(2, Proof)]
            4 Ready(0): []
            5 HelperExited(2, Some(Status(1))): []
            51 Tick: []
            52 Tick: [Probe(1)]
            55 Tick: [Spawn(2, Proof)]
            56 Ready(1): []
            60 Tick: [KillHelper(2), Terminate(2)]
            61 HelperExited(2, None): []
            62 Exited(2, Signal(15)): [Kill(2), BootDone(1)]"#]],
    );
}

#[test]
fn a_process_says_how_it_is_going() {
    let mut service = service("a", ServiceKind::Notify, Restart::OnFailure);
    service.reload = Some(Reload::Announced(cairn_system::Signal::TERM));
    service.start_timeout_ms = Some(1000);
    service.watchdog_ms = Some(100_000);
    check(
        vec![service],
        &[
            (0, Event::Boot),
            (1, Event::Ready(0)),
            (2, Event::Reload(0)),
            (3, Event::Ready(0)),
            (4, Event::Refreshing(0)),
            (5, Event::Ready(0)),
            (6, Event::Reload(0)),
            (1006, Event::Tick),
            (1007, Event::Freeze(0)),
            (500_000, Event::Tick),
            (500_001, Event::Thaw(0)),
            (500_002, Event::Tick),
            (500_002, Event::Freeze(0)),
            (500_002, Event::Reload(0)),
            (500_002, Event::Refreshing(0)),
            (500_002, Event::Ready(0)),
            (500_003, Event::Leaving(0)),
            (500_004, Event::Exited(0, Exit::Status(1))),
            (500_104, Event::Tick),
            (500_105, Event::Ready(0)),
            (500_106, Event::Freeze(0)),
            (500_107, Event::Exited(0, Exit::Signal(9))),
            (500_307, Event::Tick),
            (500_308, Event::Ready(0)),
            (500_309, Event::Freeze(0)),
            (500_310, Event::Restart(0)),
            (500_311, Event::Exited(0, Exit::Status(0))),
            (500_312, Event::Ready(0)),
            (500_313, Event::Leaving(0)),
            (500_314, Event::Exited(0, Exit::Status(0))),
        ],
        &expect![[r#"
            0 Boot: [Spawn(0, Main)]
            1 Ready(0): [BootDone(0)]
            2 Reload(0): [Signal(0, 15)]
            3 Ready(0): []
            4 Refreshing(0): []
            5 Ready(0): []
            6 Reload(0): [Signal(0, 15)]
            1006 Tick: []
            1007 Freeze(0): [Freeze(0)]
            500000 Tick: []
            500001 Thaw(0): [Thaw(0)]
            500002 Tick: []
            500002 Freeze(0): [Freeze(0)]
            500002 Reload(0): [Thaw(0), Signal(0, 15)]
            500002 Refreshing(0): []
            500002 Ready(0): []
            500003 Leaving(0): []
            500004 Exited(0, Status(1)): [Kill(0)]
            500104 Tick: [Spawn(0, Main)]
            500105 Ready(0): []
            500106 Freeze(0): [Freeze(0)]
            500107 Exited(0, Signal(9)): [Kill(0), Thaw(0)]
            500307 Tick: [Spawn(0, Main)]
            500308 Ready(0): []
            500309 Freeze(0): [Freeze(0)]
            500310 Restart(0): [Thaw(0), Terminate(0)]
            500311 Exited(0, Status(0)): [Kill(0), Spawn(0, Main)]
            500312 Ready(0): []
            500313 Leaving(0): []
            500314 Exited(0, Status(0)): [Kill(0)]"#]],
    );
}

#[test]
fn a_command_of_a_life_before_is_not_heard() {
    let command = || serde_json::from_str::<Command>(r#"{"argv":["/x"]}"#).unwrap();
    let mut service = service("a", ServiceKind::Simple, Restart::Always);
    service.restart_delay_ms = 0;
    service.post_start = vec![command()].into();
    service.reload = Some(Reload::Commands(vec![command()]));
    check(
        vec![service],
        &[
            (0, Event::Boot),
            (1, Event::Executed(0)),
            (2, Event::HelperExited(0, Some(Exit::Status(0)))),
            (3, Event::Reload(0)),
            // Its process ends while the command is at work, which is killed, but has not ended yet.
            (4, Event::Exited(0, Exit::Signal(11))),
            (5, Event::HelperExited(0, Some(Exit::Signal(9)))),
            (6, Event::Executed(0)),
            (7, Event::HelperExited(0, Some(Exit::Status(0)))),
            (8, Event::Reload(0)),
            (9, Event::Exited(0, Exit::Signal(11))),
            // What comes after is at work already: it is the latest command, and alone is told of.
            (10, Event::Executed(0)),
            (11, Event::HelperExited(0, Some(Exit::Status(0)))),
        ],
        &expect![[r#"
            0 Boot: [Spawn(0, Main)]
            1 Executed(0): [Spawn(0, PostStart(0))]
            2 HelperExited(0, Some(Status(0))): [BootDone(0)]
            3 Reload(0): [Spawn(0, Reload(0))]
            4 Exited(0, Signal(11)): [KillHelper(0), Kill(0), Spawn(0, Main)]
            5 HelperExited(0, Some(Signal(9))): []
            6 Executed(0): [Spawn(0, PostStart(0))]
            7 HelperExited(0, Some(Status(0))): []
            8 Reload(0): [Spawn(0, Reload(0))]
            9 Exited(0, Signal(11)): [KillHelper(0), Kill(0), Spawn(0, Main)]
            10 Executed(0): [Spawn(0, PostStart(0))]
            11 HelperExited(0, Some(Status(0))): []"#]],
    );
}

#[test]
fn a_reload_during_a_reload_is_made_after_it() {
    let command = serde_json::from_str::<Command>(r#"{"argv":["/x"]}"#).unwrap();
    let mut commands = service("commands", ServiceKind::Simple, Restart::Never);
    commands.reload = Some(Reload::Commands(vec![command]));
    let mut announced = service("announced", ServiceKind::Notify, Restart::Never);
    announced.reload = Some(Reload::Announced(cairn_system::Signal::TERM));
    check(
        vec![commands, announced],
        &[
            (0, Event::Boot),
            (1, Event::Executed(0)),
            (1, Event::Ready(1)),
            (2, Event::Reload(0)),
            (3, Event::Reload(0)),
            (3, Event::Reload(0)),
            (4, Event::HelperExited(0, Some(Exit::Status(1)))),
            (5, Event::HelperExited(0, Some(Exit::Status(0)))),
            (6, Event::Reload(1)),
            (7, Event::Refreshing(1)),
            (8, Event::Reload(1)),
            (9, Event::Ready(1)),
            (10, Event::Refreshing(1)),
            (11, Event::Ready(1)),
        ],
        &expect![[r#"
            0 Boot: [Spawn(0, Main), Spawn(1, Main)]
            1 Executed(0): []
            1 Ready(1): [BootDone(0)]
            2 Reload(0): [Spawn(0, Reload(0))]
            3 Reload(0): []
            3 Reload(0): []
            4 HelperExited(0, Some(Status(1))): [Spawn(0, Reload(0))]
            5 HelperExited(0, Some(Status(0))): []
            6 Reload(1): [Signal(1, 15)]
            7 Refreshing(1): []
            8 Reload(1): []
            9 Ready(1): [Signal(1, 15)]
            10 Refreshing(1): []
            11 Ready(1): []"#]],
    );
}

#[test]
fn what_is_only_to_be_up_already_is_not_started_along() {
    let base = service("base", ServiceKind::Simple, Restart::Never);
    let mut top = service("top", ServiceKind::Simple, Restart::Never);
    top.requires = names(&["base"]);
    top.requisite = names(&["base"]).into();
    check(
        vec![base, top],
        &[
            (0, Event::Start(1)),
            (1, Event::Start(0)),
            (2, Event::Start(1)),
            (3, Event::Executed(0)),
            (4, Event::Executed(1)),
            (5, Event::Stop(0)),
            (6, Event::Exited(1, Exit::Signal(15))),
        ],
        &expect![[r#"
            0 Start(1): []
            1 Start(0): [Spawn(0, Main)]
            2 Start(1): []
            3 Executed(0): [Spawn(1, Main)]
            4 Executed(1): []
            5 Stop(0): [Terminate(1)]
            6 Exited(1, Signal(15)): [Kill(1), Terminate(0)]"#]],
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
            0 Start(1): [Spawn(0, Main)]
            1 Executed(0): [Spawn(1, Main)]
            2 Executed(1): []
            3 Restart(0): [Terminate(1)]
            4 Exited(1, Signal(15)): [Kill(1), Terminate(0)]
            5 Exited(0, Signal(15)): [Kill(0), Spawn(0, Main)]
            6 Executed(0): [Spawn(1, Main)]
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
            0 Boot: [Spawn(0, Main), Spawn(1, Main)]
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

#[test]
fn what_a_switch_holds_is_down_until_it_is_made_or_given_up() {
    let base = service("base", ServiceKind::Simple, Restart::Always);
    let mut top = service("top", ServiceKind::Simple, Restart::Never);
    top.requires = names(&["base"]);
    let other = service("other", ServiceKind::Simple, Restart::Never);
    check(
        vec![base, top, other],
        &[
            (0, Event::Boot),
            (1, Event::Executed(0)),
            (2, Event::Executed(1)),
            (3, Event::Executed(2)),
            (4, Event::Hold(vec![0, 1])),
            (5, Event::Exited(1, Exit::Signal(15))),
            (6, Event::Exited(0, Exit::Status(1))),
            (60_000, Event::Tick),
            (60_001, Event::Resume),
            (60_002, Event::Executed(0)),
        ],
        &expect![[r"
            0 Boot: [Spawn(0, Main), Spawn(2, Main)]
            1 Executed(0): [Spawn(1, Main)]
            2 Executed(1): []
            3 Executed(2): [BootDone(0)]
            4 Hold([0, 1]): [Terminate(1)]
            5 Exited(1, Signal(15)): [Kill(1), Terminate(0)]
            6 Exited(0, Status(1)): [Kill(0)]
            60000 Tick: []
            60001 Resume: [Spawn(0, Main)]
            60002 Executed(0): [Spawn(1, Main)]"]],
    );
}

#[test]
fn what_is_due_is_done_once() {
    let mut services: Vec<Service> = ["start", "restart", "reload", "early"]
        .map(|name| service(name, ServiceKind::Simple, Restart::Never))
        .into();
    for service in &mut services {
        service.reload = Some(Reload::Signal(cairn_system::Signal::TERM));
    }
    let due = [Due::Start, Due::Restart, Due::Reload, Due::Reload];
    let mut machine = Services::new(services);
    for (id, due) in due.into_iter().enumerate() {
        let mut unit = Unit {
            due: Some(due),
            ..Unit::default()
        };
        if due != Due::Start {
            unit.goal = Goal::Up;
            unit.running = true;
            unit.phase = if id == 3 { Phase::Starting } else { Phase::Up };
        }
        machine.restore(id, Restored::of(&unit));
    }
    machine.resume(true, 0);
    let steps = [Event::Switched, Event::Switched].map(|event| machine.step(event, 1));
    expect!["[[Signal(2, 15), Terminate(1), Terminate(3), Spawn(0, Main)], []]"]
        .assert_eq(&format!("{steps:?}"));
    assert!(!machine.has_settled());
}

#[test]
fn a_socket_starts_its_service_until_that_is_too_often() {
    let mut web = service("web", ServiceKind::Simple, Restart::Never);
    web.requires = names(&["web.socket"]);
    let mut socket = service("web.socket", ServiceKind::Socket, Restart::Never);
    let json = r#"{"service":"web","listen":[{"stream":"80"}]}"#;
    socket.socket = Some(serde_json::from_str(json).unwrap());
    socket.start_limit = Some(cairn_system::StartLimit {
        burst: 2,
        interval_ms: 1000,
    });
    web.wanted_at_boot = false;
    check(
        vec![socket, web],
        &[
            (0, Event::Boot),
            (1, Event::Triggered(0)),
            (2, Event::Executed(0)),
            (3, Event::Triggered(0)),
            (4, Event::Triggered(0)),
            (5, Event::Executed(1)),
            (6, Event::Exited(1, Exit::Status(0))),
            (7, Event::Triggered(0)),
            (8, Event::NotExecuted(1, "no".to_owned())),
            (9, Event::Triggered(0)),
            (10, Event::Exited(0, Exit::Status(0))),
            (11, Event::Start(1)),
        ],
        &expect![[r#"
            0 Boot: [Spawn(0, Main)]
            1 Triggered(0): []
            2 Executed(0): [BootDone(0)]
            3 Triggered(0): [Spawn(1, Main)]
            4 Triggered(0): []
            5 Executed(1): []
            6 Exited(1, Status(0)): [Kill(1)]
            7 Triggered(0): [Spawn(1, Main)]
            8 NotExecuted(1, "no"): [Kill(1)]
            9 Triggered(0): [Terminate(0)]
            10 Exited(0, Status(0)): [Kill(0)]
            11 Start(1): [Spawn(0, Main)]"#]],
    );
}

const COUNT: usize = 6;

fn list(ids: impl IntoIterator<Item = usize>) -> Vec<ServiceName> {
    ids.into_iter()
        .map(|id| ServiceName::try_from(format!("s{id}")).unwrap())
        .collect()
}

fn any_restart(number: usize, is_abnormal: bool, is_success: bool) -> Restart {
    match number {
        0 => Restart::Never,
        1 => Restart::OnFailure,
        2 => Restart::Always,
        3 if is_abnormal => Restart::OnAbnormal,
        3 => Restart::OnAbort,
        _ if is_success => Restart::OnSuccess,
        _ => Restart::OnWatchdog,
    }
}

/// What follows its ends: later ones its failures, earlier ones its successes.
fn add_ends(service: &mut Service, id: usize, others: &[usize], tells_of_restarts: bool) {
    let others = || others.iter().copied();
    service.on_failure = list(others().filter(|to| *to > id)).into();
    service.on_success = list(others().filter(|to| *to < id)).into();
    service.tells_of_restarts = tells_of_restarts;
}

fn any_service(id: usize) -> impl Strategy<Value = Service> {
    let some = || proptest::collection::vec(0..COUNT, 0..3);
    let commands = || proptest::collection::vec(any::<bool>(), 0..3);
    let commands = [commands(), commands(), commands(), commands(), commands()];
    let kind = (
        0..11_usize,
        any::<bool>(),
        proptest::option::of(1..2000_u32),
    );
    (
        some(),
        some(),
        some(),
        kind,
        commands,
        0..5_usize,
        0..300_u32,
    )
        .prop_map(
            move |(requires, wants, after, (kind, stays_up, timeout), commands, restart, delay)| {
                let readiness = [
                    Readiness::Descriptor(3),
                    Readiness::Port(80),
                    Readiness::Command(Command {
                        argv: vec!["/bin/z".to_owned()],
                        argv0: None,
                        expand: false,
                        as_root: false,
                        ignore_failure: false,
                        condition: false,
                    }),
                ];
                let readiness = kind.checked_sub(8).map(|number| readiness[number].clone());
                let kind = [
                    ServiceKind::Simple,
                    ServiceKind::Oneshot,
                    ServiceKind::Notify,
                    ServiceKind::Forking,
                    ServiceKind::Milestone,
                    ServiceKind::Socket,
                    ServiceKind::Path,
                    ServiceKind::Device,
                ][if kind < 8 { kind } else { 0 }];
                let restart = any_restart(restart, delay % 2 == 0, stays_up);
                let mut service = service(&format!("s{id}"), kind, restart);
                // Half of the edges point downwards, so that not everything is on a circle.
                service.requires = list(
                    requires
                        .into_iter()
                        .map(|to| if to % 2 == 0 { to % (id + 1) } else { to })
                        .filter(|to| *to != id || to % 3 == 0),
                );
                if stays_up {
                    service.binds_to = service.requires.clone().into();
                }
                service.upholds = list(wants.iter().copied().filter(|_| stays_up)).into();
                add_ends(&mut service, id, &wants, delay % 2 == 0);
                service.wants = list(wants);
                service.after = list(after.into_iter().filter(|to| *to < id));
                starts(&mut service, (id + 1) % COUNT, stays_up);
                service.restart_delay_ms = delay;
                service.stop_when_unneeded = delay % 4 == 1;
                service.wanted_at_boot = !service.stop_when_unneeded;
                service.outlives_user_space = delay % 3 != 0;
                service.runtime_max_ms = timeout.filter(|time| time % 2 == 0);
                service.stop_timeout_ms = 1000;
                service.stays_up = stays_up;
                service.outlives_process = kind.has_process() && delay % 3 == 1;
                service.process.ignore_failure = delay % 5 == 1;
                service.start_timeout_ms = timeout;
                let [pre_start, post_start, reload, pre_stop, post_stop] =
                    commands.map(|failures| {
                        let command = |ignore_failure| Command {
                            argv: vec!["/bin/y".to_owned()],
                            argv0: None,
                            expand: false,
                            as_root: false,
                            ignore_failure,
                            condition: false,
                        };
                        failures.into_iter().map(command).collect::<Vec<_>>()
                    });
                service.pre_start = pre_start;
                for command in &mut service.pre_start {
                    command.condition = delay % 2 == 0;
                }
                service.post_start = post_start.into();
                service.pre_stop = pre_stop.into();
                service.post_stop = post_stop.into();
                service.readiness = readiness;
                service.reload = match reload.as_slice() {
                    [] => None,
                    [_] => Some(Reload::Announced(cairn_system::Signal::TERM)),
                    _ => Some(Reload::Commands(reload)),
                };
                service
            },
        )
}

/// What a socket or path of a walk starts: the next service, or instances of that.
fn starts(service: &mut Service, target: usize, accept: bool) {
    let socket =
        format!(r#"{{"service":"s{target}","listen":[{{"stream":"1"}}],"accept":{accept}}}"#);
    let watch = format!(r#"{{"service":"s{target}","paths":[{{"exists":"/x"}}]}}"#);
    match service.kind {
        ServiceKind::Socket => service.socket = Some(serde_json::from_str(&socket).unwrap()),
        ServiceKind::Path => service.watch = Some(serde_json::from_str(&watch).unwrap()),
        ServiceKind::Device => return service.device = Some("/dev/x".try_into().unwrap()),
        _ => return,
    }
    service.start_limit = Some(cairn_system::StartLimit {
        burst: 3,
        interval_ms: 500,
    });
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
    HelperExit(usize, i32),
    Find(usize, bool),
    Wait(Ms),
    /// Something comes in.
    Trigger(usize),
    /// Another generation's supervisor takes over in place, with this due.
    Succeed(Vec<(usize, Due)>),
    /// User space starts again; meanwhile the process of this one ends.
    StartAgain(usize),
}

fn any_move() -> impl Strategy<Value = Move> {
    prop_oneof![
        1 => (0..COUNT).prop_map(|id| Move::Request(Event::Start(id))),
        1 => (0..COUNT).prop_map(|id| Move::Request(Event::Stop(id))),
        1 => (0..COUNT).prop_map(|id| Move::Request(Event::Restart(id))),
        1 => (0..COUNT).prop_map(|id| Move::Request(Event::Disable(id))),
        1 => (0..COUNT).prop_map(|id| Move::Request(Event::Enable(id))),
        1 => (0..COUNT).prop_map(|id| Move::Request(Event::Freeze(id))),
        1 => (0..COUNT).prop_map(|id| Move::Request(Event::Thaw(id))),
        2 => (0..COUNT).prop_map(|id| Move::Request(Event::Refreshing(id))),
        1 => (0..COUNT).prop_map(|id| Move::Request(Event::Leaving(id))),
        2 => (0..COUNT).prop_map(|id| Move::Request(Event::Ready(id))),
        6 => ((0..COUNT), prop::bool::weighted(0.9)).prop_map(|(id, well)| Move::Exec(id, well)),
        6 => ((0..COUNT), 0..2).prop_map(|(id, status)| Move::Exit(id, status)),
        6 => ((0..COUNT), 0..2).prop_map(|(id, status)| Move::HelperExit(id, status)),
        2 => ((0..COUNT), any::<bool>()).prop_map(|(id, well)| Move::Find(id, well)),
        1 => (0..COUNT).prop_map(|id| Move::Request(Event::Reload(id))),
        3 => (0..COUNT).prop_map(Move::Trigger),
        3 => (0..3000_u64).prop_map(Move::Wait),
        1 => prop::collection::vec(0..COUNT, 0..3).prop_map(|ids| Move::Request(Event::Hold(ids))),
        1 => Just(Move::Request(Event::Resume)),
        1 => prop::collection::vec((0..COUNT, any_due()), 0..4).prop_map(Move::Succeed),
        1 => (0..COUNT).prop_map(Move::StartAgain),
        4 => (COUNT..ALL, 0..2).prop_map(|(id, status)| Move::Exit(id, status)),
        4 => (COUNT..ALL, prop::bool::weighted(0.9)).prop_map(|(id, well)| Move::Exec(id, well)),
        2 => (COUNT..ALL, 0..2).prop_map(|(id, status)| Move::HelperExit(id, status)),
        1 => (COUNT..ALL).prop_map(|id| Move::Request(Event::Stop(id))),
    ]
}

fn any_due() -> impl Strategy<Value = Due> {
    prop::sample::select(vec![Due::Start, Due::Restart, Due::Reload])
}

/// A command beside a main process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Helper {
    None,
    Alive,
    Killed,
}

/// The world: which processes there are.
struct World {
    machine: Services,
    alive: [bool; ALL],
    /// What is alive is no process, but a socket or path that is open.
    open: [bool; ALL],
    /// Another process of it is there beside the main one, and outlives that.
    others: [bool; ALL],
    helpers: [Helper; ALL],
    /// Whose processes stand still.
    frozen: [bool; ALL],
    now: Ms,
    done: bool,
}

/// With the instances that there may be.
const ALL: usize = COUNT + 2 * COUNT;

impl World {
    fn new(services: Vec<Service>) -> Self {
        Self {
            machine: Services::new(services),
            alive: [false; ALL],
            open: [false; ALL],
            others: [false; ALL],
            helpers: [Helper::None; ALL],
            frozen: [false; ALL],
            now: 0,
            done: false,
        }
    }

    /// Something comes in, as far as it is waited for.
    fn trigger(&mut self, id: usize) -> Result<(), TestCaseError> {
        if !self.machine.listens(id) {
            return self.feed(Event::Triggered(id)); // a late one
        }
        prop_assert!(self.open[id]);
        if self.machine.accepting(id).is_none() {
            let target = self.machine.started_by(id).unwrap();
            prop_assert!(!self.machine.units[target].is_alive());
            return self.feed(Event::Triggered(id));
        }
        let place = self.machine.vacant(id).or_else(|| {
            let count = self.machine.instances(id).count();
            (count < 2).then(|| {
                let template = self.machine.started_by(id).unwrap();
                let template = &self.machine.descriptions[template];
                let name = format!("{}@{count}", template.name);
                let service = template.instance(ServiceName::try_from(name).unwrap());
                self.machine.add_instance(service)
            })
        });
        match place {
            Some(place) => self.feed(Event::Connected(id, place, "from x, y".to_owned())),
            None => Ok(()),
        }
    }

    fn phase(&self, id: usize) -> Option<&Phase> {
        Some(&self.machine.units.get(id)?.phase)
    }

    fn feed(&mut self, event: Event) -> Result<(), TestCaseError> {
        let actions = self.machine.step(event, self.now);
        let (mut closed, mut sought) = (Vec::new(), Vec::new());
        for action in actions {
            match action {
                Action::Spawn(id, job) if job.is_helper() => {
                    prop_assert!(
                        self.helpers[id] != Helper::Alive,
                        "a second command of s{id}"
                    );
                    prop_assert!(!self.frozen[id], "a command of s{id} would not begin");
                    self.helpers[id] = Helper::Alive;
                }
                Action::Spawn(id, job) => {
                    prop_assert!(!self.alive[id], "a second process of s{id}");
                    prop_assert!(!self.frozen[id], "s{id} would not begin");
                    self.alive[id] = true;
                    self.others[id] = job == Job::Main && !self.now.is_multiple_of(2);
                    let has_process = self.machine.descriptions[id].kind.has_process();
                    self.open[id] = job == Job::Main && !has_process;
                    if matches!(job, Job::PostStop(_)) {
                        continue;
                    }
                    prop_assert!(!self.machine.is_shutting_down());
                    let node = &self.machine.nodes[id];
                    prop_assert_eq!(&node.cycle, &None);
                    let first = job == Job::PreStart(0)
                        || self.machine.descriptions[id].pre_start.is_empty();
                    for other in node.conflicts.iter().filter(|_| first) {
                        prop_assert!(!self.alive[*other], "s{id} and s{other} at the same time");
                    }
                    if self.machine.units[id].phase != Phase::Starting || job != Job::Main {
                        continue;
                    }
                    for required in &node.requires {
                        // It is up now, or is down again in the same step, or has been for a while:
                        // commands come between. What is upheld waits then.
                        let required = &self.machine.units[*required].phase;
                        let pre_start = !self.machine.descriptions[id].pre_start.is_empty();
                        let was_skipped = matches!(required, Phase::Done | Phase::Backoff(_));
                        prop_assert!(pre_start || required.is_up() || was_skipped);
                    }
                }
                Action::Terminate(id) | Action::Late(id) => {
                    let service = &self.machine.descriptions[id];
                    let leaves_others =
                        service.kind == ServiceKind::Oneshot || service.outlives_process;
                    prop_assert!((self.alive[id] || leaves_others) && !self.frozen[id]);
                    closed.extend(self.open[id].then_some(id));
                }
                Action::KillHelper(id) => {
                    prop_assert!(self.helpers[id] != Helper::None);
                    self.helpers[id] = Helper::Killed;
                }
                Action::Signal(id, _) => prop_assert!(self.alive[id]),
                Action::Find(id) => {
                    prop_assert!(!self.alive[id]);
                    let is_sought = matches!(self.phase(id), Some(Phase::Stopping(_)));
                    sought.extend(is_sought.then_some(id));
                }
                Action::Probe(id) => prop_assert!(self.alive[id]),
                Action::Freeze(id) => {
                    prop_assert!(!self.frozen[id] && self.helpers[id] != Helper::Alive);
                    self.frozen[id] = true;
                }
                Action::Thaw(id) => self.frozen[id] = false,
                Action::Kill(_)
                | Action::Release(_)
                | Action::Forget(_)
                | Action::Machine(..)
                | Action::BootDone(_) => {}
                Action::ShutdownDone => {
                    prop_assert!(!self.done);
                    self.done = true;
                }
            }
        }
        self.check()?;
        for id in closed {
            self.open[id] = false;
            self.exit(id, Exit::Status(0))?;
        }
        for id in sought {
            self.alive[id] = std::mem::take(&mut self.others[id]);
            self.feed(if self.alive[id] {
                Event::Found(id)
            } else {
                Event::NothingFound(id)
            })?;
        }
        Ok(())
    }

    /// What is always so.
    fn check(&mut self) -> Result<(), TestCaseError> {
        self.machine.check_sums();
        for (id, unit) in self.machine.units.iter().enumerate() {
            prop_assert_eq!(unit.running, self.alive[id]);
            prop_assert!(!unit.helper || self.helpers[id] != Helper::None);
            prop_assert!(unit.helper || self.helpers[id] != Helper::Alive);
            prop_assert_eq!(unit.frozen, self.frozen[id]);
            let goes_down = self.machine.is_shutting_down();
            prop_assert!(goes_down || !self.machine.is_unneeded(id));
            let is_described = id < self.machine.described().len();
            prop_assert_eq!(unit.instance, !is_described);
            prop_assert!(is_described || !matches!(unit.phase, Phase::Backoff(_)));
            prop_assert!(!self.machine.listens(id) || self.open[id] && unit.phase == Phase::Up);
            for other in &self.machine.nodes[id].bound {
                let is_gone = unit.phase == Phase::Stopped && self.machine.device(id).is_some();
                let bound = &self.machine.units[*other];
                prop_assert!(!is_gone || !bound.phase.is_up() || bound.goal != Goal::Up);
            }
        }
        Ok(())
    }

    fn exit(&mut self, id: usize, exit: Exit) -> Result<(), TestCaseError> {
        if self.alive[id] && !self.open[id] {
            if self.others[id] && self.machine.goes_on_without(id, exit) {
                self.others[id] = false;
                return self.feed(Event::Succeeded(id, exit));
            }
            self.alive[id] = false;
            self.feed(Event::Exited(id, exit))?;
        }
        Ok(())
    }

    fn helper_exit(&mut self, id: usize, exit: Exit) -> Result<(), TestCaseError> {
        if self.helpers[id] != Helper::None {
            self.helpers[id] = Helper::None;
            self.feed(Event::HelperExited(id, Some(exit)))?;
        }
        Ok(())
    }

    /// All that a successor knows is what the records hold.
    fn succeed(&mut self, due: &[(usize, Due)]) -> Result<(), TestCaseError> {
        if self.machine.is_shutting_down() {
            return Ok(()); // the end of the supervisor is the machine's end then
        }
        let old = &self.machine;
        let mut new = Services::new(old.described().to_vec());
        for instance in &old.descriptions[old.described().len()..] {
            new.add_instance(instance.clone());
        }
        for (id, unit) in old.units.iter().enumerate() {
            let helper = u32::from(unit.helper);
            let record = Record::new("s", 1, helper, unit);
            let mut restored = Record::decode(&record.encode()).unwrap().restored;
            let due = due.iter().find(|(other, _)| *other == id);
            restored.due = due.map(|(_, due)| *due);
            new.restore(id, restored);
        }
        new.resume(old.has_booted(), self.now);
        self.machine = new;
        self.feed(Event::Switched)
    }

    /// What outlives all others is not touched, unless it ends by itself; the rest begins anew.
    fn start_again(&mut self, ends: usize) -> Result<(), TestCaseError> {
        let outliving = self.machine.outliving(|_| true);
        let up = self.alive;
        self.feed(Event::StopOthers(outliving.clone()))?;
        self.exit(ends, Exit::Status(1))?;
        self.bring_to_end()?;
        prop_assert!(self.done);
        for id in &outliving {
            let bound = &self.machine.descriptions[*id].binds_to;
            prop_assert!(*id == ends || !bound.is_empty() || self.alive[*id] == up[*id]);
        }
        // Whatever else is left is killed, and what the old supervisor has run beside is not known.
        let mut new = Services::new(self.machine.described().to_vec());
        for id in 0..ALL {
            self.helpers[id] = Helper::None;
            if outliving.contains(&id) {
                let record = Record::new("s", 1, 0, &self.machine.units[id]);
                let mut restored = Record::decode(&record.encode()).unwrap().restored;
                restored.helper = false;
                new.restore(id, restored);
                continue;
            }
            self.alive[id] = false;
            self.open[id] = false;
            self.frozen[id] = false;
            if id < new.units.len() {
                let due = Some(Due::Start);
                let fresh = Restored::of(&Unit::default());
                new.restore(id, Restored { due, ..fresh });
            }
        }
        new.resume(false, self.now);
        self.machine = new;
        self.done = false;
        self.feed(Event::Switched)
    }

    /// What is under way to its end gets there.
    fn bring_to_end(&mut self) -> Result<(), TestCaseError> {
        for _ in 0..COUNT * 8 {
            for id in 0..self.machine.units.len() {
                self.helper_exit(id, Exit::Status(1))?;
                if self.machine.units[id].phase.is_ending() {
                    self.exit(id, Exit::Signal(15))?;
                }
            }
        }
        Ok(())
    }

    fn go(&mut self, step: Move) -> Result<(), TestCaseError> {
        match step {
            Move::Request(event) => self.feed(event),
            Move::Exec(id, is_there) if self.machine.device(id).is_some() => {
                if is_there || !self.machine.is_news(id, false) {
                    return self.feed(Event::Present(id));
                }
                self.alive[id] = false;
                self.open[id] = false;
                self.feed(Event::Absent(id))
            }
            Move::Exec(id, well) if self.alive[id] && self.phase(id) == Some(&Phase::Starting) => {
                if well {
                    self.feed(Event::Executed(id))?;
                    self.feed(Event::Ready(id))
                } else {
                    self.alive[id] = false;
                    self.open[id] = false;
                    self.feed(Event::NotExecuted(id, "no".to_owned()))
                }
            }
            Move::Exec(id, true)
                if self.alive[id] && matches!(self.phase(id), Some(Phase::Proving(_))) =>
            {
                match self.machine.descriptions[id].readiness {
                    Some(Readiness::Command(_)) => self.helper_exit(id, Exit::Status(0)),
                    _ => self.feed(Event::Ready(id)),
                }
            }
            Move::Exit(id, status) => self.exit(id, Exit::Status(status)),
            Move::HelperExit(id, status) => self.helper_exit(id, Exit::Status(status)),
            Move::Find(id, well) if matches!(self.phase(id), Some(Phase::Finding(_))) => {
                self.alive[id] = well;
                self.feed(if well {
                    Event::Found(id)
                } else {
                    Event::NothingFound(id)
                })
            }
            Move::Exec(..) | Move::Find(..) => Ok(()),
            Move::Trigger(id) => self.trigger(id),
            Move::Succeed(due) => self.succeed(&due),
            Move::StartAgain(id) => self.start_again(id),
            Move::Wait(time) => {
                self.now += time;
                self.feed(Event::Tick)
            }
        }
    }
}

proptest! {
    #[test]
    fn the_invariants_hold(
        services in any_services(),
        conflicts in prop::collection::vec((0..COUNT, 0..COUNT), 0..3),
        moves in prop::collection::vec(any_move(), 0..60),
    ) {
        let mut services = services;
        for (one, other) in conflicts {
            let other = services[other].name.clone();
            services[one].conflicts.push(other);
        }
        let mut world = World::new(services);
        world.feed(Event::Boot)?;
        for step in moves {
            world.go(step)?;
        }
        // Nothing is left waiting for ever for no reason: whatever is under way ends.
        world.feed(Event::Shutdown)?;
        world.bring_to_end()?;
        prop_assert!(world.done);
        for (id, unit) in world.machine.units.iter().enumerate() {
            // What hangs in the kernel is given up; everything else is gone.
            prop_assert!(!world.alive[id] || matches!(unit.phase, Phase::Failed(_)));
        }
    }

    #[test]
    fn everything_settles_when_processes_do_their_work(services in any_services()) {
        let mut services = services;
        for service in &mut services {
            // Those may never come to rest.
            service.upholds.clear();
            service.on_failure.clear();
            service.on_success.clear();
            service.wanted_at_boot = true;
            service.binds_to.clear();
        }
        let mut world = World::new(services);
        world.feed(Event::Boot)?;
        for _ in 0..COUNT * 2 {
            for id in 0..COUNT {
                while matches!(world.machine.units[id].phase, Phase::Preparing(_)) {
                    world.exit(id, Exit::Status(0))?;
                }
                let is_device = world.machine.device(id).is_some();
                // One that comes although it has failed starts anew what it needs.
                if !is_device || world.machine.units[id].phase == Phase::Starting {
                    world.go(Move::Exec(id, true))?;
                    world.go(Move::Exec(id, true))?; // where readiness is a matter of its own
                }
                let kind = world.machine.descriptions[id].kind;
                let ends = matches!(kind, ServiceKind::Oneshot | ServiceKind::Forking);
                if ends && world.machine.units[id].phase == Phase::Starting {
                    world.exit(id, Exit::Status(0))?;
                }
                world.go(Move::Find(id, true))?;
                while matches!(
                    world.machine.units[id].phase,
                    Phase::Finishing(_) | Phase::Leaving(..)
                ) {
                    world.helper_exit(id, Exit::Status(0))?;
                }
                if matches!(world.machine.units[id].phase, Phase::Cleaning(..)) {
                    world.exit(id, Exit::Status(0))?;
                }
            }
        }
        for (id, unit) in world.machine.units.iter().enumerate() {
            prop_assert!(world.machine.is_settled(id), "s{id}: {unit:?}");
            let phase = &unit.phase;
            prop_assert!(matches!(phase, Phase::Up | Phase::Done | Phase::Failed(_)), "s{id}: {unit:?}");
            let failed = |id: &usize| matches!(world.machine.units[*id].phase, Phase::Failed(_));
            let requires_a_failed_one = world.machine.nodes[id].requires.iter().any(failed);
            let on_a_circle = world.machine.nodes[id].cycle.is_some();
            prop_assert_eq!(!failed(&id), !on_a_circle && !requires_a_failed_one);
        }
        prop_assert_eq!(world.machine.boot, Boot::Done);
    }
}
