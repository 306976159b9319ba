//! The supervisor is killed before each system call that it makes for a thing, one after the other: whichever it
//! was, its successor does the rest, and nothing twice.
//!
//! Source: ptrace(2).

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what is not there fails the test"
)]

#[expect(dead_code, reason = "other tests need more of it")]
mod namespace;

use std::fs;
use std::time::{Duration, Instant};

use cairn_system::Standing;
use cairn_system::control::{Request, ServiceState, ServiceStatus};
use namespace::{Machine, PATIENCE, script, speaker, stop};
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

const SLEEP: &str = "exec sleep 1000000";

/// For so long nothing has to happen before the supervisor counts as idle, and what it does as over.
const IDLE: Duration = Duration::from_millis(40);
const OVER: Duration = Duration::from_millis(400);

/// More system calls are not made for one thing.
const MOST: usize = 2000;

/// A process that is stopped at each of its system calls.
struct Traced {
    pid: Pid,
}

impl Traced {
    /// Stops `pid` at its next system call, and those after it.
    fn new(pid: u32) -> Self {
        let pid = Pid::from_raw(i32::try_from(pid).unwrap());
        ptrace::seize(pid, ptrace::Options::PTRACE_O_TRACESYSGOOD).unwrap();
        ptrace::interrupt(pid).unwrap();
        Self { pid }
    }

    /// Waits until it is about to make a system call, which it does not make before [`Self::go_on`]; false if it
    /// makes none for so long.
    fn stops(&self, within: Duration) -> bool {
        let mut since = Instant::now();
        while since.elapsed() < within {
            match waitpid(self.pid, Some(WaitPidFlag::WNOHANG)).unwrap() {
                WaitStatus::StillAlive => std::thread::sleep(Duration::from_micros(100)),
                WaitStatus::PtraceSyscall(_) if self.is_before() => return true,
                ended @ (WaitStatus::Exited(..) | WaitStatus::Signaled(..)) => panic!("{ended:?}"),
                _ => {
                    self.go_on();
                    since = Instant::now();
                }
            }
        }
        false
    }

    /// Before a system call, not after it.
    fn is_before(&self) -> bool {
        ptrace::syscall_info(self.pid).unwrap().op == nix::libc::PTRACE_SYSCALL_INFO_ENTRY
    }

    fn go_on(&self) {
        ptrace::syscall(self.pid, None).unwrap();
    }
}

impl Drop for Traced {
    /// Kills it: nobody but us could reap it.
    fn drop(&mut self) {
        let _gone_already = nix::sys::signal::kill(self.pid, Signal::SIGKILL);
        while !matches!(
            waitpid(self.pid, None),
            Ok(WaitStatus::Signaled(..)) | Err(_)
        ) {}
    }
}

/// Boots a machine again and again, has `happen` make something of it, and kills the supervisor before its first
/// system call, and before each `step`-th after that; each time `is_done` must come true.
fn kill_anywhere(
    step: usize,
    boot: impl Fn() -> Machine,
    is_ready: impl Fn(&Machine) -> bool,
    happen: impl Fn(&Machine, u32),
    is_done: impl Fn(&Machine) -> Result<(), String>,
) {
    for number in (0..MOST).step_by(step) {
        let machine = boot();
        machine.wait_until("it is ready", &is_ready);
        let pid = machine
            .service("a")
            .pid
            .map_or(0, |pid| machine.on_host(pid));
        let traced = Traced::new(machine.supervisor().unwrap());
        while traced.stops(IDLE) {
            traced.go_on();
        }
        happen(&machine, pid);
        for made in 0..=number {
            let patience = if made == 0 { PATIENCE } else { OVER };
            if !traced.stops(patience) {
                println!("killed before each of {made} system calls");
                assert!(made > 3, "it has done nothing");
                return;
            }
            if made < number {
                traced.go_on();
            }
        }
        drop(traced);
        let start = Instant::now();
        while let Err(why) = is_done(&machine) {
            assert!(
                start.elapsed() < PATIENCE,
                "killed before system call {number}: {why}"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    panic!("it never comes to an end");
}

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
fn a_switch_to_another_generation() {
    let services = |generation: u8| {
        [
            script("a", &format!("echo x >> /var/log/count; {SLEEP}"), ""),
            script("changed", &format!("{SLEEP}{generation}"), ""),
            script(&format!("only-{generation}"), SLEEP, ""),
        ]
        .join(",")
    };
    // They are four hundred.
    kill_anywhere(
        17,
        || Machine::boot(&services(1)),
        |machine| {
            let states = machine.status();
            states.iter().all(|s| s.state == ServiceState::Up) && count(machine) == 1
        },
        |machine, _| {
            let request = Request::Switch {
                toplevel: machine.generation("g2", &services(2)),
            };
            // Nobody may be there to answer.
            let stream = machine.connect().unwrap();
            std::thread::spawn(move || Machine::try_request_to(stream, &request));
        },
        |machine| {
            let number = if machine.toplevel().ends_with("/g2") {
                2
            } else {
                1
            };
            let states = machine.status();
            // What was stopped for it waits for another try or for the way back.
            if states
                .iter()
                .any(|service| service.standing == Standing::Held)
            {
                let toplevel = machine.toplevel();
                machine.try_request(&Request::Switch { toplevel });
            }
            let names: Vec<&str> = states.iter().map(|s| s.name.as_str()).collect();
            let program = (states.iter())
                .find(|service| service.name.as_str() == "changed")
                .and_then(|changed| changed.pid)
                .and_then(|pid| {
                    fs::read_to_string(machine.inside(&format!("/proc/{pid}/cmdline"))).ok()
                })
                .unwrap_or_default();
            let is_whole = states
                .iter()
                .all(|s| (s.state, s.restarts) == (ServiceState::Up, 0))
                && names == ["a", "changed", &format!("only-{number}")]
                && program
                    .trim_end_matches('\0')
                    .ends_with(&format!("0{number}"))
                && count(machine) == 1;
            if is_whole {
                Ok(())
            } else {
                Err(format!("{} {program} {states:?}", machine.toplevel()))
            }
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
                seconds * 1000.0 + 700.0
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
