//! What the suites of other inits check, and no other test here does. `docs/behaviours.md` has the whole
//! list, with the test that holds each.

#[expect(dead_code, reason = "other tests need more of it")]
mod namespace;

use std::fs;
use std::thread;
use std::time::Duration;

use cairn_system::control::{Request, Response, ServiceState};
use namespace::{LATER, Machine, SLEEP, children, name, reason, script, start, stop};

fn restart(service: &str) -> Request {
    Request::Restart {
        name: name(service),
    }
}

/// A program that can say things of itself, `say(text)`, and runs `body`.
fn speaker(body: &str) -> String {
    format!(
        "exec python3 -c 'import os, socket, time\n\
         def say(text):\n  \
           s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n  \
           s.sendto(text, os.environ[\"NOTIFY_SOCKET\"])\n\
         {body}'"
    )
}

/// TEST-03: a job that waits is cancelled, and what it waits for goes on.
#[test]
fn a_start_that_waits_is_called_off() {
    let services = [
        script("slow", SLEEP, &format!(r#""kind":"oneshot",{LATER}"#)),
        script("hello", SLEEP, &format!(r#""requires":["slow"],{LATER}"#)),
    ];
    let machine = Machine::boot(&services.join(","));
    thread::scope(|scope| {
        let asked = scope.spawn(|| machine.request(&start("hello")));
        machine.wait_for("hello", ServiceState::Waiting);
        let slow = machine.wait_for("slow", ServiceState::Starting).pid;
        assert_eq!(machine.request(&stop("hello")), Response::Done);
        expect_test::expect!["'hello' was stopped meanwhile"]
            .assert_eq(&reason(asked.join().unwrap()));
        assert_eq!(machine.service("hello").state, ServiceState::Stopped);
        assert_eq!(machine.service("slow").pid, slow);
    });
}

/// TEST-03: somebody who has mended what failed need not wait for the next try.
#[test]
fn a_start_does_not_wait_for_the_delay_of_a_restart() {
    let fails = "test -e /run/mended && exec sleep 1000000";
    let more = r#""restart":"always","restartDelayMs":1000000,"restartDelayMaxMs":1000000"#;
    let machine = Machine::boot(&script("a", fails, more));
    machine.wait_for("a", ServiceState::Backoff);
    machine.inside_run("touch /run/mended");
    assert_eq!(machine.request(&start("a")), Response::Done);
    assert_eq!(machine.service("a").state, ServiceState::Up);
}

/// TEST-03: what never comes up is restarted like anything else, and can be stopped.
#[test]
fn what_comes_up_is_restarted_and_stopped() {
    let machine = Machine::boot(&script("a", SLEEP, r#""kind":"notify""#));
    let before = machine.wait_for("a", ServiceState::Starting).pid;
    thread::scope(|scope| {
        let asked = scope.spawn(|| machine.request(&restart("a")));
        machine.wait_until("it is another process", |machine| {
            let now = machine.service("a");
            now.state == ServiceState::Starting && now.pid.is_some() && now.pid != before
        });
        assert_eq!(machine.request(&stop("a")), Response::Done);
        expect_test::expect!["'a' was stopped meanwhile"].assert_eq(&reason(asked.join().unwrap()));
    });
    assert_eq!(machine.service("a").pid, None);
}

/// TEST-16: a service may ask for more time, as often as it takes, and no longer than it says.
#[test]
fn more_time_is_asked_for() {
    let patient = speaker(
        "for i in range(10):\n  say(b\"EXTEND_TIMEOUT_USEC=5000000\")\n  time.sleep(0.1)\n\
         say(b\"READY=1\")\ntime.sleep(1000000)",
    );
    let hangs = speaker("say(b\"EXTEND_TIMEOUT_USEC=700000\")\ntime.sleep(1000000)");
    let leaves = speaker(
        "import signal\n\
         def leave(*_):\n  \
           say(b\"EXTEND_TIMEOUT_USEC=5000000\")\n  time.sleep(1)\n  print(\"bye\", flush=True)\n  os._exit(0)\n\
         signal.signal(signal.SIGTERM, leave)\nsay(b\"READY=1\")\n\
         while True: time.sleep(1000000)",
    );
    // The interpreter takes its time on a machine that does other things.
    let services = [
        script(
            "patient",
            &patient,
            r#""kind":"notify","startTimeoutMs":8000"#,
        ),
        script("hangs", &hangs, r#""kind":"notify","startTimeoutMs":1"#),
        script("leaves", &leaves, r#""kind":"notify","stopTimeoutMs":600"#),
    ];
    let machine = Machine::boot(&services.join(","));
    machine.wait_for("patient", ServiceState::Up);
    machine.wait_for("leaves", ServiceState::Up);
    let hangs = machine.wait_for("hangs", ServiceState::Failed).reason;
    assert_eq!(hangs.as_deref(), Some("it did not come up in time"));
    assert_eq!(machine.request(&stop("leaves")), Response::Done);
    assert!(machine.log("leaves").contains("bye"));
    assert_eq!(
        machine.service("leaves").last_exit.as_deref(),
        Some("status 0")
    );
}

/// TEST-07, TEST-19: what is in groups that a service has made below its own ends with it, and it may make
/// them again.
#[test]
fn groups_below_a_service_end_with_it() {
    let makes = "cd /sys/fs/cgroup/cairn/a/main && mkdir ../below ../below/deep && \
        (trap '' TERM HUP; echo 0 > ../below/deep/cgroup.procs; echo made; exec sleep 1000003) & wait";
    let machine = Machine::boot(&script(
        "a",
        makes,
        r#""delegated":true,"stopTimeoutMs":200"#,
    ));
    machine.wait_until("they are made", |machine| machine.log("a").contains("made"));
    assert_eq!(machine.request(&stop("a")), Response::Done);
    machine.wait_until("all of it is gone", |machine| {
        children(machine.core).len() == 1
    });
    assert_eq!(machine.request(&start("a")), Response::Done);
    machine.wait_until("they are made again", |machine| {
        machine.log("a").matches("made").count() == 2
    });
}

/// TEST-52: whoever asks for an ending first gets it.
#[test]
fn an_ending_comes_although_its_supervisor_does_not_live_to_see_it() {
    let stubborn = "trap '' TERM; echo deaf; while :; do sleep 1000; done";
    let services = [
        script("stubborn", stubborn, r#""stopTimeoutMs":60000"#),
        script("quick", "exec sleep 1000000", r#""restart":"always""#),
    ];
    let machine = Machine::boot(&services.join(","));
    machine.wait_until("it hears nothing", |machine| {
        machine.log("stubborn").contains("deaf")
    });
    machine.wait_for("quick", ServiceState::Up);
    let supervisor = machine.supervisor().unwrap();
    assert_eq!(machine.request(&Request::Reboot), Response::Done);
    machine.wait_for("quick", ServiceState::Stopped);
    // There is nobody who would read what has come of the others, or start one of them again.
    machine.kill(supervisor, 9);
    assert_eq!(machine.ended(), Some(1));
}

#[test]
fn the_first_ending_counts() {
    let slow = "trap 'sleep 0.5; exit 0' TERM; echo up; while :; do sleep 0.01; done";
    let machine = Machine::boot(&script("a", slow, ""));
    machine.wait_until("it is up", |machine| machine.log("a").contains("up"));
    assert_eq!(machine.request(&Request::PowerOff), Response::Done);
    for signal in [2, 39] {
        machine.kill(machine.core, signal);
    }
    // It may be gone by now.
    drop(machine.try_request(&Request::Reboot));
    assert_eq!(machine.ended(), Some(2), "it is off");
}

/// TEST-80: what is said by somebody who is no service is not heard.
#[test]
fn strangers_are_not_heard() {
    let speaks = speaker(
        "while not os.path.exists(\"/run/said\"): time.sleep(0.01)\n\
         say(b\"READY=1\")\ntime.sleep(1000000)",
    );
    let services = [
        script("a", SLEEP, r#""kind":"notify""#),
        script("b", &speaks, r#""kind":"notify""#),
    ];
    let machine = Machine::boot(&services.join(","));
    let pid = machine.wait_for("a", ServiceState::Starting).pid.unwrap();
    let says = "perl -e 'use IO::Socket::UNIX; my $s = IO::Socket::UNIX->new(Type => SOCK_DGRAM, \
        Peer => q(/run/cairn/notify)) or die $!; print $s $ARGV[0]; $s->flush' \"$TEXT\"";
    machine.inside_run(&format!(
        "TEXT='READY=1\nMAINPID={pid}\nSTATUS=mine'; {says} && touch /run/said"
    ));
    // The supervisor has heard it when it has heard what was said after it.
    machine.wait_for("b", ServiceState::Up);
    let a = machine.service("a");
    assert_eq!((a.state, a.activity), (ServiceState::Starting, None));
}

/// TEST-53: what a persistent timer has missed while the machine was off is made up for.
#[test]
fn what_a_timer_has_missed_is_made_up_for() {
    let service = |name: &str| {
        script(
            name,
            &format!("echo {name} >> /var/log/{name}"),
            &format!(r#""kind":"oneshot","staysUp":false,{LATER}"#),
        )
    };
    let timers = r#","timers":[
        {"name":"missed","service":"missed","calendar":["yearly"],"persistent":true},
        {"name":"new","service":"new","calendar":["yearly"],"persistent":true},
        {"name":"forgets","service":"forgets","calendar":["yearly"]}]"#;
    let services = ["missed", "new", "forgets"].map(service).join(",");
    // The first of January of 2020, and nothing since.
    let before = "mkdir -p /var/lib/cairn/timers && for t in missed forgets; do \
        echo 1577836800 > /var/lib/cairn/timers/$t; done";
    let machine = Machine::boot_on(&services, timers, before);
    let ran = |name: &str| machine.folder().join("log").join(name).exists();
    machine.wait_until("it runs", |_| ran("missed"));
    assert!(!ran("new") && !ran("forgets"));
    let mark = machine.inside_run("cat /var/lib/cairn/timers/missed");
    assert!(
        mark.trim().parse::<u64>().unwrap() > 1_700_000_000,
        "{mark}"
    );
}

/// What a persistent timer could not start while the machine goes down is made up for at the next boot.
#[test]
fn a_timer_has_not_fired_when_the_machine_goes_down() {
    let runs = script(
        "runs",
        "echo run",
        &format!(r#""kind":"oneshot","staysUp":false,{LATER}"#),
    );
    let stubborn = script(
        "stubborn",
        "trap '' TERM; while :; do sleep 1000; done",
        r#""stopTimeoutMs":3000"#,
    );
    let timers =
        r#","timers":[{"name":"runs","service":"runs","calendar":["*:*:*"],"persistent":true}]"#;
    let marks = r#"mkdir -p /var/lib/cairn/timers "$1/marks" && mount --bind "$1/marks" /var/lib/cairn/timers"#;
    let machine = Machine::boot_on(&[runs, stubborn].join(","), timers, marks);
    machine.wait_for("stubborn", ServiceState::Up);
    machine.wait_until("it has run", |machine| machine.log("runs").contains("run"));
    let mark = machine.folder().join("marks/runs");
    let second = || {
        std::fs::read_to_string(&mark)
            .unwrap()
            .trim()
            .parse::<u64>()
            .unwrap()
    };
    machine.do_it(&Request::PowerOff);
    machine.wait_for("stubborn", ServiceState::Stopping);
    let before = second();
    thread::sleep(Duration::from_secs(2));
    assert_eq!(second(), before);
}

/// Nobody who waits for a start is told that all is well where another one, or the machine's end, has called it off.
#[test]
fn a_start_that_makes_way_has_failed() {
    let waits = format!(r#""requires":["slow"],{LATER}"#);
    let services = [
        script("slow", SLEEP, &format!(r#""kind":"oneshot",{LATER}"#)),
        script("one", SLEEP, &waits),
        script("other", SLEEP, &format!(r#""conflicts":["one"],{waits}"#)),
    ];
    let machine = Machine::boot(&services.join(","));
    thread::scope(|scope| {
        let ask = |name: &'static str| {
            let asked = scope.spawn({
                let machine = &machine;
                move || machine.request(&start(name))
            });
            machine.wait_for(name, ServiceState::Waiting);
            asked
        };
        let one = ask("one");
        let other = ask("other");
        assert_eq!(
            reason(one.join().unwrap()),
            "'one' was stopped meanwhile: it makes way for 'other'"
        );
        machine.do_it(&Request::PowerOff);
        assert_eq!(reason(other.join().unwrap()), "the system is shutting down");
    });
}

/// Finit's `restart-self`: a service may ask for its own restart.
#[test]
fn a_service_asks_for_its_own_restart() {
    let asks = "echo here; test -e /run/asked && exec sleep 1000000; touch /run/asked; \
        exec perl -e 'use IO::Socket::UNIX; my $s = IO::Socket::UNIX->new(Peer => q(/run/cairn/control)) \
        or die $!; print $s qq({\"request\":\"restart\",\"name\":\"a\"}\\n); $s->flush; sleep 1000000'";
    let machine = Machine::boot(&script("a", asks, ""));
    machine.wait_until("it is there twice", |machine| {
        machine.log("a").matches("here").count() == 2
    });
    machine.wait_for("a", ServiceState::Up);
    assert_eq!(machine.service("a").restarts, 0);
}

/// Dinit's `environ`: a service has what its description says, and what it cannot do without.
#[test]
fn a_service_has_nothing_that_it_was_not_given() {
    let shows = "tr '\\0' '\\n' < /proc/$$/environ | cut -d= -f1 | sort | tr '\\n' ' '; \
        (ls /proc/$$/fd > /run/fds); tr '\\n' ' ' < /run/fds; grep -E '^SigBlk' /proc/$$/status | cut -f2 | tr '\\n' ' '; \
        ps -o pid=,sid= $$ | awk '{ print $1 == $2 }'";
    let machine = Machine::boot(&script("a", shows, r#""kind":"oneshot""#));
    machine.wait_for("a", ServiceState::Up);
    let log = machine.log("a");
    let (_, given) = log.split_once("Z ").unwrap();
    expect_test::expect![[r#"
        PATH 0 1 2 0000000000000000 1
    "#]]
    .assert_eq(given);
}

/// TEST-23: the commands of a stop are run where a service that was up has ended by itself, and well, too.
#[test]
fn what_ends_well_by_itself_is_stopped_all_the_same() {
    let leaves = |what: &str| {
        format!(
            r#""restart":"never","preStop":[{{"argv":["/bin/sh","-c","echo {what} $MAINPID >> /var/log/story"]}}]"#
        )
    };
    let services = [
        script("good", "sleep 0.1", &leaves("good")),
        script("bad", "sleep 0.1; exit 1", &leaves("bad")),
        script(
            "once",
            "true",
            &format!(r#"{},"kind":"oneshot","staysUp":false"#, leaves("once")),
        ),
    ];
    let machine = Machine::boot(&services.join(","));
    machine.wait_for("bad", ServiceState::Failed);
    let story = || fs::read_to_string(machine.folder().join("log/story")).unwrap_or_default();
    machine.wait_until("two have told", |_| story().lines().count() == 2);
    for name in ["good", "once"] {
        machine.wait_for(name, ServiceState::Stopped);
    }
    let story = story();
    let mut lines: Vec<_> = story.lines().map(str::trim_end).collect();
    lines.sort_unstable();
    assert_eq!(lines, ["good", "once"]);
}

/// TEST-23: what is to be done at a service's end is done however it ends, and each start begins with its
/// folders as they are described.
#[test]
fn however_it_ends_it_is_cleaned_up() {
    let cleans = r#"{"argv":["/bin/sh","-c","echo cleaned >> /var/log/story"]}"#;
    let more = format!(
        r#""restart":"always","restartDelayMs":1,"postStop":[{cleans}],
        "directories":[{{"path":"/run/a","mode":"0755","removedAtStop":true}}]"#
    );
    let counts = "echo x >> /run/a/starts; exec sleep 1000000";
    let machine = Machine::boot(&script("a", counts, &more));
    let story = || fs::read_to_string(machine.folder().join("log/story")).unwrap_or_default();
    let before = machine.wait_for("a", ServiceState::Up).pid;
    machine.kill(machine.on_host(before.unwrap()), 9);
    machine.wait_until("it runs again", |machine| {
        let now = machine.service("a");
        now.state == ServiceState::Up && now.pid != before
    });
    assert_eq!(story(), "cleaned\n");
    assert_eq!(machine.request(&restart("a")), Response::Done);
    machine.wait_until("it has begun", |machine| {
        fs::read_to_string(machine.inside("/run/a/starts")).is_ok_and(|text| text == "x\n")
    });
    assert_eq!(machine.request(&stop("a")), Response::Done);
    assert_eq!(story(), "cleaned\n".repeat(3));
    assert!(!machine.inside("/run/a").exists());
}

/// TEST-23, dinit's `svc-start-fail` and `no-command-error`: whoever asks is told why nothing comes up.
#[test]
fn whoever_starts_what_fails_is_told_why() {
    let missing = r#"{"name":"missing","kind":"simple","wantedAtBoot":false,"process":{"argv":["/nonexistent"]}}"#;
    let folder = r#"{"name":"folder","kind":"simple","wantedAtBoot":false,"process":{"argv":["/bin/true"],"workingDirectory":{"path":"/nonexistent"}}}"#;
    let services = [
        missing.to_owned(),
        folder.to_owned(),
        script("fails", "exit 7", &format!(r#""kind":"oneshot",{LATER}"#)),
        script("needs", SLEEP, &format!(r#""requires":["fails"],{LATER}"#)),
    ];
    let machine = Machine::boot(&services.join(","));
    let mut answers = String::new();
    for service in ["missing", "folder", "fails", "needs"] {
        answers += &reason(machine.request(&start(service)));
        answers.push('\n');
    }
    expect_test::expect![[r#"
        'missing' has failed: cannot execute the program: No such file or directory (os error 2) (/nonexistent)
        'folder' has failed: cannot enter the working directory: No such file or directory (os error 2) (/bin/true)
        'fails' has failed: its process exited with status 7
        'needs' has failed: it requires 'fails', which has failed
    "#]].assert_eq(&answers);
}

/// TEST-59: what ends while it reads its configuration again has failed, and does not stay there.
#[test]
fn what_ends_during_a_reload_has_failed() {
    let ends = speaker(
        "say(b\"READY=1\")\nsay(b\"RELOADING=1\\nMONOTONIC_USEC=%d\" % (time.monotonic_ns() // 1000))\n\
         time.sleep(0.1)\nos._exit(1)",
    );
    let machine = Machine::boot(&script("a", &ends, r#""kind":"notify""#));
    let a = machine.wait_for("a", ServiceState::Failed);
    assert_eq!(a.last_exit.as_deref(), Some("status 1"));
}

/// dinit's `log-via-pipe`: what one service writes, another one reads, and nothing of it is lost whoever ends.
#[test]
fn a_service_reads_what_another_one_writes() {
    let writer = "for n in 1 2 3 4 5 6 7 8 9; do echo line $n; echo error $n >&2; \
                  while [ ! -e /var/log/go$n ]; do sleep 0.02; done; done; exec sleep 1000000";
    let reader =
        "while read -r line; do echo $line >> /var/log/read; echo heard; done; exec sleep 1000000";
    let services = |reads: &str| {
        let more = format!(r#""restart":"always"{reads}"#);
        [
            script("writer", writer, ""),
            script("reader", reader, &more),
        ]
        .join(",")
    };
    let reads = services(r#","readsOutputOf":"writer""#);
    let machine = Machine::boot(&reads);
    // It writes the next line when it may: whoever reads ends between two lines.
    let go = |n: u32| fs::write(machine.folder().join(format!("log/go{n}")), "").unwrap();
    let mut expected = String::new();
    let mut is_read = |n: u32| {
        expected = format!("{expected}line {n}\nerror {n}\n");
        machine.wait_until(&format!("{n} is read"), |machine| {
            let read = fs::read_to_string(machine.folder().join("log/read"));
            read.is_ok_and(|read| read == expected)
        });
    };
    is_read(1);
    // The next lines wait while there is nobody.
    machine.do_it(&stop("reader"));
    go(1);
    machine.do_it(&start("reader"));
    is_read(2);
    let pid = machine.service("reader").pid.unwrap();
    machine.kill(machine.on_host(pid), 9);
    machine.wait_until("another one reads", |machine| {
        machine.service("reader").pid.is_some_and(|new| new != pid)
    });
    go(2);
    is_read(3);
    machine.replace_supervisor(9);
    go(3);
    is_read(4);
    let two = machine.generation_with_program("two", &reads);
    assert_eq!(machine.switch(&two), [""; 0]);
    go(4);
    is_read(5);
    assert_eq!(machine.log("writer"), "");
    assert!(machine.log("reader").ends_with(" heard\n"));
    // Where nobody reads it any more, it is in the log.
    let three = machine.generation("three", &services(""));
    assert_eq!(machine.switch(&three), [""; 0]);
    go(5);
    go(6);
    machine.wait_until("it is in the log", |machine| {
        machine.log("writer").ends_with(" error 7\n")
    });
    assert_eq!(machine.switch(&two), [""; 0]);
    let before = machine.log("writer");
    go(7);
    machine.wait_until("it is read again", |machine| {
        let read = fs::read_to_string(machine.folder().join("log/read"));
        read.is_ok_and(|read| read.ends_with("line 8\nerror 8\n"))
    });
    assert_eq!(machine.log("writer"), before);
}
