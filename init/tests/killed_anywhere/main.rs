//! The supervisor is killed before each system call that it makes for a thing, one after the other: whichever it
//! was, its successor does the rest, and nothing twice.
//!
//! Source: ptrace(2).

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what is not there fails the test"
)]

mod connections;
mod harness;
#[expect(dead_code, reason = "other tests need more of it")]
#[path = "../namespace/mod.rs"]
mod namespace;
mod switch;
mod users;

use std::fs;

use cairn_system::control::{ServiceState, ServiceStatus};
use harness::kill_anywhere;
use namespace::{Machine, script, speaker, stop};

const SLEEP: &str = "exec sleep 1000000";

/// Shell: waits for the test.
const WAIT: &str = "while [ ! -e /run/go ]; do sleep 0.01; done";

fn go(machine: &Machine, _: u32) {
    fs::write(machine.inside("/run/go"), "").unwrap();
}

/// What services have written to /var/log/count: a line each time.
fn count(machine: &Machine) -> usize {
    let lines = fs::read_to_string(machine.folder().join("log/count"));
    lines.unwrap_or_default().lines().count()
}

/// Whether `service` is as it should be, and what was counted; else what it is.
fn expect(
    machine: &Machine,
    service: &str,
    is: impl Fn(&ServiceStatus, usize) -> bool,
) -> Result<(), String> {
    let status = machine.service(service);
    let count = count(machine);
    if is(&status, count) {
        Ok(())
    } else {
        Err(format!("{count} times, {status:?}"))
    }
}

