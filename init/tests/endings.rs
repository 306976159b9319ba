//! How services end, and what follows: the time that they may be up, ends that a description names, what others
//! are told of an end, and what it does to the machine.

#[expect(dead_code, reason = "other tests need more of it")]
mod namespace;

use std::fs;

use cairn_system::control::{Request, ServiceState};
use namespace::{Machine, SLEEP, name, reason, script, story, tells};

#[test]
fn what_is_up_for_too_long_has_failed() {
    let stops = format!(
        r#""preStop":[{}],"postStop":[{}]"#,
        tells("leave"),
        tells("after")
    );
    let again = r#""restart":"on-abnormal","restartDelayMs":1,"runtimeMaxMs":300"#;
    let waits = "python3 -c 'import os, socket, time\n\
        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n\
        s.connect(os.environ[\"NOTIFY_SOCKET\"])\n\
        s.send(b\"READY=1\")\n\
        s.send(b\"EXTEND_TIMEOUT_USEC=1000000000\")\ntime.sleep(1000000)'";
    let services = [
        script("once", SLEEP, &format!(r#"{stops},"runtimeMaxMs":1500"#)),
        script("again", SLEEP, again),
        script(
            "work",
            "exec sleep 0.4",
            r#""kind":"oneshot","runtimeMaxMs":1"#,
        ),
        script("patient", waits, r#""kind":"notify","runtimeMaxMs":1500"#),
    ];
    let machine = Machine::boot(&services.join(","));
    let up = machine.wait_for("once", ServiceState::Up);
    machine.wait_for("patient", ServiceState::Up);
    // Its successor knows since when it has been up, and what has been granted.
    machine.replace_supervisor(9);
    assert_eq!(machine.service("once").up_ms, up.up_ms);
    machine.wait_for("once", ServiceState::Failed);
    machine.wait_until("it was restarted", |machine| {
        machine.service("again").restarts > 1
    });
    machine.wait_until("it would have been stopped", |machine| {
        let patient = machine.service("patient");
        let started = patient.up_ms.unwrap() - patient.started_ms.unwrap();
        patient.age_ms.unwrap() > started + 1500
    });
    let once = machine.service("once");
    expect_test::expect![[
        r#"Some("it was up for longer than the 1500 ms that it may be") leave after "#
    ]]
    .assert_eq(&format!("{:?} {}", once.reason, story(&machine)));
    assert_eq!(machine.service("work").state, ServiceState::Up);
    assert_eq!(machine.service("patient").state, ServiceState::Up);
}

#[test]
fn ends_that_are_named_decide() {
    let counts = "echo x >> /run/$0; test $(wc -l < /run/$0) = 3 && exec sleep 1000000";
    let program = |name: &str, end: &str| format!("{}; {end}", counts.replace("$0", name));
    let services = [
        script(
            "prevented",
            "kill -ABRT $$",
            r#""restart":"always","restartDelayMs":1,"finalStatuses":["SIGABRT"]"#,
        ),
        script(
            "forced",
            &program("forced", "exit 75"),
            r#""restart":"never","restartDelayMs":1,"restartStatuses":[75]"#,
        ),
        script(
            "by-signal",
            &program("by-signal", "kill -USR1 $$"),
            r#""restart":"never","restartDelayMs":1,"restartStatuses":["SIGUSR1"]"#,
        ),
        script(
            "both",
            "exit 75",
            r#""restart":"always","restartStatuses":[75],"finalStatuses":[75]"#,
        ),
        script(
            "good",
            "kill -KILL $$",
            r#""kind":"oneshot","successStatuses":["SIGKILL"]"#,
        ),
    ];
    let machine = Machine::boot(&services.join(","));
    machine.wait_for("good", ServiceState::Up);
    for name in ["prevented", "both"] {
        machine.wait_for(name, ServiceState::Failed);
    }
    for name in ["forced", "by-signal"] {
        machine.wait_until("it is the third", |machine| {
            let service = machine.service(name);
            service.state == ServiceState::Up && service.restarts == 2
        });
    }
    let reasons = ["prevented", "both"].map(|name| machine.service(name).reason.unwrap());
    expect_test::expect![[r#"
        its process was ended by signal 6
        its process exited with status 75"#]]
    .assert_eq(&reasons.join("\n"));
}

/// Variables of why and how, as a command that writes them to the story.
fn tells_variables(of: &str) -> String {
    // In one piece: others write there, too.
    format!("echo {of}: $(env | grep -E 'RESULT|EXIT|MONITOR' | sort) >> /var/log/story")
}

#[test]
fn who_is_told_of_an_end() {
    let told = |of: &str| serde_json::json!({ "argv": ["/bin/sh", "-c", tells_variables(of)] });
    let post_stop = |of: &str| format!(r#""postStop":[{}]"#, told(of));
    let handler = tells_variables("handler");
    let later = r#""wantedAtBoot":false"#;
    let services = [
        script(
            "doomed",
            "exit 7",
            &format!(
                r#""kind":"oneshot","onFailure":["handler"],{}"#,
                post_stop("doomed")
            ),
        ),
        script(
            "handler",
            &handler,
            &format!(r#""kind":"oneshot","after":["slow"],{later}"#),
        ),
        // It keeps the handler waiting until the supervisor is another one.
        script(
            "slow",
            "until test -e /run/go; do sleep 0.01; done",
            r#""kind":"oneshot""#,
        ),
        script("killed", "kill -SEGV $$", &post_stop("killed")),
        script(
            "asked",
            SLEEP,
            &format!(r#""preStop":[{}],{}"#, told("asks"), post_stop("asked")),
        ),
        script(
            "late",
            SLEEP,
            &format!(
                r#""kind":"notify","startTimeoutMs":1,{}"#,
                post_stop("late")
            ),
        ),
        script(
            "done",
            "true",
            &format!(r#""onSuccess":["next"],{}"#, post_stop("done")),
        ),
        script(
            "next",
            &tells_variables("next"),
            &format!(r#""kind":"oneshot",{later}"#),
        ),
        script(
            "by-hand",
            &tells_variables("by-hand"),
            &format!(r#""kind":"oneshot",{later}"#),
        ),
    ];
    let machine = Machine::boot(&services.join(","));
    for name in ["doomed", "killed", "late"] {
        machine.wait_for(name, ServiceState::Failed);
    }
    machine.wait_for("next", ServiceState::Up);
    machine.wait_for("handler", ServiceState::Waiting);
    machine.replace_supervisor(9);
    machine.wait_for("handler", ServiceState::Waiting);
    machine.inside_run("touch /run/go");
    machine.wait_for("handler", ServiceState::Up);
    machine.do_it(&Request::Stop {
        name: name("asked"),
    });
    machine.do_it(&Request::Start {
        name: name("by-hand"),
    });
    let story = story(&machine);
    let mut lines: Vec<&str> = story.lines().collect();
    lines.sort_unstable();
    expect_test::expect![[r#"
        asked: EXIT_CODE=killed EXIT_STATUS=TERM SERVICE_RESULT=success
        asks: SERVICE_RESULT=success
        by-hand:
        done: EXIT_CODE=exited EXIT_STATUS=0 SERVICE_RESULT=success
        doomed: EXIT_CODE=exited EXIT_STATUS=7 SERVICE_RESULT=exit-code
        handler: MONITOR_EXIT_CODE=exited MONITOR_EXIT_STATUS=7 MONITOR_SERVICE_RESULT=exit-code MONITOR_UNIT=doomed
        killed: EXIT_CODE=killed EXIT_STATUS=SEGV SERVICE_RESULT=signal
        late: EXIT_CODE=killed EXIT_STATUS=TERM SERVICE_RESULT=timeout
        next: MONITOR_EXIT_CODE=exited MONITOR_EXIT_STATUS=0 MONITOR_SERVICE_RESULT=success MONITOR_UNIT=done"#]].assert_eq(&lines.join("\n"));
}

/// How the machine ends if `more` is true of a service that runs `program`, and what another one has said.
fn end_by(program: &str, more: &str) -> std::io::Result<(Option<i32>, String)> {
    let waits = format!("until test -e /run/go; do sleep 0.01; done; {program}");
    let stops = format!(r#""preStop":[{}]"#, tells("stopped"));
    let services = [script("other", SLEEP, &stops), script("a", &waits, more)];
    let machine = Machine::boot(&services.join(","));
    let story = machine.folder().join("log/story");
    let kept = tempfile::tempdir()?;
    let copy = kept.path().join("story");
    machine.wait_for("other", ServiceState::Up);
    fs::write(&story, "")?;
    fs::hard_link(&story, &copy)?;
    // A process in there would end with the machine.
    fs::write(machine.inside("/run/go"), "")?;
    Ok((machine.ended(), fs::read_to_string(copy)?))
}

#[test]
fn the_end_of_a_service_ends_the_machine() {
    const OFF: Option<i32> = Some(2);
    const AGAIN: Option<i32> = Some(1);
    let stopped = "stopped ".to_owned();
    let table = [
        (
            "exit 1",
            r#""machineActions":{"failure":"reboot","success":"poweroff"}"#,
            AGAIN,
            &stopped,
        ),
        (
            "exit 0",
            r#""machineActions":{"failure":"reboot","success":"poweroff"}"#,
            OFF,
            &stopped,
        ),
        (
            "exit 1",
            r#""machineActions":{"failure":"reboot-force"}"#,
            AGAIN,
            &String::new(),
        ),
        // There is no kernel for that.
        (
            "exit 1",
            r#""machineActions":{"failure":"kexec"}"#,
            AGAIN,
            &stopped,
        ),
        (
            "exit 1",
            r#""restart":"always","restartDelayMs":1,"startLimit":{"burst":3,"intervalMs":1000000},
            "machineActions":{"startLimit":"poweroff","failure":"reboot"}"#,
            OFF,
            &stopped,
        ),
    ];
    for (program, more, ending, story) in table {
        assert_eq!(
            end_by(program, more).unwrap(),
            (ending, story.clone()),
            "{program} {more}"
        );
    }
}

#[test]
fn what_is_no_end_of_its_own_does_nothing_to_the_machine() {
    let all = r#""machineActions":{"failure":"reboot","success":"reboot","startLimit":"reboot"}"#;
    let services = [
        script("broken", "exit 1", r#""kind":"oneshot""#),
        script("needs", SLEEP, &format!(r#""requires":["broken"],{all}"#)),
        script("stopped", SLEEP, all),
        script(
            "again",
            "exit 1",
            &format!(r#""restart":"always","restartDelayMs":1,{all}"#),
        ),
        script("stays", "true", &format!(r#""kind":"oneshot",{all}"#)),
    ];
    let machine = Machine::boot(&services.join(","));
    machine.wait_for("needs", ServiceState::Failed);
    machine.wait_for("stays", ServiceState::Up);
    machine.wait_until("it is restarted", |machine| {
        machine.service("again").restarts > 2
    });
    machine.do_it(&Request::Stop {
        name: name("stopped"),
    });
    machine.do_it(&Request::Start {
        name: name("stopped"),
    });
    machine.replace_supervisor(9);
    machine.wait_for("stopped", ServiceState::Up);
}

/// TEST-57: what is upheld comes back after whatever end, as long as the one that upholds it is up.
#[test]
fn what_is_upheld_is_kept_running() {
    let later = r#""wantedAtBoot":false"#;
    let services = [
        script("holder", SLEEP, r#""upholds":["held","work","broken"]"#),
        script("held", SLEEP, &format!(r#""restartDelayMs":1,{later}"#)),
        script(
            "work",
            "echo x >> /run/work",
            &format!(r#""kind":"oneshot","staysUp":false,"restartDelayMs":1,{later}"#),
        ),
        script(
            "broken",
            "true",
            &format!(r#""requires":["fails"],"restartDelayMs":1,{later}"#),
        ),
        script("fails", "exit 1", &format!(r#""kind":"oneshot",{later}"#)),
    ];
    let machine = Machine::boot(&services.join(","));
    let before = machine.wait_for("held", ServiceState::Up).pid;
    assert_eq!(machine.service("held").restarts, 0);
    let again = |before| {
        machine.wait_until("it is another one", |machine| {
            let held = machine.service("held");
            held.state == ServiceState::Up && held.pid != before
        });
        machine.service("held").pid
    };
    // It would not be restarted by itself.
    machine.kill(machine.on_host(before.unwrap()), 15);
    let before = again(before);
    machine.kill(machine.on_host(before.unwrap()), 9);
    let before = again(before);
    machine.wait_until("it works again and again", |_| {
        let work = fs::read_to_string(machine.inside("/run/work")).unwrap_or_default();
        work.lines().count() > 2
    });
    expect_test::expect![
        "'held' is kept running by 'holder'; stop that, or use cairn disable held"
    ]
    .assert_eq(&reason(
        machine.request(&Request::Stop { name: name("held") }),
    ));
    machine.replace_supervisor(9);
    machine.kill(machine.on_host(before.unwrap()), 9);
    again(before);
    machine.do_it(&Request::Disable { name: name("held") });
    assert_eq!(machine.service("held").state, ServiceState::Stopped);
    machine.do_it(&Request::Enable { name: name("held") });
    machine.do_it(&Request::Stop {
        name: name("holder"),
    });
    assert_eq!(machine.service("held").state, ServiceState::Up);
    machine.do_it(&Request::Stop { name: name("held") });
    assert_eq!(machine.service("held").state, ServiceState::Stopped);
}

/// A service with a child that needs its time to end, beside a main process that does not.
fn parent(name: &str, main: &str, more: &str) -> String {
    let child = format!(
        "trap \\\"sleep 0.2; echo child >> /var/log/{name}; exit\\\" TERM; touch /run/{name}; \
        while :; do sleep 0.02; done"
    );
    let main = format!(
        "echo start >> /var/log/{name}; sh -c \"{child}\" & \
        while [ ! -e /run/{name} ]; do sleep 0.01; done; {main}"
    );
    let more = format!(
        r#"{more},"postStop":[{{"argv":["/bin/sh","-c","echo $SERVICE_RESULT $EXIT_STATUS >> /var/log/{name}"]}}]"#
    );
    script(name, &main, &more)
}

#[test]
fn all_processes_have_time_to_end() {
    let wait = "while [ ! -e /run/go ]; do sleep 0.01; done";
    let never = r#""restart":"never""#;
    let services = [
        parent("stopped", "exec sleep 1000000", never),
        parent("oneshot", "true", r#""restart":"never","kind":"oneshot""#),
        parent("done", wait, never),
        parent("failed", &format!("{wait}; exit 3"), never),
        parent(
            "again",
            &format!("[ -e /run/go ] && exec sleep 1000; {wait}; exit 3"),
            r#""restart":"always","restartDelayMs":1"#,
        ),
        parent(
            "mixed",
            "exec sleep 1000000",
            r#""restart":"never","killMode":"mixed""#,
        ),
        parent(
            "late",
            "exec sleep 1000000",
            r#""restart":"never","stopTimeoutMs":50"#,
        ),
    ];
    let machine = Machine::boot(&services.join(","));
    for name in [
        "stopped", "done", "failed", "again", "mixed", "oneshot", "late",
    ] {
        machine.wait_until("its child is there", |machine| {
            machine.inside(&format!("/run/{name}")).exists()
        });
    }
    let told = |name: &str| {
        fs::read_to_string(machine.folder().join(format!("log/{name}"))).unwrap_or_default()
    };
    for (name, expected) in [
        ("stopped", "start\nchild\nsuccess TERM\n"),
        ("mixed", "start\nsuccess TERM\n"),
        ("oneshot", "start\nchild\nsuccess 0\n"),
        ("late", "start\ntimeout TERM\n"),
    ] {
        machine.do_it(&namespace::stop(name));
        assert_eq!(told(name), expected, "{name}");
    }
    // With another supervisor in between, too.
    fs::write(machine.inside("/run/go"), "").unwrap();
    machine.replace_supervisor(9);
    for (name, expected) in [
        ("done", "start\nchild\nsuccess 0\n"),
        ("failed", "start\nchild\nexit-code 3\n"),
        ("again", "start\nchild\nexit-code 3\nstart\n"),
    ] {
        machine.wait_until(name, |_| told(name) == expected);
    }
    assert_eq!(machine.service("done").state, ServiceState::Stopped);
    assert_eq!(machine.service("failed").state, ServiceState::Failed);
}
