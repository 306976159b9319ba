//! What services do while they are up and at their ends, and who is told: what units of systemd say beyond the plainest
//! ones. `docs/behaviours.md` names the suites that check the same.

#[expect(dead_code, reason = "other tests need more of it")]
mod namespace;

use std::fs;

use cairn_system::control::{Request, Response, ServiceState};
use namespace::{LATER, Machine, SLEEP, name, reason, script, speaker, start, stop, story, tells};

/// TEST-59, TEST-23: restarts that only a signal, or only a watchdog, brings about.
#[test]
fn signals_and_watchdogs_decide_about_restarts() {
    let once = |name: &str, end: &str| {
        format!("test -e /run/{name} && exec sleep 1000000; touch /run/{name}; {end}")
    };
    let hangs = "exec sleep 1000000";
    let services = [
        script(
            "aborted",
            &once("aborted", "kill -ABRT $$"),
            r#""restart":"on-abort""#,
        ),
        script("exited", "exit 1", r#""restart":"on-abort""#),
        script(
            "late",
            hangs,
            r#""kind":"notify","startTimeoutMs":100,"restart":"on-abort""#,
        ),
        script(
            "barked",
            hangs,
            r#""watchdogMs":100,"restart":"on-watchdog""#,
        ),
        script("signalled", "kill -ABRT $$", r#""restart":"on-watchdog""#),
        script("quiet", hangs, r#""watchdogMs":100,"restart":"on-abort""#),
    ];
    let machine = Machine::boot(&services.join(","));
    machine.wait_until("they are restarted", |machine| {
        ["aborted", "barked"]
            .iter()
            .all(|name| machine.service(name).restarts > 0)
    });
    machine.wait_for("aborted", ServiceState::Up);
    for name in ["exited", "late", "signalled", "quiet"] {
        assert_eq!(
            machine.wait_for(name, ServiceState::Failed).restarts,
            0,
            "{name}"
        );
    }
}

/// TEST-23 (success and failure): who is to be told is told of each failure, although a restart makes up for it.
#[test]
fn a_failure_is_told_of_although_it_is_made_up_for() {
    let tells = |of: &str| {
        script(
            of,
            &format!(
                "echo {of} $MONITOR_UNIT $MONITOR_SERVICE_RESULT $MONITOR_EXIT_STATUS >> /var/log/story"
            ),
            &format!(r#""kind":"oneshot","staysUp":false,{LATER}"#),
        )
    };
    let fails_once = "test -e /run/NAME && exec sleep 1000000; touch /run/NAME; exit 7";
    let follows = r#""onFailure":["failure"],"onSuccess":["success"]"#;
    let services = [
        script(
            "told",
            &fails_once.replace("NAME", "told"),
            &format!(
                r#""restart":"on-failure","restartDelayMs":0,"tellsOfRestarts":true,{follows}"#
            ),
        ),
        script(
            "untold",
            &fails_once.replace("NAME", "untold"),
            &format!(r#""restart":"on-failure",{follows}"#),
        ),
        tells("failure"),
        tells("success"),
    ];
    let machine = Machine::boot(&services.join(","));
    machine.wait_until("both have failed once", |machine| {
        ["told", "untold"].iter().all(|name| {
            let now = machine.service(name);
            now.restarts == 1 && now.state == ServiceState::Up
        })
    });
    machine.wait_until("it is told", |machine| story(machine).contains("failure"));
    assert_eq!(story(&machine), "failure told exit-code 7\n");
    machine.kill(machine.on_host(machine.service("told").pid.unwrap()), 15);
    machine.wait_until("that is told, too", |machine| {
        story(machine).contains("success")
    });
    assert_eq!(
        story(&machine),
        "failure told exit-code 7\nsuccess told success TERM\n"
    );
}

/// TEST-07 (sockets): a socket that cannot listen has failed, and others are told of that.
#[test]
fn a_socket_that_cannot_listen_has_failed() {
    let socket = r#"{"name":"s","kind":"socket","wantedAtBoot":false,"onFailure":["told"],
        "socket":{"service":"served","listen":[{"stream":"/run/folder/socket"}]}}"#;
    let services = [
        socket.to_owned(),
        script("served", SLEEP, LATER),
        script(
            "told",
            "rmdir /run/folder/socket",
            &format!(r#""kind":"oneshot",{LATER}"#),
        ),
    ];
    let machine = Machine::boot(&services.join(","));
    machine.inside_run("mkdir -p /run/folder/socket");
    assert!(matches!(
        machine.request(&start("s")),
        Response::Failed { .. }
    ));
    machine.wait_for("told", ServiceState::Up);
    assert_eq!(machine.request(&start("s")), Response::Done);
    machine.wait_for("s", ServiceState::Up);
}

/// TEST-23 (reloads): a reload that fails is told, and the service goes on.
#[test]
fn a_reload_that_fails_is_no_end() {
    let command = |argv: &str, more: &str| format!(r#"{{"argv":["{argv}"]{more}}}"#);
    let (yes, no) = (command("/bin/true", ""), command("/bin/false", ""));
    let forgiven = command("/bin/false", r#","ignoreFailure":true"#);
    let reload = |commands: &[&str]| format!(r#""reload":{{"commands":[{}]}}"#, commands.join(","));
    let services = [
        script("one", SLEEP, &reload(&[&no])),
        script("many", SLEEP, &reload(&[&yes, &no, &yes])),
        script("forgiven", SLEEP, &reload(&[&forgiven])),
    ];
    let machine = Machine::boot(&services.join(","));
    let ask = |service: &str| {
        machine.wait_for(service, ServiceState::Up);
        let before = machine.service(service).pid;
        let said = machine.request(&Request::Reload {
            name: name(service),
        });
        let now = machine.service(service);
        assert_eq!((now.state, now.pid), (ServiceState::Up, before));
        said
    };
    for failing in ["one", "many"] {
        assert_eq!(
            reason(ask(failing)),
            format!("'{failing}': the last reload failed: its reload command exited with status 1")
        );
    }
    assert_eq!(ask("forgiven"), Response::Done);
}

/// TEST-23 (oneshots): a oneshot that fails is tried again from its first command on, as often as its limit allows;
/// a good end of it is no reason for a restart, whatever its statuses say.
#[test]
fn a_oneshot_is_tried_again_from_its_first_command_on() {
    let services = [
        script(
            "a",
            "exit 1",
            &format!(
                r#""kind":"oneshot","restart":"on-failure","restartDelayMs":10,"startLimit":{{"burst":3,"intervalMs":120000}},"preStart":[{}]"#,
                tells("a")
            ),
        ),
        script(
            "forced",
            "test -e /run/forced && exit 0; touch /run/forced; exit 2",
            &format!(
                r#""kind":"oneshot","staysUp":false,"restartStatuses":[0,2],"onSuccess":["told"],{LATER}"#
            ),
        ),
        script("told", SLEEP, LATER),
    ];
    let machine = Machine::boot(&services.join(","));
    machine.wait_for("a", ServiceState::Failed);
    assert_eq!(story(&machine), "a a a ");
    assert!(matches!(
        machine.request(&start("forced")),
        Response::Failed { .. }
    ));
    machine.wait_for("told", ServiceState::Up);
    let forced = machine.service("forced");
    assert_eq!((forced.state, forced.restarts), (ServiceState::Stopped, 1));
}

/// TEST-07 (main PID): what is no process of the service, or none at all, does not become its main one.
#[test]
fn nobody_elses_process_becomes_the_main_one() {
    let says = |more: &str| {
        format!(
            "exec python3 -c 'import os, socket, time\n\
             s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n\
             say = lambda text: s.sendto(text, os.environ[\"NOTIFY_SOCKET\"])\n\
             {more}\nsay(b\"READY=1\")\ntime.sleep(1000000)'"
        )
    };
    let body = says(
        "other = open(\"/run/other\").read().strip()\n\
         for pid in (\"1\", \"0\", \"-1\", \"1073741824\", \"99999999999999999999\", \"x\", other): say(b\"MAINPID=\" + pid.encode())",
    );
    let services = [
        script("other", "echo $$ > /run/other; exec sleep 1000000", ""),
        script("a", &body, &format!(r#""kind":"notify",{LATER}"#)),
    ];
    let machine = Machine::boot(&services.join(","));
    machine.wait_until("the other is there", |machine| {
        machine.inside("/run/other").exists()
    });
    let other = machine.service("other").pid;
    assert_eq!(machine.request(&start("a")), Response::Done);
    let main = machine.service("a").pid.unwrap();
    assert_ne!(Some(main), other);
    let command = fs::read_to_string(machine.inside(&format!("/proc/{main}/cmdline"))).unwrap();
    assert!(command.starts_with("python3"), "{command}");
    assert_eq!(machine.request(&stop("a")), Response::Done);
    assert_eq!(machine.service("other").pid, other);
}

/// TEST-16: how long it may be up is as the generation says that runs now, and its process is the same until then.
#[test]
fn a_bound_of_another_generation_holds_at_once() {
    let machine = Machine::boot(&script("a", SLEEP, ""));
    let before = machine.wait_for("a", ServiceState::Up).pid;
    let bounded = |ms: u32| script("a", SLEEP, &format!(r#""runtimeMaxMs":{ms}"#));
    machine.switch(&machine.generation("long", &bounded(1_000_000)));
    assert_eq!(machine.service("a").pid, before);
    machine.switch(&machine.generation("short", &bounded(1)));
    let why = machine.wait_for("a", ServiceState::Failed).reason;
    assert_eq!(
        why.as_deref(),
        Some("it was up for longer than the 1 ms that it may be")
    );
}

/// systemd.service(5), `ExitType=cgroup`: a service lasts as long as the last of its processes, and ends as the first
/// has ended.
#[test]
fn a_service_lasts_as_long_as_its_last_process() {
    let leaves = "sleep 1000000 & sleep 1000000 &";
    let slow = "(trap 'sleep 0.3; printf slow >> /var/log/story; exit 0' TERM; while :; do sleep 0.05; done) &";
    let group = r#""endsWithLastProcess":true"#;
    let services = [
        script("plain", leaves, ""),
        script("group", leaves, group),
        script("bad", &format!("{leaves} exit 3"), group),
        script("other", "(sleep 0.3; exit 3) &", group),
        script("asked", &format!("{slow} {leaves}"), group),
        script(
            "again",
            "exec true",
            &format!(r#"{group},"restart":"always""#),
        ),
    ];
    let machine = Machine::boot(&services.join(","));
    machine.wait_for("plain", ServiceState::Stopped);
    machine.wait_for("bad", ServiceState::Failed);
    let other = machine.wait_for("other", ServiceState::Stopped);
    assert_eq!(other.last_exit.as_deref(), Some("status 0"));
    machine.wait_until("it is started again", |machine| {
        machine.service("again").restarts > 1
    });

    let is_left = |service: &str, before: Option<u32>| {
        machine.wait_until("another one has taken its place", |machine| {
            let status = machine.service(service);
            status.last_exit.is_some() && status.pid.is_some() && status.pid != before
        });
        let status = machine.service(service);
        assert_eq!(status.state, ServiceState::Up);
        status.pid
    };
    let first = is_left("group", None);
    // Its successor hears of the next end, too.
    machine.replace_supervisor(9);
    machine.kill(machine.on_host(first.unwrap()), 9);
    let second = is_left("group", first);
    machine.kill(machine.on_host(second.unwrap()), 9);
    let group = machine.wait_for("group", ServiceState::Stopped);
    assert_eq!(group.last_exit.as_deref(), Some("status 0"));

    is_left("asked", None);
    machine.do_it(&stop("asked"));
    assert_eq!(story(&machine), "slow");
}

/// systemd.service(5), `RemainAfterExit=`, of what is no oneshot: it stays up with what its process has left running,
/// also for a successor, until somebody stops it.
#[test]
fn what_outlives_its_process_stays_up() {
    let left = "(trap 'echo asked; exit 0' TERM; : > /run/set; while :; do sleep 0.05; done) &
        until [ -e /run/set ]; do sleep 0.01; done";
    let stays = |more: &str| format!(r#""outlivesProcess":true,"restart":"always"{more}"#);
    let services = [
        script(
            "left",
            &format!("{left}; exit 0"),
            &stays(&format!(r#","preStop":[{}]"#, tells("leaves"))),
        ),
        script("needs", SLEEP, r#""requires":["left"],"after":["left"]"#),
        script("nothing", "exit 0", &stays("")),
        script(
            "bad",
            "exit 3",
            r#""outlivesProcess":true,"restart":"never""#,
        ),
    ];
    let machine = Machine::boot(&services.join(","));
    machine.wait_for("bad", ServiceState::Failed);
    machine.wait_until("their processes have ended", |machine| {
        ["left", "nothing"].map(|name| machine.service(name).last_exit.is_some()) == [true; 2]
    });
    machine.replace_supervisor(9);
    for name in ["left", "nothing", "needs"] {
        let status = machine.wait_for(name, ServiceState::Up);
        assert_eq!(
            (status.restarts, status.pid.is_some()),
            (0, name == "needs")
        );
    }
    machine.do_it(&stop("left"));
    machine.wait_until("it was asked", |machine| {
        machine.log("left").ends_with("Z asked\n")
    });
    assert_eq!(story(&machine), "leaves ");
    assert_eq!(machine.service("needs").state, ServiceState::Stopped);
    machine.do_it(&stop("nothing"));
    assert_eq!(machine.request(&start("nothing")), Response::Done);
}

/// Who is asked to end may have ended before anybody knows whose it was.
#[test]
fn what_ends_at_once_when_it_is_asked_is_not_waited_for() {
    let services = [
        script(
            "server",
            "sleep 1000000 & while :; do sleep 0.001; done",
            r#""restart":"always","restartDelayMs":0,"restartDelayMaxMs":0"#,
        ),
        script("left", "sleep 1000000 & exit 0", r#""kind":"oneshot""#),
    ];
    let machine = Machine::boot(&services.join(","));
    for _ in 0..25 {
        let pid = machine.wait_for("server", ServiceState::Up).pid;
        machine.kill(machine.on_host(pid.unwrap()), 9);
        machine.wait_until("another one is up", |machine| {
            let now = machine.service("server");
            now.state == ServiceState::Up && now.pid.is_some() && now.pid != pid
        });
        machine.do_it(&stop("left"));
        machine.do_it(&start("left"));
    }
}

#[test]
fn what_is_left_again_is_not_one_too_many() {
    let body = "import fcntl\ns = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n\
        s.connect(os.environ[\"NOTIFY_SOCKET\"])\n\
        one, two = os.open(\"/dev/null\", 0), os.open(\"/dev/zero\", 0)\n\
        for fds in [[one], [one, one], [two]]:\n  socket.send_fds(s, [b\"FDSTORE=1\"], fds)\n\
        say(b\"READY=1\")\ntime.sleep(1000000)";
    let a = speaker("a", body, r#""kind":"notify","storedDescriptors":1"#);
    let log = "touch \"$1/kmsg\" && mount --bind \"$1/kmsg\" /dev/kmsg";
    let machine = Machine::boot_on(&a, "", log);
    machine.wait_for("a", ServiceState::Up);
    let log = fs::read_to_string(machine.folder().join("kmsg")).unwrap();
    let about = log
        .matches("leaves more descriptors than the 1 that it may")
        .count();
    assert_eq!(about, 1, "{log}");
}
