//! Whether there is a start, and what a process finds then: what units of systemd say beyond the plainest ones.
//! `docs/behaviours.md` names the suites that check the same.

#[expect(dead_code, reason = "other tests need more of it")]
mod namespace;

use std::fs;

use cairn_system::control::{Request, Response, ServiceState};
use namespace::{LATER, Machine, SLEEP, name, reason, script, start, stop, story, tells};

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

/// TEST-23 (`exec-command-ex`): what prefixes of the main command say of it (`-`, `+`, `@`).
#[test]
fn a_process_is_what_its_command_says() {
    let fields = r#""user":"nobody","asRoot":true,"argv0":"called","noNewPrivileges":true"#;
    let body = "printf '%s ' $(id -u) $(tr '\\0' ' ' < /proc/$$/cmdline | cut -d' ' -f1) \
        $(grep NoNewPrivs /proc/$$/status); exit 3";
    let ignored = format!(r#"{fields},"ignoreFailure":true"#);
    let more = |to: &str| format!(r#""restart":"on-failure","onSuccess":["{to}"]"#);
    let named = serde_json::json!([{
        "argv": ["/bin/sh", "-c", "tr '\\0' ' ' < /proc/$$$$/cmdline | cut -d' ' -f1"], "argv0": "${WHO}", "expand": true,
    }]);
    let services = [
        with_process("good", &ignored, body, &more("next")),
        script("next", SLEEP, LATER),
        with_process("killed", r#""ignoreFailure":true"#, "kill -9 $$", &more("other")),
        script("other", SLEEP, LATER),
        script("named", SLEEP, &format!(r#""preStart":{named}"#)),
        r#"{"name":"absent","kind":"simple","wantedAtBoot":true,"restart":"on-failure","onSuccess":["third"],
            "process":{"argv":["/nonexistent"],"ignoreFailure":true}}"#
            .to_owned(),
        script("third", SLEEP, LATER),
    ];
    let machine = Machine::boot(&services.join(","));
    for (name, next) in [("good", "next"), ("killed", "other"), ("absent", "third")] {
        machine.wait_for(next, ServiceState::Up);
        let status = machine.service(name);
        assert_eq!(
            (status.state, status.restarts),
            (ServiceState::Stopped, 0),
            "{name}"
        );
    }
    let log = machine.log("good");
    assert!(log.ends_with("Z 0 called NoNewPrivs: 0 \n"), "{log}");
    machine.wait_for("named", ServiceState::Up);
    let log = machine.log("named");
    assert!(log.ends_with("Z ${WHO}\n"), "{log}");
}

/// systemd.exec(5): `EnvironmentFile=` with patterns, `UnsetEnvironment=`; systemd.service(5): words in a variable.
#[test]
fn variables_are_those_that_files_say() {
    let folder = tempfile::tempdir_in("/tmp").unwrap();
    let path = folder.path().display();
    fs::write(
        folder.path().join("1.env"),
        "A=one\nB=\"two\n  lines\"\nC='x'\nHOME=/here\n",
    )
    .unwrap();
    fs::write(
        folder.path().join("2.env"),
        "A=\"--re ^a\\.b$ 'c d'\"\nD=keep\nE=go\n",
    )
    .unwrap();
    let process = serde_json::json!({
        "argv": ["/bin/sh", "-c", "printf '<%s> ' \"$@\" \"$B\" \"${C-none}\" \"$D\" \"${E-none}\" \"${HOME-none}\"", "x", "$A"],
        "expand": true,
        "user": "nobody",
        "environment": { "PATH": "/usr/bin:/bin", "C": "y" },
        "environmentFiles": [
            { "path": format!("{path}/?.env") }, { "path": format!("{path}/*.none"), "optional": true },
        ],
        "unsetEnvironment": ["C", "D=lose", "E=go", "HOME"],
    });
    let missing = format!(r#""environmentFiles":[{{"path":"{path}/*.none"}}]"#);
    let services = [
        format!(r#"{{"name":"a","kind":"oneshot","wantedAtBoot":true,"process":{process}}}"#),
        with_process("missing", &missing, SLEEP, ""),
    ];
    let machine = Machine::boot(&services.join(","));
    machine.wait_for("a", ServiceState::Up);
    let log = machine.log("a");
    let lines: Vec<&str> = log
        .lines()
        .filter_map(|line| line.split_once("Z "))
        .map(|(_, line)| line)
        .collect();
    assert_eq!(
        lines,
        [
            "<--re> <^a.b$> <c d> <two",
            "  lines> <none> <keep> <none> <none> "
        ]
    );
    let why = machine
        .wait_for("missing", ServiceState::Failed)
        .reason
        .unwrap();
    assert!(why.contains("*.none"), "{why}");
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

/// `RefuseManualStart=`, `RefuseManualStop=`: what needs it starts and stops it, and nobody else.
#[test]
fn what_is_not_for_hands_is_refused() {
    let services = [
        script(
            "both",
            SLEEP,
            &format!(r#""noStartByHand":true,"noStopByHand":true,{LATER}"#),
        ),
        script("needs", SLEEP, &format!(r#""requires":["both"],{LATER}"#)),
    ];
    let machine = Machine::boot(&services.join(","));
    assert_eq!(
        reason(machine.request(&start("both"))),
        "'both' is not started by hand: its description says so"
    );
    assert_eq!(machine.request(&start("needs")), Response::Done);
    assert_eq!(
        reason(machine.request(&stop("both"))),
        "'both' is not stopped by hand: its description says so; use cairn disable both"
    );
    let restart = Request::Restart { name: name("both") };
    assert!(matches!(machine.request(&restart), Response::Failed { .. }));
    let disable = Request::Disable { name: name("both") };
    assert_eq!(machine.request(&disable), Response::Done);
    assert_eq!(machine.service("needs").state, ServiceState::Stopped);
}

/// systemd.exec(5), `IgnoreSIGPIPE=`: whoever writes where nobody reads is told so, and lives on, and so do the
/// commands around it; unless a description says that it heeds the signal.
#[test]
fn what_writes_where_nobody_reads_lives_on() {
    let writes = |word| {
        let body = format!("kill -PIPE $$; printf \"{word} \" >> /var/log/story");
        serde_json::json!({ "argv": ["/bin/sh", "-c", body] }).to_string()
    };
    let pipe = format!("kill -PIPE $$; {SLEEP}");
    let before = format!(r#""preStart":[{}]"#, writes("before"));
    let killed = format!(r#""preStart":[{}]"#, writes("never"));
    let heeds = |name, body, more| with_process(name, r#""heedsSigpipe":true"#, body, more);
    let services = [
        script("lives", &pipe, &before),
        heeds("heeds", &pipe, ""),
        heeds("killed", SLEEP, killed.as_str()),
    ];
    let machine = Machine::boot(&services.join(","));
    machine.wait_for("lives", ServiceState::Up);
    machine.wait_for("heeds", ServiceState::Stopped);
    let killed = machine.wait_for("killed", ServiceState::Failed);
    expect_test::expect![[r#"Some("its pre-start command was ended by signal 13") before "#]]
        .assert_eq(&format!("{:?} {}", killed.reason, story(&machine)));
    assert!(machine.service("lives").pid.is_some());
}

/// systemd.exec(5), `RemoveIPC=`: what a user's processes have left to each other goes with the last of its services.
#[test]
fn what_a_user_leaves_to_its_processes_is_removed() {
    let nobody = |name, body, more| with_process(name, r#""user":"nobody""#, body, more);
    let leaves =
        "mkdir /dev/shm/folder && ipcmk -Q -M 1 -S 1 && : > /dev/shm/theirs && exec sleep 1000000";
    let removes = format!(r#""removesIpc":true,{LATER}"#);
    let services = [
        nobody("leaves", leaves, &removes),
        nobody("other", SLEEP, ""),
        script("roots", SLEEP, r#""removesIpc":true"#),
    ];
    let before = "mount -t tmpfs -o mode=1777 tmpfs /dev/shm";
    let machine = Machine::boot_on(&services.join(","), "", before);
    machine.inside_run("ipcmk -Q && : > /dev/shm/roots && ln -s roots /dev/shm/link");
    machine.inside_run("chown -h nobody /dev/shm/link");
    let left = || {
        let counted = machine.inside_run("cat /proc/sysvipc/* | grep -vc key; ls /dev/shm");
        counted.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let run = || {
        machine.do_it(&start("leaves"));
        machine.wait_until("it has left something", |_| left().contains("theirs"));
        machine.do_it(&stop("leaves"));
        machine.inside_run("rmdir /dev/shm/folder");
    };
    run();
    machine.do_it(&stop("roots"));
    assert_eq!(
        left(),
        "4 link roots theirs",
        "another service of theirs runs"
    );
    machine.do_it(&stop("other"));
    run();
    assert_eq!(left(), "1 roots");
}

#[test]
fn a_restart_waits_until_what_was_killed_has_let_go() {
    // Its child has much memory, and a lock until that is free.
    let program = "import fcntl, os, time\nlock = open(\"/run/lock\", \"w\")\n\
        try: fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)\n\
        except OSError: print(\"it is taken\", flush=True)\n\
        if os.fork() == 0:\n  memory = bytearray(1 << 30)\n  print(\"has it\", flush=True)\n  time.sleep(1000000)\n\
        lock.close()\ntime.sleep(1000000)";
    let more = r#""restart":"always","restartDelayMs":1"#;
    let machine = Machine::boot(&script("a", &format!("exec python3 -c '{program}'"), more));
    for lives in 1..=4 {
        machine.wait_until("its child has the lock", |machine| {
            machine.log("a").matches("has it").count() == lives
        });
        machine.kill(machine.on_host(machine.service("a").pid.unwrap()), 9);
    }
    assert!(!machine.log("a").contains("taken"), "{}", machine.log("a"));
}
