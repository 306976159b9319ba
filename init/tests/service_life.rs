//! A service's life, as PID 1 of its own namespaces runs it: commands around its process, readiness,
//! reloads, conditions, directories, timers.

#[expect(dead_code, reason = "other tests need more of it")]
mod namespace;

use cairn_system::control::{Request, ServiceState};
use namespace::{Machine, SLEEP, name, reason, script, story, tells};

fn wait_for_story(machine: &Machine, story_end: &str) {
    machine.wait_until(&format!("the story ends with '{story_end}'"), |machine| {
        story(machine).ends_with(story_end)
    });
}

#[test]
fn commands_run_in_their_order() {
    let more = format!(
        r#""preStart":[{},{}],"postStart":[{}],"preStop":[{}],"postStop":[{}],"reload":{{"commands":[{}]}}"#,
        tells("pre1"),
        tells("pre2"),
        tells("post"),
        tells("leave"),
        tells("after"),
        tells("reload$MAINPID"),
    );
    let machine = Machine::boot(&script("a", SLEEP, &more));
    machine.wait_for("a", ServiceState::Up);
    assert_eq!(story(&machine), "pre1 pre2 post ");
    let pid = machine.service("a").pid.unwrap();
    machine.do_it(&Request::Reload { name: name("a") });
    wait_for_story(&machine, &format!("reload{pid} "));
    machine.do_it(&Request::Stop { name: name("a") });
    assert!(
        story(&machine).ends_with(" leave after "),
        "{}",
        story(&machine)
    );
    assert_eq!(
        reason(machine.request(&Request::Reload { name: name("a") })),
        "'a' is not up; use cairn start a"
    );
    machine.do_it(&Request::Start { name: name("a") });
    assert!(
        story(&machine).ends_with("after pre1 pre2 post "),
        "{}",
        story(&machine)
    );
}

