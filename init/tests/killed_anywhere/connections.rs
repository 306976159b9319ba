//! Sockets: who connects is served, however far the supervisor has got.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, PoisonError};

use cairn_system::control::ServiceState;

use crate::harness::kill_anywhere;
use crate::namespace::{LATER, Machine, PATIENCE, script};

/// A socket for the service `a`, or for those of its connections.
fn socket(service: &str, more: &str) -> String {
    format!(
        r#"{{"name":"a.socket","kind":"socket","wantedAtBoot":true,
        "socket":{{"service":"{service}","listen":[{{"stream":"/run/a"}}]{more}}}}}"#
    )
}

/// Connects and says something: what comes back, once the other end is closed.
fn connect(machine: &Machine) -> Receiver<String> {
    let client = UnixStream::connect(machine.inside("/run/a"));
    let (told, answer) = channel();
    let talk = move || -> std::io::Result<String> {
        let mut client = client?;
        client.write_all(b"hello\n")?;
        client.set_read_timeout(Some(PATIENCE))?;
        let mut text = String::new();
        client.read_to_string(&mut text)?;
        Ok(text)
    };
    std::thread::spawn(move || {
        // The test may be over.
        drop(told.send(talk().unwrap_or_else(|error| error.to_string())));
    });
    answer
}

/// Boots a machine of these services, connects, and kills the supervisor: each time who has connected is served, or
/// knows at once that it is not (what had just been taken or started ends with the supervisor); who connects next is
/// served.
fn connected(services: &str) {
    let answer: Mutex<Option<Receiver<String>>> = Mutex::new(None);
    let own = || answer.lock().unwrap_or_else(PoisonError::into_inner);
    kill_anywhere(
        2,
        || Machine::boot(services),
        |machine| machine.service("a.socket").state == ServiceState::Up,
        |machine, _| *own() = Some(connect(machine)),
        |machine| {
            // It is told once, and the next one may have met what still ends with the supervisor.
            let first = own().take().map(|first| first.recv_timeout(PATIENCE));
            assert!(!matches!(first, Some(Err(_))), "{:?}", machine.status());
            match connect(machine).recv_timeout(PATIENCE).as_deref() {
                Ok("served hello\n") => Ok(()),
                next => Err(format!("{next:?}: {:?}", machine.status())),
            }
        },
    );
}

#[test]
fn a_connection_that_has_a_service_of_its_own() {
    let echo = script("a@", "read line; echo served $line", LATER).replace(
        r#""process":{"#,
        r#""process":{"connected":["input","output"],"#,
    );
    connected(&[echo, socket("a@", r#","accept":true"#)].join(","));
}

#[test]
fn a_connection_that_starts_a_service() {
    let server = "exec perl -e 'open(my $l, \"+<&=\", 3); while (accept(my $c, $l)) { \
        my $line = <$c>; syswrite $c, \"served $line\"; close $c; }'";
    let more = r#""wantedAtBoot":false,"requires":["a.socket"]"#;
    connected(&[script("a", server, more), socket("a", "")].join(","));
}
