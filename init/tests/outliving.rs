//! What goes on while user space starts again, in this generation or another.

#[expect(dead_code, reason = "other tests need more of it")]
mod namespace;

use std::fs;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use cairn_system::control::{Request, Response, ServiceState};
use namespace::{Machine, SLEEP, name, script};

const OUTLIVES: &str = r#""outlivesUserSpace":true"#;

/// Counts, each number by a process of its own, and tells of every signal.
const COUNTS: &str = "trap 'echo signal' TERM HUP INT CONT; i=0; \
    while :; do i=$((i+1)); /bin/echo $i; sleep 0.001; done";

/// What else is said of it.
const COUNTS_MORE: &str = r#""outlivesUserSpace":true,"stopTimeoutMs":100"#;

/// Takes its time to end.
const SLOW: &str = "trap 'sleep 0.7; exit' TERM; while :; do sleep 0.01; done";

/// That every number up to the last one is there, and nothing else.
fn all_numbers(log: &str) -> usize {
    let lines = log.lines().filter_map(|line| line.split(' ').next_back());
    let numbers: Vec<String> = lines.map(str::to_owned).collect();
    let expected: Vec<String> = (1..=numbers.len())
        .map(|number| number.to_string())
        .collect();
    assert_eq!(numbers, expected);
    numbers.len()
}

fn restart(toplevel: &str) -> Request {
    Request::RestartUserSpace {
        toplevel: toplevel.to_owned(),
    }
}