#[test]
fn a_command_that_fails_is_the_services_failure() {
    let fails = r#"{"argv":["/bin/sh","-c","exit 7"]}"#;
    let forgiven = r#"{"argv":["/nonexistent"],"ignoreFailure":true}"#;
    let services = [
        script(
            "pre",
            SLEEP,
            &format!(r#""preStart":[{fails}],"postStop":[{}]"#, tells("cleaned")),
        ),
        script("post", SLEEP, &format!(r#""postStart":[{fails}]"#)),
        script(
            "forgiven",
            SLEEP,
            &format!(r#""preStart":[{forgiven}],"postStart":[{forgiven}]"#),
        ),
        script("rescue", SLEEP, r#""wantedAtBoot":false"#),
        script(
            "doomed",
            "exit 1",
            r#""kind":"oneshot","onFailure":["rescue"]"#,
        ),
    ];
    let machine = Machine::boot(&services.join(","));
    machine.wait_for("pre", ServiceState::Failed);
    machine.wait_for("post", ServiceState::Failed);
    machine.wait_for("forgiven", ServiceState::Up);
    machine.wait_for("rescue", ServiceState::Up);
    let reasons: Vec<String> = ["pre", "post"]
        .map(|name| machine.service(name).reason.unwrap())
        .into();
    expect_test::expect![[r#"
        its pre-start command exited with status 7
        its post-start command exited with status 7"#]]
    .assert_eq(&reasons.join("\n"));
    assert_eq!(story(&machine), "cleaned ");
    assert_eq!(machine.service("post").pid, None);
}

#[test]
fn a_service_is_up_when_it_says_so() {
    // The process that says it stays: whose message it is shows from where its sender runs.
    let says = "sleep 0.3; exec python3 -c 'import socket, os, time\n\
        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n\
        s.sendto(b\"STATUS=fine\\nREADY=1\", os.environ[\"NOTIFY_SOCKET\"])\n\
        time.sleep(1000000)'";
    let services = [
        script("a", says, r#""kind":"notify""#),
        script(
            "b",
            "printf 'b ' >> /var/log/story; exec sleep 1000000",
            r#""requires":["a"]"#,
        ),
        script("silent", SLEEP, r#""kind":"notify","startTimeoutMs":400"#),
    ];
    let machine = Machine::boot(&services.join(","));
    assert_eq!(machine.service("a").state, ServiceState::Starting);
    assert_eq!(story(&machine), "");
    machine.wait_for("silent", ServiceState::Failed);
    assert_eq!(
        machine.service("silent").reason.as_deref(),
        Some("it did not come up in time")
    );
    machine.wait_for("a", ServiceState::Up);
    wait_for_story(&machine, "b ");
}

/// A service in Python that can say something of itself.
fn speaker(name: &str, body: &str, more: &str) -> String {
    let program = format!(
        "import socket, os, time\ndef say(text):\n  \
           s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n  \
           s.sendto(text, os.environ[\"NOTIFY_SOCKET\"])\n{body}"
    );
    script(name, &format!("exec python3 -c '{program}'"), more)
}

#[test]
fn what_a_service_says_of_itself_counts() {
    let hands_over = "r, w = os.pipe()\n\
        if os.fork() == 0:\n  \
          say(b\"MAINPID=%d\\nSTATUS=second\\nREADY=1\" % os.getpid())\n  \
          os.write(w, b\"x\")\n  time.sleep(1000000)\n\
        os.read(r, 1)";
    let silent = "say(b\"READY=1\")\nsay(b\"WATCHDOG=1\")\ntime.sleep(1000000)";
    let sick = "say(b\"READY=1\")\nsay(b\"WATCHDOG=trigger\")\ntime.sleep(1000000)";
    let later = |name| script(name, SLEEP, r#""wantedAtBoot":false"#);
    let services = [
        speaker("heir", hands_over, r#""kind":"notify""#),
        speaker(
            "silent",
            silent,
            r#""kind":"notify","watchdogMs":300,"onFailure":["rescue"]"#,
        ),
        speaker("sick", sick, r#""kind":"notify","watchdogMs":4000000"#),
        script("done", "exit 0", r#""onSuccess":["next"]"#),
        later("rescue"),
        later("next"),
    ];
    let machine = Machine::boot(&services.join(","));
    for name in ["rescue", "next", "heir"] {
        machine.wait_for(name, ServiceState::Up);
    }
    let reason = |name| machine.wait_for(name, ServiceState::Failed).reason.unwrap();
    assert_eq!(reason("silent"), "it has not said for 300 ms that it lives");
    assert_eq!(
        reason("sick"),
        "it has said itself that something is wrong with it"
    );
    assert_eq!(
        machine.service("silent").last_exit.as_deref(),
        Some("signal 6")
    );
    machine.wait_until("the second process is the main one", |machine| {
        let heir = machine.service("heir");
        let first = heir
            .pid
            .map(|pid| namespace::children(machine.on_host(pid)));
        heir.activity.as_deref() == Some("second") && first == Some(Vec::new())
    });
    machine.kill(machine.on_host(machine.service("heir").pid.unwrap()), 9);
    machine.wait_for("heir", ServiceState::Failed);
}

#[test]
fn a_process_left_behind_is_found_and_watched() {
    let forks = "(exec sleep 1000001) & echo $! > /run/a.pid";
    let services = [
        script(
            "a",
            forks,
            r#""kind":"forking","pidFile":"/run/a.pid","restart":"always","restartDelayMs":1"#,
        ),
        script("b", "exit 0", r#""kind":"forking""#),
        script(
            "c",
            "(exec sleep 1000001) & exit 0",
            r#""kind":"forking","delegated":true"#,
        ),
    ];
    let machine = Machine::boot(&services.join(","));
    machine.wait_for("c", ServiceState::Up);
    let before = machine.wait_for("a", ServiceState::Up).pid.unwrap();
    machine.wait_for("b", ServiceState::Failed);
    machine.kill(machine.on_host(before), 9);
    machine.wait_until("it is another process", |machine| {
        let now = machine.service("a");
        now.state == ServiceState::Up && now.pid.is_some_and(|pid| pid != before)
    });
    machine.do_it(&Request::Stop { name: name("a") });
    assert_eq!(machine.service("a").pid, None);
}

#[test]
fn signals_reload_and_stop_as_described() {
    let traps = "trap 'echo again' HUP; trap 'echo bye; exit 0' USR1; echo up; while :; do sleep 0.02; done";
    let machine = Machine::boot(&script(
        "a",
        traps,
        r#""reload":{"signal":"SIGHUP"},"stopSignal":"SIGUSR1""#,
    ));
    machine.wait_until("it is up", |machine| machine.log("a").contains("up"));
    machine.do_it(&Request::Reload { name: name("a") });
    machine.wait_until("it reloads", |machine| machine.log("a").contains("again"));
    machine.do_it(&Request::Stop { name: name("a") });
    assert_eq!(machine.service("a").last_exit.as_deref(), Some("status 0"));
    let machine = Machine::boot(&script("b", SLEEP, ""));
    machine.wait_for("b", ServiceState::Up);
    assert_eq!(
        reason(machine.request(&Request::Reload { name: name("b") })),
        "'b' cannot be reloaded; use cairn restart b"
    );
}

#[test]
fn restarts_have_a_limit_and_policies() {
    let services = [
        script(
            "limited",
            "exit 1",
            r#""restart":"always","restartDelayMs":1,"restartDelayMaxMs":1,"startLimit":{"burst":3,"intervalMs":60000}"#,
        ),
        script("abnormal", "exit 1", r#""restart":"on-abnormal""#),
        script(
            "success",
            "exit 3",
            r#""restart":"on-failure","successStatuses":[3]"#,
        ),
        script(
            "last",
            "exit 4",
            r#""restart":"always","finalStatuses":[4]"#,
        ),
    ];
    let machine = Machine::boot(&services.join(","));
    machine.wait_for("limited", ServiceState::Failed);
    machine.wait_for("abnormal", ServiceState::Failed);
    machine.wait_for("success", ServiceState::Stopped);
    machine.wait_for("last", ServiceState::Failed);
    let limited = machine.service("limited");
    assert_eq!(
        (limited.restarts, limited.reason.as_deref()),
        (3, Some("it was started more than 3 times within 60000 ms"))
    );
}

#[test]
fn conditions_directories_and_environment() {
    std::fs::write("/tmp/cairn-service-life.env", "WHO='the file'\n").unwrap();
    let directory = r#"{"path":"/run/a/deep","mode":"0711","removedAtStop":true}"#;
    let process = serde_json::json!({
        "argv": ["/bin/sh", "-c", "echo \"$0 $WHO $(umask) $(nice) $(stat -c %a:%u /run/a/deep)\"; exec sleep 1000000", "${WHAT}"],
        "expand": true,
        "environment": { "PATH": "/usr/bin:/bin", "WHO": "nobody", "WHAT": "it is" },
        "environmentFiles": [
            { "path": "/tmp/cairn-service-life.env" }, { "path": "/nonexistent", "optional": true },
        ],
        // The nicest: anyone may be that, also in a namespace of somebody who is nice.
        "umask": "0027", "nice": 19,
    });
    let services = [
        format!(r#"{{"name":"a","kind":"simple","wantedAtBoot":true,"process":{process},"directories":[{directory}]}}"#),
        script("skipped", SLEEP, r#""kind":"simple","conditions":[{"kind":"path-exists","value":"/nonexistent"}]"#),
        script("needs-skipped", SLEEP, r#""requires":["skipped"]"#),
        r#"{"name":"milestone","kind":"milestone","wantedAtBoot":true,"requires":["needs-skipped"]}"#.to_owned(),
        script("after-milestone", SLEEP, r#""requires":["milestone"]"#),
    ];
    let machine = Machine::boot(&services.join(","));
    machine.wait_until("it has spoken", |machine| machine.log("a").ends_with('\n'));
    let log = machine.log("a");
    assert!(log.ends_with("Z it is the file 0027 19 711:0\n"), "{log}");
    machine.wait_for("after-milestone", ServiceState::Up);
    let skipped = machine.service("skipped");
    assert_eq!(skipped.state, ServiceState::Stopped);
    assert_eq!(
        skipped.reason.as_deref(),
        Some("it is started only if /nonexistent exists")
    );
    assert!(machine.inside("/run/a/deep").exists());
    machine.do_it(&Request::Stop { name: name("a") });
    assert!(!machine.inside("/run/a/deep").exists());
}

#[test]
fn parts_stop_with_the_whole_and_sessions_outlive_the_main_process() {
    let services = [
        script("whole", SLEEP, ""),
        script("part", SLEEP, r#""partOf":["whole"]"#),
        script(
            "server",
            "sleep 1000002 & echo up; exec sleep 1000000",
            r#""killMode":"main""#,
        ),
    ];
    let machine = Machine::boot(&services.join(","));
    machine.wait_for("part", ServiceState::Up);
    let before = machine.wait_for("whole", ServiceState::Up).pid;
    let part = machine.service("part").pid;
    machine.do_it(&Request::Restart {
        name: name("whole"),
    });
    machine.wait_until("both are others", |machine| {
        let (w, p) = (machine.service("whole"), machine.service("part"));
        w.pid != before && w.pid.is_some() && p.pid != part && p.pid.is_some()
    });
    machine.do_it(&Request::Stop {
        name: name("whole"),
    });
    machine.wait_for("part", ServiceState::Stopped);
    machine.wait_until("it has a session", |machine| {
        machine.log("server").contains("up")
    });
    machine.do_it(&Request::Stop {
        name: name("server"),
    });
    let procs = machine.inside("/sys/fs/cgroup/cairn/server/cgroup.procs");
    assert_eq!(std::fs::read_to_string(procs).unwrap().lines().count(), 1);
}

#[test]
fn timers_start_their_services_again_and_again() {
    let timers = r#"[
        {"name":"monotonic","service":"monotonic","afterBootMs":[0],"afterStopMs":[150]},
        {"name":"calendar","service":"calendar","calendar":["*:*:*"]},
        {"name":"never","service":"never","calendar":["1999-01-01"]}]"#
        .replace("1999", "2190");
    let ticks = |name: &str| {
        script(
            name,
            &format!("echo {name} >> /var/log/{name}"),
            r#""kind":"oneshot","staysUp":false,"wantedAtBoot":false"#,
        )
    };
    let services = [ticks("monotonic"), ticks("calendar"), ticks("never")];
    let machine = Machine::boot_with(&services.join(","), &format!(r#","timers":{timers}"#));
    let count = |machine: &Machine, name: &str| {
        std::fs::read_to_string(machine.folder().join("log").join(name))
            .map_or(0, |text| text.lines().count())
    };
    machine.wait_until("both have fired", |machine| {
        count(machine, "monotonic") >= 3 && count(machine, "calendar") >= 2
    });
    machine.kill(machine.supervisor().unwrap(), 9);
    let (monotonic, calendar) = (count(&machine, "monotonic"), count(&machine, "calendar"));
    machine.wait_until("they go on after the supervisor's death", |machine| {
        count(machine, "monotonic") > monotonic + 1 && count(machine, "calendar") > calendar
    });
    assert_eq!(machine.service("never").age_ms, None);
    let next = |name| machine.service(name).next_run_ms;
    assert!(next("calendar").unwrap() <= 1000);
    let years = next("never").unwrap() / 1000 / 86_400 / 365;
    assert!((100..200).contains(&years), "{years}");
    assert!(next("monotonic").is_none_or(|wait| wait <= 150));
}

/// A zone is its rules, by whatever link they come; a change that no supervisor sees is found by the next one.
#[test]
fn another_time_zone_starts_a_service() {
    let timers = r#","timers":[{"name":"zone","service":"zone","zoneChange":true}]"#;
    let more = r#""kind":"oneshot","staysUp":false,"wantedAtBoot":false"#;
    let service = script("zone", "cat /etc/localtime >> /var/log/zones", more);
    let etc = r#"mkdir -p "$1/etc/one" "$1/etc/two"; cp /etc/passwd /etc/group "$1/etc"; cd "$1/etc"
        echo one > one/localtime; echo two > two/localtime
        ln -s one static; ln -s static/localtime localtime; mount --bind "$1/etc" /etc"#;
    let machine = Machine::boot_on(&service, timers, etc);
    let zones = |machine: &Machine| {
        let path = machine.folder().join("log/zones");
        std::fs::read_to_string(path).unwrap_or_default()
    };
    let link = |to: &str| {
        machine.inside_run(&format!(
            "ln -s {to} /etc/new && mv -T /etc/new /etc/static"
        ));
    };
    machine.inside_run("touch /etc/other /etc/static/other");
    link("two");
    machine.wait_until("it is seen", |machine| zones(machine) == "two\n");
    machine.inside_run("echo two > /etc/new && mv /etc/new /etc/localtime");
    let supervisor = machine.supervisor().unwrap();
    machine.kill(supervisor, 19);
    machine.inside_run("echo three > /etc/localtime");
    machine.kill(supervisor, 9);
    machine.wait_until("it is found", |machine| zones(machine) == "two\nthree\n");
    machine.replace_supervisor(9);
    machine.inside_run("rm /etc/localtime; ln -s static/localtime /etc/localtime");
    machine.wait_until("it is back", |machine| {
        zones(machine) == "two\nthree\ntwo\n"
    });
}

#[test]
fn a_start_goes_on_where_a_killed_supervisor_left_it() {
    let slow = r#"{"argv":["/bin/sh","-c","printf 'slow ' >> /var/log/story; sleep 0.8"]}"#;
    let ready = "exec python3 -c 'import socket, os, time\n\
        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n\
        s.sendto(b\"READY=1\", os.environ[\"NOTIFY_SOCKET\"])\n\
        time.sleep(1000000)'";
    let services = [
        script("before", SLEEP, &format!(r#""preStart":[{slow}]"#)),
        script("ready", &format!("sleep 1; {ready}"), r#""kind":"notify""#),
    ];
    let machine = Machine::boot(&services.join(","));
    wait_for_story(&machine, "slow ");
    let pid = machine.service("before").pid;
    assert!(pid.is_some());
    // Core is kept from starting the next one until the other service has spoken.
    let supervisor = machine.supervisor().unwrap();
    machine.kill(supervisor, 19);
    std::thread::sleep(std::time::Duration::from_secs(2));
    machine.kill(supervisor, 9);
    machine.wait_for("before", ServiceState::Up);
    machine.wait_for("ready", ServiceState::Up);
    assert_eq!(story(&machine), "slow ");
    assert_ne!(machine.service("before").pid, pid);
}
