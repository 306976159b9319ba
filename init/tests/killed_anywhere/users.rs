//! Supervisors of users.

use std::fs;
use std::os::unix::net::UnixStream;

use cairn_system::control::{Request, Response, ServiceState, ServiceStatus};

use crate::WAIT;
use crate::harness::kill_that;
use crate::namespace::{self, Machine, script};

/// `nobody`'s number, by Debian's base-passwd.
const NOBODY: u32 = 65534;

/// A machine with a user's supervisor, which runs these services.
fn boot(services: &str) -> Machine {
    let program = "/run/cairn/generation/user-services";
    let user = format!(
        r#"{{"name":"user@nobody","kind":"notify","wantedAtBoot":true,"delegated":true,"killMode":"mixed",
        "restart":"on-failure","process":{{"argv":["{program}","--linger","nobody"]}}}}"#
    );
    Machine::boot_on(
        &user,
        &format!(r#","userServices":{{"services":[{services}]}}"#),
        "mkdir -m 1777 /run/tests",
    )
}

fn user_service(machine: &Machine, name: &str) -> Option<ServiceStatus> {
    let path = machine.inside(&format!("/run/user/{NOBODY}/cairn/control"));
    let stream = UnixStream::connect(path).ok()?;
    let Response::Status { services, .. } = Machine::try_request_to(stream, &Request::Status)?
    else {
        return None;
    };
    services.into_iter().find(|one| one.name.as_str() == name)
}

/// The user's core, by its number on the host.
fn core(machine: &Machine) -> Option<u32> {
    let services = machine.status();
    let user = (services.iter()).find(|service| service.name.as_str() == "user@nobody");
    user?.pid.map(|pid| machine.on_host(pid))
}

fn supervisor(machine: &Machine) -> Option<u32> {
    namespace::children(core(machine)?).into_iter().find(|pid| {
        fs::read(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|line| line.starts_with(b"cairn-user-supervisor\0"))
    })
}

/// What services of the user have written: a line each time.
fn count(machine: &Machine) -> usize {
    let lines = fs::read_to_string(machine.inside("/run/tests/count"));
    lines.unwrap_or_default().lines().count()
}

/// How many processes of the user's service `b` there are.
fn processes(machine: &Machine) -> usize {
    let group = "/sys/fs/cgroup/cairn/user@nobody/services/b/cgroup.procs";
    let all = fs::read_to_string(machine.inside(group));
    all.unwrap_or_default().lines().count()
}

fn expect(machine: &Machine, is: impl Fn(&ServiceStatus, usize) -> bool) -> Result<(), String> {
    let status = user_service(machine, "b").ok_or("nobody answers")?;
    let count = count(machine);
    if is(&status, count) && processes(machine) == 1 {
        Ok(())
    } else {
        Err(format!(
            "{count} times, {} processes, {status:?}",
            processes(machine)
        ))
    }
}

fn is_up(machine: &Machine) -> bool {
    user_service(machine, "b").is_some_and(|b| b.state == ServiceState::Up) && count(machine) == 1
}

/// Ends when the test says so, once.
fn restarted() -> String {
    let body = format!("echo x >> /run/tests/count; {WAIT}; rm /run/tests/go; exit 1");
    let body = body.replace("/run/go", "/run/tests/go");
    script("b", &body, r#""restart":"always","restartDelayMs":1"#)
}

fn go(machine: &Machine, _: u32) {
    let file = machine.inside("/run/tests/go");
    fs::write(&file, "").unwrap();
    std::os::unix::fs::chown(&file, Some(NOBODY), None).unwrap();
}

#[test]
fn a_service_of_a_user() {
    kill_that(
        supervisor,
        5,
        || boot(&restarted()),
        is_up,
        go,
        |machine| {
            expect(machine, |b, count| {
                // What had just been started is killed, and started again.
                (b.state, b.restarts) == (ServiceState::Up, 1) && (2..=3).contains(&count)
            })
        },
    );
}

#[test]
fn a_service_of_a_user_whose_core_ends() {
    kill_that(
        core,
        2,
        || boot(&restarted()),
        is_up,
        go,
        |machine| {
            expect(machine, |b, count| {
                b.state == ServiceState::Up && (2..=4).contains(&count)
            })
        },
    );
}
