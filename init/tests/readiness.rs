//! When services count as up, what they say of themselves while they run, and how they are made to stand still:
//! as PID 1 of its own namespaces runs them.

#![expect(clippy::unwrap_used, reason = "what is not there fails the test")]

#[expect(dead_code, reason = "other tests need more of it")]
mod namespace;

use cairn_system::control::{Request, Response, ServiceState};
use expect_test::expect;
use namespace::{Machine, name, reason, script, speaker};

const SLEEP: &str = "exec sleep 1000000";

/// A word of the test to a service: a file that it waits for.
fn tell(machine: &Machine, word: &str) {
    std::fs::write(machine.inside(&format!("/run/{word}")), "").unwrap();
}

const WAIT: &str = "while [ ! -e /run/go ]; do sleep 0.01; done";

#[test]
fn descriptors_commands_and_ports_say_when() {
    let server = "import socket, time\ns = socket.socket()\ns.bind((\"127.0.0.1\", 4711))\n\
        open(\"/run/bound\", \"w\")\nimport os\n\
        while not os.path.exists(\"/run/go\"): time.sleep(0.01)\ns.listen()\ntime.sleep(1000000)";
    let services = [
        script(
            "pipe",
            &format!("{WAIT}; printf 'x' >&5; printf '\\n' >&5; exec 5>&-; {SLEEP}"),
            r#""readiness":{"descriptor":5}"#,
        ),
        script("after-pipe", SLEEP, r#""requires":["pipe"]"#),
        script(
            "command",
            SLEEP,
            r#""readiness":{"command":{"argv":["/bin/sh","-c","test -e /run/go"]}}"#,
        ),
        script(
            "port",
            &format!("exec python3 -c '{server}'"),
            r#""readiness":{"port":4711}"#,
        ),
        // Somebody else listens there: that is not its readiness.
        script(
            "thief",
            SLEEP,
            r#""after":["port"],"readiness":{"port":4711}"#,
        ),
        script(
            "closes",
            "exec 3>&-; sleep 1000000",
            r#""readiness":{"descriptor":3},"startTimeoutMs":300"#,
        ),
        script("ends", "exit 0", r#""readiness":{"descriptor":3}"#),
        // None of it leaks to what it does not belong to.
        script(
            "none",
            "ls /proc/self/fd | tr '\\n' ' '; exec sleep 1000000",
            "",
        ),
        script(
            "leak",
            "ls /proc/self/fd | tr '\\n' ' '; echo; echo >&7; exec sleep 1000000",
            r#""readiness":{"descriptor":7}"#,
        ),
    ];
    let machine = Machine::boot(&services.join(","));
    machine.wait_for("leak", ServiceState::Up);
    machine.wait_for("closes", ServiceState::Failed);
    machine.wait_for("ends", ServiceState::Stopped);
    machine.wait_until("the port is bound", |machine| {
        machine.inside("/run/bound").exists()
    });
    let states = ["pipe", "command", "port"].map(|name| machine.service(name).state);
    assert_eq!(states, [ServiceState::Starting; 3]);
    assert_eq!(machine.service("after-pipe").state, ServiceState::Waiting);
    // What is under way goes on under a successor, which has the pipe.
    machine.replace_supervisor(9);
    let states = ["pipe", "command", "port"].map(|name| machine.service(name).state);
    assert_eq!(states, [ServiceState::Starting; 3]);
    tell(&machine, "go");
    for name in ["pipe", "after-pipe", "command", "port"] {
        machine.wait_for(name, ServiceState::Up);
    }
    assert_eq!(machine.service("thief").state, ServiceState::Starting);
    assert!(
        machine.log("leak").trim_end().ends_with(" 0 1 2 3 7"),
        "{}",
        machine.log("leak")
    );
    let none = machine.log("none");
    assert!(
        none.is_empty() || none.trim_end().ends_with(" 0 1 2 3"),
        "{none}"
    );
}

#[test]
fn a_reload_is_done_when_the_service_says_so() {
    let body = "def again(*_):\n  say(b\"RELOADING=1\\nSTATUS=reading\")\n  \
          while not os.path.exists(\"/run/go\"): time.sleep(0.01)\n  \
          os.unlink(\"/run/go\")\n  say(b\"READY=1\\nSTATUS=read\")\n\
        signal.signal(signal.SIGHUP, again)\nsay(b\"READY=1\\nSTATUS=new\")\n\
        while not os.path.exists(\"/run/stop\"): time.sleep(0.01)\n\
        say(b\"STOPPING=1\\nSTATUS=leaving\")\n\
        while not os.path.exists(\"/run/go\"): time.sleep(0.01)\n\
        os.unlink(\"/run/go\")\nos._exit(7)";
    let notify = |name: &str, body: &str, more: &str| {
        speaker(
            name,
            body,
            &format!(r#""kind":"notify","reload":{{"announced":"SIGHUP"}}{more}"#),
        )
    };
    let services = [
        notify(
            "a",
            body,
            r#","restart":"on-failure","restartDelayMs":60000"#,
        ),
        notify(
            "silent",
            "signal.signal(signal.SIGHUP, lambda *_: None)\nsay(b\"READY=1\")\n\
             while True: time.sleep(1000)",
            r#","startTimeoutMs":3000"#,
        ),
    ];
    let machine = Machine::boot(&services.join(","));
    machine.wait_for("silent", ServiceState::Up);
    let before = machine.wait_for("a", ServiceState::Up);
    assert_eq!(before.activity.as_deref(), Some("new"));
    let answer = std::thread::scope(|scope| {
        let asked = scope.spawn(|| machine.request(&Request::Reload { name: name("a") }));
        machine.wait_until("it reads", |machine| {
            machine.service("a").activity.as_deref() == Some("reading")
        });
        assert!(!asked.is_finished());
        tell(&machine, "go");
        asked.join().unwrap()
    });
    assert_eq!(answer, Response::Done);
    let after = machine.service("a");
    assert_eq!(
        (after.pid, after.activity.as_deref()),
        (before.pid, Some("read"))
    );
    expect!["'silent': the last reload failed: it has not said in time that it is done"].assert_eq(
        &reason(machine.request(&Request::Reload {
            name: name("silent"),
        })),
    );
    assert_eq!(machine.service("silent").state, ServiceState::Up);
    tell(&machine, "stop");
    machine.wait_for("a", ServiceState::Stopping);
    tell(&machine, "go");
    // It ends by itself, with a status that its policy of restarts is for.
    let ended = machine.wait_for("a", ServiceState::Backoff);
    assert_eq!(ended.last_exit.as_deref(), Some("status 7"));
}

#[test]
fn a_message_counts_although_its_sender_has_ended() {
    // As systemd-notify does it: who sends it waits until it has been heard.
    let barrier = "r, w = os.pipe()\nc = os.fork()\n\
        if c == 0:\n  say(b\"READY=1\")\n  \
          s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n  \
          s.connect(os.environ[\"NOTIFY_SOCKET\"])\n  \
          socket.send_fds(s, [b\"BARRIER=1\"], [w])\n  os.close(w)\n  os.read(r, 1)\n  os._exit(0)\n\
        os.close(w)\nos.waitpid(c, 0)\ntime.sleep(1000000)";
    // The main process itself, which is not reaped before it has been heard.
    let main = "say(b\"READY=1\\nSTATUS=short\")\nos._exit(0)";
    let services = [
        speaker("barrier", barrier, r#""kind":"notify""#),
        speaker("main", main, r#""kind":"notify","onSuccess":["next"]"#),
        script("next", SLEEP, r#""wantedAtBoot":false"#),
    ];
    let machine = Machine::boot(&services.join(","));
    machine.wait_for("barrier", ServiceState::Up);
    machine.wait_for("next", ServiceState::Up);
    assert!(machine.service("main").up_ms.is_some());
}

#[test]
fn frozen_services_stand_still_until_they_are_thawed_or_stopped() {
    let works = "while :; do echo x; sleep 0.01; done";
    let services = [
        script(
            "a",
            works,
            r#""reload":{"signal":"SIGHUP"},"restart":"always","restartDelayMs":1"#,
        ),
        script("mark", "exit 0", r#""kind":"oneshot""#),
        r#"{"name":"milestone","kind":"milestone","wantedAtBoot":true}"#.to_owned(),
    ];
    let machine = Machine::boot(&services.join(","));
    machine.wait_for("a", ServiceState::Up);
    let events = machine.inside("/sys/fs/cgroup/cairn/a/cgroup.events");
    let stands_still = |_: &Machine| {
        std::fs::read_to_string(&events)
            .unwrap()
            .contains("frozen 1")
    };
    let freeze = Request::Freeze { name: name("a") };
    let thaw = Request::Thaw { name: name("a") };
    expect!["'a' is not frozen; see cairn status a"].assert_eq(&reason(machine.request(&thaw)));
    expect!["'milestone' has no processes that could be frozen"].assert_eq(&reason(
        machine.request(&Request::Freeze {
            name: name("milestone"),
        }),
    ));
    machine.do_it(&freeze);
    machine.wait_until("it stands still", stands_still);
    assert!(machine.service("a").frozen);
    expect!["'a' is frozen; use cairn thaw a"].assert_eq(&reason(
        machine.request(&Request::Reload { name: name("a") }),
    ));
    machine.replace_supervisor(9);
    assert!(machine.service("a").frozen);
    machine.do_it(&thaw);
    machine.wait_until("it goes on", |machine| !stands_still(machine));
    let before = machine.log("a").len();
    machine.wait_until("it works", |machine| machine.log("a").len() > before);
    // What is killed while it stands still is started again, and runs.
    machine.do_it(&freeze);
    machine.wait_until("it stands still", stands_still);
    let pid = machine.service("a").pid;
    machine.kill(machine.on_host(pid.unwrap()), 9);
    machine.wait_until("it is another process", |machine| {
        let now = machine.service("a");
        now.pid.is_some() && now.pid != pid && now.state == ServiceState::Up && !now.frozen
    });
    machine.do_it(&freeze);
    machine.do_it(&Request::Stop { name: name("a") });
    assert_eq!(machine.service("a").last_exit.as_deref(), Some("signal 15"));
}
