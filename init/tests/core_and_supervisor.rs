//! Core and supervisor as PID 1 of their own namespaces.

#![expect(clippy::format_collect, reason = "scripts are short")]

#[expect(dead_code, reason = "other tests need more of it")]
mod namespace;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::time::{Duration, Instant};

use cairn_system::control::{Request, Response, ServiceState};
use namespace::{Machine, PATIENCE, children, name, script, status_field};

const SLEEP: &str = "exec sleep 1000000";

#[test]
fn a_killed_service_is_restarted() {
    let machine = Machine::boot(&script(
        "a",
        SLEEP,
        r#""restart":"always","restartDelayMs":1"#,
    ));
    let before = machine.wait_for("a", ServiceState::Up);
    machine.kill(machine.on_host(before.pid.unwrap()), 9);
    machine.wait_until("it has another process", |machine| {
        let now = machine.service("a");
        now.state == ServiceState::Up && now.pid.is_some() && now.pid != before.pid
    });
    let after = machine.service("a");
    assert_eq!(
        (after.restarts, after.last_exit.as_deref()),
        (1, Some("signal 9"))
    );
}

#[test]
fn a_service_that_exits_at_once_for_ever_is_slowed_down() {
    let more = r#""restart":"always","restartDelayMs":20,"restartDelayMaxMs":100000"#;
    let machine = Machine::boot(&script("a", "exit 3", more));
    std::thread::sleep(Duration::from_secs(3));
    let state = machine.service("a");
    // 20, 40, 80, ... ms: after 3 s seven have passed, and the eighth takes 2.5 s.
    assert!((5..=9).contains(&state.restarts), "{state:?}");
    assert_eq!(state.last_exit.as_deref(), Some("status 3"));
}