#[test]
fn a_service_that_says_that_it_is_ready() {
    let body = "while not os.path.exists(\"/run/go\"): time.sleep(0.01)\n\
        open(\"/var/log/count\", \"a\").write(\"x\\n\")\nsay(b\"READY=1\\nSTATUS=fine\")\ntime.sleep(1000000)";
    kill_anywhere(
        1,
        || Machine::boot(&speaker("a", body, r#""kind":"notify","restart":"always""#)),
        |machine| machine.service("a").pid.is_some(),
        go,
        |machine| {
            expect(machine, "a", |a, count| {
                (a.state, a.restarts, count) == (ServiceState::Up, 0, 1)
            })
        },
    );
}

#[test]
fn a_descriptor_that_is_left() {
    let body = "names = os.environ.get(\"LISTEN_FDNAMES\")\n\
        if names:\n  open(\"/var/log/count\", \"a\").write(names.replace(\":\", \"\\n\") + \"\\n\")\n  time.sleep(1000000)\n\
        while not os.path.exists(\"/run/go\"): time.sleep(0.01)\n\
        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\ns.connect(os.environ[\"NOTIFY_SOCKET\"])\n\
        socket.send_fds(s, [b\"FDSTORE=1\\nFDNAME=one\"], [0])\nopen(\"/run/said\", \"w\")\n\
        while not os.path.exists(\"/run/end\"): time.sleep(0.01)";
    kill_anywhere(
        1,
        || {
            Machine::boot(&speaker(
                "a",
                body,
                r#""storedDescriptors":5,"restart":"always","restartDelayMs":1"#,
            ))
        },
        |machine| machine.service("a").state == ServiceState::Up,
        go,
        |machine| {
            if machine.inside("/run/said").exists() {
                fs::write(machine.inside("/run/end"), "").unwrap();
            }
            expect(machine, "a", |a, count| {
                (a.state, a.restarts, count) == (ServiceState::Up, 1, 1)
            })
        },
    );
}

#[test]
fn a_command_that_runs_once() {
    kill_anywhere(
        1,
        || {
            Machine::boot(&script(
                "a",
                &format!("{WAIT}; echo x >> /var/log/count"),
                r#""kind":"oneshot""#,
            ))
        },
        |machine| machine.service("a").pid.is_some(),
        go,
        |machine| {
            expect(machine, "a", |a, count| {
                (a.state, count) == (ServiceState::Up, 1)
            })
        },
    );
}

#[test]
fn commands_before_and_after_a_start() {
    let command =
        |word: &str| format!(r#"[{{"argv":["/bin/sh","-c","{word}; echo x >> /var/log/count"]}}]"#);
    let more = format!(
        r#""preStart":{},"postStart":{}"#,
        command(WAIT),
        command("true")
    );
    kill_anywhere(
        1,
        || Machine::boot(&script("a", SLEEP, &more)),
        |machine| machine.service("a").pid.is_some(),
        go,
        |machine| {
            expect(machine, "a", |a, count| {
                // What it was in the course of is run again.
                (a.state, a.restarts) == (ServiceState::Up, 0) && (2..=3).contains(&count)
            })
        },
    );
}

#[test]
fn a_service_that_is_restarted() {
    let more = r#""restart":"always","restartDelayMs":1"#;
    kill_anywhere(
        1,
        || {
            Machine::boot(&script(
                "a",
                &format!("echo x >> /var/log/count; {SLEEP}"),
                more,
            ))
        },
        |machine| machine.service("a").state == ServiceState::Up && count(machine) == 1,
        |machine, pid| machine.kill(pid, 9),
        |machine| {
            expect(machine, "a", |a, count| {
                // What had just been started is killed, and started again.
                (a.state, a.restarts) == (ServiceState::Up, 1) && (2..=3).contains(&count)
            })
        },
    );
}

#[test]
fn a_service_whose_other_process_needs_its_time_to_end() {
    let child = "trap \"sleep 0.1; echo child >> /var/log/count; exit\" TERM; touch /run/child; \
        while :; do sleep 0.02; done";
    let body = format!(
        "[ -e /run/child ] && {SLEEP}; sh -c '{child}' & while [ ! -e /run/child ]; do sleep 0.01; done; {SLEEP}"
    );
    kill_anywhere(
        4,
        || {
            Machine::boot(&script(
                "a",
                &body,
                r#""restart":"always","restartDelayMs":1"#,
            ))
        },
        |machine| {
            machine.service("a").state == ServiceState::Up && machine.inside("/run/child").exists()
        },
        |machine, pid| machine.kill(pid, 9),
        |machine| {
            expect(machine, "a", |a, count| {
                (a.state, a.restarts, count) == (ServiceState::Up, 1, 1)
            })
        },
    );
}

#[test]
fn a_service_that_somebody_stops() {
    kill_anywhere(
        1,
        || {
            Machine::boot(&script(
                "a",
                &format!("echo x >> /var/log/count; {SLEEP}"),
                r#""restart":"always""#,
            ))
        },
        |machine| machine.service("a").state == ServiceState::Up && count(machine) == 1,
        |machine, _| {
            // Nobody may be there to answer.
            let stream = machine.connect().unwrap();
            std::thread::spawn(|| Machine::try_request_to(stream, &stop("a")));
        },
        |machine| {
            expect(machine, "a", |a, count| {
                let is_settled = matches!(a.state, ServiceState::Up | ServiceState::Stopped);
                is_settled && (a.restarts, count) == (0, 1)
            })
        },
    );
}

#[test]
fn what_follows_from_a_failure() {
    let services = [
        script("a", &format!("{WAIT}; exit 1"), r#""onFailure":["b"]"#),
        script(
            "b",
            "echo x >> /var/log/count",
            r#""kind":"oneshot","wantedAtBoot":false"#,
        ),
    ];
    kill_anywhere(
        1,
        || Machine::boot(&services.join(",")),
        |machine| machine.service("a").pid.is_some(),
        go,
        |machine| {
            let failed = machine.service("a").state == ServiceState::Failed;
            expect(machine, "b", |b, count| {
                failed && b.state == ServiceState::Up && (1..=2).contains(&count)
            })
        },
    );
}

#[test]
fn a_time_that_has_come() {
    kill_anywhere(
        5,
        || {
            let uptime = fs::read_to_string("/proc/uptime").unwrap();
            let seconds: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
            let timers = format!(
                r#","timers":[{{"name":"a","service":"a","afterBootMs":[{:.0}]}}]"#,
                seconds * 1000.0 + 1000.0
            );
            let more = r#""kind":"oneshot","wantedAtBoot":false"#;
            Machine::boot_with(&script("a", "echo x >> /var/log/count", more), &timers)
        },
        |machine| machine.service("a").state == ServiceState::Stopped,
        |_, _| {},
        |machine| {
            expect(machine, "a", |a, count| {
                // What had just been started is killed, and started again.
                a.state == ServiceState::Up && (1..=2).contains(&count)
            })
        },
    );
}
