//! A switch is made or not, and so is the replacement of core's program.

use std::fs;

use cairn_system::Standing;
use cairn_system::control::{Request, ServiceState};

use crate::count;
use crate::harness::{kill_anywhere, strike};
use crate::namespace::{Machine, SLEEP, script};

fn services(generation: u8) -> String {
    [
        script("a", &format!("echo x >> /var/log/count; {SLEEP}"), ""),
        script("changed", &format!("{SLEEP}{generation}"), ""),
        script(&format!("only-{generation}"), SLEEP, ""),
    ]
    .join(",")
}

fn is_ready(machine: &Machine) -> bool {
    let states = machine.status();
    states.iter().all(|s| s.state == ServiceState::Up) && count(machine) == 1
}

/// Asks for a switch. Nobody may be there to answer.
fn ask(machine: &Machine, toplevel: String) {
    let stream = machine.connect().unwrap();
    std::thread::spawn(|| Machine::try_request_to(stream, &Request::Switch { toplevel }));
}

/// Whether the machine runs one of the two generations as a whole, with the service of both as it was.
fn is_whole(machine: &Machine) -> Result<(), String> {
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
        .and_then(|pid| fs::read_to_string(machine.inside(&format!("/proc/{pid}/cmdline"))).ok())
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
}

#[test]
fn a_switch_to_another_generation() {
    // They are four hundred.
    kill_anywhere(
        17,
        || Machine::boot(&services(1)),
        is_ready,
        |machine, _| ask(machine, machine.generation("g2", &services(2))),
        is_whole,
    );
}

/// Core is looked at here, and whenever it is about to make a system call, the supervisor is killed.
#[test]
fn a_switch_that_replaces_core() {
    strike(
        |machine| Some(machine.core),
        |machine, core| {
            if let Some(supervisor) = machine.supervisor() {
                machine.kill(supervisor, 9);
            }
            core.let_go();
        },
        12,
        || Machine::boot(&services(1)),
        is_ready,
        |machine, _| ask(machine, machine.generation_with_program("g2", &services(2))),
        is_whole,
    );
}
