//! What programs write to `/dev/log`, through the real socket and the service that hears it: whose it is, how serious,
//! and that nothing is lost whoever ends.

#![expect(clippy::unwrap_used, reason = "functions of a test fail the test")]

#[expect(dead_code, reason = "other tests need more of it")]
mod namespace;

use cairn_system::control::ServiceState;
use cairn_system::log_line::{Heard, Priority};
use namespace::{LATER, Machine, script, start};

/// The socket and the service, as the configuration describes them, and what else there is.
fn machine(others: &[String]) -> Machine {
    let syslog = r#"{"name":"syslogd.socket","kind":"socket","wantedAtBoot":true,
          "socket":{"service":"syslogd","listen":[{"datagram":"/run/log"}],"passCredentials":true}},
        {"name":"syslogd","kind":"simple","wantedAtBoot":true,"restart":"always","requires":["syslogd.socket"],
          "process":{"argv":["/run/cairn/generation/syslogd"],"environment":{"LEAST_LEVELS":"quiet=5"}}}"#;
    let services = [&[syslog.to_owned()], others].concat();
    let machine = Machine::boot(&services.join(","));
    machine.wait_for("syslogd", ServiceState::Up);
    machine
}

/// A oneshot in Python that sends these messages.
fn sender(name: &str, messages: &str, more: &str) -> String {
    let program = format!(
        "exec python3 -c 'import os, socket\ns = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n\
         s.connect(\"/run/log\")\nfor m in [{messages}]: s.send(m)\n\
         import time; time.sleep(0.2)'"
    );
    script(name, &program, &format!(r#""kind":"oneshot"{more}"#))
}

/// The lines of the log so far: facility, level, service, identifier, text.
fn heard(machine: &Machine) -> Vec<String> {
    let log = machine.log("syslogd");
    let lines = log.lines().map(|line| {
        let (_time, line) = line.split_once(' ').unwrap();
        let (priority, _) = Priority::split(line.as_bytes()).unwrap();
        let (_, rest) = line.split_once('>').unwrap();
        let heard = Heard::parse(rest).unwrap();
        format!(
            "{}.{} {} {}: {}",
            priority.facility_name(),
            priority.level_name(),
            heard.service.as_deref().unwrap_or("-"),
            heard.identifier,
            heard.text
        )
    });
    lines.collect()
}

fn wait_for_lines(machine: &Machine, count: usize) -> Vec<String> {
    machine.wait_until("all has been heard", |machine| {
        heard(machine).len() >= count
    });
    heard(machine)
}

#[test]
fn messages_are_their_services() {
    let old = r#"b"<38>Nov 30 08:20:12 sshd[811]: Accepted", b"<3>no tag here", b"none at all""#;
    let new = r#"b"<165>1 2003-10-11T22:14:15.003Z h app 7 ID [a@1 b=\"]\"] \xef\xbb\xbftext", b"<14>1 - - - - - -""#;
    let new = sender("new", new, "").replacen(r#""argv""#, r#""user":"nobody","argv""#, 1);
    let machine = machine(&[sender("old", old, ""), new]);
    let mut lines = wait_for_lines(&machine, 5);
    lines.sort();
    assert_eq!(
        lines,
        [
            "auth.info old sshd: Accepted",
            "kern.err old python3: no tag here",
            r#"local4.notice new app: [a@1 b="]"] text"#,
            "user.info new python3: ",
            "user.notice old python3: none at all",
        ]
    );
    // Who is of no service.
    machine.inside_run(
        "echo '<30>me: of nobody' | python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.sendto(sys.stdin.buffer.read().strip(), \"/run/log\")'",
    );
    let lines = wait_for_lines(&machine, 6);
    assert_eq!(lines[5], "daemon.info - me: of nobody");
}

/// Lines that would be another service's, floods of lines in one message, what is too long, descriptors whose closing
/// would be waited for, and empty messages.
#[test]
fn what_is_hostile_stays_its_senders() {
    let hostile = r#"b"<13>a: x\n<0>old sshd[1]: forged\n\r\x00\x1b[2J", b"\n" * 1000, b"y\n" * 5000, b"", b"<13>z: " + b"z" * 100000"#;
    let machine = machine(&[sender("bad", hostile, "")]);
    machine.wait_until("the last one is cut", |machine| {
        heard(machine)
            .last()
            .is_some_and(|line| line == "user.notice bad z: [the rest is left out]")
    });
    let lines = heard(&machine);
    assert!(lines.iter().all(|line| line.contains(" bad ")), "{lines:?}");
    assert_eq!(
        lines[..3],
        [
            "user.notice bad a: x",
            "user.notice bad a: <0>old sshd[1]: forged",
            "user.notice bad a: ^[[2J"
        ]
    );
    assert!(lines.len() < 300, "{} lines", lines.len());
    // Whoever closes this connection last would wait for minutes.
    machine.inside_run("ip link set lo up; python3 -c '
import array, socket, struct
peer = socket.create_server((\"127.0.0.1\", 0))
here = socket.create_connection(peer.getsockname())
here.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack(\"ii\", 1, 600))
here.setblocking(False)
try:
    while True: here.send(b\"x\" * 65536)
except BlockingIOError: pass
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.connect(\"/run/log\")
for n in range(200):
    s.sendmsg([b\"<13>f: %d\" % n], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array(\"i\", [here.fileno()] * 200))])
'");
    machine.wait_until("all are heard", |machine| {
        heard(machine)
            .last()
            .is_some_and(|line| line.ends_with(" f: 199"))
    });
    let pid = machine.on_host(machine.service("syslogd").pid.unwrap());
    machine.wait_until("what was handed in is closed", |_| {
        let open = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
        open.count() < 10
    });
}

#[test]
fn no_message_is_lost_whoever_ends() {
    let many = sender(
        "many",
        r#"*(b"<13>n: %d" % i for i in range(3000))"#,
        &format!(",{LATER}"),
    );
    let machine = machine(&[many]);
    std::thread::scope(|scope| {
        let started = scope.spawn(|| machine.request(&start("many")));
        for round in 0..6 {
            if round % 3 == 2 {
                machine.replace_supervisor(9);
            } else if let Some(pid) = machine.service("syslogd").pid {
                machine.kill(machine.on_host(pid), 9);
                machine.wait_until("it runs again", |machine| {
                    machine.service("syslogd").pid.is_some_and(|new| new != pid)
                });
            }
        }
        drop(started.join());
    });
    machine.wait_until("the last one is heard", |machine| {
        heard(machine)
            .last()
            .is_some_and(|line| line.ends_with(" n: 2999"))
    });
    let mut lines = heard(&machine);
    // One may be there twice whose reader was killed.
    lines.dedup();
    let expected: Vec<_> = (0..3000)
        .map(|n| format!("user.notice many n: {n}"))
        .collect();
    assert_eq!(lines, expected);
}

/// `LogLevelMax=`: what is less serious is in no log, whichever way it comes.
#[test]
fn what_is_less_serious_than_a_service_may_log_is_left_out() {
    let messages = r#"b"<38>sshd: info", b"<37>sshd: notice", b"none""#;
    let quiet = sender("quiet", messages, r#","leastLogLevel":5"#);
    let says = "echo '<7>seven'; echo plain; echo '<12>four'; echo '<3>three'; exec sleep 1000000";
    let machine = machine(&[quiet, script("says", says, r#""leastLogLevel":4"#)]);
    let lines = wait_for_lines(&machine, 2);
    assert_eq!(
        lines,
        [
            "auth.notice quiet sshd: notice",
            "user.notice quiet python3: none"
        ]
    );
    machine.wait_until("it has said all", |machine| {
        machine.log("says").ends_with("three\n")
    });
    let log = machine.log("says");
    let lines = log.lines().filter_map(|line| line.split_once(' '));
    let lines: Vec<&str> = lines.map(|(_, line)| line).collect();
    assert_eq!(lines, ["<12>four", "<3>three"]);
}
