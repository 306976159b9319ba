//! The moment between the birth of a service's process and its arrival in its control group, with PID 1 in
//! namespaces of its own: the supervisor is stopped right there, by tracing it.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "functions of a test fail the test"
)]

#[expect(dead_code, reason = "other tests need more of it")]
mod namespace;

use std::fs;
use std::io::Write;

use cairn_system::control::{Request, ServiceState};
use namespace::{Machine, name, script, story};
use nix::sys::ptrace::{self, Event, Options};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

/// A service that tells of each start.
fn machine(more: &str) -> Machine {
    let text = "printf 'start ' >> /var/log/story; exec sleep 1000000";
    let machine = Machine::boot(&script("a", text, more));
    machine.wait_for("a", ServiceState::Up);
    // What a predecessor has started may have been killed: the next process moves itself.
    machine.replace_supervisor(9);
    machine.do_it(&Request::Stop { name: name("a") });
    machine
}

fn number(pid: u32) -> Pid {
    Pid::from_raw(pid.try_into().unwrap())
}

/// Has the service started, and the supervisor stopped at the birth of its process, which stands still too.
fn stop_at_birth(machine: &Machine) -> (Pid, Pid) {
    let supervisor = number(machine.supervisor().unwrap());
    ptrace::seize(supervisor, Options::PTRACE_O_TRACEFORK).unwrap();
    let request = Request::Start { name: name("a") };
    let mut stream = machine.connect().unwrap();
    writeln!(stream, "{}", serde_json::to_string(&request).unwrap()).unwrap();
    let born =
        WaitStatus::PtraceEvent(supervisor, Signal::SIGTRAP, Event::PTRACE_EVENT_FORK as i32);
    loop {
        match waitpid(supervisor, None).unwrap() {
            status if status == born => break,
            WaitStatus::Stopped(_, signal) => ptrace::cont(supervisor, signal).unwrap(),
            other => panic!("{other:?}"),
        }
    }
    let child = ptrace::getevent(supervisor).unwrap().try_into().unwrap();
    let child = Pid::from_raw(child);
    assert!(matches!(
        waitpid(child, None).unwrap(),
        WaitStatus::PtraceEvent(..) | WaitStatus::Stopped(..)
    ));
    (supervisor, child)
}

/// Whether it has come to execute the service, or to its end; until then it is a copy of the supervisor.
fn is_decided(process: Pid) -> bool {
    fs::read(format!("/proc/{process}/cmdline"))
        .map_or(true, |line| !line.starts_with(b"cairn-supervisor"))
}

#[test]
fn a_process_that_is_in_no_group_yet_ends_with_the_supervisor() {
    for restart in ["always", "never"] {
        let machine = machine(&format!(r#""restart":"{restart}""#));
        let (supervisor, child) = stop_at_birth(&machine);
        machine.kill(supervisor.as_raw().try_into().unwrap(), 9);
        assert!(matches!(
            waitpid(supervisor, None).unwrap(),
            WaitStatus::Signaled(_, Signal::SIGKILL, _)
        ));
        machine.wait_until("there is another supervisor", |machine| {
            machine.supervisor().is_some()
        });
        let status = machine.wait_for("a", ServiceState::Up);
        machine.wait_until("its process tells", |machine| {
            story(machine) == "start start "
        });
        // Now the first one goes on.
        ptrace::detach(child, None).unwrap();
        machine.wait_until("it has come to something", |_| is_decided(child));
        machine.do_it(&Request::Stop { name: name("a") });
        assert_eq!(story(&machine), "start start ", "{restart}");
        assert_eq!((status.restarts, status.reason), (0, None));
    }
}

#[test]
fn a_process_that_is_in_no_group_yet_goes_on_under_a_supervisor_that_does() {
    let machine = machine("");
    let (supervisor, child) = stop_at_birth(&machine);
    ptrace::detach(supervisor, None).unwrap();
    machine.wait_until("the supervisor answers", |machine| {
        machine.service("a").state == ServiceState::Starting
    });
    ptrace::detach(child, None).unwrap();
    let before = machine.wait_for("a", ServiceState::Up).pid;
    assert_eq!(
        machine.on_host(before.unwrap()),
        u32::try_from(child.as_raw()).unwrap()
    );
    // Core knows of it: it is taken over, and is in its group.
    machine.replace_supervisor(9);
    assert_eq!(machine.service("a").pid, before);
    machine.do_it(&Request::Stop { name: name("a") });
    assert_eq!(story(&machine), "start start ");
}

#[test]
fn a_process_that_is_in_no_group_yet_is_asked_to_end() {
    let machine = machine(r#""stopTimeoutMs":60000"#);
    let (supervisor, child) = stop_at_birth(&machine);
    ptrace::detach(supervisor, None).unwrap();
    machine.wait_until("the supervisor answers", |machine| {
        machine.service("a").state == ServiceState::Starting
    });
    let mut stream = machine.connect().unwrap();
    let request = Request::Stop { name: name("a") };
    writeln!(stream, "{}", serde_json::to_string(&request).unwrap()).unwrap();
    machine.wait_for("a", ServiceState::Stopping);
    ptrace::detach(child, None).unwrap();
    machine.wait_for("a", ServiceState::Stopped);
}
