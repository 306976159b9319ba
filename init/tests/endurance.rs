//! What happens often, or all at once, leaves nothing behind; and what does nothing costs nothing.
//! `cargo xtask bench supervisor` has the same with far larger numbers.

#[expect(dead_code, reason = "other tests need more of it")]
mod namespace;

use std::fs;
use std::time::{Duration, Instant};

use cairn_system::control::{Request, Response, ServiceState};
use namespace::{Machine, children, name, script, status_field};

/// What makes thousands of processes takes long where others work too.
const LONG: Duration = Duration::from_mins(3);

fn wait_long(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < LONG, "not within {LONG:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn ten_thousand_zombies_come_at_once() {
    // They have all ended when their parent does, which has waited for none of them.
    let storm = "exec perl -e '$| = 1; for (1..10000) { my $pid = fork; \
                 die \"$!\" unless defined $pid; exit unless $pid } print \"made\\n\"; sleep 1'";
    let services = [
        script("storm", storm, ""),
        script("other", "exec sleep 1000000", ""),
    ];
    let machine = Machine::boot(&services.join(","));
    let other = machine.wait_for("other", ServiceState::Up).pid;
    wait_long("they were made", || machine.log("storm").contains("made"));
    wait_long("its parent has ended", || {
        machine.service("storm").state == ServiceState::Stopped
    });
    let start = Instant::now();
    wait_long("all were reaped", || {
        // The supervisor, and what it has started.
        children(machine.core).len() == 1
    });
    println!(
        "10,000 were reaped {:?} after their parent",
        start.elapsed()
    );
    assert_eq!(machine.service("other").pid, other);
}

#[test]
fn nobody_wakes_up_while_nothing_happens() {
    let services: Vec<String> = (0..20)
        .map(|i| script(&format!("s{i}"), "exec sleep 1000000", ""))
        .collect();
    let machine = Machine::boot(&services.join(","));
    machine.settle();
    let both = [machine.core, machine.supervisor().unwrap()];
    let wakeups = || both.map(|pid| status_field(pid, "voluntary_ctxt_switches"));
    // What the start has left to do, it does in the first of them.
    let mut before = wakeups();
    for _ in 0..5 {
        std::thread::sleep(Duration::from_secs(2));
        let after = wakeups();
        if after == before {
            return;
        }
        before = after;
    }
    panic!("core and supervisor wake up every two seconds: {before:?}");
}

#[test]
fn restarts_leave_nothing_behind() {
    leave_nothing_behind(2_000);
}

#[test]
#[ignore = "takes minutes"]
fn many_more_restarts_leave_nothing_behind() {
    leave_nothing_behind(20_000);
}

/// Descriptors and memory after so many restarts are what they were.
#[expect(clippy::unwrap_used, reason = "a test's part fails the test")]
fn leave_nothing_behind(count: u32) {
    const SERVICES: usize = 50;
    let crashing = r#""restart":"always","restartDelayMs":1,"restartDelayMaxMs":1"#;
    let services: Vec<String> = (0..SERVICES)
        .map(|i| script(&format!("s{i}"), "exit 1", crashing))
        .collect();
    let machine = Machine::boot(&services.join(","));
    let supervisor = machine.supervisor().unwrap();
    let both = [machine.core, supervisor];
    let all = |request: fn(usize) -> Request| {
        for i in 0..SERVICES {
            assert_eq!(machine.request(&request(i)), Response::Done);
        }
    };
    let stop = |i| Request::Stop {
        name: name(&format!("s{i}")),
    };
    let start = |i| Request::Start {
        name: name(&format!("s{i}")),
    };
    let restarts = || -> u32 { machine.status().iter().map(|s| s.restarts).sum() };
    let held = || {
        both.map(|pid| {
            let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
            (descriptors, status_field(pid, "RssAnon"))
        })
    };
    wait_long("the first ones", || restarts() >= 500);
    all(stop);
    let before = held();
    all(start);
    let deadline = Instant::now() + Duration::from_secs(60 + u64::from(count) / 50);
    while restarts() < count {
        assert!(Instant::now() < deadline, "{} restarts", restarts());
        std::thread::sleep(Duration::from_millis(100));
    }
    all(stop);
    let after = held();
    for ((descriptors, memory), (descriptors_then, memory_then)) in before.into_iter().zip(after) {
        assert_eq!(descriptors, descriptors_then, "{before:?} {after:?}");
        assert!(memory_then <= memory + 64, "{before:?} {after:?}");
    }
    assert_eq!(machine.supervisor(), Some(supervisor), "it is the same one");
}
