//! Whether there is a start, what a process finds then, and what follows its ends: what units of systemd say beyond
//! the plainest ones. `docs/behaviours.md` names the suites that check the same.

#[expect(dead_code, reason = "other tests need more of it")]
mod namespace;

use std::fs;

use cairn_system::control::{Request, Response, ServiceState};
use namespace::{Machine, SLEEP, name, reason, script, story, tells};

const LATER: &str = r#""wantedAtBoot":false"#;

fn start(service: &str) -> Request {
    Request::Start {
        name: name(service),
    }
}

fn stop(service: &str) -> Request {
    Request::Stop {
        name: name(service),
    }
}

/// A service whose process has these fields besides.
fn with_process(name: &str, fields: &str, body: &str, more: &str) -> String {
    script(name, body, more).replacen(r#""argv""#, &format!(r#"{fields},"argv""#), 1)
}

fn decides(body: &str) -> String {
    serde_json::json!({ "argv": ["/bin/sh", "-c", body], "condition": true }).to_string()
}

/// TEST-07 (issue 16115), TEST-23: a command says that there is no reason to start, which is no failure.
#[test]
fn a_command_decides_whether_there_is_a_start() {
    let skipped = format!(
        r#""preStart":[{},{}],"postStop":[{}],"restart":"always","onSuccess":["next"]"#,
        decides("exit 1"),
        tells("never"),
        tells("after"),
    );
    let services = [
        script("skipped", SLEEP, &skipped),
        script("needs", SLEEP, r#""requires":["skipped"]"#),
        script("next", SLEEP, LATER),
        script(
            "good",
            SLEEP,
            &format!(
                r#""preStart":[{}],"successStatuses":[3]"#,
                decides("exit 3")
            ),
        ),
        script(
            "bad",
            SLEEP,
            &format!(r#""preStart":[{}]"#, decides("exit 255")),
        ),
        script(
            "killed",
            SLEEP,
            &format!(r#""preStart":[{}]"#, decides("kill $$")),
        ),
    ];
    let machine = Machine::boot(&services.join(","));
    for up in ["needs", "good"] {
        machine.wait_for(up, ServiceState::Up);
    }
    let why = |name| machine.wait_for(name, ServiceState::Failed).reason.unwrap();
    assert_eq!(why("bad"), "its pre-start command exited with status 255");
    assert_eq!(
        why("killed"),
        "its pre-start command was ended by signal 15"
    );
    let skipped = machine.service("skipped");
    assert_eq!(
        (skipped.state, skipped.restarts),
        (ServiceState::Stopped, 0)
    );
    assert_eq!(
        skipped.reason.as_deref(),
        Some("its pre-start command exited with status 1")
    );
    assert_eq!(machine.request(&start("skipped")), Response::Done);
    assert_eq!(story(&machine), "after after ");
    assert_eq!(machine.service("next").age_ms, None);
}

/// `Assert…=`, and conditions of which one is enough.
#[test]
fn what_must_not_start_fails_and_is_not_tried_again() {
    let condition =
        |path: &str, more: &str| format!(r#"{{"kind":"path-exists","value":"{path}"{more}}}"#);
    let asserted = condition("/run/there", r#","asserted":true"#);
    let alternatives = [
        condition("/run/there", r#","alternative":true"#),
        condition("/run/else", r#","alternative":true"#),
    ];
    let services = [
        script(
            "must",
            SLEEP,
            &format!(
                r#""kind":"simple","conditions":[{asserted}],"restart":"always","onFailure":["told"]"#
            ),
        ),
        script("told", SLEEP, LATER),
        script(
            "either",
            SLEEP,
            &format!(
                r#""kind":"simple","conditions":[{}]"#,
                alternatives.join(",")
            ),
        ),
    ];
    let machine = Machine::boot(&services.join(","));
    machine.wait_for("told", ServiceState::Up);
    assert_eq!(machine.service("must").restarts, 0);
    assert_eq!(
        reason(machine.request(&start("must"))),
        "'must' has failed: it can start only if /run/there exists"
    );
    assert_eq!(
        machine.service("either").reason.as_deref(),
        Some("it is started only if /run/there exists, or only if /run/else exists")
    );
    machine.inside_run("touch /run/else");
    assert_eq!(machine.request(&start("either")), Response::Done);
    machine.wait_for("either", ServiceState::Up);
    machine.inside_run("touch /run/there");
    assert_eq!(machine.request(&start("must")), Response::Done);
}

/// TEST-23: where output goes, if not into the log.
#[test]
fn output_goes_into_files_or_nowhere() {
    let writes = |name: &str, fields: &str, word: &str| {
        with_process(
            name,
            fields,
            &format!("echo {word}; echo {word}-error >&2"),
            r#""kind":"oneshot","staysUp":false,"wantedAtBoot":false,"preStart":[{"argv":["/bin/echo","before"]}]"#,
        )
    };
    let services = [
        writes("append", r#""output":{"append":"/run/append"}"#, "a"),
        writes("truncate", r#""output":{"truncate":"/run/truncate"}"#, "t"),
        writes(
            "apart",
            r#""output":{"file":"/run/apart"},"error":"log""#,
            "apart",
        ),
        writes("quiet", r#""output":"null""#, "quiet"),
        writes("link", r#""output":{"file":"/run/link"}"#, "link"),
    ];
    let machine = Machine::boot_on(&services.join(","), "", "ln -s target /run/link");
    let file = |path: &str| fs::read_to_string(machine.inside(path)).unwrap();
    for name in ["append", "truncate", "apart", "quiet", "append", "truncate"] {
        assert_eq!(machine.request(&start(name)), Response::Done);
        machine.wait_for(name, ServiceState::Stopped);
    }
    assert_eq!(
        file("/run/append"),
        "before\na\na-error\nbefore\na\na-error\n"
    );
    // Each command begins anew, and what is behind its end stays.
    assert_eq!(file("/run/truncate"), "t\nt-error\n");
    assert_eq!(file("/run/apart"), "apart\n\n");
    assert!(machine.log("apart").contains("apart-error"));
    assert!(!machine.log("quiet").contains("quiet") && !machine.log("append").contains("before"));
    let said = reason(machine.request(&start("link")));
    assert!(
        said.contains("cannot open /run/link for what it writes"),
        "{said}"
    );
    assert!(!machine.inside("/run/target").exists());
}

/// TEST-07 (working directory), systemd.exec(5): who has a user has that user's name, home and shell.
#[test]
fn a_user_is_at_home() {
    let says = "echo $USER,$LOGNAME,$HOME,$SHELL,$(pwd)";
    let oneshot = r#""kind":"oneshot""#;
    let services = [
        with_process("nobody", r#""user":"nobody""#, says, oneshot),
        with_process(
            "home",
            r#""user":"nobody","workingDirectory":{"path":"~"}"#,
            says,
            oneshot,
        ),
        with_process("root", r#""workingDirectory":{"path":"~"}"#, says, oneshot),
        script("none", says, oneshot),
        with_process("own", r#""user":"nobody""#, says, oneshot)
            .replace(r#""environment":{"#, r#""environment":{"HOME":"/srv","#),
    ];
    let before = r#"mkdir -p "$1/etc" /run/home; cp /etc/passwd /etc/group "$1/etc"
        sed -i 's,^\(nobody:.*\):[^:]*:[^:]*$,\1:/run/home:/bin/dash,' "$1/etc/passwd"; mount --bind "$1/etc" /etc"#;
    let machine = Machine::boot_on(&services.join(","), "", before);
    let said = |name: &str| {
        machine.wait_for(name, ServiceState::Up);
        machine.wait_until("it has said so", |machine| machine.log(name).contains(','));
        let log = machine.log(name);
        let line = log.lines().find(|line| line.contains(',')).unwrap();
        line.rsplit(' ').next().unwrap().to_owned()
    };
    assert_eq!(said("nobody"), "nobody,nobody,/run/home,/bin/dash,/");
    assert_eq!(said("home"), "nobody,nobody,/run/home,/bin/dash,/run/home");
    assert_eq!(said("root"), "root,root,/root,/bin/bash,/root");
    assert_eq!(said("none"), ",,,,/");
    assert_eq!(said("own"), "nobody,nobody,/srv,/bin/dash,/");
}

/// TEST-07 (issue 1981): which timer a start is owed to, and no other start.
#[test]
fn what_a_timer_starts_is_told_so() {
    let says = |of: &str| {
        format!(
            "echo {of} $TRIGGER_UNIT $((${{TRIGGER_TIMER_REALTIME_USEC:-0}} > 0 && ${{TRIGGER_TIMER_MONOTONIC_USEC:-0}} > 0)) >> /var/log/story"
        )
    };
    let before = serde_json::json!({ "argv": ["/bin/sh", "-c", says("before")] });
    let service = script(
        "a",
        &says("main"),
        &format!(r#""kind":"oneshot","staysUp":false,{LATER},"preStart":[{before}]"#),
    );
    let timers = r#","timers":[{"name":"soon","service":"a","afterBootMs":[0]}]"#;
    let machine = Machine::boot_with(&service, timers);
    machine.wait_until("it has run", |machine| story(machine).contains("main"));
    machine.wait_for("a", ServiceState::Stopped);
    assert_eq!(story(&machine), "before soon.timer 1\nmain soon.timer 1\n");
    assert_eq!(machine.request(&start("a")), Response::Done);
    machine.wait_until("it has run again", |machine| {
        story(machine).contains("main 0")
    });
    assert!(story(&machine).contains("before 0\nmain 0"));
}

/// TEST-23: folders of the time while a service runs; some stay while it is only started again.
#[test]
fn folders_stay_for_a_restart() {
    let folder = |path: &str, more: &str| {
        format!(r#"{{"path":"{path}","mode":"0755","removedAtStop":true{more}}}"#)
    };
    let makes = "test -e /run/kept/old && echo again; touch /run/kept/old /run/gone/old; exec sleep 1000000";
    let directories = [
        folder("/run/kept", r#","keptAtRestart":true"#),
        folder("/run/gone", ""),
    ];
    let directories = format!(r#""directories":[{}]"#, directories.join(","));
    let services = [
        script("a", makes, &format!(r#"{directories},"restart":"always""#)),
        script(
            "failing",
            "touch /run/failing/old; exit 1",
            &format!(
                r#""directories":[{}],"restart":"always","restartDelayMs":1000000,"restartDelayMaxMs":1000000"#,
                folder("/run/failing", r#","keptAtRestart":true"#)
            ),
        ),
        script(
            "once",
            "touch /run/once/done",
            &format!(
                r#""kind":"oneshot","directories":[{}]"#,
                folder("/run/once", "")
            ),
        ),
    ];
    let machine = Machine::boot(&services.join(","));
    let exists = |path: &str| machine.inside(path).exists();
    machine.wait_until("it runs", |_| exists("/run/gone/old"));
    let again = |count| {
        machine.wait_until("it runs again", |machine| {
            machine.log("a").matches("again").count() == count
                && machine.inside("/run/gone/old").exists()
        });
    };
    machine.do_it(&Request::Restart { name: name("a") });
    again(1);
    machine.kill(machine.on_host(machine.service("a").pid.unwrap()), 9);
    again(2);
    assert_eq!(machine.request(&stop("a")), Response::Done);
    assert!(!exists("/run/kept") && !exists("/run/gone"));
    machine.wait_for("failing", ServiceState::Backoff);
    assert!(exists("/run/failing/old"));
    assert_eq!(machine.request(&stop("failing")), Response::Done);
    assert!(!exists("/run/failing"));
    // What has done its work and is up all the same has its folder.
    machine.wait_for("once", ServiceState::Up);
    assert!(exists("/run/once/done"));
    assert_eq!(machine.request(&stop("once")), Response::Done);
    assert!(!exists("/run/once"));
}

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

/// TEST-19: a delegated group is its user's, as far as the kernel says, and the one below as if the user had made it.
#[test]
fn a_delegated_group_is_its_users() {
    let looks = "cd /sys/fs/cgroup/cairn/a || exit 9
        for file in . $(cat /sys/kernel/cgroup/delegate) main main/cgroup.max.depth main/cgroup.procs; do
            test -e $file || continue; test -w $file || echo not $file; done
        test ! -w cgroup.max.depth || echo its own bounds
        mkdir below && echo done";
    let service = with_process(
        "a",
        r#""user":"nobody""#,
        looks,
        r#""kind":"oneshot","delegated":true"#,
    );
    let machine = Machine::boot(&service);
    machine.wait_for("a", ServiceState::Up);
    machine.wait_until("it has looked", |machine| machine.log("a").contains("done"));
    let log = machine.log("a");
    assert!(!log.contains("not") && !log.contains("own"), "{log}");
}