#[test]
fn a_service_that_ignores_sigterm_is_killed_after_its_time() {
    let stubborn = "trap '' TERM; echo up; while :; do sleep 1000; done";
    let machine = Machine::boot(&script("a", stubborn, r#""stopTimeoutMs":700"#));
    machine.wait_until("it is up", |machine| machine.log("a").contains("up"));
    let start = Instant::now();
    assert_eq!(
        machine.request(&Request::Stop { name: name("a") }),
        Response::Done
    );
    let took = start.elapsed();
    assert!(
        took >= Duration::from_millis(700) && took < Duration::from_secs(5),
        "{took:?}"
    );
    assert_eq!(machine.service("a").state, ServiceState::Stopped);
    assert_eq!(machine.service("a").last_exit.as_deref(), Some("signal 9"));
}

#[test]
fn dependencies_order_the_boot_and_failures_stay_where_they_belong() {
    let services = [
        script("late", "echo late >> /var/log/order; exec sleep 1000", r#""requires":["early"]"#),
        script("early", "sleep 0.3; echo early >> /var/log/order", r#""kind":"oneshot""#),
        script("broken", "exit 1", r#""kind":"oneshot""#),
        script("needs-broken", SLEEP, r#""requires":["broken"]"#),
        script("after-broken", SLEEP, r#""after":["broken"],"wants":["broken"]"#),
        script("chicken", SLEEP, r#""requires":["egg"]"#),
        script("egg", SLEEP, r#""requires":["chicken"]"#),
        r#"{"name":"missing","kind":"simple","wantedAtBoot":true,"process":{"argv":["/nonexistent"]}}"#.to_owned(),
        script("unwanted", SLEEP, r#""wantedAtBoot":false"#),
    ];
    let machine = Machine::boot(&services.join(","));
    machine.wait_for("late", ServiceState::Up);
    machine.wait_until("the log", |machine| {
        std::fs::read_to_string(machine.folder().join("log/order"))
            .is_ok_and(|text| text.lines().count() == 2)
    });
    let order = std::fs::read_to_string(machine.folder().join("log/order")).unwrap();
    assert_eq!(order, "early\nlate\n");
    machine.wait_for("missing", ServiceState::Failed);
    let states: Vec<String> = machine
        .status()
        .into_iter()
        .map(|s| format!("{} {:?} {}", s.name, s.state, s.reason.unwrap_or_default()))
        .collect();
    expect_test::expect![[r#"
        late Up 
        early Up 
        broken Failed its process exited with status 1
        needs-broken Failed it requires 'broken', which has failed
        after-broken Up 
        chicken Failed it waits for itself: chicken -> egg -> chicken; take one of these requires or after away
        egg Failed it waits for itself: egg -> chicken -> egg; take one of these requires or after away
        missing Failed cannot execute the program: No such file or directory (os error 2) (/nonexistent)
        unwanted Stopped "#]]
    .assert_eq(&states.join("\n"));
}

#[test]
fn a_killed_supervisor_is_replaced_and_services_go_on() {
    let ticks = "i=0; while :; do i=$((i+1)); echo tick $i; sleep 0.02; done";
    let mut services: Vec<String> = (0..20)
        .map(|i| script(&format!("s{i}"), SLEEP, r#""restart":"always""#))
        .collect();
    services.push(script("ticker", ticks, ""));
    services.push(script("once", "true", r#""kind":"oneshot""#));
    let machine = Machine::boot(&services.join(","));
    machine.wait_for("once", ServiceState::Up);
    machine.wait_for("ticker", ServiceState::Up);
    machine.wait_until("all are up", |machine| {
        machine
            .status()
            .iter()
            .all(|service| service.state == ServiceState::Up)
    });
    let pids = |machine: &Machine| -> BTreeMap<_, _> {
        machine
            .status()
            .into_iter()
            .map(|s| (s.name, (s.pid, s.state, s.restarts)))
            .collect()
    };
    let before = pids(&machine);
    for _ in 0..3 {
        let old = machine.supervisor().unwrap();
        machine.kill(old, 9);
        machine.wait_until("there is a new supervisor", |machine| {
            machine.supervisor().is_some_and(|new| new != old)
        });
        assert_eq!(pids(&machine), before);
    }
    // It is in charge: what dies comes back, what is asked for is done.
    let victim = before[&name("s3")].0.unwrap();
    machine.kill(machine.on_host(victim), 9);
    machine.wait_until("s3 is back", |machine| {
        let now = machine.service("s3");
        now.state == ServiceState::Up && now.pid.is_some_and(|pid| pid != victim)
    });
    assert_eq!(
        machine.request(&Request::Stop { name: name("s4") }),
        Response::Done
    );
    assert_eq!(machine.service("s4").state, ServiceState::Stopped);
    assert_eq!(
        machine.request(&Request::Start { name: name("s4") }),
        Response::Done
    );
    // No line of the log is lost or doubled.
    let count = machine.log("ticker").lines().count();
    machine.wait_until("the log goes on", |machine| {
        machine.log("ticker").lines().count() > count + 5
    });
    for (line, number) in machine.log("ticker").lines().zip(1..) {
        assert!(
            line.ends_with(&format!("Z tick {number}")),
            "{line}: {number}"
        );
    }
}

#[test]
fn no_byte_of_a_log_is_lost_or_doubled_whenever_the_supervisor_is_killed() {
    // Lines come whole, in pieces, and several at once.
    let loud = r#"i=0; while :; do printf 'line %s' $((i+1)); echo " ends"; i=$((i+2)); printf 'line %s ends\nline %s' $i $((i+=1)); echo " ends"; done"#;
    for machine in (0..4).map(|_| Machine::boot(&script("loud", loud, ""))) {
        machine.wait_for("loud", ServiceState::Up);
        // Core puts the restarts of one that ends again and again off: few rounds a machine.
        for round in 0..6 {
            let old = machine.supervisor().unwrap();
            std::thread::sleep(Duration::from_micros(10_000 + 137 * round));
            machine.kill(old, 9);
            machine.wait_until("there is a new supervisor", |machine| {
                machine.supervisor().is_some_and(|new| new != old)
            });
            machine.status();
        }
        assert_eq!(
            machine.request(&Request::Stop { name: name("loud") }),
            Response::Done
        );
        let log = machine.log("loud");
        let lines: Vec<&str> = log
            .lines()
            .map(|line| line.split_once(' ').unwrap().1)
            .collect();
        assert!(lines.len() > 100, "{log}");
        // The file before this one may be gone, and the stop have come within the last line.
        let number = |line: &str| {
            line.split(' ')
                .nth(1)
                .and_then(|number| number.parse::<u64>().ok())
        };
        let first = number(lines[0]).unwrap();
        for (line, number) in lines[..lines.len() - 1].iter().zip(first..) {
            assert_eq!(*line, format!("line {number} ends"));
        }
    }
}

#[test]
fn a_service_that_dies_while_there_is_no_supervisor_is_restarted() {
    let machine = Machine::boot(&script(
        "a",
        SLEEP,
        r#""restart":"always","restartDelayMs":1"#,
    ));
    let before = machine.wait_for("a", ServiceState::Up).pid.unwrap();
    let (service, supervisor) = (machine.on_host(before), machine.supervisor().unwrap());
    machine.kill(supervisor, 19);
    machine.kill(service, 9);
    machine.kill(supervisor, 9);
    machine.wait_until("it is back", |machine| {
        let now = machine.service("a");
        now.state == ServiceState::Up && now.pid.is_some_and(|pid| pid != before)
    });
}

#[test]
fn pid_1_survives_every_signal() {
    let machine = Machine::boot(&script("a", SLEEP, ""));
    let before = machine.wait_for("a", ServiceState::Up);
    // Those that end the machine, and the two that nobody can catch: from inside, the kernel
    // drops these for PID 1.
    let endings = [2, 10, 12, 15, 30, 37, 38, 39];
    let inside: String = (1..=64)
        .filter(|signal| !endings.contains(signal) && ![32, 33].contains(signal))
        .map(|signal| format!("kill -{signal} 1; "))
        .collect();
    let status = std::process::Command::new("nsenter")
        .args([
            "--target",
            &machine.core.to_string(),
            "--user",
            "--pid",
            "--mount",
            "sh",
            "-c",
            &inside,
        ])
        .status()
        .unwrap();
    assert!(status.code().is_some(), "{status}");
    for signal in (1..=64).filter(|signal| !endings.contains(signal) && ![9, 19].contains(signal)) {
        machine.kill(machine.core, signal);
    }
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(machine.service("a").pid, before.pid);
}

#[test]
fn signals_end_the_machine_after_its_services() {
    for (signal, reported) in [(2, 1), (15, 2), (38, 2), (10, 2)] {
        let last_words = "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.01; done";
        let machine = Machine::boot(&script("a", last_words, ""));
        machine.wait_until("it is up", |machine| machine.log("a").contains("up"));
        let log = machine.folder().join("log/cairn/a.log");
        let log = std::fs::File::open(log).unwrap();
        machine.kill(machine.core, signal);
        assert_eq!(machine.ended(), Some(reported), "signal {signal}");
        let mut text = String::new();
        (&log).read_to_string(&mut text).unwrap();
        assert!(text.ends_with("bye\n"), "{text}");
    }
}

#[test]
fn a_shutdown_stops_in_reverse_order_and_kills_what_does_not_stop() {
    let stop = |name: &str| {
        format!("trap 'echo {name} >> /var/log/order; exit 0' TERM; while :; do sleep 0.01; done")
    };
    let services = [
        script("base", &stop("base"), ""),
        script("middle", &stop("middle"), r#""requires":["base"]"#),
        script("top", &stop("top"), r#""after":["middle"]"#),
        script(
            "never",
            "trap '' TERM; while :; do sleep 1000; done",
            r#""stopTimeoutMs":500"#,
        ),
    ];
    let machine = Machine::boot(&services.join(","));
    machine.wait_until("all are up", |machine| {
        machine
            .status()
            .iter()
            .all(|service| service.state == ServiceState::Up)
    });
    std::thread::sleep(Duration::from_millis(100)); // the traps
    let order = std::fs::File::create(machine.folder().join("log/order")).unwrap();
    drop(order);
    let order = std::fs::File::open(machine.folder().join("log/order")).unwrap();
    let start = Instant::now();
    assert_eq!(machine.request(&Request::PowerOff), Response::Done);
    assert_eq!(machine.ended(), Some(2));
    assert!(
        start.elapsed() < Duration::from_secs(6),
        "{:?}",
        start.elapsed()
    );
    let mut text = String::new();
    (&order).read_to_string(&mut text).unwrap();
    assert_eq!(text, "top\nmiddle\nbase\n");
}

#[test]
fn orphans_are_reaped() {
    let orphans =
        "i=0; while [ $i -lt 300 ]; do (sleep 0 &) ; i=$((i+1)); done; echo done; exec sleep 1000";
    let machine = Machine::boot(&script("a", orphans, ""));
    machine.wait_until("they were made", |machine| {
        machine.log("a").contains("done")
    });
    machine.wait_until("only the supervisor is left", |machine| {
        children(machine.core).len() == 1
    });
}

#[test]
fn a_thousand_lines_arrive_and_a_flood_stops_nobody() {
    let services = [
        script(
            "lines",
            "i=0; while [ $i -lt 1000 ]; do echo line $i; i=$((i+1)); done; printf unfinished",
            r#""kind":"oneshot""#,
        ),
        script("flood", "exec cat /dev/zero", ""),
    ];
    let machine = Machine::boot(&services.join(","));
    machine.wait_for("lines", ServiceState::Up);
    let log = machine.log("lines");
    assert_eq!(log.lines().count(), 1001);
    assert!(log.ends_with("Z unfinished\n"));
    let start = Instant::now();
    machine.status();
    assert!(start.elapsed() < Duration::from_secs(2));
    let flood = |machine: &Machine| -> u64 {
        let folder = machine.folder().join("log/cairn");
        let files = ["flood.log", "flood.log.1"].map(|name| folder.join(name));
        let sizes = files.iter().filter_map(|file| file.metadata().ok());
        sizes.map(|metadata| metadata.len()).sum()
    };
    machine.wait_until("the flood has reached its log", |machine| {
        flood(machine) > 0
    });
    assert!(flood(&machine) < 3 << 20, "{}", flood(&machine));
}

#[test]
fn hostile_clients_hurt_nobody() {
    let machine = Machine::boot(&script("a", SLEEP, ""));
    machine.wait_for("a", ServiceState::Up);
    // Silent ones, half-closed ones, garbage, too much, and ones that never read.
    let silent: Vec<_> = (0..20).filter_map(|_| machine.connect()).collect();
    for client in &silent[..5] {
        client.shutdown(std::net::Shutdown::Write).unwrap();
    }
    for garbage in [
        &b"\xff\xfe\n"[..],
        b"{}\n",
        b"\n",
        b"{\"request\":\"start\",\"name\":\"../../x\"}\n",
    ] {
        let mut client = machine.connect().unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client.write_all(garbage).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert!(
            matches!(Response::parse(&answer), Ok(Response::Failed { .. })),
            "{answer}"
        );
    }
    let mut huge = machine.connect().unwrap();
    // It is cut off somewhere in this.
    drop(huge.write_all(&vec![b'x'; 1 << 20]));
    let supervisor = machine.supervisor().unwrap();
    let before = status_field(supervisor, "VmRSS");
    let many: Vec<_> = (0..300).filter_map(|_| machine.connect()).collect();
    std::thread::sleep(Duration::from_millis(300));
    drop(many);
    assert_eq!(machine.service("a").state, ServiceState::Up);
    // Silent ones are closed after five seconds, and they cost no processor time meanwhile.
    let mut first = &silent[10];
    first.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(first.read(&mut [0]).unwrap(), 0);
    let stat = std::fs::read_to_string(format!("/proc/{supervisor}/stat")).unwrap();
    let ticks: u64 = stat
        .split(' ')
        .skip(13)
        .take(2)
        .map(|t| t.parse::<u64>().unwrap())
        .sum();
    assert!(ticks < 100, "{ticks} hundredths of a second");
    assert_eq!(machine.supervisor(), Some(supervisor), "it is the same one");
    assert!(status_field(supervisor, "VmRSS") < before + 2048);
}

#[test]
fn two_hundred_services_start_and_memory_is_small() {
    let empty = Machine::boot("");
    let supervisor = empty.supervisor().unwrap();
    println!(
        "RSS without services: core {} kB, supervisor {} kB",
        status_field(empty.core, "VmRSS"),
        status_field(supervisor, "VmRSS")
    );
    drop(empty);
    let services: Vec<String> = (0..200)
        .map(|i| script(&format!("s{i}"), SLEEP, ""))
        .collect();
    let start = Instant::now();
    let machine = Machine::boot(&services.join(","));
    machine.wait_until("all are up", |machine| {
        machine
            .status()
            .iter()
            .all(|service| service.state == ServiceState::Up)
    });
    let took = start.elapsed();
    let supervisor = machine.supervisor().unwrap();
    println!(
        "200 services in {took:?}: core {} kB, supervisor {} kB",
        status_field(machine.core, "VmRSS"),
        status_field(supervisor, "VmRSS")
    );
    // Pages of the program's file are not its own.
    let own = status_field(machine.core, "RssAnon");
    assert!(own < 1024, "{own} kB");
    let start = Instant::now();
    assert_eq!(machine.request(&Request::Reboot), Response::Done);
    assert_eq!(machine.ended(), Some(1));
    println!("stopped in {:?}", start.elapsed());
}
