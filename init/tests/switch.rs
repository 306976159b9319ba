//! Switches between generations, as PID 1 of its own namespaces makes them.

#[expect(dead_code, reason = "other tests need more of it")]
mod namespace;

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cairn_system::Standing;
use cairn_system::control::{Request, Response, ServiceState};
use namespace::{Machine, children, name, script};

const SLEEP: &str = "exec sleep 1000000";

/// A service that notes its starts, reloads and stops in the file of the machine's story.
fn teller(name: &str, program: &str, more: &str) -> String {
    let text = format!(
        "tell() {{ echo \"$1 {name} {program}\" >> /var/log/story; }}\n\
         trap 'tell stop; exit 0' TERM; trap 'tell reload' HUP\n\
         tell start; while :; do sleep 1000 & wait $!; done"
    );
    script(name, &text, more)
}

fn story(machine: &Machine) -> Vec<String> {
    let text = fs::read_to_string(machine.folder().join("log/story")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Waits until the story has so many lines.
fn wait_for_story(machine: &Machine, lines: usize) {
    machine.wait_until("the story", |machine| story(machine).len() >= lines);
}

/// Processes by service.
fn pids(machine: &Machine) -> BTreeMap<String, Option<u32>> {
    let all = machine.status().into_iter();
    all.map(|s| (s.name.to_string(), s.pid)).collect()
}

#[test]
fn what_has_changed_is_touched_and_nothing_else() {
    let reload = r#""reload":{"signal":"SIGHUP"}"#;
    let command = |digest: u8| {
        let script = "echo \"reload command $MAINPID\" >> /var/log/story";
        format!(
            r#""environment":{{}},"reload":{{"commands":[{{"argv":["/bin/sh","-c",{script:?}]}}]}},"reloadTrigger":"{digest}""#
        )
        .replace(r#""environment":{},"#, "")
    };
    let services = |program: &str, digest: u8| {
        [
            teller("same", "1", ""),
            teller("changed", program, ""),
            teller("follower", "1", r#""requires":["changed"]"#),
            teller("soon", program, r#""onChange":"restart""#),
            teller(
                "read",
                "1",
                &format!(r#"{reload},"reloadTrigger":"{digest}""#),
            ),
            teller("told", "1", &command(digest)),
            teller("kept", program, r#""onChange":"keep""#),
            teller("by-hand", program, ""),
            script(
                "once",
                &format!("echo once {program} >> /var/log/story"),
                r#""kind":"oneshot""#,
            ),
        ]
    };
    let mut before = services("1", 1).to_vec();
    before.push(teller("gone", "1", ""));
    let machine = Machine::boot(&before.join(","));
    wait_for_story(&machine, 10);
    let stop = Request::Stop {
        name: name("by-hand"),
    };
    assert_eq!(machine.request(&stop), Response::Done);
    assert_eq!(machine.service("by-hand").standing, Standing::Stopped);
    let told = pids(&machine);
    wait_for_story(&machine, 11);

    let mut after = services("2", 2).to_vec();
    after.push(teller("new", "2", ""));
    after.push(teller("new-unwanted", "2", r#""wantedAtBoot":false"#));
    let two = machine.generation("two", &after.join(","));
    fs::write(machine.folder().join("log/story"), "").unwrap();
    let prepare = Request::PrepareSwitch {
        toplevel: two.clone(),
    };
    assert_eq!(machine.request(&prepare), Response::Done);
    let mut prepared = story(&machine);
    prepared.sort();
    assert_eq!(
        prepared,
        ["stop changed 1", "stop follower 1", "stop gone 1"],
        "what is down while the generation is activated"
    );
    assert_eq!(machine.service("changed").standing, Standing::Held);
    fs::write(machine.folder().join("log/story"), "").unwrap();
    let switch = Request::Switch {
        toplevel: two.clone(),
    };
    assert_eq!(machine.request(&switch), Response::Done);
    assert_eq!(machine.settle(), [""; 0]);
    assert_eq!(machine.toplevel(), two);
    wait_for_story(&machine, 8);
    let mut done = story(&machine);
    done.sort();
    let pid = told["told"].unwrap();
    assert_eq!(
        done,
        [
            "once 2",
            &format!("reload command {pid}"),
            "reload read 1",
            "start changed 2",
            "start follower 1",
            "start new 2",
            "start soon 2",
            "stop soon 1"
        ]
    );
    let now = pids(&machine);
    for name in ["same", "read", "told", "kept"] {
        assert_eq!(now[name], told[name], "{name} keeps its process");
    }
    for name in ["changed", "follower", "soon"] {
        assert!(now[name].is_some() && now[name] != told[name], "{name}");
    }
    assert!(!now.contains_key("gone"));
    assert_eq!((now["by-hand"], now["new-unwanted"]), (None, None));
    // It is in charge of all of them: a stop reaches what it has not started itself.
    let stop = Request::Stop { name: name("same") };
    assert_eq!(machine.request(&stop), Response::Done);
    wait_for_story(&machine, 9);
    // A second time there is nothing to do.
    let two_again = machine.generation("two-again", &after.join(","));
    let before = pids(&machine);
    machine.switch(&two_again);
    assert_eq!(pids(&machine), before);
    assert_eq!(story(&machine).len(), 9);
}

#[test]
fn processes_live_through_new_programs_of_supervisor_and_core() {
    let loud = "i=0; while :; do i=$((i+1)); printf line; sleep 0.002; echo \" $i\"; done";
    let services = [
        script("same", SLEEP, r#""restart":"always""#),
        script("loud", loud, ""),
        script(
            "orphans",
            "while :; do (sleep 0.01 & ) ; sleep 0.01; done",
            "",
        ),
    ]
    .join(",");
    let machine = Machine::boot(&services);
    machine.wait_for("loud", ServiceState::Up);
    let before = pids(&machine);
    let (core, supervisor) = (machine.core, machine.supervisor().unwrap());
    let program = |pid: u32| fs::read_link(format!("/proc/{pid}/exe")).unwrap();
    // Signals that mean nothing come all the while, from many sides and without a pause: none of them may hit a
    // program without a handler, and those that have the name of a fault leave core time for its work.
    let is_over = Arc::new(AtomicBool::new(false));
    let nuisances = [[11; 4], [11; 4], [1, 3, 7, 14]].map(|storm| {
        let over = Arc::clone(&is_over);
        std::thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                for signal in storm {
                    cairn_sys::signal::send(core, signal).unwrap();
                }
            }
        })
    });
    for number in 0..6 {
        let toplevel = machine.generation_with_program(&format!("g{number}"), &services);
        assert_eq!(machine.switch(&toplevel), [""; 0]);
        let new = Path::new(&toplevel).join("core");
        machine.wait_until("PID 1 is the new program", |_| program(core) == new);
        assert_eq!(program(machine.supervisor().unwrap()), new);
        assert_eq!(
            machine.supervisor(),
            Some(supervisor),
            "it is the same process"
        );
        assert_eq!(pids(&machine), before);
    }
    is_over.store(true, Ordering::Relaxed);
    for nuisance in nuisances {
        nuisance.join().unwrap();
    }
    // The new core takes part in everything: it restarts the supervisor, it reaps, it hears of ends.
    machine.kill(machine.supervisor().unwrap(), 9);
    machine.wait_until("there is another supervisor", |machine| {
        machine.supervisor().is_some_and(|pid| pid != supervisor)
    });
    assert_eq!(pids(&machine), before);
    machine.kill(machine.on_host(before["same"].unwrap()), 9);
    machine.wait_until("the service is restarted", |machine| {
        let now = machine.service("same");
        now.state == ServiceState::Up && now.pid != before["same"]
    });
    machine.wait_until("no zombie is left", |machine| {
        children(machine.core).into_iter().all(|pid| {
            fs::read_to_string(format!("/proc/{pid}/stat"))
                .map_or(true, |stat| !stat.contains(") Z "))
        })
    });
    let stop = Request::Stop { name: name("loud") };
    assert_eq!(machine.request(&stop), Response::Done);
    // The stop may have come within the last line.
    let log = machine.log("loud");
    let log = log.strip_suffix(" line\n").unwrap_or(&log);
    let lines: Vec<&str> = log
        .lines()
        .filter_map(|line| Some(line.split_once(' ')?.1))
        .collect();
    assert!(lines.len() > 20, "{log}");
    for (line, number) in lines.iter().zip(1..) {
        assert_eq!(*line, format!("line {number}"), "no byte is lost");
    }
    // And it ends the machine.
    assert_eq!(machine.request(&Request::Reboot), Response::Done);
    assert_eq!(machine.ended(), Some(1));
}

#[test]
fn a_timer_that_comes_with_a_switch_counts_from_then() {
    const HOUR: u64 = 3_600_000;
    let once = |name| {
        script(
            name,
            "exec true",
            r#""kind":"oneshot","wantedAtBoot":false"#,
        )
    };
    let services = ["soon", "later"].map(once).join(",");
    let machine = Machine::boot(&services);
    let timer = |name: &str, after: u64| {
        format!(r#"{{"name":"{name}","service":"{name}","afterActiveMs":[{after}]}}"#)
    };
    let timers = format!(
        r#","timers":[{},{}]"#,
        timer("soon", 0),
        timer("later", HOUR)
    );
    let toplevel = machine.generation_with("timers", &services, &timers);
    assert_eq!(machine.switch(&toplevel), [""; 0]);
    machine.wait_until("it has run", |machine| {
        machine.service("soon").last_exit.is_some()
    });
    let later = machine.service("later");
    assert_eq!(later.state, ServiceState::Stopped);
    // However long the machine has been up.
    let next = later.next_run_ms.unwrap();
    assert!((HOUR / 2..=HOUR).contains(&next), "{next}");
    // Another generation that has it goes on with it.
    std::thread::sleep(Duration::from_millis(50));
    let toplevel = machine.generation_with("again", &services, &timers);
    assert_eq!(machine.switch(&toplevel), [""; 0]);
    let again = machine.service("later").next_run_ms.unwrap();
    assert!(again <= next - 50, "{again} after {next}");
}

#[test]
fn killed_at_any_moment_a_switch_is_made_or_not() {
    let services = |program: u8| {
        [
            script("same", SLEEP, ""),
            script("changed", &format!("{SLEEP}{program}"), ""),
            script(
                "soon",
                &format!("{SLEEP}{program}"),
                r#""onChange":"restart""#,
            ),
            script(&format!("only-{program}"), SLEEP, ""),
        ]
        .join(",")
    };
    let argument = |machine: &Machine, service: &str| {
        let pid = machine.on_host(machine.service(service).pid.unwrap());
        fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap()
    };
    let (mut made, mut rounds) = (0, 0);
    // Core puts the restarts of one that ends again and again off: few rounds a machine.
    for _ in 0..4 {
        let machine = Machine::boot("");
        let generations = [
            machine.generation("g1", &services(1)),
            machine.generation("g2", &services(2)),
        ];
        machine.switch(&generations[0]);
        let same = pids(&machine)["same"].unwrap();
        for round in 0..6 {
            let target = &generations[usize::from(machine.toplevel() == generations[0])];
            let old = machine.supervisor().unwrap();
            let request = Request::Switch {
                toplevel: target.clone(),
            };
            let mut stream = machine.connect().unwrap();
            writeln!(stream, "{}", serde_json::to_string(&request).unwrap()).unwrap();
            std::thread::sleep(Duration::from_micros(rounds * 250));
            rounds += 1;
            machine.kill(old, 9);
            machine.wait_until("there is another supervisor", |machine| {
                machine.supervisor().is_some_and(|new| new != old)
            });
            machine.settle();
            let is_made = machine.toplevel() == *target;
            made += u32::from(is_made);
            if !is_made {
                // Another try, or the way back: both lead to a whole generation.
                let next = if round % 2 == 0 {
                    target.clone()
                } else {
                    machine.toplevel()
                };
                machine.switch(&next);
            }
            let number = machine.toplevel().chars().last().unwrap();
            let states = machine.status();
            for service in &states {
                assert_eq!(service.state, ServiceState::Up, "round {round}: {states:?}");
            }
            let names: Vec<String> = states.iter().map(|s| s.name.to_string()).collect();
            assert_eq!(
                names,
                ["same", "changed", "soon", &format!("only-{number}")]
            );
            for service in ["changed", "soon"] {
                // It may have been cloned and not executed yet.
                machine.wait_until("the process of this generation", |machine| {
                    let line = argument(machine, service);
                    line.trim_end_matches('\0').ends_with(&format!("0{number}"))
                });
            }
            assert_eq!(pids(&machine)["same"], Some(same));
        }
    }
    println!("{made} of {rounds} switches were made although the supervisor was killed");
}

#[test]
fn what_cannot_be_switched_to_changes_nothing() {
    let machine = Machine::boot(&script("a", SLEEP, ""));
    machine.wait_for("a", ServiceState::Up);
    let (toplevel, before) = (machine.toplevel(), pids(&machine));
    let refused = |machine: &Machine, request: &Request| match machine.request(request) {
        Response::Failed { reason } => {
            reason.replace(machine.folder().to_str().unwrap(), "<folder>")
        }
        other => format!("{other:?}"),
    };
    let nothing = machine.folder().join("nothing").display().to_string();
    let reason = refused(&machine, &Request::PrepareSwitch { toplevel: nothing });
    expect_test::expect![
        "cannot switch to <folder>/nothing: <folder>/nothing/init: No such file or directory (os error 2)"
    ]
    .assert_eq(&reason);
    // Its program cannot be executed.
    let broken = machine.generation("broken", &script("a", "exec sleep 5", ""));
    let core = Path::new(&broken).join("core");
    fs::remove_file(&core).unwrap();
    fs::write(&core, "no program").unwrap();
    fs::set_permissions(&core, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let switch = Request::Switch { toplevel: broken };
    assert_eq!(machine.request(&switch), Response::Done);
    let reason = refused(&machine, &Request::Settle);
    expect_test::expect![
        "cannot switch to <folder>/broken: cannot execute <folder>/broken/core: Exec format error (os error 8); going on with <folder>"
    ]
    .assert_eq(&reason);
    assert_eq!(machine.service("a").standing, Standing::Held);
    // Nor does its program understand its description: it lets the old one go on.
    let later = machine.generation("later", &script("a", SLEEP, r#""unheardOf":1"#));
    let old = machine.supervisor();
    assert_eq!(
        machine.request(&Request::Switch { toplevel: later }),
        Response::Done
    );
    machine.settle();
    assert_eq!(
        (machine.toplevel(), machine.supervisor()),
        (toplevel.clone(), old)
    );
    // The way back.
    assert_eq!(machine.switch(&toplevel), [""; 0]);
    let after = pids(&machine);
    assert!(
        after["a"].is_some() && after["a"] != before["a"],
        "it was stopped for the switch"
    );
}

#[test]
fn a_start_in_between_holds_no_switch_up() {
    let slow = |program: u8| {
        let script_text = format!("trap '' TERM; echo up {program}; while :; do sleep 1000; done");
        script("slow", &script_text, r#""stopTimeoutMs":1500"#)
    };
    let machine = Machine::boot(&slow(1));
    machine.wait_until("it is up", |machine| machine.log("slow").contains("up 1"));
    let two = machine.generation("two", &slow(2));
    let request = Request::PrepareSwitch {
        toplevel: two.clone(),
    };
    let mut preparing = machine.connect().unwrap();
    writeln!(preparing, "{}", serde_json::to_string(&request).unwrap()).unwrap();
    machine.wait_for("slow", ServiceState::Stopping);
    // Somebody wants it up: it is, with what it was, until the new generation is there.
    machine.request(&Request::Start { name: name("slow") });
    let mut answer = String::new();
    preparing.read_to_string(&mut answer).unwrap();
    assert_eq!(Response::parse(&answer).unwrap(), Response::Done);
    assert_eq!(
        machine.request(&Request::Switch { toplevel: two }),
        Response::Done
    );
    assert_eq!(machine.settle(), [""; 0]);
    machine.wait_until("the new one is up", |machine| {
        machine.log("slow").contains("up 2")
    });
}

#[test]
fn everything_settles_although_something_never_comes_up() {
    let services = [
        script("good", SLEEP, ""),
        script("slow", "sleep 0.3", r#""kind":"oneshot""#),
        script(
            "crashing",
            "exit 3",
            r#""kind":"oneshot","restart":"on-failure","restartDelayMs":60000"#,
        ),
        script("waiting", SLEEP, r#""requires":["crashing"]"#),
        script("broken", "exit 1", r#""kind":"oneshot""#),
    ];
    let machine = Machine::boot(&services.join(","));
    let mut failed = machine.settle();
    failed.sort();
    assert_eq!(failed, ["broken", "crashing", "waiting"]);
    assert_eq!(machine.service("slow").state, ServiceState::Up);
    // A reason survives a switch.
    let two = machine.generation("two", &services.join(","));
    assert_eq!(machine.switch(&two).len(), 3);
    let broken = machine.service("broken");
    assert_eq!(
        broken.reason.as_deref(),
        Some("its process exited with status 1")
    );
    assert_eq!(broken.last_exit.as_deref(), Some("status 1"));
}

/// To measure: `CAIRN_CORE=<release build> cargo test -p cairn-init --test switch thousand -- --nocapture`.
#[test]
fn a_thousand_services_are_taken_over() {
    let sleep = |name: &str| {
        format!(
            r#"{{"name":"{name}","kind":"simple","wantedAtBoot":true,"process":{{"argv":["/bin/sleep","1000000"]}}}}"#
        )
    };
    let services: Vec<String> = (0..1000).map(|i| sleep(&format!("s{i}"))).collect();
    let machine = Machine::boot(&services.join(","));
    machine.settle();
    let before = pids(&machine);
    assert!(before.values().all(Option::is_some));
    // What the two have been given of processors, in nanoseconds: the clock counts others' work too.
    let work = |machine: &Machine| -> u64 {
        let of = |pid: u32| {
            let text = fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap();
            let first = text.split_whitespace().next().unwrap();
            first.parse::<u64>().unwrap()
        };
        of(machine.core) + of(machine.supervisor().unwrap())
    };
    let mut times = Vec::new();
    for number in 0..5 {
        let toplevel = machine.generation(&format!("g{number}"), &services.join(","));
        let prepare = Request::PrepareSwitch {
            toplevel: toplevel.clone(),
        };
        let (start, given) = (Instant::now(), work(&machine));
        machine.request(&prepare);
        let (prepared, given_then) = (start.elapsed(), work(&machine));
        let start = Instant::now();
        machine.request(&Request::Switch { toplevel });
        machine.settle();
        let work = [given_then - given, work(&machine) - given_then];
        times.push(format!(
            "prepare {prepared:?}, of which work {} us; switch {:?}, of which work {} us",
            work[0] / 1000,
            start.elapsed(),
            work[1] / 1000
        ));
    }
    assert_eq!(pids(&machine), before);
    println!("1000 services taken over:\n{}", times.join("\n"));
}

/// What the generation before has bounded, and this one does not, has no bound any more.
#[test]
fn bounds_are_those_of_the_generation() {
    let services = |bounds: &str| {
        let bounds = format!(r#""cgroup":{{{bounds}}}"#);
        let soon = format!(r#"{bounds},"onChange":"restart""#);
        [
            script("changed", SLEEP, &bounds),
            script("soon", SLEEP, &soon),
        ]
        .join(",")
    };
    let machine = Machine::boot(&services(
        r#""cgroup.max.depth":"7","cgroup.max.descendants":"5""#,
    ));
    let bounds = |machine: &Machine| {
        ["changed", "soon"].map(|name| {
            machine.wait_for(name, ServiceState::Up);
            ["cgroup.max.depth", "cgroup.max.descendants"].map(|file| {
                let file = machine.inside(&format!("/sys/fs/cgroup/cairn/{name}/{file}"));
                fs::read_to_string(file).unwrap().trim_end().to_owned()
            })
        })
    };
    assert_eq!(bounds(&machine), [["7", "5"]; 2]);
    let toplevel = machine.generation("two", &services(r#""cgroup.max.depth":"3""#));
    machine.do_it(&Request::PrepareSwitch {
        toplevel: toplevel.clone(),
    });
    machine.do_it(&Request::Switch { toplevel });
    machine.wait_until("both are switched", |machine| {
        (machine.status().iter()).all(|one| one.standing == Standing::Up)
    });
    assert_eq!(bounds(&machine), [["3", "max"]; 2]);
}