#[test]
fn services_go_on_and_all_others_begin_anew() {
    let once = |more: &str| {
        let more = format!(r#""kind":"oneshot",{more}"#);
        script("once", "echo x >> /var/log/once", &more)
    };
    let socket = r#"{"name":"counts.socket","kind":"socket","wantedAtBoot":true,
        "socket":{"service":"counts","listen":[{"stream":"/run/counts"}]}}"#;
    let counts = || {
        let more = format!(r#"{COUNTS_MORE},"requires":["counts.socket"]"#);
        script("counts", COUNTS, &more)
    };
    let slower = |service: String| service.replace("sleep 0.001", "sleep 0.002");
    let services = [
        counts(),
        socket.to_owned(),
        once(OUTLIVES),
        script("gone", SLEEP, OUTLIVES),
        script(
            "needs",
            SLEEP,
            &format!(r#"{OUTLIVES},"requires":["other"]"#),
        ),
        script("other", SLEEP, ""),
        script("wanted", SLEEP, r#""wantedAtBoot":false"#),
        script("wants", SLEEP, &format!(r#"{OUTLIVES},"wants":["wanted"]"#)),
        script("stopped", SLEEP, OUTLIVES),
    ];
    let machine = Machine::boot(&services.join(","));
    for service in ["counts", "once", "needs", "wanted", "stopped"] {
        machine.wait_for(service, ServiceState::Up);
    }
    machine.do_it(&Request::Stop {
        name: name("stopped"),
    });
    let before = |name: &str| machine.service(name);
    let names = ["counts", "once", "wants", "needs", "other", "wanted"];
    let old = names.map(before);
    let gone = machine.on_host(machine.service("gone").pid.unwrap());
    let mut client = UnixStream::connect(machine.inside("/run/counts")).unwrap();

    // Another program, too.
    let two = [
        slower(counts()),
        socket.to_owned(),
        once(OUTLIVES),
        script(
            "needs",
            SLEEP,
            &format!(r#"{OUTLIVES},"requires":["other"]"#),
        ),
        script("other", SLEEP, ""),
        script("wanted", SLEEP, r#""wantedAtBoot":false"#),
        script("wants", SLEEP, &format!(r#"{OUTLIVES},"wants":["wanted"]"#)),
        script("stopped", SLEEP, OUTLIVES),
        script("new", SLEEP, ""),
    ];
    let two = machine.generation_with_program("two", &two.join(","));
    assert_eq!(machine.start_again(&two), [""; 0]);
    let new = names.map(before);
    for (old, new) in old.iter().zip(&new).take(3) {
        let what = |one: &cairn_system::control::ServiceStatus| {
            (one.state, one.pid, one.restarts, one.started_ms, one.up_ms)
        };
        assert_eq!(what(new), what(old), "{}", old.name);
    }
    for (old, new) in old.iter().zip(&new).skip(3) {
        assert_eq!(
            (new.state, new.pid != old.pid),
            (ServiceState::Up, true),
            "{old:?} {new:?}"
        );
    }
    for service in ["new", "stopped"] {
        machine.wait_for(service, ServiceState::Up);
    }
    assert!(
        machine
            .status()
            .iter()
            .all(|service| service.name.as_str() != "gone")
    );
    assert!(!std::path::Path::new(&format!("/proc/{gone}")).exists());
    let log = |file: &str| fs::read_to_string(machine.folder().join("log").join(file)).unwrap();
    assert_eq!(log("once"), "x\n");
    all_numbers(&machine.log("counts"));
    // Who has connected meanwhile is where it was; and so is the socket.
    client
        .set_read_timeout(Some(Duration::from_millis(50)))
        .unwrap();
    let read = std::io::Read::read(&mut client, &mut [0; 1]).unwrap_err();
    assert_eq!(read.kind(), std::io::ErrorKind::WouldBlock);
    UnixStream::connect(machine.inside("/run/counts")).unwrap();
    assert!(!machine.inside("/run/cairn/outliving").exists());
}

/// From then on it is a service as any other: a supervisor's death, another restart, a switch, the machine's end.
#[test]
fn what_has_gone_on_is_a_service_as_any_other() {
    let services = |pause: &str| script("counts", &COUNTS.replace("0.001", pause), COUNTS_MORE);
    let machine = Machine::boot(&services("0.001"));
    let pid = machine.wait_for("counts", ServiceState::Up).pid;
    let two = machine.generation("two", &services("0.001"));
    assert_eq!(machine.start_again(&two), [""; 0]);
    machine.replace_supervisor(9);
    assert_eq!(machine.start_again(&two), [""; 0]);
    assert_eq!(machine.service("counts").pid, pid);
    all_numbers(&machine.log("counts"));
    let three = machine.generation("three", &services("0.002"));
    assert_eq!(machine.switch(&three), [""; 0]);
    let status = machine.wait_for("counts", ServiceState::Up);
    assert!(status.pid.is_some() && status.pid != pid, "{status:?}");
    let counts = machine.on_host(status.pid.unwrap());
    machine.do_it(&Request::Reboot);
    assert_eq!(machine.ended(), Some(1), "it reboots");
    assert!(!std::path::Path::new(&format!("/proc/{counts}")).exists());
}

#[test]
fn what_fails_meanwhile_is_restarted_by_the_supervisor_that_comes() {
    let again = format!(r#"{OUTLIVES},"restart":"always","restartDelayMs":1"#);
    let services = [
        script("again", SLEEP, &again),
        script("fails", SLEEP, OUTLIVES),
        script("slow", SLOW, ""),
    ];
    let machine = Machine::boot(&services.join(","));
    for service in ["again", "fails", "slow"] {
        machine.wait_for(service, ServiceState::Up);
    }
    let two = machine.generation("two", &services.join(","));
    Machine::let_user_space_start(&two);
    machine.do_it(&restart(&two));
    machine.wait_for("slow", ServiceState::Stopping);
    for service in ["again", "fails"] {
        let pid = machine.service(service).pid.unwrap();
        machine.kill(machine.on_host(pid), 9);
    }
    machine.wait_for("fails", ServiceState::Failed);
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(
        machine.service("again").pid,
        None,
        "nothing is started during an end"
    );
    machine.wait_until("the other generation runs", |machine| {
        machine.toplevel() == two
    });
    let again = machine.wait_for("again", ServiceState::Up);
    assert_eq!(again.restarts, 1);
    assert_eq!(machine.settle(), ["fails"]);
}

#[test]
fn a_supervisor_that_is_killed_meanwhile_changes_nothing() {
    let services = [
        script("counts", COUNTS, OUTLIVES),
        script("slow", SLOW, ""),
        script("other", SLEEP, ""),
    ];
    let machine = Machine::boot(&services.join(","));
    for service in ["counts", "slow", "other"] {
        machine.wait_for(service, ServiceState::Up);
    }
    let (counts, slow) = (machine.service("counts"), machine.service("slow"));
    let two = machine.generation("two", &services.join(","));
    let own = machine.toplevel();
    Machine::let_user_space_start(&two);
    Machine::let_user_space_start(&own);
    machine.do_it(&restart(&two));
    machine.wait_for("slow", ServiceState::Stopping);
    let supervisor = machine.supervisor().unwrap();
    machine.kill(supervisor, 9);
    // Core brings it to its end, with the generation that runs.
    machine.wait_until("there is another one", |machine| {
        machine.supervisor().is_some_and(|pid| pid != supervisor)
    });
    assert_eq!(machine.toplevel(), own);
    assert_eq!(machine.settle(), [""; 0]);
    assert_eq!(machine.service("counts").pid, counts.pid);
    assert_ne!(machine.wait_for("slow", ServiceState::Up).pid, slow.pid);
    machine.wait_for("other", ServiceState::Up);
    assert!(all_numbers(&machine.log("counts")) > 0);
}

#[test]
fn nothing_goes_on_where_nobody_would_know_of_it() {
    let services = script("a", SLEEP, OUTLIVES);
    let machine = Machine::boot(&services);
    let a = machine.wait_for("a", ServiceState::Up);
    let two = machine.generation("two", &services);
    Machine::let_user_space_start(&two);
    // An older program does not know the question.
    let [init, core, kept] = ["init", "core", "core.kept"].map(|name| format!("{two}/{name}"));
    fs::rename(&core, &kept).unwrap();
    fs::copy("/bin/false", &core).unwrap();
    let script = fs::read_to_string(&init).unwrap();
    let script = script.replace("set -e\n", &format!("set -e\nmv -f {kept} {core}\n"));
    fs::write(&init, script).unwrap();
    let pid = machine.on_host(a.pid.unwrap());
    machine.do_it(&restart(&two));
    machine.wait_until("the other generation runs", |machine| {
        machine.toplevel() == two
    });
    assert_ne!(machine.wait_for("a", ServiceState::Up).pid, None);
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
}

#[test]
fn it_goes_on_when_the_end_of_another_one_restarts_user_space() {
    let ends = r#""machineActions":{"failure":"soft-reboot-force"},"wantedAtBoot":false"#;
    let services = [
        script("counts", COUNTS, OUTLIVES),
        script("ends", "exit 1", ends),
        script("other", SLEEP, ""),
    ];
    let machine = Machine::boot(&services.join(","));
    let counts = machine.wait_for("counts", ServiceState::Up);
    let other = machine.wait_for("other", ServiceState::Up);
    let own = machine.toplevel();
    Machine::let_user_space_start(&own);
    let supervisor = machine.supervisor().unwrap();
    machine.try_request(&Request::Start { name: name("ends") });
    machine.wait_until("there is another supervisor", |machine| {
        machine.supervisor().is_some_and(|pid| pid != supervisor)
    });
    assert_eq!(machine.settle(), [""; 0]);
    assert_eq!(machine.service("counts").pid, counts.pid);
    assert_ne!(machine.wait_for("other", ServiceState::Up).pid, other.pid);
    let status = machine.request(&Request::Status);
    assert!(matches!(status, Response::Status { .. }), "{status:?}");
    all_numbers(&machine.log("counts"));
}

#[test]
fn a_socket_goes_on_although_its_service_does_not() {
    let socket = |more: &str| {
        format!(
            r#"{{"name":"a.socket","kind":"socket","wantedAtBoot":true{more},
            "socket":{{"service":"a","listen":[{{"stream":"/run/a"}}]}}}}"#
        )
    };
    let answers = "exec perl -e 'open(my $l, \"+<&=\", 3) or die; accept(my $c, $l); print $c $$; close $c; sleep 1000'";
    let down = |more: &str| script("a", answers, &format!(r#""wantedAtBoot":false{more}"#));
    // It says so itself, or its service does, which has not been started.
    for services in [
        [socket(&format!(",{OUTLIVES}")), down("")].join(","),
        [socket(""), down(&format!(",{OUTLIVES}"))].join(","),
    ] {
        let machine = Machine::boot(&services);
        machine.wait_for("a.socket", ServiceState::Up);
        let inode = || machine.inside_run("cat /proc/net/unix");
        let ours = |table: &str| {
            let mut lines = table.lines().filter(|line| line.ends_with("/run/a"));
            lines.next().map(str::to_owned)
        };
        let before = ours(&inode());
        assert!(before.is_some());
        let two = machine.generation("two", &services);
        assert_eq!(machine.start_again(&two), [""; 0]);
        assert_eq!(ours(&inode()), before);
        let mut client = UnixStream::connect(machine.inside("/run/a")).unwrap();
        client.set_read_timeout(Some(namespace::PATIENCE)).unwrap();
        let mut answer = String::new();
        std::io::Read::read_to_string(&mut client, &mut answer).unwrap();
        let pid = machine.wait_for("a", ServiceState::Up).pid.unwrap();
        assert_eq!(answer, pid.to_string());
    }
}

/// Killed at any moment, before and after: each service runs once, and what goes on has lost nothing.
#[test]
fn supervisors_are_killed_at_any_moment() {
    let counts = COUNTS.replace("trap 'echo signal' TERM HUP INT CONT; ", "");
    let services = [
        script("counts", &counts, COUNTS_MORE),
        script("other", SLEEP, ""),
        script("more", SLEEP, r#""requires":["other"]"#),
    ];
    let services = services.join(",");
    for delay in 0..20_u64 {
        let machine = Machine::boot(&services);
        for service in ["counts", "more"] {
            machine.wait_for(service, ServiceState::Up);
        }
        let pid = machine.service("counts").pid;
        let two = machine.generation("two", &services);
        Machine::let_user_space_start(&two);
        Machine::let_user_space_start(&machine.toplevel());
        let supervisor = machine.supervisor().unwrap();
        machine.do_it(&restart(&two));
        if delay < 6 {
            // The one that leaves, which may have left already.
            std::thread::sleep(Duration::from_micros(delay * 400));
            machine.kill(supervisor, 9);
        }
        machine.wait_until("there is another supervisor", |machine| {
            machine.supervisor().is_some_and(|pid| pid != supervisor)
        });
        if delay >= 6 {
            let next = machine.supervisor().unwrap();
            std::thread::sleep(Duration::from_micros((delay - 6) * 400));
            machine.kill(next, 9);
        }
        for service in ["counts", "more"] {
            machine.wait_for(service, ServiceState::Up);
        }
        let settled = machine.settle();
        assert_eq!(settled, [""; 0], "after {delay}: {:?}", machine.status());
        let now = machine.service("counts").pid;
        let pid_now = now.unwrap();
        let groups = format!(
            "cd /sys/fs/cgroup/cairn; cat other/cgroup.procs more/cgroup.procs | wc -l; \
             grep -x {pid_now} counts/cgroup.procs"
        );
        let expected = format!("2\n{pid_now}\n");
        assert_eq!(machine.inside_run(&groups), expected, "after {delay}");
        // Only one that was killed before it had named anybody has taken it along. What a supervisor has just read
        // goes with it; nothing is there twice.
        assert!(now == pid || delay < 6, "after {delay}");
        if now == pid {
            let log = machine.log("counts");
            let numbers: Vec<usize> = (log.lines())
                .map(|line| line.split(' ').next_back().unwrap().parse().unwrap())
                .collect();
            assert!(
                numbers.is_sorted_by(|one, other| one < other),
                "{numbers:?}"
            );
        }
    }
}
