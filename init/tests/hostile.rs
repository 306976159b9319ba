//! What services and others without rights try with the supervisor: it goes on, and nobody waits for them.

#[expect(dead_code, reason = "other tests need more of it")]
mod namespace;

use std::fs;

use cairn_system::control::{Request, Response, ServiceState};
use namespace::{Machine, SLEEP, name, script};

fn python(body: &str) -> String {
    format!(
        "exec python3 -c 'import fcntl, os, signal, socket, struct, time\n\
         notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n\
         notify.connect(\"/run/cairn/notify\")\n\
         {body}'"
    )
}

#[test]
fn files_that_never_end_keep_nobody_waiting() {
    let forks = "mkfifo /run/pid; (exec sleep 1000001) & exit 0";
    let services = [
        script("a", SLEEP, ""),
        script(
            "forks",
            forks,
            r#""kind":"forking","pidFile":"/run/pid","startTimeoutMs":200"#,
        ),
    ];
    let with_file = |name: &str, file: &str| {
        script(name, SLEEP, r#""wantedAtBoot":false"#).replace(
            r#""environment":"#,
            &format!(r#""environmentFiles":[{{"path":"{file}"}}],"environment":"#),
        )
    };
    let services = [
        services.join(","),
        with_file("pipe", "/run/pid"),
        with_file("endless", "/dev/zero"),
    ];
    let machine = Machine::boot(&services.join(","));
    machine.wait_for("forks", ServiceState::Failed);
    for service in ["pipe", "endless"] {
        let started = machine.request(&Request::Start {
            name: name(service),
        });
        assert!(matches!(started, Response::Failed { .. }), "{started:?}");
    }
    machine.wait_for("a", ServiceState::Up);
}

#[test]
fn what_is_handed_in_is_closed_without_waiting() {
    // A connection that nobody reads from, and that whoever closes it last waits for: that is the supervisor, which
    // stands still until its client has closed it.
    let server = "lo = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
        fcntl.ioctl(lo, 0x8914, struct.pack(\"16sh14x\", b\"lo\", 0x41))\n\
        server = socket.create_server((\"127.0.0.1\", 7777))\n\
        notify.send(b\"READY=1\")\n\
        time.sleep(1000000)";
    let lingers = "client = socket.create_connection((\"127.0.0.1\", 7777))\n\
        client.setblocking(False)\n\
        try:\n  while True: client.send(bytes(65536))\n\
        except BlockingIOError: pass\n\
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack(\"ii\", 1, 600))\n\
        client = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack(\"i\", client.detach()))]\n\
        control = socket.socket(socket.AF_UNIX)\n\
        control.connect(\"/run/cairn/control\")\n\
        os.kill(os.getppid(), signal.SIGSTOP)\n\
        SENDS\n\
        os.closerange(4, 20)\n\
        os.kill(os.getppid(), signal.SIGCONT)\n\
        print(\"sent\", flush=True)\n\
        time.sleep(1000000)";
    let body = |sends: &str| python(&lingers.replace("SENDS", sends));
    let notifies = body("notify.sendmsg([b\"FDSTORE=1\"], client)");
    let request = r#"{\"request\":\"status\"}\n"#;
    let asks = body(&format!(
        "control.sendmsg([b\"\"\"{request}\"\"\"], client)"
    ));
    // More than a request may have: what comes behind it is left unread.
    let adds = body(
        "control.sendall(bytes(100000))\n\
         control.sendmsg([b\"x\"], client)",
    );
    // Who connects is refused, and what has come already is not read.
    let joins = body(
        "one, two = [socket.socket(socket.AF_UNIX) for _ in range(2)]\n\
         one.connect(\"/run/full\")\n\
         two.connect(\"/run/full\")\n\
         two.sendmsg([b\"x\"], client)",
    );
    let full = r#"{"name":"full.socket","kind":"socket","process":{"argv":[]},"wantedAtBoot":true,
        "socket":{"service":"full@","listen":[{"stream":"/run/full"}],"mode":"0666","accept":true,"maxConnections":1}}"#;
    let services = [
        full.to_owned(),
        script("full@", SLEEP, r#""wantedAtBoot":false"#),
        script("a", SLEEP, ""),
        script("server", &python(server), r#""kind":"notify""#),
        script("hands", &notifies, r#""wantedAtBoot":false"#),
        script("asks", &asks, r#""wantedAtBoot":false"#),
        script("adds", &adds, r#""wantedAtBoot":false"#),
        script("joins", &joins, r#""wantedAtBoot":false"#),
        script(
            "leaves",
            &notifies,
            r#""wantedAtBoot":false,"storedDescriptors":1"#,
        ),
    ];
    let machine = Machine::boot(&services.join(","));
    machine.wait_for("server", ServiceState::Up);
    for service in ["hands", "asks", "adds", "joins", "leaves"] {
        machine.do_it(&Request::Start {
            name: name(service),
        });
        machine.wait_until("it has been handed in", |machine| {
            machine.log(service).contains("sent")
        });
        machine.do_it(&Request::Stop {
            name: name(service),
        });
    }
    // Neither the supervisor waits nor PID 1.
    machine.replace_supervisor(9);
    machine.do_it(&Request::Stop { name: name("a") });
}

#[test]
fn a_main_process_that_changes_often_is_held_once() {
    let body = "child = os.fork()\n\
        if child == 0:\n  time.sleep(1000000)\n\
        for i in range(300):\n  \
          notify.send(b\"MAINPID=%d\" % child)\n  \
          notify.send(b\"MAINPID=%d\" % os.getpid())\n\
        notify.send(b\"READY=1\")\n\
        signal.pause()";
    let late = r#""kind":"notify","wantedAtBoot":false"#;
    let machine = Machine::boot(&script("a", &python(body), late));
    let supervisor = machine.supervisor().unwrap_or_default();
    let open = || fs::read_dir(format!("/proc/{supervisor}/fd")).map_or(0, Iterator::count);
    let before = open();
    machine.do_it(&Request::Start { name: name("a") });
    let after = open();
    assert!(
        before > 0 && after < before + 10,
        "{before} descriptors were open, then {after}"
    );
    // Its end is heard of, whichever of the two it is.
    let main = machine.service("a").pid.unwrap_or_default();
    machine.kill(machine.on_host(main), 9);
    machine.wait_for("a", ServiceState::Failed);
}

#[test]
fn the_end_of_a_main_process_is_told_by_its_parent() {
    let body = "child = os.fork()\n\
        if child == 0:\n  time.sleep(1000000)\n\
        notify.send(b\"MAINPID=%d\\nREADY=1\" % child)\n\
        _, status = os.waitpid(child, 0)\n\
        os._exit(os.waitstatus_to_exitcode(status) + 12)";
    let machine = Machine::boot(&script("a", &python(body), r#""kind":"notify""#));
    machine.wait_for("a", ServiceState::Up);
    let main = machine.service("a").pid.unwrap_or_default();
    machine.kill(machine.on_host(main), 9);
    let ended = machine.wait_for("a", ServiceState::Failed);
    assert_eq!(ended.last_exit.as_deref(), Some("status 3"));
}

#[test]
fn a_folder_leads_nobody_elsewhere() {
    let app = script(
        "app",
        SLEEP,
        r#""wantedAtBoot":false,"directories":[
        {"path":"/var/lib/app","mode":"0755"},
        {"path":"/var/lib/app/own/sub","mode":"0755"},
        {"path":"/var/lib/app/data/keys","mode":"0755"}]"#,
    )
    .replace(r#""argv":"#, r#""user":"nobody","argv":"#);
    let machine = Machine::boot(&app);
    let start = || machine.request(&Request::Start { name: name("app") });
    let stop = || machine.do_it(&Request::Stop { name: name("app") });
    let owner = |path: &str| machine.inside_run(&format!("stat -c %U {path}"));
    machine.inside_run(
        "mkdir -p /run/secret/keys /var/lib/app/elsewhere/sub && cd /var/lib/app \
         && ln -s elsewhere own && chown -Rh nobody .",
    );
    assert_eq!(start(), Response::Done);
    assert_eq!(owner("/var/lib/app/elsewhere/sub"), "nobody\n");
    stop();
    machine.inside_run(
        "cd /var/lib/app && rm -r data && ln -s /run/secret data && chown -h nobody data",
    );
    let started = start();
    assert_eq!(owner("/run/secret/keys"), "root\n");
    assert!(matches!(started, Response::Failed { .. }), "{started:?}");
}

/// Of more descriptors than there is room for, the kernel hands in some: those are closed, too.
#[test]
fn descriptors_that_do_not_fit_are_closed() {
    let machine = Machine::boot(&script("a", SLEEP, ""));
    machine.wait_for("a", ServiceState::Up);
    let supervisor = machine.supervisor().unwrap();
    let open = || {
        fs::read_dir(format!("/proc/{supervisor}/fd"))
            .unwrap()
            .count()
    };
    let before = open();
    machine.inside_run(
        "for p in $(ls /proc | grep '^[0-9]'); do \
           case $(tr '\\0' ' ' < /proc/$p/cmdline) in cairn-supervisor*) prlimit --pid $p --nofile=100:100;; esac; done; \
         python3 -c '
import array, os, socket
files = array.array(\"i\", [os.open(\"/dev/null\", os.O_RDONLY)] * 200)
files = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, files)]
for n in range(20):
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.connect(\"/run/cairn/notify\")
    notify.sendmsg([b\"FDSTORE=1\"], files)
    control = socket.socket(socket.AF_UNIX)
    control.connect(\"/run/cairn/control\")
    control.sendmsg([b\"x\"], files)
    control.close()
'",
    );
    machine.wait_until("they are closed", |machine| {
        machine.try_request(&Request::Status).is_some() && open() <= before + 2
    });
    assert_eq!(machine.supervisor(), Some(supervisor));
}
